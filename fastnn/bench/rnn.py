"""RNN, LSTM and GRU over whole sequences, training and inference."""

from .case import Case, inference, training

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(
    kind: str,
    t: int,
    n: int,
    inputs: int,
    hidden: int,
    train: bool,
    layers: int = 1,
    bidirectional: bool = False,
) -> Case:
    directions = 2 if bidirectional else 1
    weights = sum(
        directions * GATES[kind] * hidden * (hidden + (directions * hidden if layer else inputs))
        for layer in range(layers)
    )

    def build(lib):
        if hasattr(lib, "recurrent"):  # a peer of another style
            return lib.recurrent(kind, t, n, inputs, hidden, train, layers, bidirectional)
        net = getattr(lib.nn, kind)(inputs, hidden, layers, bidirectional=bidirectional)
        x = lib.randn(t, n, inputs)
        if not train:
            return inference(lib, lambda: net(x)[0])
        x.requires_grad_()
        gradient = lib.randn(t, n, directions * hidden)
        return training(lib, lambda: net(x)[0], gradient, [x, *net.parameters()])

    shape = f"{inputs}->{hidden}{f'x{layers}' if layers > 1 else ''}"
    ways = " both ways" if bidirectional else ""
    name = f"{kind} T{t} N{n} {shape}{ways} {'train' if train else 'inference'}"
    flops = 2.0 * t * n * weights * (3 if train else 1)
    return Case("rnn", name, build, flops, 4.0 * t * n * (inputs + directions * hidden))


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
# Baidu's DeepBench: what two cores finish in about a second
DEEPBENCH_TRAINING = {
    "LSTM": [
        *[(25, n, 512, 512) for n in (16, 64, 128)],
        *[(25, n, 1024, 1024) for n in (32, 64)],
        *[(150, n, 256, 256) for n in (16, 32, 64)],
    ],
    "GRU": [(1, 32, 512, 512)],
    "RNN": [*[(50, n, 1760, 1760) for n in (16, 32)], (50, 16, 2048, 2048), (50, 16, 2560, 2560)],
}
DEEPBENCH_INFERENCE = {
    "LSTM": [
        *[(25, n, 512, 512) for n in (1, 2, 4)],
        *[(25, n, 1024, 1024) for n in (1, 4)],
        (25, 1, 2048, 2048),
        (50, 1, 1536, 1536),
        *[(150, n, 256, 256) for n in (1, 4)],
    ],
    "GRU": [
        *[(1, n, 512, 512) for n in (1, 4)],
        (1500, 1, 1024, 1024),
        *[(187, n, 1536, 1536) for n in (1, 4)],
        (187, 1, 2048, 2048),
    ],
    "RNN": [(96, 1, 64, 64), (672, 1, 32, 32)],
}


def cases_of(kind: str) -> list[Case]:
    return [
        *[recurrent(kind, *s[:4], train, *s[4:]) for s in SHAPES for train in (True, False)],
        *[recurrent(kind, *shape, True) for shape in DEEPBENCH_TRAINING[kind]],
        *[recurrent(kind, *shape, False) for shape in DEEPBENCH_INFERENCE[kind]],
    ]


CASES = [case for kind in GATES for case in cases_of(kind)]
