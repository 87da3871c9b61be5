"""Train a CNN and an LSTM on real handwritten digits and say how well they do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import fastnn
from fastnn.data import ImageSplit, digits_split, fashion_split
from fastnn.data.digits import FASHION_FOLDER

from .models import EPOCHS, LEARNING_RATE, MODELS
from .pictures import draw_all
from .training import Run, train


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fastnn demo", description=__doc__)
    parser.add_argument(
        "--data",
        choices=["digits", "fashion"],
        default="digits",
        help="digits: 5,000 of MNIST, 4,000 to train and 1,000 to test; "
        "fashion: Fashion-MNIST, 60,000 and 10,000",
    )
    parser.add_argument("--folder", help="where the data are, if not in their package")
    parser.add_argument("--models", default="CNN,LSTM", help="which to train")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="train with N seeds each")
    parser.add_argument("--epochs", type=int, help="passes over the training data")
    parser.add_argument("--batch", type=int, default=64, help="images in a step")
    parser.add_argument("--threads", type=int, help="threads to use")
    parser.add_argument("--output", default="demo-output", help="folder for the pictures")
    options = parser.parse_args(arguments)
    options.models = [name for name in options.models.replace(",", " ").split() if name]
    known = {name.lower(): name for name in MODELS}
    for name in options.models:
        if name.lower() not in known:
            parser.error(f"unknown model {name!r}; there are {', '.join(MODELS)}")
    options.models = [known[name.lower()] for name in options.models]
    for name in ("seeds", "batch", "epochs", "threads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name} must be at least 1, got {value}")
    return options


def load(options: argparse.Namespace) -> ImageSplit:
    """The chosen data, brightness standardised with the training images' mean and spread."""
    if options.data == "digits":
        return digits_split(options.folder).standardised()
    return fashion_split(options.folder or FASHION_FOLDER).standardised()


def table(runs: Sequence[Run]) -> str:
    lines = [
        f"{'model':<8}{'seed':>5}{'parameters':>12}{'accuracy':>11}{'seconds':>9}{'images/s':>10}"
    ]
    for run in runs:
        parameters = sum(p.numel() for p in run.net.parameters())
        lines.append(
            f"{run.model:<8}{run.seed:>5}{parameters:>12,}{100 * run.accuracy:>9.2f} %"
            f"{run.history.seconds:>9.1f}{run.rate:>10,.0f}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.threads:
        fastnn.set_num_threads(options.threads)
    try:
        data = load(options)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        print(error)
        return 1
    print(
        f"{len(data.train_labels):,} images to train, {len(data.test_labels):,} to test; "
        f"{fastnn.get_num_threads()} threads, {fastnn.__version__}"
    )
    runs = []
    for name in options.models:
        for seed in range(options.seeds):
            fastnn.manual_seed(seed)
            epochs = options.epochs or (EPOCHS[name] if options.data == "digits" else 5)
            runs.append(
                train(name, MODELS[name](), data, epochs, LEARNING_RATE[name], options.batch, seed)
            )
    print()
    print(table(runs))
    written = draw_all(runs, Path(options.output))
    if written:
        print("\npictures: " + ", ".join(str(path) for path in written))
    else:
        print("\nno pictures: matplotlib is not installed")
    return 0
