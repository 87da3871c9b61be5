"""A character language model: two LSTM layers read a text and learn to continue it.

    python examples/char_lm.py                    # the documentation inside of CPython
    python examples/char_lm.py --text FILE --minutes 5

The last tenth of the text is not trained on. Bits per character there are compared with those of
an interpolated Kneser-Ney 5-gram of the same text.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path

from kneser_ney import KneserNey

import fastnn
from fastnn import Tensor, nn


def default_text() -> str:
    """What Python's help() says about the language: 465,000 characters of English."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


class CharacterModel(nn.Module):
    """Characters (T, N) to scores (T, N, vocabulary) of the next ones, and the last states."""

    def __init__(self, vocabulary: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 64)
        self.lstm = nn.LSTM(64, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, characters: Tensor, state=None):
        output, state = self.lstm(self.dropout(self.embedding(characters)), state)
        return self.head(self.dropout(output)), state


def bits(model: CharacterModel, text: Tensor, context: Tensor, window: int = 2000) -> float:
    """Mean bits per character of a text (T,) read in one go after its context."""
    model.eval()
    with fastnn.no_grad():
        _, state = model(context[:-1].unsqueeze(1))
        read = fastnn.cat([context[-1:], text])
        total = 0.0
        for start in range(0, len(text), window):
            x = read[start : start + window + 1]
            scores, state = model(x[:-1].unsqueeze(1), state)
            losses = nn.functional.cross_entropy(scores.squeeze(1), x[1:], reduction="sum")
            total += losses.item()
    model.train()
    return total / len(text) / math.log(2)


def sample(model: CharacterModel, characters: str, start: str, length: int) -> str:
    """The start, and how the model goes on."""
    number = {c: k for k, c in enumerate(characters)}
    model.eval()
    with fastnn.no_grad():
        scores, state = model(fastnn.tensor([number[c] for c in start]).unsqueeze(1))
        for _ in range(length):
            weights = scores[-1, 0].softmax(0).tolist()
            start += random.choices(characters, weights)[0]
            scores, state = model(fastnn.tensor([[number[start[-1]]]]), state)
    model.train()
    return start


def train(model: CharacterModel, text: Tensor, options: argparse.Namespace, report) -> None:
    """Truncated back-propagation through time: states go on, gradients end at each window.

    The learning rate falls to zero as the time runs out. report(epoch, bits) is called
    every few seconds with the mean since the last call.
    """
    rows = len(text) // options.batch
    columns = text[: rows * options.batch].reshape(options.batch, rows).t().contiguous()
    optimizer = fastnn.optim.Adam(model.parameters(), lr=options.rate)
    began = reported = time.perf_counter()
    state, start, epoch, total, count = None, 0, 1, 0.0, 0
    while (spent := (time.perf_counter() - began) / (60 * options.minutes)) < 1:
        optimizer.param_groups[0]["lr"] = options.rate * (1 - spent)
        x = columns[start : start + options.window + 1]
        scores, state = model(x[:-1], state)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), x[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = tuple(s.detach() for s in state)
        total, count = total + loss.item(), count + 1
        start += options.window
        if start + 1 >= rows:
            # each epoch cuts the text elsewhere
            start, epoch, state = random.randrange(min(options.window, rows - 1)), epoch + 1, None
        if time.perf_counter() - reported > options.every:
            report(epoch, total / count / math.log(2))
            reported, total, count = time.perf_counter(), 0.0, 0


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, help="a text file, UTF-8")
    parser.add_argument("--minutes", type=float, default=10, help="of training")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32, help="places read at once")
    parser.add_argument("--window", type=int, default=100, help="steps that gradients go back")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--every", type=float, default=60, help="seconds between reports")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    fastnn.manual_seed(options.seed)
    random.seed(options.seed)

    text = options.text.read_text(encoding="utf-8") if options.text else default_text()
    if len(text) < 20 * options.batch:
        parser.error(f"a text of {len(text)} characters is too short to learn from")
    characters = "".join(sorted(set(text)))
    number = {c: k for k, c in enumerate(characters)}
    symbols = [number[c] for c in text]
    cut = len(text) * 9 // 10
    context = symbols[max(0, cut - 1000) : cut]
    print(f"{len(text):,} characters, {len(characters)} different ones, the last tenth for testing")

    baseline = KneserNey(symbols[:cut], 5, len(characters)).bits(symbols[cut:], context)
    print(f"Kneser-Ney 5-gram: {baseline:.3f} bits per character")

    model = CharacterModel(len(characters), options.hidden, options.layers, options.dropout)
    tested, before = fastnn.tensor(symbols[cut:]), fastnn.tensor(context)

    def report(epoch: int, trained: float) -> None:
        found = bits(model, tested, before)
        print(f"\nepoch {epoch}: {trained:.3f} bits per character in training, {found:.3f} in test")
        print(sample(model, characters, text[cut - 100 : cut], 200)[100:], flush=True)

    train(model, fastnn.tensor(symbols[:cut]), options, report)
    found = bits(model, tested, before)
    print(f"\nLSTM {found:.3f} bits per character, Kneser-Ney 5-gram {baseline:.3f}")
    return {"lstm": found, "kneser_ney": baseline}


if __name__ == "__main__":
    main()
