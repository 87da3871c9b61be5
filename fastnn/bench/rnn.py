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
# Baidu's DeepBench, server training and inference: those that a CPU finishes within a second
DEEPBENCH = {
    "LSTM": [(25, 16, 512, 512), (25, 64, 512, 512), (25, 128, 512, 512), (25, 1, 512, 512)],
    "GRU": [(100, 32, 512, 512), (50, 1, 1024, 1024)],
    "RNN": [(50, 16, 1024, 1024), (50, 64, 1024, 1024)],
}
CASES = [
    recurrent(kind, *shape[:4], train, *shape[4:])
    for kind in GATES
    for shape in SHAPES + DEEPBENCH[kind]
    for train in (True, False)
]
