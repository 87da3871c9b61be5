"""What the examples of sequences are made of: n-grams, windows that do not leak, dates, texts."""

import math
import random
from datetime import date

import pytest

import fastnn
from examples.claims import memory
from examples.kneser_ney import KneserNey
from examples.systems import attention, character_model, forecasting


def test_kneser_ney_is_a_distribution():
    rng = random.Random(0)
    text = [rng.choice([0, 0, 0, 1, 2, 3]) for _ in range(2000)]
    for order in (1, 2, 5):
        model = KneserNey(text, order, vocabulary=6)
        for context in ([], [0], [1, 2, 0, 3], [5, 5, 5, 5], [0, 5], [0, 1, 0, 1, 0, 1]):
            probabilities = [model.probability(context, symbol) for symbol in range(6)]
            assert sum(probabilities) == pytest.approx(1)
            assert min(probabilities) > 0


def test_kneser_ney_by_hand():
    """'a b a c' as pairs: ab, ba, ac. All occur once, so the discount is 1 / (1 + 0)."""
    model = KneserNey([0, 1, 0, 2], 2, vocabulary=3)
    # nothing is left of the pairs; each symbol was seen after one other: 1 / 3 and no less
    for symbol in range(3):
        assert model.probability([0], symbol) == pytest.approx(1 / 3)
    assert model.bits([0, 1], [2]) == pytest.approx(math.log2(3))


def test_kneser_ney_learns_what_repeats():
    model = KneserNey([0, 1, 2] * 400, 3, vocabulary=3)
    assert model.bits([0, 1, 2] * 20, [1, 2]) < 0.01


def test_character_model_of_a_file(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("so it goes on and on, " * 300, encoding="utf-8")
    sizes = ["--hidden", "32", "--layers", "2", "--batch", "8", "--window", "20", "--dropout", "0"]
    (result,) = character_model.main(
        ["--quick", "--text", str(text), "--rate", "0.02", "--output", str(tmp_path), *sizes]
    )
    assert "Kneser-Ney" in capsys.readouterr().out
    assert result.holds and float(result.figure.split()[0]) < 1.0  # 22 characters in turn


def test_character_model_refuses_a_text_too_short(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("short", encoding="utf-8")
    with pytest.raises(SystemExit, match="5 characters is too short"):
        character_model.main(["--text", str(text)])


@pytest.mark.parametrize("horizon", [1, 4])
def test_windows_know_the_past_only(horizon):
    """Of the series 0, 1, 2, ... each value is its place."""
    task = forecasting.Task("places", "", fastnn.arange(100.0), 10, 5, 4, 8, 1)
    known, test = forecasting.parts(task, horizon)
    for part in (known, test):
        first = part.last + 1
        places = part.y + part.last
        assert (places == first + fastnn.arange(horizon)).all()
        assert (part.season_ago + part.last == places - 10).all()
        # the last 5 steps, and the horizon's last one a season before, as differences
        assert (part.x[:, :, 0] == fastnn.arange(5) - 4).all()
        assert (part.x[:, :, 1] == fastnn.arange(5) - 4 + horizon).all()
    assert (known.y + known.last).max().item() == task.held_out - 1
    assert (test.last + 1).min().item() == task.held_out


def test_a_held_out_change_changes_nothing_that_is_learned_from():
    series = fastnn.rand(100)
    changed = series.clone()
    changed[80:] = 1000.0
    for horizon in (1, 4):
        one, other = (
            forecasting.parts(forecasting.Task("", "", s, 10, 5, 4, 8, 1), horizon)[0]
            for s in (series, changed)
        )
        assert (one.x == other.x).all() and (one.y == other.y).all()


def test_dates_are_written_as_people_do():
    day = date(1982, 3, 5)
    assert {form(day) for form in attention.FORMS} == {
        "5 March 1982",
        "March 5, 1982",
        "Mar 5th, 1982",
        "5-Mar-82",
        "05.03.1982",
        "1982/3/5",
        "Fri 5 Mar 1982",
        "Friday, the 5th of March 1982",
    }
    assert [attention.ordinal(k) for k in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "30th",
    ]  # fmt: skip
    texts, source, lengths, target = attention.dates([0, attention.DAYS - 1], random.Random(0))
    assert lengths.tolist() == [len(text) for text in texts] and source.shape[0] == 2
    assert [attention.written(t) for t in target] == ["1950-01-01", "2049-12-31"]


def test_only_the_first_symbol_of_a_gap_tells():
    fastnn.manual_seed(0)
    symbols, first = memory.samples(500, 20)
    assert symbols.shape == (500, 21) and (symbols[:, 0] == first).all()
    assert set(first.tolist()) == {0, 1} and symbols[:, 1:].min().item() == 2
