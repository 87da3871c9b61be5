"""Matrix multiply: squares, layers, skinny and matrix-vector shapes.

The operands stay the same from call to call, as the weights of inference do, so packed ones
are used again; a training step, where each call meets new weights, is a case of `models`.
"""

from .case import Case, inference, training


def matmul(m: int, n: int, k: int) -> Case:
    def build(lib):
        a, b = lib.randn(m, k), lib.randn(k, n)
        return inference(lib, lambda: a @ b)

    return Case("gemm", f"{m}x{k} @ {k}x{n}", build, 2.0 * m * n * k, 4.0 * (m * k + k * n + m * n))


def batched(count: int, size: int) -> Case:
    def build(lib):
        a, b = lib.randn(count, size, size), lib.randn(count, size, size)
        return inference(lib, lambda: a @ b)

    return Case(
        "gemm", f"{count} x ({size}x{size} @ {size}x{size})", build,
        2.0 * count * size**3, 12.0 * count * size**2,
    )  # fmt: skip


def linear(n: int, inputs: int, outputs: int, train: bool = False) -> Case:
    passes = 3 if train else 1

    def build(lib):
        x, w, b = lib.randn(n, inputs), lib.randn(outputs, inputs), lib.randn(outputs)
        leaves = [x, w, b]

        def forward():
            return lib.nn.functional.linear(x, w, b)

        if not train:
            return inference(lib, forward)
        for leaf in leaves:
            leaf.requires_grad_()
        return training(lib, forward, lib.randn(n, outputs), leaves)

    return Case(
        "gemm",
        f"linear {n} x {inputs}->{outputs}{' train' if train else ''}",
        build,
        passes * 2.0 * n * inputs * outputs,
        passes * 4.0 * (n * inputs + inputs * outputs + n * outputs),
    )


LAYERS = [
    (64, 64, 32),
    (64, 784, 256),
    (64, 256, 128),
    (64, 128, 10),
    (128, 1024, 1024),
    (1024, 400, 400),
]
CASES = [
    *[matmul(s, s, s) for s in (16, 32, 64, 128, 256, 512, 1024, 2048)],
    matmul(100, 100, 100),
    matmul(300, 300, 300),
    matmul(4, 1024, 1024),
    matmul(32, 1024, 1024),
    matmul(1024, 8, 1024),
    matmul(1024, 64, 1024),
    matmul(1024, 1024, 16),
    matmul(64, 64, 8192),
    batched(64, 64),
    matmul(1, 1024, 1024),
    matmul(1024, 1, 1024),
    matmul(1, 256, 784),
    *[linear(1, inputs, outputs) for inputs, outputs in ((784, 256), (1024, 1024))],
    *[linear(*layer, train=train) for layer in LAYERS for train in (False, True)],
]
