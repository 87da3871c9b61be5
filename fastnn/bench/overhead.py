"""What an operation costs when there is next to nothing to compute."""

from .case import Case


def multiplies(count: int):
    def build(lib):
        x, y = lib.ones(4, 4), lib.ones(4, 4)

        def forward():
            z = x
            for _ in range(count):
                z = z * y
            return z

        return lib.training(forward, [x], lib.ones(4, 4))

    return build


def without_gradient(lib):
    x, y = lib.ones(4, 4), lib.ones(4, 4)
    return lib.inference(lambda: x * y)


def tiny_module(lib):
    net = lib.network(lib.nn.Sequential(lib.nn.Linear(4, 4), lib.nn.ReLU()))
    x, gradient = lib.ones(1, 4), lib.ones(1, 4)
    return lib.training(lambda: net(x), list(net.parameters()), gradient)


CASES = [
    Case("overhead", "4x4 multiply, no graph", without_gradient, items=1, quick=True),
    Case("overhead", "4x4 multiply train", multiplies(1), items=1, train=True),
    Case("overhead", "100 multiplies train", multiplies(100), items=100, train=True),
    Case("overhead", "linear 4->4 and relu train", tiny_module, items=1, train=True, quick=True),
]
