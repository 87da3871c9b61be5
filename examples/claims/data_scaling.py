"""Claim: deep nets gain from more data where linear classifiers level off, large nets the most.

    pip install scikit-learn        # for the kernel machine alone
    python -m examples.claims.data_scaling

A model of few parameters soon knows all that it can hold: more data make it surer, not better. A
net that is large enough goes on, its error falling as a power of the number of samples (Hestness
et al., 2017). Here logistic regression, a linear support vector machine and convolutional nets of
three sizes learn from 500 images, 2,000 and so on, in the same number of steps, and the figure is
the share of the errors that each doubling of the data takes off, over the last two. Of a support
vector machine the claim is true only while it is linear: one with an RBF kernel (Cortes and
Vapnik, 1995) grows with its data as a large net does, and is measured beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import fastnn
from examples import common
from fastnn import Tensor, nn
from fastnn.models import accuracy, fit, track
from fastnn.nn.functional import avg_pool2d, cross_entropy, multi_margin_loss

LINEAR = ("logistic regression", "linear SVM")


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(14 * 14, 10))


def conv_net(channels: int) -> nn.Module:
    """Two convolutions with pooling and two linear layers, all as wide as `channels` says."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2 * channels * 9, 8 * channels), nn.ReLU(),
        nn.Linear(8 * channels, 10),
    )  # fmt: skip


@dataclass
class Model:
    """What is trained, how, and the median error [%] it came to with each number of samples."""

    make: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy
    lr: float = 6e-3
    seeds: int = 1
    errors: list[float] = field(default_factory=list)


@dataclass
class Plan:
    """samples: numbers to learn from; seen: samples seen in each training, however few there
    are; lead: a doubling must take off so many times the errors of the large net that it takes
    off those of linear ones, which are not level yet at 8,000 images."""

    samples: tuple[int, ...]
    seen: int
    lead: float


def models(widths: Sequence[int]) -> dict[str, Model]:
    """The linear ones with three seeds, as they cost little; nets of so many channels."""
    found = {
        LINEAR[0]: Model(linear, lr=1e-2, seeds=3),
        LINEAR[1]: Model(linear, multi_margin_loss, lr=1e-2, seeds=3),
    }
    for w in widths:
        found[net_name(w)] = Model(lambda w=w: conv_net(w))
    return found


def net_name(width: int) -> str:
    return f"net of {width} channels"


def load(most: int) -> common.Images:
    """Fashion-MNIST in half its resolution, with 5,000 images to test; digits where it is not
    installed."""
    try:
        data = common.clothes(most)
    except FileNotFoundError as error:
        print(error)
        data = common.digits(4000)
    data.train_images = avg_pool2d(data.train_images, 2)
    data.test_images = avg_pool2d(data.test_images[:5000], 2)
    data.test_labels = data.test_labels[:5000]
    return data


