"""Who is speaking? Nine speakers told apart by one vowel, recordings of 7 to 29 steps.

    pip install --no-deps aeon==1.6.0             # carries the data set
    python examples/japanese_vowels.py            # an LSTM, then a GRU

Recordings of a batch differ in length: they are packed, so no step is spent on padding. Data:
Kudo, Toyama and Shimbo, Multidimensional curve classification using passing-through regions, 1999.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
from pathlib import Path

import fastnn
from fastnn import Tensor, nn
from fastnn.nn.utils.rnn import PackedSequence, pack_sequence

CHANNELS = 12
Recordings = tuple[list[Tensor], list[int]]  # each (T, CHANNELS); the speakers, from 0 on


def data_folder() -> Path:
    spec = importlib.util.find_spec("aeon")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "the recordings come with the package aeon: pip install --no-deps aeon==1.6.0"
        )
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "JapaneseVowels"


def read_recordings(path: Path) -> Recordings:
    """A .ts file: a recording a line, channel:channel:...:speaker, numbers between commas."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if "@data" not in lines:
        raise ValueError(f"{path} has no line @data")
    sequences, speakers = [], []
    for k, line in enumerate(lines[lines.index("@data") + 1 :], start=1):
        *channels, speaker = line.split(":")
        rows = [[float(number) for number in channel.split(",")] for channel in channels]
        if len(rows) != CHANNELS or len({len(row) for row in rows}) != 1:
            raise ValueError(f"{path}: recording {k} has not {CHANNELS} channels of one length")
        sequences.append(fastnn.tensor(rows).t().contiguous())
        speakers.append(int(speaker) - 1)
    return sequences, speakers


def standardise(train: list[Tensor], *others: list[Tensor]) -> None:
    """Each channel to mean 0 and deviation 1 in training, in place."""
    steps = fastnn.cat(train)
    mean, deviation = steps.mean(0), steps.std(0)
    for sequences in (train, *others):
        sequences[:] = [(x - mean) / deviation for x in sequences]


class Listener(nn.Module):
    """Hears a recording in both directions and judges by what is left at the ends."""

    def __init__(self, kind: str, hidden: int = 64, speakers: int = 9) -> None:
        super().__init__()
        self.recurrent = getattr(nn, kind)(CHANNELS, hidden, bidirectional=True)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(2 * hidden, speakers)

    def forward(self, recordings: PackedSequence) -> Tensor:
        _, state = self.recurrent(recordings)
        last = state[0] if isinstance(state, tuple) else state  # (2, N, hidden)
        return self.head(self.dropout(last.transpose(0, 1).flatten(1)))


def accuracy(net: Listener, recordings: Recordings) -> float:
    sequences, speakers = recordings
    net.eval()
    with fastnn.no_grad():
        found = net(pack_sequence(sequences, enforce_sorted=False)).argmax(1)
    net.train()
    return float((found == fastnn.tensor(speakers)).float().mean())


def train(net: Listener, recordings: Recordings, epochs: int, batch: int, rate: float) -> None:
    sequences, speakers = recordings
    optimizer = fastnn.optim.Adam(net.parameters(), lr=rate)
    steps, step = epochs * math.ceil(len(sequences) / batch), 0
    for _ in range(epochs):
        order = fastnn.randperm(len(sequences)).tolist()
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
            packed = pack_sequence([sequences[k] for k in chosen], enforce_sorted=False)
            target = fastnn.tensor([speakers[k] for k in chosen])
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(packed), target).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            step += 1


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=30)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    folder = data_folder()
    known, unknown = (
        read_recordings(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")
    )
    standardise(known[0], unknown[0])
    print(f"{len(known[0])} recordings to learn from, {len(unknown[0])} to tell")
    accuracies = {}
    for kind in ("LSTM", "GRU"):
        fastnn.manual_seed(options.seed)
        net = Listener(kind)
        train(net, known, options.epochs, options.batch, options.rate)
        accuracies[kind] = accuracy(net, unknown)
        print(f"{kind}: {100 * accuracies[kind]:.2f} % of the test recordings, "
              f"{100 * accuracy(net, known):.2f} % of those learned from")  # fmt: skip
    return accuracies


if __name__ == "__main__":
    main()
