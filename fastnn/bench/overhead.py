"""What an operation costs when there is next to nothing to compute."""

from .case import Case, training


def tiny_multiply(lib):
    x, y = lib.ones(4, 4).requires_grad_(), lib.ones(4, 4)
    return lambda: x * y


def chain(lib):
    x, y, gradient = lib.ones(4, 4).requires_grad_(), lib.ones(4, 4), lib.ones(4, 4)

    def forward():
        z = x
        for _ in range(100):
            z = z * y
        return z

    return training(lib, forward, gradient, [x])


def tiny_module(lib):
    net = lib.nn.Sequential(lib.nn.Linear(4, 4), lib.nn.ReLU())
    x = lib.ones(1, 4)
    gradient = lib.ones(1, 4)
    return training(lib, lambda: net(x), gradient, list(net.parameters()))


CASES = [
    Case("overhead", "4x4 multiply with its node", tiny_multiply, items=1),
    Case("overhead", "forward and backward of 100 multiplies", chain, items=100),
    Case("overhead", "linear 4->4 and relu, train", tiny_module, items=1),
]
