"""Pointwise operations, softmax, losses and norms, forward and backward."""

from collections.abc import Callable
from math import prod
from typing import Any

from .case import Case, training


def activation(name: str, numbers: int) -> Case:
    def build(lib):
        function = getattr(lib.nn.functional, name, None) or getattr(lib, name)
        x, gradient = lib.randn(numbers).requires_grad_(), lib.randn(numbers)
        return training(lib, lambda: function(x), gradient, [x])

    return Case("pointwise", f"{name} {numbers:,} train", build, 0.0, 5 * 4.0 * numbers)


def binary(name: str, numbers: int) -> Case:
    def build(lib):
        x, y = lib.randn(numbers).requires_grad_(), lib.randn(numbers).requires_grad_()
        gradient = lib.randn(numbers)
        return training(lib, lambda: getattr(lib, name)(x, y), gradient, [x, y])

    return Case("pointwise", f"{name} {numbers:,} train", build, 0.0, 9 * 4.0 * numbers)


def softmax(rows: int, columns: int) -> Case:
    def build(lib):
        x, gradient = lib.randn(rows, columns).requires_grad_(), lib.randn(rows, columns)
        return training(lib, lambda: lib.nn.functional.softmax(x, dim=1), gradient, [x])

    return Case("pointwise", f"softmax {rows}x{columns} train", build, 0.0, 20.0 * rows * columns)


def cross_entropy(rows: int, classes: int) -> Case:
    def build(lib):
        x, target = lib.randn(rows, classes).requires_grad_(), lib.randint(0, classes, (rows,))
        return training(lib, lambda: lib.nn.functional.cross_entropy(x, target), None, [x])

    return Case(
        "pointwise", f"cross_entropy {rows}x{classes} train", build, 0.0, 12.0 * rows * classes
    )


def batch_norm(n: int, c: int, size: int) -> Case:
    numbers = n * c * size * size

    def build(lib):
        x, gradient = lib.randn(n, c, size, size).requires_grad_(), lib.randn(n, c, size, size)
        norm = lib.nn.BatchNorm2d(c)
        return training(lib, lambda: norm(x), gradient, [x, norm.weight, norm.bias])

    return Case("pointwise", f"batch_norm {n}x{c}x{size}x{size} train", build, 0.0, 24.0 * numbers)


def layer(text: str, shape: tuple[int, ...], make: Callable[[Any], Any]) -> Case:
    def build(lib):
        x, gradient, module = lib.randn(*shape).requires_grad_(), lib.randn(*shape), make(lib.nn)
        return training(lib, lambda: module(x), gradient, [x, *module.parameters()])

    return Case("pointwise", f"{text} train", build, 0.0, 20.0 * prod(shape))


def mse_loss(numbers: int) -> Case:
    def build(lib):
        x, target = lib.randn(numbers).requires_grad_(), lib.randn(numbers)
        return training(lib, lambda: lib.nn.functional.mse_loss(x, target), None, [x])

    return Case("pointwise", f"mse_loss {numbers:,} train", build, 0.0, 5 * 4.0 * numbers)


CASES = [
    *[
        activation(name, 1 << 20)
        for name in ("relu", "sigmoid", "tanh", "gelu", "elu", "exp", "mish")
    ],
    activation("relu", 1 << 14),
    activation("tanh", 1 << 14),
    binary("add", 1 << 20),
    binary("mul", 1 << 20),
    softmax(1024, 1000),
    cross_entropy(128, 1000),
    batch_norm(32, 64, 32),
    layer("layer_norm 2048x512", (2048, 512), lambda nn: nn.LayerNorm(512)),
    layer("group_norm 32x64x32x32", (32, 64, 32, 32), lambda nn: nn.GroupNorm(8, 64)),
    layer("log_softmax 32x64x32x32", (32, 64, 32, 32), lambda nn: nn.LogSoftmax(1)),
    activation("dropout", 1 << 20),
    mse_loss(1 << 20),
]
