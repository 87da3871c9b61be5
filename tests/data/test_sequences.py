"""Recordings, series and a text."""

import importlib.util
import sys

import numpy as np
import pytest

import fastnn
from fastnn.data import (
    basic_motions,
    co2,
    japanese_vowels,
    python_topics,
    read_ts,
    sunspots,
)

needs_aeon = pytest.mark.skipif(
    importlib.util.find_spec("aeon") is None, reason="aeon is not installed"
)
needs_statsmodels = pytest.mark.skipif(
    importlib.util.find_spec("statsmodels") is None, reason="statsmodels is not installed"
)
HEADER = (
    "# two\n@problemName x\n@timeStamps false\n\n@dimensions 2\n@classLabel true up down\n@data\n"
)


def test_recordings(write):
    sequences, labels = read_ts(write(HEADER + "1,2,3:4,5,6:down\n-1e-1:.5:up\n"))
    assert [x.tolist() for x in sequences] == [[[1, 4], [2, 5], [3, 6]], [[np.float32(-0.1), 0.5]]]
    assert sequences[0].dtype is fastnn.float32
    assert labels == ["down", "up"]
    assert read_ts(write(HEADER)) == ([], [])
    free = "@CLASSLABEL TRUE a b\n@DATA\n1,2:3,4:5,6:b\n\n"
    sequences, labels = read_ts(write(free, compress=True))
    assert (sequences[0].shape, labels) == ((2, 3), ["b"])


@pytest.mark.parametrize(
    "row, message",
    [
        ("1,?:2,3:up", "recording 1, channel 0, step 1: '\\?' is no finite number"),
        ("1,2:,3:up", "recording 1, channel 1, step 0: '' is no finite number"),
        ("1,2:nan,3:up", "recording 1, channel 1, step 0: 'nan' is no finite number"),
        ("1,2:3,x:up", "recording 1, channel 1, step 1: 'x' is no finite number"),
        ("1,2:3:up", "recording 1, channel 1 has 1 steps, not 2"),
        ("1,2:up", "recording 1 has 1 channels, not 2"),
        ("1:2:3:up", "recording 1 has 3 channels, not 2"),
        ("1,2:3,4:left", "recording 1 has the label 'left', none of the classes"),
        ("1,2:3,4", "recording 1 has 1 channels, not 2"),
        ("up", "recording 1 has 0 channels, not 2"),
    ],
)
def test_malformed_recordings(write, row, message):
    with pytest.raises(ValueError, match=f"file, line 9: {message}"):
        read_ts(write(HEADER + "1:2:up\n" + row + "\n"))


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "file has no line @data"),
        ("@classLabel true a\n1:2:a\n", "line 2: a line before @data must begin with @ or #"),
        ("@data\n1:2:a\n", "there must be a line @classLabel true"),
        ("@classLabel false\n@data\n1:2\n", "there must be a line @classLabel true"),
        ("@timeStamps true\n@classLabel true a\n@data\n", "timestamps are not supported"),
        ("@classLabel true a\n@data\na\n", "recording 0 has no channels"),
        (b"@problemName \xff\n", "line 1: this is no UTF-8 text"),
    ],
)
def test_malformed_ts(write, content, message):
    with pytest.raises(ValueError, match=message):
        read_ts(write(content))


def test_sets_check_their_channels(write):
    path = write(HEADER + "1:2:down\n")
    with pytest.raises(ValueError, match="there are 2 channels, not 12"):
        japanese_vowels(path=path)
    with pytest.raises(ValueError, match="there are 2 channels, not 6"):
        basic_motions(path=path)


def test_sunspots_file(write):
    assert sunspots(write('"YEAR","SUNACTIVITY"\n1700,5\n1701,1.5\n')).tolist() == [5, 1.5]
    for row, message in (
        ("1703,4", "line 4, column YEAR: a year is left out"),
        ("x,4", "line 4, column YEAR: 'x' is no finite number"),
        ("1702,", "line 4, column SUNACTIVITY: '' is no finite number"),
        ("1702", "line 4: 1 columns"),
    ):
        with pytest.raises(ValueError, match=f"file, {message}"):
            sunspots(write(f"YEAR,SUNACTIVITY\n1700,1\n1701,2\n{row}\n"))


def test_gaps_of_co2_are_filled(write):
    weeks = "date,co2\n19580329,316\n19580405,\n19580412,\n19580419,319\n"
    assert co2(write(weeks)).tolist() == [316, 317, 318, 319]
    for old, new, message in (
        ("19580419,319", "19580419,", "line 5, column co2: the series ends with a gap"),
        ("329,316", "329,", "line 2, column co2: the series ends with a gap"),
        (",319", ",x", "line 5, column co2: 'x' is no finite number"),
        ("19580412", "19580413", "line 4, column date: '19580413' is not a week after"),
        ("19580412", "19581312", "line 4, column date: '19581312' is no date"),
        ("19580412", "", "line 4, column date: '' is no date"),
    ):
        with pytest.raises(ValueError, match=f"file, {message}"):
            co2(write(weeks.replace(old, new)))
    with pytest.raises(ValueError, match="there are no weeks"):
        co2(write("date,co2\n"))


def test_what_is_not_installed(monkeypatch):
    monkeypatch.setattr("fastnn.data.packages.find_spec", lambda name: None)
    for read in (japanese_vowels, basic_motions):
        with pytest.raises(FileNotFoundError, match=r"pip install --no-deps aeon==1\.6\.0"):
            read()
    for read in (sunspots, co2):
        with pytest.raises(FileNotFoundError, match=r"--no-deps statsmodels==0\.15\.0"):
            read()
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(FileNotFoundError, match="standard library"):
        python_topics()


@needs_aeon
def test_japanese_vowels():
    for train, counts in (
        (True, [30] * 9),
        (False, [31, 35, 88, 44, 29, 24, 40, 50, 29]),
    ):
        sequences, labels, names = japanese_vowels(train)
        assert len(sequences) == len(labels) == sum(counts)
        assert {x.shape[1] for x in sequences} == {12}
        lengths = [len(x) for x in sequences]
        assert (min(lengths), max(lengths)) == (7, 26 if train else 29)
        assert labels.dtype is fastnn.int64
        assert np.bincount(np.asarray(labels)).tolist() == counts
        assert names == list("123456789")


@needs_aeon
def test_basic_motions():
    for train in (True, False):
        sequences, labels, names = basic_motions(train)
        assert [x.shape for x in sequences] == [(100, 6)] * 40
        assert np.bincount(np.asarray(labels)).tolist() == [10] * 4
        assert names == ["Standing", "Running", "Walking", "Badminton"]


@needs_statsmodels
def test_series():
    spots, weeks = sunspots(), co2()
    assert (spots.shape, spots.dtype) == ((309,), fastnn.float32)
    assert spots[:3].tolist() == [5, 11, 16]
    assert (weeks.shape, weeks.dtype) == ((2284,), fastnn.float32)
    numbers = np.asarray(weeks)
    assert 312 < numbers.min() < numbers.max() < 374
    assert np.abs(np.diff(numbers)).max() < 3
    assert numbers[6] == np.float32((numbers[5] + numbers[7]) / 2)  # the first gap


def test_python_topics():
    text = python_topics()
    assert 300_000 < len(text) < 700_000
    assert "while" in text
    assert len(set(text)) < 200
    assert text == python_topics()
