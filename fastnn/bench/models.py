"""Whole models: a training step with Adam, and inference."""

from itertools import pairwise

from .case import Case, inference
from .layout import network


def mlp(*sizes):
    def build(lib):
        layers = []
        for inputs, outputs in pairwise(sizes):
            layers += [lib.nn.Linear(inputs, outputs), lib.nn.ReLU()]
        return lib.nn.Sequential(*layers[:-1])

    return build


def lenet(lib):
    """LeNet-5, with ReLU and max-pooling."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


def cnn(lib):
    """The textbook CNN of the demo."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def vgg(lib):
    """Six convolutions of 3x3, for images of 32x32."""
    nn, layers, channels = lib.nn, [], 3
    for width in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, 10))


def conv_norm(nn, inputs, outputs, kernel=3, stride=1, groups=1):
    return [
        nn.Conv2d(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(outputs),
    ]


def resnet8(lib):
    """One convolution, three residual blocks, one linear layer."""
    nn = lib.nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.body = nn.Sequential(
                *conv_norm(nn, inputs, outputs, 3, stride), nn.ReLU(),
                *conv_norm(nn, outputs, outputs),
            )  # fmt: skip
            self.skip = nn.Identity()
            if stride > 1:
                self.skip = nn.Sequential(*conv_norm(nn, inputs, outputs, 1, stride))

        def forward(self, x):
            return nn.functional.relu(self.body(x) + self.skip(x))

    return nn.Sequential(
        *conv_norm(nn, 3, 16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def mobilenet(lib):
    """Depthwise 3x3 and pointwise 1x1 in turn."""
    nn = lib.nn
    layers, channels = [*conv_norm(nn, 3, 32), nn.ReLU()], 32
    for width, stride in ((64, 1), (128, 2), (128, 1), (256, 2)):
        layers += [*conv_norm(nn, channels, channels, 3, stride, channels), nn.ReLU()]
        layers += [*conv_norm(nn, channels, width, 1), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


def embedding_net(lib):
    """Twenty fields with embeddings, concatenated into an MLP: the shape of DeepFM's deep part."""
    nn = lib.nn
    return nn.Sequential(
        nn.Embedding(100_000, 16), nn.Flatten(), nn.Linear(320, 128), nn.ReLU(),
        nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
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


def model(name, build_net, shape, flops, words=0) -> list[Case]:
    """flops: of the forward pass for one sample; words: the inputs are indices below this."""
    n = shape[0]

    def samples(lib, batch):
        return lib.randint(0, words, (batch, *shape[1:])) if words else lib.randn(batch, *shape[1:])

    def train(lib):
        net = network(lib, build_net(lib))
        optimizer = lib.optim.Adam(net.parameters())
        x, target = samples(lib, n), lib.randint(0, 10, (n,))

        def step():
            optimizer.zero_grad()
            lib.nn.functional.cross_entropy(net(x), target).backward()
            optimizer.step()

        return step

    def infer(batch):
        def build(lib):
            net = network(lib, build_net(lib)).eval()
            x = samples(lib, batch)
            return inference(lib, lambda: net(x))

        return build

    return [
        Case("models", f"{name} train, batch {n}", train, 3 * flops * n, items=n),
        Case("models", f"{name} inference, batch {n}", infer(n), flops * n, items=n),
        Case("models", f"{name} inference, batch 1", infer(1), flops, items=1),
    ]


def mlp_flops(*sizes):
    return sum(2.0 * a * b for a, b in pairwise(sizes))


def conv_flops(*layers):
    """layers: (output size, in-channels of a group, out-channels, kernel)."""
    return sum(2.0 * size * size * c * o * k * k for size, c, o, k in layers)


LSTM_FLOPS = 2.0 * (28 * 4 * 128 * (28 + 128) + 128 * 10)
LENET_FLOPS = conv_flops((28, 1, 6, 5), (10, 6, 16, 5)) + mlp_flops(400, 120, 84, 10)
CNN_FLOPS = conv_flops((28, 1, 32, 3), (14, 32, 64, 3)) + mlp_flops(3136, 128, 10)
VGG_FLOPS = mlp_flops(2048, 128, 10) + conv_flops(
    (32, 3, 32, 3), (32, 32, 32, 3), (16, 32, 64, 3), (16, 64, 64, 3), (8, 64, 128, 3),
    (8, 128, 128, 3),
)  # fmt: skip
RESNET_FLOPS = mlp_flops(64, 10) + conv_flops(
    (32, 3, 16, 3), (32, 16, 16, 3), (32, 16, 16, 3), (16, 16, 32, 3), (16, 32, 32, 3),
    (16, 16, 32, 1), (8, 32, 64, 3), (8, 64, 64, 3), (8, 32, 64, 1),
)  # fmt: skip
MOBILENET_FLOPS = mlp_flops(256, 10) + conv_flops(
    (32, 3, 32, 3), (32, 1, 32, 3), (32, 32, 64, 1), (16, 1, 64, 3), (16, 64, 128, 1),
    (16, 1, 128, 3), (16, 128, 128, 1), (8, 1, 128, 3), (8, 128, 256, 1),
)  # fmt: skip

CASES = [
    *[
        case
        for sizes in ((64, 32, 10), (784, 256, 128, 10), (784, 1024, 1024, 10))
        for case in model(
            f"MLP {'-'.join(map(str, sizes))}", mlp(*sizes), (64, sizes[0]), mlp_flops(*sizes)
        )
    ],
    *model("LeNet-5", lenet, (64, 1, 28, 28), LENET_FLOPS),
    *model("CNN", cnn, (64, 1, 28, 28), CNN_FLOPS),
    *model("ResNet-8", resnet8, (64, 3, 32, 32), RESNET_FLOPS),
    *model("VGG", vgg, (32, 3, 32, 32), VGG_FLOPS),
    *model("MobileNet", mobilenet, (32, 3, 32, 32), MOBILENET_FLOPS),
    *model("embeddings", embedding_net, (64, 20), mlp_flops(320, 128, 64, 10), words=100_000),
    *model("LSTM", lstm, (64, 28, 28), LSTM_FLOPS),
]
