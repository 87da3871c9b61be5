"""The networks of the benchmark, written against the names that fastnn and torch share."""

from itertools import pairwise


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


def separable(nn, inputs, outputs, stride=1):
    """Depthwise 3x3 and pointwise 1x1, each with its norm and ReLU."""
    return [
        *conv_norm(nn, inputs, inputs, 3, stride, inputs), nn.ReLU(),
        *conv_norm(nn, inputs, outputs, 1), nn.ReLU(),
    ]  # fmt: skip


def mobilenet(lib):
    nn = lib.nn
    layers, channels = [*conv_norm(nn, 3, 32), nn.ReLU()], 32
    for width, stride in ((64, 1), (128, 2), (128, 1), (256, 2)):
        layers += separable(nn, channels, width, stride)
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


def ds_cnn(lib):
    """The keyword spotter: 49 frames of 10 coefficients, 12 words."""
    nn = lib.nn
    first = nn.Conv2d(1, 64, (10, 4), stride=(2, 2), padding=(4, 1), bias=False)
    layers = [first, nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += separable(nn, 64, 64)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12))


AUTOENCODER = (640, *[128] * 4, 8, *[128] * 4, 640)


def autoencoder(lib):
    """The anomaly detector of machine sounds."""
    nn, layers = lib.nn, []
    for inputs, outputs in pairwise(AUTOENCODER[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640))


FIELDS, WORDS, EMBEDDING = 20, 100_000, 16


def deepfm(lib):
    """Click-through prediction of 20 fields: weights, pairs of embeddings, and an MLP over them."""
    nn = lib.nn

    class DeepFM(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Embedding(WORDS, 1)
            self.table = nn.Embedding(WORDS, EMBEDDING)
            self.deep = nn.Sequential(
                nn.Linear(FIELDS * EMBEDDING, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(),
                nn.Linear(64, 1),
            )  # fmt: skip

        def forward(self, x):
            fields = self.table(x)
            total = fields.sum(1)
            pairs = (total * total - (fields * fields).sum(1)).sum(1)
            return self.deep(fields.flatten(1))[:, 0] + self.first(x).flatten(1).sum(1) + pairs

    return DeepFM()


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
