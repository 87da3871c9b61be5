"""Claim: LSTM and GRU remember across gaps where a plain RNN forgets.

    python -m examples.claims.memory

A sequence begins with A or B, which is what is asked for after its end; in between come 5 to 100
random symbols that say nothing. The gradient that should teach a plain RNN to keep the first
symbol passes one matrix and one tanh a step and fades (Hochreiter, 1991; Bengio et al., 1994).
An LSTM carries a sum that gates open and close (Hochreiter and Schmidhuber, 1997; Gers et al.,
2000), a GRU a mean (Cho et al., 2014). Gates that begin half closed forget half in each step and
do no better than the plain RNN, so they begin open here, as the first LSTM of 1997, which could
not forget (the biases are those of Tallec and Ollivier, 2018); the dashed line is without that.
All nets are trained equally; four times longer at twice the rate, some plain RNNs get there, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import median

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.models.recurrent import TextClassifier, open_gates
from fastnn.models.training import accuracy, fit, track
from fastnn.nn.functional import cross_entropy

SYMBOLS = 8  # 0 and 1 are asked for, the others distract
NETS = {"RNN": ("RNN", True), "LSTM": ("LSTM", True), "GRU": ("GRU", True),
        "LSTM, gates half closed": ("LSTM", False)}  # fmt: skip
Accuracies = dict[str, dict[int, list[float]]]  # of each net, at each gap, of each seed


def samples(n: int, gap: int) -> tuple[Tensor, Tensor]:
    """Symbols (n, 1 + gap), and the first of each (n)."""
    first = fastnn.randint(0, 2, (n,))
    return fastnn.cat([first.unsqueeze(1), fastnn.randint(2, SYMBOLS, (n, gap))], 1), first


def remembered(kind: str, opened: bool, gap: int, seed: int) -> float:
    """The share of new sequences whose first symbol a net knows at the end."""
    fastnn.manual_seed(seed)
    net = TextClassifier(SYMBOLS, 2, embedding=8, kind=kind, hidden=32)
    if opened:
        open_gates(net.reader.recurrent, gap)
    fit(net, samples(1500, gap), cross_entropy, epochs=6, batch_size=32, lr=5e-3, clip_norm=1.0)
    return accuracy(net, *samples(1000, gap))


def all_accuracies(gaps: Sequence[int], seeds: Sequence[int]) -> Accuracies:
    found: Accuracies = {name: {gap: [] for gap in gaps} for name in NETS}
    for name, gap, seed in track(list(product(NETS, gaps, seeds)), "gaps", "net"):
        found[name][gap].append(remembered(*NETS[name], gap, seed))
    return found


def draw(options, found: Accuracies) -> None:
    with common.picture(options, "memory", 7, 4.5) as figure:
        if not figure:
            return
        axes = figure.subplots()
        for width, (name, (_, opened)) in zip((2, 6, 3, 2), NETS.items(), strict=True):
            gaps, values = list(found[name]), list(found[name].values())
            line = axes.plot(gaps, [100 * median(v) for v in values], "o-" if opened else "o--",
                             lw=width, label=name)[0]  # fmt: skip
            axes.fill_between(gaps, [100 * min(v) for v in values], [100 * max(v) for v in values],
                              color=line.get_color(), alpha=0.12)  # fmt: skip
        axes.axhline(50, color="gray", lw=0.8, ls=":")
        axes.set(xlabel="random symbols in between", ylabel="first symbol known [%]", xscale="log",
                 title=f"median and range of {len(values[0])} seeds")  # fmt: skip
        axes.set_xticks(gaps, gaps)
        axes.legend(frameon=False)


def spread(values: Sequence[float]) -> str:
    low, high = 100 * min(values), 100 * max(values)
    return f"{100 * median(values):.1f} % ({low:.1f} to {high:.1f})"


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    gaps = (5, 100) if options.quick else (5, 10, 20, 50, 100)
    seeds = range(options.seed, options.seed + (3 if options.quick else 5))
    found = all_accuracies(gaps, seeds)
    for name, by_gap in found.items():
        print(f"{name}: " + ", ".join(f"gap {gap} {spread(v)}" for gap, v in by_gap.items()))
    draw(options, found)
    last = {name: by_gap[gaps[-1]] for name, by_gap in found.items()}
    what = f"gap {gaps[-1]}, {len(seeds)} seeds"
    return [
        common.Result(f"{name} remembers", what, spread(last[name]), "at least 95 %",
                      median(last[name]) >= 0.95)
        for name in ("LSTM", "GRU")
    ] + [
        common.Result("plain RNN forgets", what, spread(last["RNN"]), "chance, 50 %, to 60 %",
                      median(last["RNN"]) <= 0.6)
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
