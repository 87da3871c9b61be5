"""The examples run, on little, and what they claim of themselves holds."""

import importlib
import importlib.util
import math
import random
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture(autouse=True)
def beside_the_examples(monkeypatch):
    """As if started there."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in ("kneser_ney", "char_lm", "japanese_vowels"):
        sys.modules.pop(name, None)


def test_kneser_ney_is_a_distribution():
    model_of = importlib.import_module("kneser_ney").KneserNey
    rng = random.Random(0)
    text = [rng.choice([0, 0, 0, 1, 2, 3]) for _ in range(2000)]
    for order in (1, 2, 5):
        model = model_of(text, order, vocabulary=6)
        for context in ([], [0], [1, 2, 0, 3], [5, 5, 5, 5], [0, 5], [0, 1, 0, 1, 0, 1]):
            probabilities = [model.probability(context, symbol) for symbol in range(6)]
            assert sum(probabilities) == pytest.approx(1)
            assert min(probabilities) > 0


def test_kneser_ney_by_hand():
    """'a b a c' as pairs: ab, ba, ac. All occur once, so the discount is 1 / (1 + 0)."""
    model = importlib.import_module("kneser_ney").KneserNey([0, 1, 0, 2], 2, vocabulary=3)
    # nothing is left of the pairs; each symbol was seen after one other: 1 / 3 and no less
    for symbol in range(3):
        assert model.probability([0], symbol) == pytest.approx(1 / 3)
    assert model.bits([0, 1], [2]) == pytest.approx(math.log2(3))


def test_kneser_ney_learns_what_repeats():
    model = importlib.import_module("kneser_ney").KneserNey([0, 1, 2] * 400, 3, vocabulary=3)
    assert model.bits([0, 1, 2] * 20, [1, 2]) < 0.01


def test_character_model(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("so it goes on and on, " * 300, encoding="utf-8")
    sizes = ["--hidden", "32", "--layers", "2", "--batch", "8", "--window", "20", "--dropout", "0"]
    found = importlib.import_module("char_lm").main(
        ["--text", str(text), "--minutes", "0.1", "--every", "2", "--rate", "0.01", *sizes]
    )
    printed = capsys.readouterr().out
    assert "bits per character in training" in printed and "Kneser-Ney" in printed
    assert found["lstm"] < 1.0  # of a text of 22 characters in turn
    assert found["kneser_ney"] < 0.1


def test_character_model_refuses_a_text_too_short(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("short", encoding="utf-8")
    with pytest.raises(SystemExit):
        importlib.import_module("char_lm").main(["--text", str(text)])
    assert "5 characters is too short" in capsys.readouterr().err


def test_japanese_vowels():
    if importlib.util.find_spec("aeon") is None:
        pytest.skip("the recordings come with aeon")
    accuracies = importlib.import_module("japanese_vowels").main([])
    assert min(accuracies.values()) >= 0.95


def test_recordings_that_are_not_what_they_should_be(tmp_path):
    read = importlib.import_module("japanese_vowels").read_recordings
    path = tmp_path / "broken.ts"
    path.write_text("1,2:3,4:1")
    with pytest.raises(ValueError, match="no line @data"):
        read(path)
    path.write_text("@data\n1,2:3,4:1")
    with pytest.raises(ValueError, match="recording 1 has not 12 channels"):
        read(path)
