"""Forecasts: how many sunspots next year, how much carbon dioxide next week, and further on.

    pip install --no-deps statsmodels==0.15.0     # carries both series
    python -m examples.systems.forecasting

A GRU reads the last steps of a series, and beside each what followed it one season earlier (a
sunspot cycle of 11 years, a year of 52 weeks), and says the next values all at once, as
differences from the last one known; a level that rises for decades is so no new ground. Counts
vary the more the larger they are: of the sunspots it reads the square roots. What it must beat
costs nothing: the last value (persistence), the value one season ago, and that plus the mean rise
of a season, as in the textbook of Hyndman and Athanasopoulos (Forecasting, 2018). The last fifth
of a series is forecast and never learned from, not even for scaling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.data import co2, sunspots
from fastnn.models.recurrent import Forecaster, windows
from fastnn.models.training import fit, predict
from fastnn.nn.functional import l1_loss


@dataclass
class Task:
    """A series and how it is read: `season` steps to a cycle, `length` steps to a window,
    forecasts of 1 step and of `horizon` steps. roots: it holds square roots of what is meant."""

    name: str
    unit: str
    series: Tensor
    season: int
    length: int
    horizon: int
    hidden: int
    epochs: int
    roots: bool = False

    @property
    def held_out(self) -> int:
        """The first step that is held out."""
        return len(self.series) * 4 // 5

    def meant(self, values: Tensor) -> Tensor:
        return values.clamp(min=0).square() if self.roots else values


@dataclass
class Windows:
    """What is known and what comes, as differences from the last value known, (N, 1)."""

    x: Tensor  # (N, length, 2)
    y: Tensor  # (N, horizon)
    season_ago: Tensor  # (N, horizon)
    last: Tensor

    def rows(self, chosen: slice) -> Windows:
        return Windows(self.x[chosen], self.y[chosen], self.season_ago[chosen], self.last[chosen])


def windows_of(task: Task, horizon: int) -> Windows:
    """All windows, in order: the first values to be forecast are season + length,
    season + length + 1, ..."""
    s, season, length = task.series, task.season, task.length
    now, y = windows(s[season:], length, horizon)
    before, season_ago = windows(s[: len(s) - season], length, horizon)
    following = windows(s[horizon : len(s) - season + horizon], length, horizon)[0]
    last = now[:, -1]
    x = fastnn.cat([now - last.unsqueeze(1), following - before[:, -1:]], 2)
    return Windows(x, y - last, season_ago - last, last)


def parts(task: Task, horizon: int) -> tuple[Windows, Windows]:
    """Windows to learn from, whose last value is not held out, and those whose first one is."""
    found = windows_of(task, horizon)
    first = task.held_out - task.season - task.length
    return found.rows(slice(0, first - horizon + 1)), found.rows(slice(first, None))


def forecast(task: Task, known: Windows, test: Windows, progress: str | None) -> Tensor:
    """(N, horizon) differences from the last value known."""
    scale = known.x.std()
    net = Forecaster(known.y.shape[1], "GRU", task.hidden, inputs=2)
    fit(net, (known.x / scale, known.y / scale), l1_loss, epochs=task.epochs, batch_size=32,
        lr=1e-2, clip_norm=1.0, progress=progress)  # fmt: skip
    return predict(net, test.x / scale) * scale


def baselines(task: Task, test: Windows) -> dict[str, Tensor]:
    """Forecasts that learn no more than one number."""
    s = task.series[: task.held_out]
    rise = (s[task.season :] - s[: -task.season]).mean()
    return {
        "last value": fastnn.zeros_like(test.y),
        "a season ago": test.season_ago,
        "a season ago + rise": test.season_ago + rise,
    }


def errors(task: Task, found: Tensor, test: Windows) -> Tensor:
    """The mean absolute error of each step ahead, (horizon), in the unit of the task."""
    return (task.meant(found + test.last) - task.meant(test.y + test.last)).abs().mean(0)


def compare(task: Task, horizon: int) -> tuple[dict[str, Tensor], Tensor, Windows]:
    """Errors of the GRU and of the baselines by step ahead, the GRU's forecasts, the truth."""
    known, test = parts(task, horizon)
    found = forecast(task, known, test, f"{task.name}, {horizon} ahead")
    forecasts = {"GRU": found, **baselines(task, test)}
    return {name: errors(task, f, test) for name, f in forecasts.items()}, found, test


def row(task: Task, by_step: dict[str, Tensor]) -> common.Result:
    """One line of the table: the GRU against the best baseline."""
    means = {name: e.mean().item() for name, e in by_step.items()}
    steps, own = len(by_step["GRU"]), means.pop("GRU")
    best = min(means, key=means.get)
    what = f"{steps} steps ahead" if steps > 1 else "1 step ahead"
    print(f"{task.name}, {what}: mean absolute error {own:.3g} {task.unit}; "
          + ", ".join(f"{name} {value:.3g}" for name, value in means.items()))  # fmt: skip
    return common.Result(f"GRU, {what}", task.name, f"{own:.3g} {task.unit}",
                         f"{best}: {means[best]:.3g}", own < means[best])  # fmt: skip


def draw(axes, task: Task, found: Tensor, test: Windows, by_step: dict[str, Tensor]) -> None:
    """One-step forecasts beside the truth, and the errors of many-step ones."""
    series, ahead = axes
    for name, values in (("measured", test.y), ("forecast", found)):
        series.plot(task.meant(values + test.last)[-150:, 0].numpy(), label=name, lw=1)
    series.set(title=f"{task.name}: one step ahead", ylabel=task.unit)
    for name, values in by_step.items():
        ahead.plot(range(1, len(values) + 1), values.numpy(), label=name)
    ahead.set(title="mean absolute error", xlabel="steps ahead", ylim=(0, None))
    for part in axes:
        part.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    few = options.quick
    tasks = [
        Task("sunspots", "spots", sunspots().sqrt(), 11, 22, 11, 16, 60, roots=True),
        Task("carbon dioxide", "ppm", co2(), 52, 32, 26, 32, 5 if few else 20),
    ]
    results = []
    with common.picture(options, "forecasting", 11, 7) as figure:
        axes = figure.subplots(2, 2) if figure else [None, None]
        for task, pair in zip(tasks, axes, strict=True):
            one, found, test = compare(task, 1)
            many, _, _ = compare(task, task.horizon)
            results += [row(task, one), row(task, many)]
            if figure:
                draw(pair, task, found, test, many)
    return results


if __name__ == "__main__":
    common.run(main)
