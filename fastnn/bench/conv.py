"""Convolution 2-D, forward, and forward with backward for input and weights."""

from .case import Case, both

TILE = 8  # pixels a side, of the largest tiles by which a convolution is transformed


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """A size for each of the two axes of an image."""
    return size if isinstance(size, tuple) else (size, size)


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def taps_inside(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> float:
    """The share of the taps along an axis that fall on the image; the others multiply zeros."""
    out = output_size(size, kernel, stride, padding, dilation)
    inside = sum(
        0 <= at * stride - padding + tap * dilation < size
        for at in range(out)
        for tap in range(kernel)
    )
    return max(inside, 1) / max(out * kernel, 1)


def transform_gain(kernel: int) -> float:
    """How many times fewer multiplications Winograd's tiles need along an axis: a tile of TILE
    numbers gives TILE + 1 - kernel sums of kernel products each."""
    return max(1.0, (TILE + 1 - kernel) * kernel / TILE)


def gain_of(sizes, kernels, strides, paddings, dilation=1) -> float:
    gain = 1.0
    for size, kernel, stride, padding in zip(sizes, kernels, strides, paddings, strict=True):
        gain /= taps_inside(size, kernel, stride, padding, dilation)
        gain *= transform_gain(kernel) if stride == 1 else 1.0
    return gain


def conv(
    n, c, size, o, kernel=3, stride=1, padding=None, dilation=1, groups=1, train=False, quick=False
) -> Case:
    """A square image and filter. A first layer, of up to 3 channels, needs no gradient of its
    input."""
    padding = dilation * (kernel - 1) // 2 if padding is None else padding
    first = c <= 3
    name = f"{n}x{c}x{size}x{size} -> {o} {kernel}x{kernel}"
    name += f" /{stride}" if stride > 1 else ""
    name += f" dilated {dilation}" if dilation > 1 else ""
    name += " depthwise" if groups == c > 1 else f" {groups} groups" if groups > 1 else ""
    name += (" train, no dx" if first else " train") if train else ""
    return conv_case(
        "conv", name, n, c, (size, size), o, (kernel, kernel), (stride, stride),
        (padding, padding), dilation, groups, train, not first, quick,
    )  # fmt: skip


def conv_case(
    group, name, n, c, sizes, o, kernels, strides, paddings, dilation=1, groups=1, train=False,
    input_gradient=True, quick=False,
) -> Case:  # fmt: skip
    outs = [
        output_size(*of_axis, dilation)
        for of_axis in zip(sizes, kernels, strides, paddings, strict=True)
    ]
    weights = o * c // groups * kernels[0] * kernels[1]
    pixels = n * outs[0] * outs[1]
    passes = (3 if input_gradient else 2) if train else 1

    def build(lib):
        x, w, b = lib.randn(n, c, *sizes), lib.randn(o, c // groups, *kernels), lib.randn(o)

        def forward():
            return lib.nn.functional.conv2d(x, w, b, strides, paddings, dilation, groups)

        if not train:
            return lib.inference(forward)
        leaves = [x, w, b] if input_gradient else [w, b]
        return lib.training(forward, leaves, lib.randn(n, o, *outs))

    return Case(
        group,
        name,
        build,
        flops=passes * 2.0 * pixels * weights,
        nbytes=passes * 4.0 * (n * c * sizes[0] * sizes[1] + pixels * o + weights),
        gain=gain_of(sizes, kernels, strides, paddings, dilation),
        train=train,
        quick=quick,
    )


CASES = [
    # first layers
    *both(conv, 64, 1, 28, 32),
    *both(conv, 64, 1, 28, 6, kernel=5, padding=2),
    *both(conv, 32, 3, 32, 64, quick=True),
    *both(conv, 8, 3, 224, 64, kernel=7, stride=2),
    *both(conv, 8, 3, 224, 64, kernel=11, stride=4, padding=2),
    *both(conv, 1, 3, 224, 64),
    # VGG and ResNet
    *both(conv, 32, 64, 32, 64, quick=True),
    *both(conv, 64, 32, 14, 64),
    *both(conv, 32, 32, 28, 64),
    *both(conv, 8, 64, 56, 64),
    *both(conv, 8, 128, 28, 128),
    *both(conv, 16, 256, 14, 256),
    *both(conv, 16, 512, 7, 512),
    *both(conv, 16, 64, 28, 128, stride=2),
    *both(conv, 64, 16, 32, 16),
    *both(conv, 16, 256, 14, 256, kernel=1, quick=True),
    *both(conv, 16, 64, 28, 128, kernel=1, stride=2),
    *both(conv, 16, 64, 28, 64, kernel=5),
    # LeNet, small images
    *both(conv, 64, 6, 14, 16, kernel=5, padding=0),
    *both(conv, 64, 16, 4, 32),
    # one image
    *both(conv, 1, 64, 56, 64),
    *both(conv, 1, 256, 14, 256),
    # dilated, grouped, depthwise
    *both(conv, 8, 64, 56, 64, dilation=2),
    *both(conv, 8, 128, 28, 128, groups=4),
    *both(conv, 16, 128, 28, 128, groups=128, quick=True),
    *both(conv, 16, 64, 56, 64, stride=2, groups=64),
    *both(conv, 16, 256, 14, 256, kernel=5, groups=256),
    *both(conv, 1, 96, 56, 96, groups=96),
]
