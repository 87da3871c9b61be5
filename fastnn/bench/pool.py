"""Pooling 2-D, forward and backward."""

from .case import Case


def pool(kind: str, n, c, size, kernel, stride, padding=0, train=True, quick=False) -> Case:
    out = (size + 2 * padding - kernel) // stride + 1
    numbers = n * c * size * size + n * c * out * out

    def build(lib):
        function = getattr(lib.nn.functional, f"{kind}_pool2d")
        x = lib.randn(n, c, size, size)

        def forward():
            return function(x, kernel, stride, padding)

        if not train:
            return lib.inference(forward)
        return lib.training(forward, [x], lib.randn(n, c, out, out))

    name = f"{kind} {kernel}x{kernel} /{stride} of {n}x{c}x{size}x{size}{' train' if train else ''}"
    return Case(
        "pool", name, build, nbytes=(2 if train else 1) * 4.0 * numbers, train=train, quick=quick
    )


CASES = [
    pool("max", 32, 64, 32, 2, 2, quick=True),
    pool("max", 32, 64, 32, 2, 2, train=False, quick=True),
    pool("avg", 32, 64, 32, 2, 2),
    pool("avg", 32, 64, 32, 2, 2, train=False),
    pool("max", 64, 32, 28, 2, 2),
    pool("max", 64, 64, 14, 2, 2),
    pool("max", 8, 64, 112, 3, 2, padding=1),
    pool("max", 8, 64, 112, 3, 2, padding=1, train=False),
    pool("avg", 8, 64, 112, 3, 2, padding=1),
    pool("max", 16, 128, 28, 3, 1, padding=1),
    pool("avg", 16, 128, 28, 3, 1, padding=1),
    pool("max", 1, 64, 112, 2, 2),
    pool("max", 32, 3, 64, 2, 2),
    pool("avg", 64, 512, 7, 7, 7),
]
