"""Pointwise operations, softmax and losses, forward, and forward with backward."""

from .case import Case, both


def activation(name: str, numbers: int, train=False, random=False, quick=False) -> Case:
    def build(lib):
        function = getattr(lib.nn.functional, name, None) or getattr(lib, name)
        x = lib.randn(numbers)
        if not train:
            return lib.inference(lambda: function(x))
        return lib.training(lambda: function(x), [x], lib.randn(numbers))

    return Case(
        "pointwise",
        f"{name} {numbers:,}{' train' if train else ''}",
        build,
        nbytes=(5 if train else 2) * 4.0 * numbers,
        train=train,
        random=random,
        quick=quick,
    )


def binary(name: str, numbers: int, train=False) -> Case:
    """The gradients of a sum are the gradient that arrives, of a product two products."""

    def build(lib):
        x, y = lib.randn(numbers), lib.randn(numbers)
        if not train:
            return lib.inference(lambda: getattr(lib, name)(x, y))
        return lib.training(lambda: getattr(lib, name)(x, y), [x, y], lib.randn(numbers))

    arrays = {"add": 5, "mul": 8}[name] if train else 3
    return Case(
        "pointwise",
        f"{name} {numbers:,}{' train' if train else ''}",
        build,
        nbytes=arrays * 4.0 * numbers,
        train=train,
    )


def softmax(name: str, rows: int, columns: int, train=False, quick=False) -> Case:
    def build(lib):
        x = lib.randn(rows, columns)

        def forward():
            return getattr(lib.nn.functional, name)(x, dim=1)

        if not train:
            return lib.inference(forward)
        return lib.training(forward, [x], lib.randn(rows, columns))

    return Case(
        "pointwise",
        f"{name} {rows}x{columns}{' train' if train else ''}",
        build,
        nbytes=(5 if train else 2) * 4.0 * rows * columns,
        train=train,
        quick=quick,
    )


def cross_entropy(rows: int, classes: int) -> Case:
    def build(lib):
        x, target = lib.randn(rows, classes), lib.randint(0, classes, (rows,))
        return lib.training(lambda: lib.nn.functional.cross_entropy(x, target), [x])

    return Case(
        "pointwise", f"cross_entropy {rows}x{classes} train", build,
        nbytes=2 * 4.0 * rows * classes, train=True, quick=True,
    )  # fmt: skip


def mse_loss(numbers: int) -> Case:
    def build(lib):
        x, target = lib.randn(numbers), lib.randn(numbers)
        return lib.training(lambda: lib.nn.functional.mse_loss(x, target), [x])

    return Case(
        "pointwise", f"mse_loss {numbers:,} train", build, nbytes=3 * 4.0 * numbers, train=True
    )


CASES = [
    *both(activation, "relu", 1 << 20, quick=True),
    *both(activation, "sigmoid", 1 << 20),
    *both(activation, "tanh", 1 << 20, quick=True),
    *both(activation, "gelu", 1 << 20),
    *both(activation, "elu", 1 << 20),
    *both(activation, "exp", 1 << 20),
    *both(activation, "mish", 1 << 20),
    *both(activation, "relu", 1 << 14),
    *both(activation, "tanh", 1 << 14),
    activation("dropout", 1 << 20, train=True, random=True),
    *both(binary, "add", 1 << 20),
    *both(binary, "mul", 1 << 20),
    *both(softmax, "softmax", 1024, 1000, quick=True),
    *both(softmax, "log_softmax", 128, 1000),
    cross_entropy(128, 1000),
    mse_loss(1 << 20),
]
