"""Convolution 2-D, forward, and forward with backward for input and weights."""

from .case import Case, inference, training


def conv(n, c, size, o, kernel=3, stride=1, padding=None, train=False, input_grad=True) -> Case:
    padding = kernel // 2 if padding is None else padding
    out = (size + 2 * padding - kernel) // stride + 1
    flops = 2.0 * n * o * out * out * c * kernel * kernel
    nbytes = 4.0 * (n * c * size * size + n * o * out * out + o * c * kernel * kernel)

    def build(lib):
        x, w, b = lib.randn(n, c, size, size), lib.randn(o, c, kernel, kernel), lib.randn(o)
        if not train:
            return inference(
                lib, lambda: lib.nn.functional.conv2d(x, w, b, stride=stride, padding=padding)
            )
        leaves = [x, w, b] if input_grad else [w, b]
        for leaf in leaves:
            leaf.requires_grad_()
        gradient = lib.randn(n, o, out, out)
        return training(
            lib,
            lambda: lib.nn.functional.conv2d(x, w, b, stride=stride, padding=padding),
            gradient,
            leaves,
        )

    name = f"{n}x{c}x{size}x{size} -> {o} {kernel}x{kernel}"
    name += f" /{stride}" if stride > 1 else ""
    passes = (3 if input_grad else 2) if train else 1
    name += {1: "", 2: " train, no dx", 3: " train"}[passes]
    return Case("conv", name, build, passes * flops, passes * nbytes)


CASES = [
    conv(32, 64, 32, 64),
    conv(32, 64, 32, 64, train=True),
    conv(64, 1, 28, 32, train=True, input_grad=False),
    conv(64, 32, 14, 64, train=True),
    conv(32, 3, 32, 64),
    conv(32, 3, 32, 64, train=True, input_grad=False),
    conv(32, 32, 28, 64, train=True),
    conv(8, 64, 56, 64, train=True),
    conv(16, 256, 14, 256, train=True),
    conv(16, 64, 28, 128, stride=2, train=True),
    conv(16, 256, 14, 256, kernel=1, train=True),
    conv(1, 64, 56, 64),
]
