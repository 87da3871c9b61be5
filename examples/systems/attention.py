"""Attention: dates as people write them, "Friday, the 5th of March 1982", become 1982-03-05.

    python -m examples.systems.attention

An encoder reads the date character by character, a decoder writes the other form. Without
attention all that it knows stands in one vector, the encoder's last state (Cho et al., 2014);
with attention it looks at each step at the characters that it needs, by a score that is additive
(Bahdanau, Cho and Bengio, 2015) or multiplicative (Luong, Pham and Manning, 2015). The dates of the
test, 1950 to 2049 as those learned from, are none of those, and count if all ten characters are
right. The picture shows where the decoder looked.
"""

from __future__ import annotations

import calendar
import random
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.models.attention import EncoderDecoder, symbol_loss
from fastnn.models.recurrent import padded
from fastnn.models.training import fit

FIRST, DAYS, ISO = date(1950, 1, 1), 36525, "0123456789-"
Dates = tuple[list[str], Tensor, Tensor, Tensor]  # as written; source (N, T), lengths, target


def ordinal(day: int) -> str:
    ending = "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def month(d: date) -> str:
    return calendar.month_name[d.month]


def short(d: date) -> str:
    return calendar.month_abbr[d.month]


FORMS: list[Callable[[date], str]] = [
    lambda d: f"{d.day} {month(d)} {d.year}",
    lambda d: f"{month(d)} {d.day}, {d.year}",
    lambda d: f"{short(d)} {ordinal(d.day)}, {d.year}",
    lambda d: f"{d.day}-{short(d)}-{d.year % 100:02}",
    lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    lambda d: f"{d.year}/{d.month}/{d.day}",
    lambda d: f"{calendar.day_abbr[d.weekday()]} {d.day} {short(d)} {d.year}",
    lambda d: f"{calendar.day_name[d.weekday()]}, the {ordinal(d.day)} of {month(d)} {d.year}",
]
CHARACTERS = "".join(
    sorted({c for k in range(366) for form in FORMS for c in form(FIRST + timedelta(k))} | set(ISO))
)


def numbers(text: str, characters: str) -> Tensor:
    return fastnn.tensor([characters.index(c) for c in text])


def dates(days: Sequence[int], rng: random.Random) -> Dates:
    """Days after the first one, each written in a form drawn at random."""
    found = [FIRST + timedelta(day) for day in days]
    texts = [rng.choice(FORMS)(d) for d in found]
    target = fastnn.stack([numbers(d.isoformat(), ISO) for d in found])
    return texts, *padded([numbers(text, CHARACTERS) for text in texts]), target


def written(symbols: Tensor) -> str:
    return "".join(ISO[k] for k in symbols.tolist())


def learn(attention: str | None, train: Dates, epochs: int) -> EncoderDecoder:
    _, source, lengths, target = train
    net = EncoderDecoder(len(CHARACTERS), len(ISO), attention)
    fit(net, (source, lengths, target, target), symbol_loss, epochs=epochs, batch_size=32, lr=5e-3,
        clip_norm=1.0, progress=f"attention: {attention}")  # fmt: skip
    return net


def exact(net: EncoderDecoder, test: Dates) -> float:
    """The share of dates of which all characters are right."""
    _, source, lengths, target = test
    symbols, _ = net.translate(source, lengths, target.shape[1])
    return (symbols == target).all(1).double().mean().item()


def draw(options, net: EncoderDecoder, day: date) -> None:
    """The weights of attention while one date is written."""
    text = FORMS[-1](day)
    source, lengths = padded([numbers(text, CHARACTERS)])
    symbols, weights = net.translate(source, lengths, 10)
    print(f"{text!r} becomes {written(symbols[0])}")
    with common.picture(options, "attention", 9, 4) as figure:
        if figure:
            axes = figure.subplots()
            axes.imshow(weights[0].numpy(), cmap="Blues", vmin=0, vmax=1)
            axes.set_xticks(range(len(text)), list(text))
            axes.set_yticks(range(10), list(written(symbols[0])))
            axes.set(xlabel="read", ylabel="written", title="weights of attention")


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    rng = random.Random(options.seed)
    known, epochs, least = (1000, 8, 0.8) if options.quick else (2000, 12, 0.95)
    days = rng.sample(range(DAYS), known + 1000)
    test, train = dates(days[:1000], rng), dates(days[1000:], rng)
    print(f"{len(train[0]):,} dates to learn from, as {train[0][:3]}")
    shares, nets = {}, {}
    for attention in (None, "additive", "multiplicative"):
        fastnn.manual_seed(options.seed)
        nets[attention] = learn(attention, train, epochs)
        shares[attention] = exact(nets[attention], test)
        print(f"attention {attention}: {100 * shares[attention]:.1f} % of new dates all right")
    draw(options, nets["additive"], FIRST + timedelta(days[0]))
    return [
        common.Result(f"{attention} attention", f"{len(train[0]):,} dates",
                      f"{100 * shares[attention]:.1f} % exact",
                      f"{100 * shares[None]:.1f} % without attention",
                      shares[attention] >= least and shares[attention] > shares[None])
        for attention in ("additive", "multiplicative")
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
