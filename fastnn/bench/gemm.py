"""Matrix multiply: squares, layers, skinny and matrix-vector shapes.

The operands stay the same from call to call, as the weights of inference do, so packed ones
are used again; a training step, where each call meets new weights, is a case of `models`.
"""

from .case import Case, both


def matmul(m: int, n: int, k: int, group="gemm", transposed=(False, False), quick=False) -> Case:
    """An (m, k) matrix times a (k, n) one; each may be the transposed view of the other shape."""

    def operand(lib, rows, columns, turned):
        return lib.randn(columns, rows) if turned else lib.randn(rows, columns)

    def build(lib):
        a, b = operand(lib, m, k, transposed[0]), operand(lib, k, n, transposed[1])
        if not any(transposed):
            return lib.inference(lambda: a @ b)
        return lib.inference(lambda: (a.T if transposed[0] else a) @ (b.T if transposed[1] else b))

    left, right = (" T" if turned else "" for turned in transposed)
    return Case(
        group,
        f"{m}x{k}{left} @ {k}x{n}{right}",
        build,
        flops=2.0 * m * n * k,
        nbytes=4.0 * (m * k + k * n + m * n),
        quick=quick,
    )


def batched(count: int, size: int) -> Case:
    def build(lib):
        a, b = lib.randn(count, size, size), lib.randn(count, size, size)
        return lib.inference(lambda: a @ b)

    return Case(
        "gemm",
        f"{count} x ({size}x{size} @ {size}x{size})",
        build,
        flops=2.0 * count * size**3,
        nbytes=12.0 * count * size**2,
    )


def linear(n: int, inputs: int, outputs: int, train: bool = False, quick=False) -> Case:
    passes = 3 if train else 1

    def build(lib):
        x, w, b = lib.randn(n, inputs), lib.randn(outputs, inputs), lib.randn(outputs)

        def forward():
            return lib.nn.functional.linear(x, w, b)

        if not train:
            return lib.inference(forward)
        return lib.training(forward, [x, w, b], lib.randn(n, outputs))

    return Case(
        "gemm",
        f"linear {n} x {inputs}->{outputs}{' train' if train else ''}",
        build,
        flops=passes * 2.0 * n * inputs * outputs,
        nbytes=passes * 4.0 * (n * inputs + inputs * outputs + n * outputs),
        train=train,
        quick=quick,
    )


CASES = [
    *[matmul(s, s, s, quick=s in (64, 1024)) for s in (16, 32, 64, 128, 256, 512, 1024, 2048)],
    matmul(100, 100, 100),
    matmul(300, 300, 300),
    matmul(4, 1024, 1024),
    matmul(32, 1024, 1024),
    matmul(1024, 8, 1024),
    matmul(1024, 64, 1024),
    matmul(1024, 1024, 16),
    matmul(64, 64, 8192),
    batched(64, 64),
    matmul(1, 1024, 1024, quick=True),
    matmul(1024, 1, 1024),
    matmul(1, 256, 784),
    linear(1, 784, 256),
    linear(1, 1024, 1024),
    *both(linear, 64, 64, 32),
    *both(linear, 64, 784, 256, quick=True),
    *both(linear, 64, 256, 128),
    *both(linear, 64, 128, 10),
    *both(linear, 128, 1024, 1024),
    *both(linear, 1024, 400, 400),
]
