"""Claim: sigmoid nets lose their gradients with depth, large weights explode them.

    python -m examples.claims.gradients

The gradient of a layer is a product over all layers after it. A sigmoid's slope is at most 1/4,
so ten layers shrink it by a factor of a million (Hochreiter, 1991; Bengio et al., 1994); weights
twice too large double it in each layer instead. Weights drawn with the right deviation for their
number (Glorot and Bengio, 2010; He et al., 2015) keep it level, and clipping its norm (Pascanu et
al., 2013) lets a net learn that would else diverge. A ReLU that is negative for all data has no
gradient at all and stays so; where the negative side has a slope (PReLU, ELU), units come back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import fastnn
from examples import common
from fastnn import Tensor, nn
from fastnn.models import MLP, DivergenceError, accuracy, fit, track
from fastnn.nn import init
from fastnn.nn.functional import cross_entropy

DEPTH, WIDTH = 10, 64
KINDS: dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], object]]] = {
    "sigmoid, Xavier": (nn.Sigmoid, init.xavier_normal_),
    "tanh, Xavier": (nn.Tanh, init.xavier_normal_),
    "ReLU, He": (nn.ReLU, partial(init.kaiming_normal_, nonlinearity="relu")),
    "ReLU, twice He's": (nn.ReLU, lambda w: init.kaiming_normal_(w, nonlinearity="relu").mul_(2)),
}


def gradient_norms(kind: str, images: Tensor, labels: Tensor) -> list[float]:
    """The norm of the gradient that each layer of a new deep net receives (that of its biases)."""
    activation, initialise = KINDS[kind]
    net = MLP([images.shape[1], *[WIDTH] * DEPTH, 10], activation, initialise=initialise)
    cross_entropy(net(images), labels).backward()
    return [layer.bias.grad.norm().item() for layer in net.linear_layers()[:-1]]


def growth(norms: Sequence[float]) -> float:
    """The gradient of the first layer in multiples of the last one's."""
    return norms[0] / norms[-1]


def too_large(weight: Tensor) -> None:
    init.kaiming_normal_(weight, nonlinearity="relu").mul_(1.3)


def score(clip_norm: float | None, train: tuple, test: tuple, epochs: int, seed: int) -> float:
    """Accuracy of a deep net whose weights began too large; 0 where training diverged."""
    fastnn.manual_seed(seed)
    net = MLP([train[0].shape[1], *[WIDTH] * DEPTH, 10], initialise=too_large)
    optimizer = fastnn.optim.SGD(net.parameters(), lr=0.2)
    options = {"epochs": epochs, "batch_size": 32, "optimizer": optimizer, "clip_norm": clip_norm}
    try:
        fit(net, train, cross_entropy, **options)
    except DivergenceError as error:
        print(f"  seed {seed}: {error}")
        return 0.0
    return accuracy(net, *test)


class Silent(nn.Module):
    """A net with a hidden layer whose biases begin so low that almost no unit fires."""

    def __init__(self, inputs: int, activation: nn.Module, hidden: int = 128) -> None:
        super().__init__()
        self.hidden, self.activation = nn.Linear(inputs, hidden), activation
        self.head = nn.Linear(hidden, 10)
        init.constant_(self.hidden.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.activation(self.hidden(x)))

    @fastnn.no_grad()
    def dead(self, x: Tensor) -> float:
        """The share of units that are negative for all samples."""
        return (self.hidden(x).amax(0) <= 0).double().mean().item()


def dead_units(activation: nn.Module, train: tuple, epochs: int, seed: int) -> tuple[float, float]:
    """The share of dead units before and after training."""
    fastnn.manual_seed(seed)
    net = Silent(train[0].shape[1], activation)
    before = net.dead(train[0])
    fit(net, train, cross_entropy, epochs=epochs, lr=3e-3)
    return before, net.dead(train[0])


def draw(options, norms: dict[str, list[float]], dead: dict[str, tuple[float, float]]) -> None:
    with common.picture(options, "gradients", 10, 4) as figure:
        if not figure:
            return
        left, right = figure.subplots(1, 2)
        for kind, values in norms.items():
            left.plot(range(1, DEPTH + 1), values, "o-", label=kind)
        left.set(xlabel="layer", ylabel="norm of its gradient", yscale="log",
                 title="before training")  # fmt: skip
        left.legend(frameon=False)
        for k, when in enumerate(("before training", "after")):
            right.bar([j + 0.4 * k - 0.2 for j in range(len(dead))],
                      [100 * pair[k] for pair in dead.values()], 0.4, label=when)  # fmt: skip
        right.set_xticks(range(len(dead)), list(dead))
        right.set(ylabel="units negative for all data [%]", title="dead units")
        right.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    data = common.digits(1000 if options.quick else 4000)
    train = data.train_images.flatten(1), data.train_labels
    test = data.test_images.flatten(1), data.test_labels
    seeds = range(options.seed, options.seed + (3 if options.quick else 5))

    norms, factors = {}, {}
    for kind in KINDS:
        found = []
        for seed in track(seeds, kind, "seed"):
            fastnn.manual_seed(seed)
            found.append(gradient_norms(kind, train[0][:256], train[1][:256]))
        norms[kind], factors[kind] = found[0], median(map(growth, found))
        print(
            f"{kind}: the first of {DEPTH} layers has {factors[kind]:.2g} times the last's gradient"
        )

    epochs = 6
    scores = {
        name: [score(clip, train, test, epochs, seed) for seed in seeds]
        for name, clip in (("free", None), ("clipped", 1.0))
    }
    for name, values in scores.items():
        print(f"{name} gradients: accuracy {', '.join(f'{100 * v:.1f} %' for v in values)}")

    dead = {
        name: dead_units(activation, train, epochs, options.seed)
        for name, activation in (("ReLU", nn.ReLU()), ("PReLU", nn.PReLU()), ("ELU", nn.ELU()))
    }
    for name, (before, after) in dead.items():
        print(f"{name}: {100 * before:.0f} % dead before training, {100 * after:.0f} % after")
    draw(options, norms, dead)

    over, level = f"{len(seeds)} seeds", factors["ReLU, He"]
    vanished, exploded = factors["sigmoid, Xavier"], factors["ReLU, twice He's"]
    free, clipped = median(scores["free"]), median(scores["clipped"])
    after = {name: pair[1] for name, pair in dead.items()}
    return [
        common.Result("gradients vanish: sigmoid", over, f"first / last layer {vanished:.1g}",
                      "below 1/1000", vanished < 1e-3),
        common.Result("gradients explode: large weights", over,
                      f"first / last layer {exploded:.2g}",
                      "above 100", exploded > 100),
        common.Result("gradients stay level: He", over, f"first / last layer {level:.2g}",
                      "within 0.2 and 5", 0.2 < level < 5),
        common.Result("clipping saves a net that diverges", over,
                      f"{100 * clipped:.1f} %, without {100 * free:.1f} %", "40 % more",
                      clipped > free + 0.4),
        common.Result("dead ReLUs; PReLU, ELU revive", data.name,
                      f"{100 * after['ReLU']:.0f} %; {100 * after['PReLU']:.0f} %, "
                      f"{100 * after['ELU']:.0f} % dead", "less than half",
                      after["ReLU"] > 2 * max(after["PReLU"], after["ELU"])),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
