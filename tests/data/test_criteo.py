"""Rows of Criteo's form: read in a stream, and made up."""

import gzip
import math
import tracemalloc
from itertools import islice

import numpy as np
import pytest

import fastnn
from fastnn.data import hash_features, stream_criteo, synthetic_criteo
from fastnn.data.criteo import CATEGORIES, NUMBERS

TEXTS = [f"{k:08x}" for k in range(25)]
ROW = ["1", "5", "-2", "", "0", "1e3", *"12345678", *TEXTS, ""]
HEADER = ",".join(["Id", "Label", *NUMBERS, *CATEGORIES])
BUCKETS = 1 << 20


def changed(**columns):
    """A row with other texts in some columns."""
    names = ["Label", *NUMBERS, *CATEGORIES]
    return "\t".join([columns.get(name, text) for name, text in zip(names, ROW, strict=True)])


def joined(batches):
    return [np.concatenate([np.asarray(part) for part in p]) for p in zip(*batches, strict=True)]


def area_under_curve(scores, labels):
    """The part of pairs of a click and no click of which the click has the higher score."""
    clicked, other = scores[labels == 1], np.sort(scores[labels == 0])
    below = np.searchsorted(other, clicked, "left") + np.searchsorted(other, clicked, "right")
    return below.mean() / 2 / len(other)


def test_a_row():
    ((numbers, categories, labels),) = stream_criteo([changed()], 10, BUCKETS)
    shapes = [t.shape for t in (numbers, categories, labels)]
    assert shapes == [(1, 13), (1, 26), (1,)]
    assert [t.dtype for t in (numbers, categories, labels)] == [
        fastnn.float32,
        fastnn.int64,
        fastnn.float32,
    ]
    counts = [5, 0, 0, 0, 1000, 1, 2, 3, 4, 5, 6, 7, 8]
    expected = [math.log(1 + count) for count in counts]
    expected[1] = -math.log(1 + 2)
    assert np.allclose(np.asarray(numbers)[0], expected)
    assert categories.tolist() == hash_features([[*TEXTS, ""]], BUCKETS).tolist()
    assert labels.tolist() == [1]


def test_sources_agree(write):
    lines = [*islice(synthetic_criteo(100), 100)]
    expected = joined(stream_criteo(lines, 7, BUCKETS))
    content = b"".join(lines)
    commas = [b"%d," % k + line.replace(b"\t", b",") for k, line in enumerate(lines)]
    table = (HEADER + "\r\n").encode() + b"".join(commas).replace(b"\n", b"\r\n")
    without_id = (HEADER[3:] + "\n").encode() + content.replace(b"\t", b",")
    sources = (
        write(content, "plain.txt"),
        str(write(content[:-1], "no_end_of_line.txt")),
        write(content, "packed.gz", compress=True),
        write(table, "table.csv"),
        write(table, "table.csv.gz", compress=True),
        write(without_id, "without_id.csv"),
        (line.decode() for line in lines),
    )
    for source in sources:
        batches = list(stream_criteo(source, 32, BUCKETS))
        assert [len(batch[2]) for batch in batches] == [32, 32, 32, 4]
        for a, b in zip(joined(batches), expected, strict=True):
            assert np.array_equal(a, b)


def test_rows_without_labels(write):
    line = changed().partition("\t")[2]
    ((numbers, categories),) = stream_criteo([line], 5, BUCKETS, labels=False)
    assert (numbers.shape, categories.shape) == ((1, 13), (1, 26))
    table = HEADER.replace("Label,", "") + "\n7," + line.replace("\t", ",")
    ((again, _),) = stream_criteo(write(table), 5, BUCKETS, labels=False)
    assert again.tolist() == numbers.tolist()
    with pytest.raises(ValueError, match="rows, line 1, column C26: it is not there"):
        list(stream_criteo([line], 5, BUCKETS))
    with pytest.raises(ValueError, match="rows, line 1: 40 columns, not 39"):
        list(stream_criteo([changed()], 5, BUCKETS, labels=False))


def test_no_rows(write):
    assert list(stream_criteo([], 5, BUCKETS)) == []
    assert list(stream_criteo(write(""), 5, BUCKETS)) == []
    assert list(stream_criteo(write(HEADER + "\n"), 5, BUCKETS)) == []