def subset(data: common.Images, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """n random training images and labels; those of fewer are part of those of more."""
    order = fastnn.randperm(len(data.train_labels), generator=fastnn.Generator().manual_seed(seed))
    return data.train_images[order[:n]], data.train_labels[order[:n]]


def error(model: Model, data: common.Images, n: int, plan: Plan, seed: int) -> float:
    """The test error [%] after learning from n images."""
    fastnn.manual_seed(seed)
    net = model.make()
    fit(net, subset(data, n, seed), model.loss, epochs=plan.seen // n, lr=model.lr)
    return 100 - 100 * accuracy(net, *data.test)


def kernel_machine(data: common.Images, samples: Sequence[int], seed: int) -> list[float]:
    """The test errors [%] of scikit-learn's SVM with an RBF kernel; nothing without the package."""
    try:
        from sklearn.svm import SVC
    except ImportError:
        print("no RBF kernel: scikit-learn is not installed (pip install scikit-learn)")
        return []
    found, test = [], data.test_images.flatten(1).numpy()
    for n in samples:
        images, labels = subset(data, n, seed)
        machine = SVC(C=10).fit(images.flatten(1).numpy(), labels.numpy())
        found.append(100 - 100 * machine.score(test, data.test_labels.numpy()))
    return found


def gain(errors: Sequence[float], samples: Sequence[int]) -> float:
    """The share of errors [%] that a doubling of the data takes off, from the last number of
    samples but one, which is a quarter of the last."""
    doublings = (samples[-1] // samples[-2]).bit_length() - 1
    return 100 - 100 * (errors[-1] / errors[-2]) ** (1 / doublings)


def draw(options, samples: Sequence[int], errors: dict[str, list[float]], title: str) -> None:
    with common.picture(options, "data_scaling", 7, 5) as figure:
        if not figure:
            return
        axes = figure.subplots()
        for name, values in errors.items():
            style = "s--" if name in LINEAR else "^:" if name.startswith("RBF") else "o-"
            axes.plot(samples[: len(values)], values, style, label=name)
        axes.set(xlabel="images to learn from", ylabel="test error [%]", xscale="log",
                 yscale="log", title=title)  # fmt: skip
        axes.set_xticks(samples, [f"{n:,}" for n in samples], minor=False)
        for each in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            each("{x:.0f}")
        axes.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    plan = Plan((500, 2000, 8000), 64000, 1.25) if options.quick else \
        Plan((500, 2000, 8000, 32000), 192000, 2.0)  # fmt: skip
    widths = (3, 12) if options.quick else (3, 8, 24)
    data = load(plan.samples[-1])
    samples = tuple(n for n in plan.samples if n <= len(data.train_labels))

    chosen = models(widths)
    for model in track(chosen.values(), "data and nets", "model"):
        seeds = range(options.seed, options.seed + model.seeds)
        for n in samples:
            model.errors.append(median(error(model, data, n, plan, seed) for seed in seeds))
    errors = {name: model.errors for name, model in chosen.items()}
    kernel = [] if options.quick else kernel_machine(data, samples[:3], options.seed)
    if kernel:
        errors["RBF kernel machine"] = kernel
    for name, values in errors.items():
        print(f"{name}: errors {', '.join(f'{v:.1f}' for v in values)} % of "
              f"{', '.join(f'{n:,}' for n in samples[: len(values)])} images; a doubling takes off "
              f"{gain(values, samples[: len(values)]):.0f} %")  # fmt: skip
    draw(options, samples, errors, data.name.split(",")[0])

    gains = {name: gain(model.errors, samples) for name, model in chosen.items()}
    small, large = (errors[net_name(w)] for w in (widths[0], widths[-1]))
    saved = [100 - 100 * large[k] / small[k] for k in (0, -1)]
    deep, flat = gains[net_name(widths[-1])], max(gains[name] for name in LINEAR)
    name = f"{data.name.split(',')[0]}, {samples[-2]:,} to {samples[-1]:,}"
    results = [
        common.Result("deep nets go on", name,
                      f"{deep:.0f} % fewer errors a doubling, linear {flat:.0f} %",
                      f"{plan.lead:g} times as many", deep > plan.lead * flat),
        common.Result("large nets gain more", f"{samples[0]:,} to {samples[-1]:,} images",
                      f"{saved[0]:.0f} % fewer errors than the small one, then {saved[1]:.0f} %",
                      "more with more data", saved[1] > saved[0]),
    ]  # fmt: skip
    if kernel:
        rate = gain(kernel, samples[: len(kernel)])
        level = min(errors[name][-1] for name in LINEAR)
        results.append(common.Result(
            "an RBF kernel goes on too", f"scikit-learn, to {samples[len(kernel) - 1]:,}",
            f"{kernel[-1]:.1f} % errors, {rate:.0f} % fewer a doubling",
            f"linear: {level:.1f} % of {samples[-1]:,} images", kernel[-1] < level))  # fmt: skip
    return results


if __name__ == "__main__":
    common.run(main)
