"""Whole models: a training step with Adam, and inference."""

from itertools import pairwise

from .case import Case, inference


def mlp(lib, *sizes):
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [lib.nn.Linear(inputs, outputs), lib.nn.ReLU()]
    return lib.nn.Sequential(*layers[:-1])


def cnn(lib):
    """The textbook CNN of the demo."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def lstm(lib):
    """The demo's LSTM: reads a digit row by row."""

    class RowReader(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = lib.nn.LSTM(28, 128, batch_first=True)
            self.head = lib.nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    return RowReader()


def model(name, build_net, shape, flops) -> list[Case]:
    """flops: of the forward pass for one sample."""
    n = shape[0]

    def train(lib):
        net = build_net(lib)
        optimizer = lib.optim.Adam(net.parameters())
        x, target = lib.randn(*shape), lib.randint(0, 10, (n,))

        def step():
            optimizer.zero_grad()
            lib.nn.functional.cross_entropy(net(x), target).backward()
            optimizer.step()

        return step

    def infer(batch):
        def build(lib):
            net = build_net(lib).eval()
            x = lib.randn(batch, *shape[1:])
            return inference(lib, lambda: net(x))

        return build

    return [
        Case("models", f"{name} train, batch {n}", train, 3 * flops * n, items=n),
        Case("models", f"{name} inference, batch {n}", infer(n), flops * n, items=n),
        Case("models", f"{name} inference, batch 1", infer(1), flops, items=1),
    ]


def mlp_flops(*sizes):
    return sum(2.0 * a * b for a, b in pairwise(sizes))


CNN_FLOPS = 2.0 * (28 * 28 * 32 * 9 + 14 * 14 * 64 * 32 * 9 + 3136 * 128 + 128 * 10)
LSTM_FLOPS = 2.0 * (28 * 4 * 128 * (28 + 128) + 128 * 10)
CASES = [
    *model("CNN", cnn, (64, 1, 28, 28), CNN_FLOPS),
    *model("LSTM", lstm, (64, 28, 28), LSTM_FLOPS),
    *model("MLP 64-32-10", lambda lib: mlp(lib, 64, 32, 10), (64, 64), mlp_flops(64, 32, 10)),
    *model(
        "MLP 784-256-128-10",
        lambda lib: mlp(lib, 784, 256, 128, 10),
        (64, 784),
        mlp_flops(784, 256, 128, 10),
    ),
]
