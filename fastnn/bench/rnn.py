"""RNN, LSTM and GRU over whole sequences, training and inference."""

from .case import Case

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STABLE = 0.25  # scale of the weights: states that do not grow from step to step


def recurrent(
    kind: str, t: int, n: int, inputs: int, hidden: int, layers: int = 1,
    bidirectional: bool = False, train: bool = False, group: str = "rnn", quick: bool = False,
) -> Case:  # fmt: skip
    directions = 2 if bidirectional else 1
    width = directions * hidden
    of_input = GATES[kind] * width * (inputs + (layers - 1) * width)
    of_state = GATES[kind] * width * hidden * layers

    def build(lib):
        net = getattr(lib.nn, kind)(inputs, hidden, layers, bidirectional=bidirectional)
        x, net = lib.randn(t, n, inputs), lib.network(net, STABLE)
        if not train:
            return lib.inference(lambda: net(x)[0])
        return lib.training(lambda: net(x)[0], [x, *net.parameters()], lib.randn(t, n, width))

    shape = f"{inputs}->{hidden}{f'x{layers}' if layers > 1 else ''}"
    ways = " both ways" if bidirectional else ""
    return Case(
        group,
        f"{kind} T{t} N{n} {shape}{ways} {'train' if train else 'inference'}",
        build,
        flops=2.0 * t * n * (of_input + of_state) * (3 if train else 1),
        nbytes=4.0 * (t * n * (inputs + width) + of_input + of_state),
        # the state before the first step is zero
        gain=t * (of_input + of_state) / (t * of_input + (t - 1) * of_state),
        train=train,
        quick=quick,
    )


# T, N, inputs, hidden units; layers; both directions?
SHAPES = [
    (28, 64, 28, 128),
    (50, 32, 128, 128),
    (100, 64, 256, 256),
    (25, 32, 512, 512),
    (50, 1, 128, 128),
    (25, 16, 1024, 1024),
    (63, 1, 24, 32, 1, True),
    (2000, 8, 256, 256, 2),
]
QUICK = SHAPES[1]

CASES = [
    recurrent(kind, *shape, train=train, quick=shape == QUICK)
    for kind in GATES
    for shape in SHAPES
    for train in (True, False)
]
