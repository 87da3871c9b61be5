"""A character language model: LSTM layers read a text and learn to continue it.

    python -m examples.systems.character_model    # the documentation inside of CPython
    python -m examples.systems.character_model --text FILE --minutes 10 --hidden 256 --layers 2

A net reads a character at a time, says how likely each one comes next, and draws from that to
write on by itself (Sutskever, Martens and Hinton, 2011; Graves, 2013). Gradients go back through a
window of the text, the state goes on beyond it. The last tenth of the text is not trained on: bits
per character there are compared with those of an interpolated Kneser-Ney 5-gram of the same text
(on a slow machine that may take more minutes). The quick run reads little, and need only do
better than one that knows how frequent each character is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fastnn
from examples import common
from examples.kneser_ney import KneserNey
from fastnn.data import python_topics
from fastnn.models.recurrent import CharacterModel, fit_text


@dataclass
class Text:
    """A text as numbers of its characters; the last tenth is held out."""

    text: str

    def __post_init__(self) -> None:
        self.characters = sorted(set(self.text))
        number = {c: k for k, c in enumerate(self.characters)}
        self.symbols = [number[c] for c in self.text]
        self.cut = len(self.text) * 9 // 10

    @property
    def known(self) -> list[int]:
        return self.symbols[: self.cut]

    @property
    def held_out(self) -> list[int]:
        return self.symbols[self.cut :]

    def bits_of_n_gram(self, order: int) -> float:
        """Kneser-Ney's bits per character of what is held out."""
        model = KneserNey(self.known, order, len(self.characters))
        return model.bits(self.held_out, self.known[-order:])

    def written(self, symbols: Sequence[int]) -> str:
        return "".join(self.characters[k] for k in symbols)


def read_text(options) -> Text:
    text = options.text.read_text(encoding="utf-8") if options.text else python_topics()
    if options.quick and not options.text:
        text = text[:60000]
    if len(text) < 20 * options.batch:
        raise SystemExit(f"a text of {len(text)} characters is too short to learn from")
    return Text(text)


def train(model: CharacterModel, text: Text, options) -> None:
    end = {"steps": 120} if options.quick else {"minutes": options.minutes}
    fit_text(model, fastnn.tensor(text.known), **end, batch_size=options.batch,
             window=options.window, lr=options.rate, progress="characters")  # fmt: skip


def draw(options, model: CharacterModel, text: Text, length: int = 60) -> None:
    """How likely each character of some held-out text was, after those before it."""
    with common.picture(options, "character_model", 12, 2.5) as figure:
        if not figure:
            return
        x = fastnn.tensor(text.held_out[: 200 + length])
        with fastnn.no_grad():
            chances = model.eval()(x.unsqueeze(1))[0].squeeze(1).softmax(1)
        seen = chances[:-1].gather(1, x[1:].unsqueeze(1)).squeeze(1)[-length:]
        axes = figure.subplots()
        axes.bar(range(length), (100 * seen).numpy())
        axes.set_xticks(
            range(length), [c if c > " " else "_" for c in text.written(x[-length:].tolist())]
        )
        axes.set(ylabel="probability [%]", title="held-out text, character by character")


def options_of(arguments: Sequence[str] | None):
    parser = common.parser(__doc__)
    parser.add_argument("--text", type=Path, help="a text file, UTF-8")
    parser.add_argument("--minutes", type=float, default=1, help="of training")
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32, help="places read at once")
    parser.add_argument("--window", type=int, default=50, help="steps that gradients go back")
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--dropout", type=float, default=0.2)
    return common.parse(parser, arguments)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = options_of(arguments)
    text = read_text(options)
    print(f"{len(text.text):,} characters, {len(text.characters)} different ones, "
          "the last tenth for testing")  # fmt: skip
    baselines = {order: text.bits_of_n_gram(order) for order in (1, 2, 5)}
    print("bits per character there, Kneser-Ney: "
          + ", ".join(f"{order}-gram {bits:.3f}" for order, bits in baselines.items()))  # fmt: skip
    model = CharacterModel(len(text.characters), options.hidden, options.layers, options.dropout)
    train(model, text, options)
    context = fastnn.tensor(text.known[-1000:])
    bits = model.bits(fastnn.tensor(text.held_out), context)
    print(f"LSTM {bits:.3f}; it goes on after {text.written(text.known[-60:])!r} with:")
    print(text.written(model.sample(context, 300)))
    draw(options, model, text)
    order = 1 if options.quick else 5
    return [
        common.Result("character model", f"{len(text.text):,} characters", f"{bits:.2f} bits",
                      f"Kneser-Ney {order}-gram {baselines[order]:.2f}",
                      bits < baselines[order])
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
