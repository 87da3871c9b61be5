"""Whole models: a training step with Adam, and inference."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from . import nets
from .case import Case
from .conv import gain_of, output_size, pair

DEPTH = 25.0  # norms and ReLUs in a row: a number that changes sides at 0 changes its gradients


class Layer(NamedTuple):
    """Floating-point operations of one sample: by definition, and in the cleverest known way."""

    flops: float
    least: float


def linears(*sizes: int) -> list[Layer]:
    return [Layer(2.0 * a * b, 2.0 * a * b) for a, b in pairwise(sizes)]


def conv(size, c, o, kernel=3, stride=1, padding=None, groups=1) -> Layer:
    """Of an image of this size; one number stands for both axes."""
    sizes, kernels, strides, paddings = map(
        pair, (size, kernel, stride, kernel // 2 if padding is None else padding)
    )
    each = list(zip(sizes, kernels, strides, paddings, strict=True))
    flops = 2.0 * o * c // groups
    for axis in each:
        flops *= output_size(*axis) * axis[1]
    return Layer(flops, flops / gain_of(sizes, kernels, strides, paddings))


def separable(size, c, o, stride=1) -> list[Layer]:
    out = tuple((s - 1) // stride + 1 for s in pair(size))
    return [conv(size, c, c, 3, stride, 1, groups=c), conv(out, c, o, 1, padding=0)]


def model(
    name, build_net, shape, layers, words=0, loss="cross_entropy", gain=2.0, quick=False
) -> list[Case]:
    """layers: what is counted, the first one first; words: the inputs are indices below this; gain:
    of the drawn weights."""
    n = shape[0]
    flops, least = (sum(getattr(layer, field) for layer in layers) for field in Layer._fields)
    # nothing asks for the gradient of the samples
    first = Layer(0.0, 0.0) if words else layers[0]

    def network(lib):
        return lib.network(build_net(lib), gain)

    def samples(lib, batch):
        return lib.randint(0, words, (batch, *shape[1:])) if words else lib.randn(batch, *shape[1:])

    def train(lib):
        x = samples(lib, n)
        if loss == "cross_entropy":
            target = lib.randint(0, 10, (n,))
        elif loss == "mse_loss":
            target = x
        else:
            target = lib.tensor(lib.draw.integers(0, 2, n).astype("float32"))
        net = network(lib)
        return lib.fitting(net, lambda: getattr(lib.nn.functional, loss)(net(x), target))

    def infer(batch):
        def build(lib):
            x, net = samples(lib, batch), network(lib).eval()
            return lib.inference(lambda: net(x))

        return build

    def inference(batch):
        return Case(
            "models", f"{name} inference, batch {batch}", infer(batch),
            flops=flops * batch, gain=flops / least, items=batch, quick=quick,
        )  # fmt: skip

    return [
        Case(
            "models", f"{name} train, batch {n}", train, flops=n * (3 * flops - first.flops),
            gain=(3 * flops - first.flops) / (3 * least - first.least), items=n, train=True,
            depth=DEPTH, quick=quick,
        ),
        inference(n),
        inference(1),
    ]  # fmt: skip


LENET = [conv(28, 1, 6, 5), conv(14, 6, 16, 5, padding=0), *linears(400, 120, 84, 10)]
CNN = [conv(28, 1, 32), conv(14, 32, 64), *linears(3136, 128, 10)]
RESNET = [
    conv(32, 3, 16), conv(32, 16, 16), conv(32, 16, 16),
    conv(32, 16, 32, stride=2), conv(16, 32, 32), conv(32, 16, 32, 1, 2),
    conv(16, 32, 64, stride=2), conv(8, 64, 64), conv(16, 32, 64, 1, 2), *linears(64, 10),
]  # fmt: skip
VGG = [
    conv(32, 3, 32), conv(32, 32, 32), conv(16, 32, 64), conv(16, 64, 64), conv(8, 64, 128),
    conv(8, 128, 128), *linears(2048, 128, 10),
]  # fmt: skip
MOBILENET = [
    conv(32, 3, 32), *separable(32, 32, 64), *separable(32, 64, 128, 2), *separable(16, 128, 128),
    *separable(16, 128, 256, 2), *linears(256, 10),
]  # fmt: skip
DS_CNN = [
    conv((49, 10), 1, 64, (10, 4), (2, 2), (4, 1)),
    *[layer for _ in range(4) for layer in separable((24, 5), 64, 64)], *linears(64, 12),
]  # fmt: skip
LSTM = [*linears(28, 4 * 128) * 28, *linears(128, 4 * 128) * 27, *linears(128, 10)]

CASES = [
    *[
        case
        for sizes in ((64, 32, 10), (784, 256, 128, 10), (784, 1024, 1024, 10))
        for case in model(
            f"MLP {'-'.join(map(str, sizes))}", nets.mlp(*sizes), (64, sizes[0]), linears(*sizes),
            quick=sizes[0] == 64,
        )
    ],
    *model("LeNet-5", nets.lenet, (64, 1, 28, 28), LENET),
    *model("CNN", nets.cnn, (64, 1, 28, 28), CNN, quick=True),
    *model("ResNet-8", nets.resnet8, (64, 3, 32, 32), RESNET),
    *model("VGG", nets.vgg, (32, 3, 32, 32), VGG),
    *model("MobileNet", nets.mobilenet, (32, 3, 32, 32), MOBILENET),
    *model("DS-CNN", nets.ds_cnn, (64, 1, 49, 10), DS_CNN),
    *model(
        "autoencoder", nets.autoencoder, (64, 640), linears(*nets.AUTOENCODER), loss="mse_loss"
    ),
    *model(
        "DeepFM", nets.deepfm, (256, nets.FIELDS), linears(320, 128, 64, 1), words=nets.WORDS,
        loss="binary_cross_entropy_with_logits", gain=0.05,
    ),
    *model("LSTM", nets.lstm, (64, 28, 28), LSTM, gain=0.25),
]  # fmt: skip
