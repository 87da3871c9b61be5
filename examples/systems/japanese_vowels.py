"""Who is speaking? Nine speakers told apart by two vowels, with an RNN, an LSTM and a GRU.

    pip install --no-deps aeon==1.6.0             # carries the data set
    python -m examples.systems.japanese_vowels

A recording is 7 to 29 steps of 12 numbers. A recurrent layer hears it in both directions
(Schuster and Paliwal, 1997) and judges by the states it ends with: Elman's plain one (1990), an
LSTM (Hochreiter and Schmidhuber, 1997) and a GRU (Cho et al., 2014). Recordings of a batch differ
in length: they are packed, so no step is spent on padding. Data: Kudo, Toyama and Shimbo,
Multidimensional curve classification using passing-through regions, 1999, who told 94.1 % of the
test recordings, and a hidden Markov model 96.2 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.data import japanese_vowels
from fastnn.models.recurrent import KINDS, SequenceClassifier, padded
from fastnn.models.training import accuracy, fit, predict
from fastnn.nn.functional import cross_entropy

Recordings = tuple[Tensor, Tensor, Tensor]  # (N, T, 12), lengths (N), speakers (N) from 0 on


def recordings() -> tuple[Recordings, Recordings]:
    """To learn from and to tell; each channel has mean 0 and deviation 1 in the first."""
    (known, speakers, _), (unknown, their_speakers, _) = map(japanese_vowels, (True, False))
    steps = fastnn.cat(known)
    mean, deviation = steps.mean(0), steps.std(0)
    train, test = ([(x - mean) / deviation for x in part] for part in (known, unknown))
    return (*padded(train), speakers), (*padded(test), their_speakers)


def listen(kind: str, train: Recordings, epochs: int, progress: str | None) -> SequenceClassifier:
    """A net that has learned who speaks."""
    net = SequenceClassifier(12, 9, kind, hidden=64, bidirectional=True, dropout=0.5)
    fit(net, train, cross_entropy, epochs=epochs, batch_size=30, lr=5e-3, clip_norm=1.0,
        progress=progress)  # fmt: skip
    return net


def draw(options, nets: dict[str, SequenceClassifier], test: Recordings) -> None:
    """Whom each net takes each speaker for."""
    with common.picture(options, "japanese_vowels", 11, 4) as figure:
        if not figure:
            return
        for axes, (kind, net) in zip(figure.subplots(1, len(nets)), nets.items(), strict=True):
            found = predict(net, *test[:2]).argmax(1)
            counts = fastnn.zeros(81).index_add(0, test[2] * 9 + found, fastnn.ones(len(found)))
            axes.imshow(
                counts.reshape(9, 9).sqrt().numpy(), cmap="Blues", extent=(0.5, 9.5, 9.5, 0.5)
            )
            axes.set(title=kind, xlabel="taken for", ylabel="speaker", xticks=range(1, 10),
                     yticks=range(1, 10))  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    train, test = recordings()
    print(f"{len(train[0])} recordings to learn from, {len(test[0])} to tell")
    results, nets = [], {}
    for kind in KINDS:
        fastnn.manual_seed(options.seed)
        nets[kind] = listen(kind, train, 20 if options.quick else 60, kind)
        share = accuracy(nets[kind], *test)
        print(f"{kind}: {100 * share:.2f} % of the test recordings, "
              f"{100 * accuracy(nets[kind], *train):.2f} % of those learned from")  # fmt: skip
        results.append(
            common.Result(f"speakers by {kind}", "JapaneseVowels", f"{100 * share:.1f} %",
                          "94.1 %, HMM 96.2 % (1999); here 95 %", share >= 0.95)
        )  # fmt: skip
    draw(options, nets, test)
    return results


if __name__ == "__main__":
    common.run(main)
