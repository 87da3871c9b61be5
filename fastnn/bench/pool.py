"""Pooling 2-D, forward and backward."""

from .case import Case, inference, training


def pool(kind: str, n, c, size, kernel, stride, padding=0, train=True) -> Case:
    out = (size + 2 * padding - kernel) // stride + 1
    numbers = n * c * size * size + n * c * out * out

    def build(lib):
        function = getattr(lib.nn.functional, f"{kind}_pool2d")
        x = lib.randn(n, c, size, size)
        if not train:
            return inference(lib, lambda: function(x, kernel, stride, padding))
        x.requires_grad_()
        gradient = lib.randn(n, c, out, out)
        return training(lib, lambda: function(x, kernel, stride, padding), gradient, [x])

    name = f"{kind} {kernel}x{kernel} /{stride} of {n}x{c}x{size}x{size}{' train' if train else ''}"
    return Case("pool", name, build, 0.0, (2 if train else 1) * 4.0 * numbers)


CASES = [
    pool("max", 32, 64, 32, 2, 2),
    pool("max", 32, 64, 32, 2, 2, train=False),
    pool("avg", 32, 64, 32, 2, 2),
    pool("max", 64, 32, 28, 2, 2),
    pool("max", 64, 64, 14, 2, 2),
    pool("max", 8, 64, 112, 3, 2, padding=1),
    pool("avg", 8, 64, 112, 3, 2, padding=1),
    pool("max", 16, 128, 28, 3, 1, padding=1),
    pool("avg", 16, 128, 28, 3, 1, padding=1),
    pool("max", 1, 64, 112, 2, 2),
    pool("max", 32, 3, 64, 2, 2),
    pool("avg", 64, 512, 7, 7, 7),
]
