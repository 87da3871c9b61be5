"""LSTM over whole sequences, training and inference."""

from .case import Case, inference, training


def lstm(t: int, n: int, inputs: int, hidden: int, train: bool = True) -> Case:
    flops = 2.0 * t * n * 4 * hidden * (inputs + hidden) * (3 if train else 1)

    def build(lib):
        net = lib.nn.LSTM(inputs, hidden)
        x = lib.randn(t, n, inputs)
        if not train:
            return inference(lib, lambda: net(x)[0])
        x.requires_grad_()
        gradient = lib.randn(t, n, hidden)
        return training(lib, lambda: net(x)[0], gradient, [x, *net.parameters()])

    name = f"lstm T{t} N{n} {inputs}->{hidden} {'train' if train else 'inference'}"
    return Case("rnn", name, build, flops, 4.0 * t * n * (inputs + hidden))


SHAPES = [
    (28, 64, 28, 128),
    (50, 32, 128, 128),
    (100, 64, 256, 256),
    (25, 32, 512, 512),
    (50, 1, 128, 128),
    (63, 1, 24, 32),
]
CASES = [lstm(*shape, train=train) for shape in SHAPES for train in (True, False)]
