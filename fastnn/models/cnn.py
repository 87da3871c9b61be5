"""Convolutional nets for images (N, channels, H, W): LeNet-5 and its heirs, all below a million
weights.

LeNet-5, the CNN of textbooks and the small VGG end in a layer with a weight for each place of the
image, and are built for one size. ResNet-8, the small MobileNet and DS-CNN average each channel
over all places, and take images of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from fastnn import Tensor, nn

Layers = list[nn.Module]
Size = int | Sequence[int]
MakeLayer = Callable[..., nn.Module]


def pair_of(size: Size) -> tuple[int, int]:
    """(H, W) of a number or of two."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def check_size(size: Sequence[int], smallest: Size, what: str) -> None:
    """ValueError unless (H, W) is at least `smallest`."""
    least = pair_of(smallest)
    if size[0] < least[0] or size[1] < least[1]:
        raise ValueError(
            f"{what} needs images of at least {least[0]} x {least[1]}, got {size[0]} x {size[1]}"
        )


def check_images(images: Tensor, channels: int, what: str) -> None:
    """ValueError unless images are (N, channels, H, W)."""
    if images.ndim != 4 or images.shape[1] != channels:
        raise ValueError(
            f"{what} takes images of the shape (N, {channels}, H, W), got {tuple(images.shape)}"
        )


class ConvNet(nn.Module):
    """Layers one after the other; images that they cannot take are refused in one sentence.

    name: in such a sentence. channels: of the images. size: their only (H, W), or None for any
    from `smallest` on.
    """

    def __init__(
        self,
        name: str,
        layers: Sequence[nn.Module],
        channels: int,
        size: tuple[int, int] | None = None,
        smallest: Size = 1,
    ) -> None:
        super().__init__()
        self.name, self.channels, self.size, self.smallest = name, channels, size, smallest
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, classes)"""
        check_images(images, self.channels, self.name)
        size = tuple(images.shape[2:])
        if self.size is not None and size != self.size:
            raise ValueError(
                f"{self.name} was built for images of {self.size[0]} x {self.size[1]}, "
                f"got {size[0]} x {size[1]}"
            )
        check_size(size, self.smallest, self.name)
        return self.layers(images)


def lenet5(
    channels: int = 1,
    classes: int = 10,
    size: Size = 28,
    activation: MakeLayer = nn.ReLU,
    pool: MakeLayer = nn.MaxPool2d,
) -> ConvNet:
    """LeNet-5 (LeCun et al., 1998), with ReLU and max pooling as is usual today.

    activation=nn.Tanh, pool=nn.AvgPool2d come close to the original, whose pooling had weights, and
    whose second convolution left out some pairs of channels. size: H and W of the images, 12 or
    more; the original's 32 are 28 with a margin of 2.
    """
    size = pair_of(size)
    check_size(size, 12, "LeNet-5")
    places = (size[0] // 2 - 4) // 2 * ((size[1] // 2 - 4) // 2)
    layers = [
        nn.Conv2d(channels, 6, 5, padding=2), activation(), pool(2),
        nn.Conv2d(6, 16, 5), activation(), pool(2),
        nn.Flatten(), nn.Linear(16 * places, 120), activation(),
        nn.Linear(120, 84), activation(), nn.Linear(84, classes),
    ]  # fmt: skip
    return ConvNet("LeNet-5", layers, channels, size, 12)


def mnist_cnn(channels: int = 1, classes: int = 10, size: Size = 28) -> ConvNet:
    """The CNN of textbooks: two convolutions with max pooling, two linear layers; 421,642 weights
    and biases for one channel, 10 classes and 28 x 28 pixels."""
    size = pair_of(size)
    check_size(size, 4, "the MNIST CNN")
    layers = [
        nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * (size[0] // 4) * (size[1] // 4), 128), nn.ReLU(),
        nn.Linear(128, classes),
    ]  # fmt: skip
    return ConvNet("the MNIST CNN", layers, channels, size, 4)


def vgg_small(
    channels: int = 3, classes: int = 10, size: Size = 32, widths: Sequence[int] = (32, 64, 128)
) -> ConvNet:
    """Pairs of 3x3 convolutions, each pair half as large and twice as wide as the one before
    (Simonyan and Zisserman, 2015): six convolutions and two linear layers."""
    size, smallest = pair_of(size), 2 ** len(widths)
    check_size(size, smallest, "the small VGG")
    layers: Layers = []
    for inputs, outputs in pairwise((channels, *widths)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    places = (size[0] // smallest) * (size[1] // smallest)
    layers += [nn.Flatten(), nn.Linear(widths[-1] * places, 128), nn.ReLU()]
    return ConvNet("the small VGG", [*layers, nn.Linear(128, classes)], channels, size, smallest)


def conv_norm(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> Layers:
    """A convolution that keeps the size (stride 1) and its batch norm, which is its bias."""
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return [convolution, nn.BatchNorm2d(outputs)]


def separable(inputs: int, outputs: int, stride: int = 1) -> Layers:
    """A 3x3 convolution of each channel for itself, and a 1x1 convolution that mixes them; each
    with its norm and ReLU."""
    return [
        *conv_norm(inputs, inputs, 3, stride, inputs), nn.ReLU(),
        *conv_norm(inputs, outputs, 1), nn.ReLU(),
    ]  # fmt: skip


def average_and_classify(width: int, classes: int) -> Layers:
    """The mean of each channel over all places, and a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose output is added to their input (He et al., 2016). Where number or
    size of the channels change, the input goes through a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_norm(inputs, outputs, 3, stride), nn.ReLU(), *conv_norm(outputs, outputs)
        )
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.skip = nn.Sequential(*conv_norm(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride), rounded up"""
        return nn.functional.relu(self.body(x) + self.skip(x))


class ResNet8(ConvNet):
    """One convolution, three residual blocks, one linear layer (the residual net of MLPerf Tiny).
    width: channels of the first block; the others have 2 and 4 times as many."""

    def __init__(self, channels: int = 3, classes: int = 10, width: int = 16) -> None:
        layers = [
            *conv_norm(channels, width), nn.ReLU(),
            ResidualBlock(width, width), ResidualBlock(width, 2 * width, 2),
            ResidualBlock(2 * width, 4 * width, 2), *average_and_classify(4 * width, classes),
        ]  # fmt: skip
        super().__init__("ResNet-8", layers, channels)


def mobilenet_small(channels: int = 3, classes: int = 10) -> ConvNet:
    """MobileNet (Howard et al., 2017) cut short: one convolution and four separable ones."""
    layers, width = [*conv_norm(channels, 32), nn.ReLU()], 32
    for outputs, stride in ((64, 1), (128, 2), (128, 1), (256, 2)):
        layers += separable(width, outputs, stride)
        width = outputs
    layers += average_and_classify(width, classes)
    return ConvNet("the small MobileNet", layers, channels)


def ds_cnn(channels: int = 1, classes: int = 12) -> ConvNet:
    """The keyword spotter of Zhang et al. (2017): one large convolution of stride 2 and four
    separable ones. Made for 49 moments of 10 coefficients, it takes 2 x 2 and more."""
    first = nn.Conv2d(channels, 64, (10, 4), stride=2, padding=(4, 1), bias=False)
    layers: Layers = [first, nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += separable(64, 64)
    return ConvNet("DS-CNN", [*layers, *average_and_classify(64, classes)], channels, None, 2)
