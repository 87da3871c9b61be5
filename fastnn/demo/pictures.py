"""Pictures of a training: curves, and what the first convolution learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastnn import nn

from .training import Run


def draw_curves(runs: Sequence[Run], path: Path) -> None:
    """Training loss and test accuracy by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = {name: f"C{k}" for k, name in enumerate(dict.fromkeys(run.model for run in runs))}
    drawn = set()
    for run in runs:
        epochs = range(1, len(run.history.losses) + 1)
        label = run.model if run.model not in drawn else None
        drawn.add(run.model)
        left.plot(epochs, run.history.losses, color=colours[run.model], label=label)
        right.plot(
            epochs, [100 * a for a in run.history.scores], color=colours[run.model], label=label
        )
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    right.set(xlabel="epoch", ylabel="test accuracy [%]")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def draw_filters(net: nn.Module, path: Path) -> None:
    """The windows of the first convolution, each on the same grey scale."""
    from matplotlib.figure import Figure

    weight = next(net.parameters()).detach().numpy()[:, 0]
    limit = abs(weight).max()
    columns = 8
    rows = -(-len(weight) // columns)
    figure = Figure(figsize=(columns, rows), layout="constrained")
    for axes, window in zip(figure.subplots(rows, columns).flat, weight, strict=False):
        axes.imshow(window, cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set_axis_off()
    figure.savefig(path, dpi=120)


def draw_all(runs: Sequence[Run], folder: Path) -> list[Path]:
    """All pictures of these runs; the files written, none where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "curves.png"]
    draw_curves(runs, written[0])
    for run in runs:
        if run.model == "CNN":
            written.append(folder / "filters.png")
            draw_filters(run.net, written[-1])
            break
    return written
