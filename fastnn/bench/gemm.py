"""Matrix multiply: squares, layers, skinny and matrix-vector shapes."""

from .case import Case, inference, training


def matmul(m: int, n: int, k: int) -> Case:
    def build(lib):
        a, b = lib.randn(m, k), lib.randn(k, n)
        return inference(lib, lambda: a @ b)

    return Case("gemm", f"{m}x{k} @ {k}x{n}", build, 2.0 * m * n * k, 4.0 * (m * k + k * n + m * n))


def linear(n: int, inputs: int, outputs: int) -> Case:
    def build(lib):
        x = lib.randn(n, inputs).requires_grad_()
        w, b = lib.randn(outputs, inputs).requires_grad_(), lib.randn(outputs).requires_grad_()
        gradient = lib.randn(n, outputs)
        return training(lib, lambda: lib.nn.functional.linear(x, w, b), gradient, [x, w, b])

    return Case(
        "gemm",
        f"linear {n} x {inputs}->{outputs} train",
        build,
        6.0 * n * inputs * outputs,
        4.0 * 3 * (n * inputs + inputs * outputs + n * outputs),
    )


CASES = [
    *[matmul(s, s, s) for s in (16, 32, 64, 128, 256, 512, 1024)],
    matmul(32, 1024, 1024),
    matmul(1, 1024, 1024),
    matmul(1024, 64, 1024),
    linear(64, 784, 256),
    linear(128, 1024, 1024),
]
