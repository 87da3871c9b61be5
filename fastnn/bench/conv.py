"""Convolution 2-D, forward, and forward with backward for input and weights."""

from .case import Case, inference, training


def conv(
    n, c, size, o, kernel=3, stride=1, padding=None, dilation=1, groups=1, train=False
) -> Case:
    """A first layer, of up to 3 channels, needs no gradient of its input."""
    reach = dilation * (kernel - 1)
    padding = reach // 2 if padding is None else padding
    out = (size + 2 * padding - reach - 1) // stride + 1
    flops = 2.0 * n * o * out * out * (c // groups) * kernel * kernel
    nbytes = 4.0 * (n * c * size * size + n * o * out * out + o * c // groups * kernel * kernel)
    first = c <= 3
    passes = (2 if first else 3) if train else 1

    def build(lib):
        x, b = lib.randn(n, c, size, size), lib.randn(o)
        w = lib.randn(o, c // groups, kernel, kernel)

        def forward():
            return lib.nn.functional.conv2d(x, w, b, stride, padding, dilation, groups)

        if not train:
            return inference(lib, forward)
        leaves = [w, b] if first else [x, w, b]
        for leaf in leaves:
            leaf.requires_grad_()
        return training(lib, forward, lib.randn(n, o, out, out), leaves)

    name = f"{n}x{c}x{size}x{size} -> {o} {kernel}x{kernel}"
    name += f" /{stride}" if stride > 1 else ""
    name += f" dilated {dilation}" if dilation > 1 else ""
    name += " depthwise" if groups == c > 1 else f" {groups} groups" if groups > 1 else ""
    name += (" train, no dx" if first else " train") if train else ""
    return Case("conv", name, build, passes * flops, passes * nbytes)


def layer(*sizes, **how) -> list[Case]:
    return [conv(*sizes, **how, train=train) for train in (False, True)]


CASES = [
    # first layers
    *layer(64, 1, 28, 32),
    *layer(64, 1, 28, 6, kernel=5, padding=2),
    *layer(32, 3, 32, 64),
    *layer(8, 3, 224, 64, kernel=7, stride=2),
    *layer(8, 3, 224, 64, kernel=11, stride=4, padding=2),
    *layer(1, 3, 224, 64),
    # VGG and ResNet
    *layer(32, 64, 32, 64),
    *layer(64, 32, 14, 64),
    *layer(32, 32, 28, 64),
    *layer(8, 64, 56, 64),
    *layer(8, 128, 28, 128),
    *layer(16, 256, 14, 256),
    *layer(16, 512, 7, 512),
    *layer(16, 64, 28, 128, stride=2),
    *layer(64, 16, 32, 16),
    *layer(16, 256, 14, 256, kernel=1),
    *layer(16, 64, 28, 128, kernel=1, stride=2),
    *layer(16, 64, 28, 64, kernel=5),
    # LeNet, small images
    *layer(64, 6, 14, 16, kernel=5, padding=0),
    *layer(64, 16, 4, 32),
    # one image
    *layer(1, 64, 56, 64),
    *layer(1, 256, 14, 256),
    # dilated, grouped, depthwise
    *layer(8, 64, 56, 64, dilation=2),
    *layer(8, 128, 28, 128, groups=4),
    *layer(16, 128, 28, 128, groups=128),
    *layer(16, 64, 56, 64, stride=2, groups=64),
    *layer(16, 256, 14, 256, kernel=5, groups=256),
    *layer(1, 96, 56, 96, groups=96),
]