@pytest.mark.parametrize(
    "line, message",
    [
        (changed(Label="2"), "column Label: '2' is neither 0 nor 1"),
        (changed(Label=""), "column Label: '' is neither 0 nor 1"),
        (changed(I1="x"), "column I1: 'x' is no finite number"),
        (changed(I13="nan"), "column I13: 'nan' is no finite number"),
        (changed(I7="1e999"), "column I7: '1e999' is no finite number"),
        (changed(I7="\0"), "column I7: .* is no finite number"),
        (changed() + "\t1", "41 columns, not 40"),
        (changed().rpartition("\t")[0], "column C26: it is not there"),
        ("", "column I1: it is not there"),
        (changed(C3="y" * 5000), "more than 4096 bytes"),
    ],
)
def test_malformed_rows(write, line, message):
    lines = [changed(), changed(), changed(), line, "worse"]
    for batch_size in (1, 2, 100):
        with pytest.raises(ValueError, match=f"^rows, line 4.*{message}"):
            list(stream_criteo(lines, batch_size, BUCKETS))
    for compress in (False, True):
        path = write("\n".join(lines), compress=compress)
        with pytest.raises(ValueError, match=f"file, line 4.*{message}"):
            list(stream_criteo(path, 3, BUCKETS))


def test_malformed_files(write):
    for first in ("Id,Label,I1", HEADER + ",more", HEADER.replace("C1,", ""), "PK\3\4", "\n"):
        with pytest.raises(ValueError, match="file, line 1: there are neither tabs nor a header"):
            list(stream_criteo(write(first + "\n" + changed()), 3, BUCKETS))
    with pytest.raises(ValueError, match="file, line 3, column I2: 'z' is no finite number"):
        row = changed(I2="z").replace("\t", ",")
        good = changed().replace("\t", ",")
        list(stream_criteo(write(f"{HEADER}\n0,{good}\n1,{row}"), 1, BUCKETS))
    whole = gzip.compress(b"".join(synthetic_criteo(500)))
    for damaged in (whole[:-9], whole[:9000] + b"\xff" * 400 + whole[9400:]):
        with pytest.raises(ValueError, match=r"file.*(damaged gzip file|line)"):
            list(stream_criteo(write(damaged), 100, BUCKETS))


def test_argument_errors():
    with pytest.raises(ValueError, match="batch_size must be a positive integer, got 0"):
        stream_criteo([], 0, 5)
    with pytest.raises(ValueError, match="buckets must be a number from 1"):
        stream_criteo([], 5, 0)
    with pytest.raises(FileNotFoundError, match="no_such_file"):
        next(stream_criteo("no_such_file", 5, 5))


def test_memory_is_constant(write, monkeypatch):
    monkeypatch.setattr("fastnn.data.criteo.MOST_CACHED", 10_000)
    lines = list(synthetic_criteo(50_000))
    paths = write(b"".join(lines[:5_000]), "short"), write(b"".join(lines), "long")
    del lines
    peaks = []
    for path in paths:
        tracemalloc.start()
        rows = sum(len(batch[2]) for batch in stream_criteo(path, 256, BUCKETS))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert rows == 50_000
    assert peaks[1] < 1.5 * peaks[0]


def test_a_forgotten_cache_changes_nothing(monkeypatch):
    lines = list(synthetic_criteo(300))
    expected = joined(stream_criteo(lines, 50, BUCKETS))
    monkeypatch.setattr("fastnn.data.criteo.MOST_CACHED", 0)
    for a, b in zip(joined(stream_criteo(lines, 50, BUCKETS)), expected, strict=True):
        assert np.array_equal(a, b)


def test_synthetic_rows():
    lines = list(synthetic_criteo(10_000))
    assert len(lines) == 10_000
    assert list(synthetic_criteo(100)) == lines[:100]
    assert list(synthetic_criteo(100, seed=1)) != lines[:100]
    assert list(synthetic_criteo(0)) == []
    rows = [line.split(b"\t") for line in lines]
    assert {len(row) for row in rows} == {40}
    assert 0.05 < np.mean([b"" in row[1:14] for row in rows]) < 0.95
    assert 0.2 < np.mean([row[0] == b"1" for row in rows]) < 0.4


def test_synthetic_clicks_can_be_learned():
    """By the click rates of single categories, and better with those of pairs."""
    n, buckets = 60_000, 1 << 16
    ((_, codes, labels),) = stream_criteo(synthetic_criteo(n), n, buckets)
    codes, labels = np.asarray(codes), np.asarray(labels)
    train = np.arange(n) < n * 3 // 4
    pairs = [(i, j) for i in range(4) for j in range(i)]
    crossed = np.stack([codes[:, i] * 31 + codes[:, j] for i, j in pairs], axis=1) % buckets

    def scores(columns):
        total = np.zeros(n)
        for column in columns.T:
            shown = np.bincount(column[train], minlength=buckets)
            clicked = np.bincount(column[train], labels[train], minlength=buckets)
            rate = (clicked + 10 * labels[train].mean()) / (shown + 10)
            total += np.log(rate / (1 - rate))[column]
        return total

    single = area_under_curve(scores(codes)[~train], labels[~train])
    paired = area_under_curve((scores(codes) + scores(crossed))[~train], labels[~train])
    assert single > 0.6
    assert paired > single + 0.05
