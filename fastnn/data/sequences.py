"""Sequences: recordings in .ts files, two series of nature, and a long text."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._core.tensor import Tensor
from fastnn.data.packages import package_file
from fastnn.data.readers import PathLike, parse_numbers, read_columns, read_lines, to_number

MOST_BYTES = 1 << 26
AEON_INSTALL = "pip install --no-deps aeon==1.6.0"
STATSMODELS_INSTALL = "pip install --no-deps statsmodels==0.15.0"
Recordings = tuple[list[Tensor], Tensor, list[str]]


def read_ts(path: PathLike) -> tuple[list[Tensor], list[str]]:
    """The recordings of a .ts file, each (T, channels) float32, and the label of each.

    A file has lines of comments (#), of description (@key value), @data, and then a recording
    in each line: channel:channel:...:label, where a channel is T numbers between commas. T may
    differ between recordings, not between the channels of one. ValueError naming line,
    recording and channel (from 0 on) where a number is missing or malformed, and where there
    are timestamps or no labels.
    """
    sequences, labels, _ = parse_ts(os.fspath(path))
    return sequences, labels


def parse_ts(path: str) -> tuple[list[Tensor], list[str], list[str]]:
    """Recordings, their labels, and the classes that the file's header lists."""
    lines = read_lines(path, MOST_BYTES)
    header, first = ts_header(path, lines)
    classes = header.get("classlabel", "").split()
    if len(classes) < 2 or classes[0].lower() != "true":
        raise ValueError(f"{path}: there must be a line @classLabel true and the classes")
    if header.get("timestamps", "false").lower() != "false":
        raise ValueError(f"{path}: recordings with timestamps are not supported")
    count = header.get("dimensions", "1" if "univariate" in header else None)
    sequences, labels = [], []
    for number, line in enumerate(lines[first:], start=first + 1):
        if not line.strip():
            continue
        *channels, label = line.split(":")
        where = f"{path}, line {number}: recording {len(labels)}"
        count = str(len(channels)) if count is None else count
        if str(len(channels)) != count:
            raise ValueError(f"{where} has {len(channels)} channels, not {count}")
        if label.strip() not in classes[1:]:
            raise ValueError(f"{where} has the label {label.strip()[:40]!r}, none of the classes")
        sequences.append(from_numpy(parse_channels(channels, where)))
        labels.append(label.strip())
    return sequences, labels, classes[1:]


def ts_header(path: str, lines: list[str]) -> tuple[dict[str, str], int]:
    """The description, keys in small letters, and the number of lines up to @data."""
    header = {}
    for k, line in enumerate(lines):
        key, _, value = line.strip().partition(" ")
        if key.lower() == "@data":
            return header, k + 1
        if key.startswith("@"):
            header[key[1:].lower()] = value.strip()
        elif key and not key.startswith("#"):
            raise ValueError(f"{path}, line {k + 1}: a line before @data must begin with @ or #")
    raise ValueError(f"{path} has no line @data")


def parse_channels(channels: list[str], where: str) -> np.ndarray:
    """(T, channels) float32."""
    if not channels:
        raise ValueError(f"{where} has no channels")
    rows = []
    for k, channel in enumerate(channels):
        texts = channel.split(",")
        row = np.array([to_number(text) for text in texts])
        bad = np.flatnonzero(~np.isfinite(row))
        if bad.size:
            text = texts[bad[0]].strip()[:40]
            raise ValueError(f"{where}, channel {k}, step {bad[0]}: {text!r} is no finite number")
        if rows and len(row) != len(rows[0]):
            raise ValueError(f"{where}, channel {k} has {len(row)} steps, not {len(rows[0])}")
        rows.append(row)
    return np.ascontiguousarray(np.stack(rows, axis=1), dtype=np.float32)


def aeon_set(name: str, train: bool, path: PathLike | None, channels: int) -> Recordings:
    if path is None:
        parts = ("datasets", "data", name, f"{name}_{'TRAIN' if train else 'TEST'}.ts")
        what = f"the recordings of {name}"
        path = package_file("aeon", *parts, what=what, install=AEON_INSTALL)
    path = os.fspath(path)
    sequences, labels, classes = parse_ts(path)
    if sequences and sequences[0].shape[1] != channels:
        raise ValueError(f"{path}: there are {sequences[0].shape[1]} channels, not {channels}")
    numbers = np.array([classes.index(label) for label in labels], dtype=np.int64)
    return sequences, from_numpy(numbers), classes


def japanese_vowels(train: bool = True, path: PathLike | None = None) -> Recordings:
    """Nine men who speak two vowels: 270 recordings to train and 370 to test.

    Gives the recordings, each (T, 12) float32 with T from 7 to 29 (coefficients of linear
    prediction, one step a frame), who speaks, (N) int64 from 0 to 8, and the names of the
    speakers, "1" to "9".

    path: the .ts file; found in the installed package aeon without. Data: Kudo, Toyama and
    Shimbo, Multidimensional curve classification using passing-through regions, 1999.
    """
    return aeon_set("JapaneseVowels", train, path, channels=12)


def basic_motions(train: bool = True, path: PathLike | None = None) -> Recordings:
    """A smart watch while its bearer stands, runs, walks or plays badminton: 40 recordings to
    train and 40 to test, 10 of each.

    Gives the recordings, each (100, 6) float32 (accelerometer x y z, gyroscope x y z, every
    0.1 s), what they show, (N) int64 from 0 to 3, and the names of the four motions.

    path: the .ts file; found in the installed package aeon without. Data: Clements, 2016, in
    the archive of Bagnall and others, The UEA multivariate time series classification archive.
    """
    return aeon_set("BasicMotions", train, path, channels=6)


def statsmodels_file(path: PathLike | None, name: str, what: str) -> str:
    if path is not None:
        return os.fspath(path)
    parts = ("datasets", name, f"{name}.csv")
    return package_file("statsmodels", *parts, what=what, install=STATSMODELS_INSTALL)


def sunspots(path: PathLike | None = None) -> Tensor:
    """The mean number of sunspots in each year from 1700 to 2008, (309) float32.

    path: the file sunspots.csv; found in the installed package statsmodels without. Data:
    National Oceanic and Atmospheric Administration of the US.
    """
    path = statsmodels_file(path, "sunspots", "the sunspots")
    columns = read_columns(path, ["YEAR", "SUNACTIVITY"], MOST_BYTES)
    years = parse_numbers(columns["YEAR"], path, "YEAR")
    bad = np.flatnonzero(np.diff(years) != 1)
    if bad.size:
        raise ValueError(f"{path}, line {bad[0] + 3}, column YEAR: a year is left out")
    numbers = parse_numbers(columns["SUNACTIVITY"], path, "SUNACTIVITY")
    return from_numpy(numbers.astype(np.float32))


def co2(path: PathLike | None = None) -> Tensor:
    """Carbon dioxide in the air over Mauna Loa in Hawaii, each week from 29 March 1958 to 29
    December 2001, (2284) float32, parts per million.

    59 weeks were not measured: they lie on the straight line between the weeks before and
    after. ValueError where the first or last is missing, or dates are not a week apart.

    path: the file co2.csv; found in the installed package statsmodels without. Data: Keeling
    and Whorf, Scripps Institution of Oceanography, 2004.
    """
    path = statsmodels_file(path, "co2", "the weeks of carbon dioxide")
    columns = read_columns(path, ["date", "co2"], MOST_BYTES)
    check_weeks(columns["date"], path)
    texts = columns["co2"]
    weeks = [k for k, text in enumerate(texts) if text]
    for k in (0, len(texts) - 1) if texts else ():
        if not texts[k]:
            raise ValueError(f"{path}, line {k + 2}, column co2: the series ends with a gap")
    # all lines, so that an error names the right one; "0" in the gaps, which are not used
    numbers = parse_numbers([text or "0" for text in texts], path, "co2")[weeks]
    if not weeks:
        raise ValueError(f"{path}: there are no weeks")
    return from_numpy(np.interp(np.arange(len(texts)), weeks, numbers).astype(np.float32))


def check_weeks(dates: list[str], path: str) -> None:
    """Dates as in 19580329, each a week after the one before."""
    last = None
    for k, text in enumerate(dates):
        where = f"{path}, line {k + 2}, column date: {text[:40]!r}"
        try:
            date = datetime.strptime(text, "%Y%m%d")
        except ValueError:
            raise ValueError(f"{where} is no date") from None
        if last is not None and date - last != timedelta(weeks=1):
            raise ValueError(f"{where} is not a week after the date before")
        last = date


def python_topics() -> str:
    """The texts of Python's own help, some 465,000 characters of English and code; how many
    differs between versions of Python.

    Data: The Python Software Foundation, pydoc_data.topics. FileNotFoundError where an
    installation has left it out.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise FileNotFoundError(
            "the help texts come with Python as pydoc_data.topics, which this installation "
            "lacks: install Python's standard library in full"
        ) from None
    return "\n".join(topics[name] for name in sorted(topics))
