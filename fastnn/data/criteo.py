"""Rows of Criteo's form, 13 numbers and 26 categories each: read in a stream, and made up."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._core.tensor import Tensor
from fastnn.data.clicks import Buckets, check_buckets
from fastnn.data.readers import PathLike, is_gzip, to_number

NUMBERS = [f"I{k}" for k in range(1, 14)]
CATEGORIES = [f"C{k}" for k in range(1, 27)]
LABELS = {b"0": 0.0, b"1": 1.0}
LONGEST_LINE = 4096  # bytes; real rows have some 250
MOST_CACHED = 1 << 18  # texts whose number or bucket is remembered, of all columns
Batch = tuple[Tensor, Tensor, Tensor] | tuple[Tensor, Tensor]

# the rows made up: how many categories a field has, and what clicks depend on
SIZES = [30, 40, 50, 60, 300, 20, 9000, 600, 3, 20000, 5000, 8000, 3000]
SIZES += [25, 9000, 6000, 10, 4000, 1500, 4, 7000, 12, 15, 10000, 80, 12000]
BLOCK = 8192
MISSING = 0.1  # the part of the numbers
MOST_COUNT = 999
COUNTS = [*(b"%d" % count for count in range(MOST_COUNT + 1)), b""]  # the last one: missing
PAIRED, RANK = 4, 4  # the first fields act in pairs, by products of vectors of this length


class Logarithms(dict):
    """The number that each text stands for, brought to a common scale; ValueError for none."""

    def __missing__(self, text: bytes) -> float:
        x = to_number(text) if text else 0.0
        if not math.isfinite(x):
            raise ValueError
        value = self[text] = math.copysign(math.log1p(abs(x)), x)
        return value


def stream_criteo(
    source: PathLike | Iterable[str | bytes], batch_size: int, buckets: int, labels: bool = True
) -> Iterator[Batch]:
    """Rows of Criteo's click logs in batches of at most B = batch_size: numbers (B, 13) float32,
    categories (B, 26) int64, and labels (B) float32, 1 for a click. Memory is that of a batch
    and of a cache of bounded size, however long the source.

    source: a path, plain or compressed by gzip, or an iterable of lines. Rows are separated by
    tabs, label, I1 to I13, C1 to C26; or by commas below a header Id,Label,I1,...,C26, the Id
    optional. labels: False for rows without a label, as in Criteo's test files, which come as
    pairs.

    A number x becomes log(1 + x), a negative one -log(1 - x), and a missing one 0, as if it were
    a count of 0. Categories are hash_features of C1 to C26 with seed 0, a missing one being the
    empty text. ValueError naming line (from 1 on) and column of a malformed row.
    """
    check_buckets(buckets)
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}")
    return batches_of(source, batch_size, buckets, labels)


def batches_of(
    source: PathLike | Iterable[str | bytes], batch_size: int, buckets: int, labels: bool
) -> Iterator[Batch]:
    if not isinstance(source, (str, os.PathLike)):
        lines = (line.encode() if isinstance(line, str) else line for line in source)
        yield from CriteoRows("rows", buckets, labels).batches(lines, batch_size)
        return
    path = os.fspath(source)
    with gzip.open(path) if is_gzip(path) else open(path, "rb") as file:
        lines = iter(partial(file.readline, LONGEST_LINE + 1), b"")
        try:
            yield from CriteoRows(path, buckets, labels).batches(lines, batch_size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file: {error}") from None


class CriteoRows:
    """Parses the lines of one source, batch by batch and column by column."""

    def __init__(self, name: str, buckets: int, labels: bool) -> None:
        self.name = name
        self.columns = [*(["Label"] if labels else []), *NUMBERS, *CATEGORIES]
        self.labels = labels
        self.separator = b"\t"
        self.numbers = Logarithms()
        self.fields = [Buckets(j, buckets, 0) for j in range(len(CATEGORIES))]

    def batches(self, lines: Iterator[bytes], batch_size: int) -> Iterator[Batch]:
        number = 1
        for first in lines:
            if b"\t" in first:
                lines = chain([first], lines)
            else:
                self.read_header(first)
                number = 2
            break
        while batch := list(islice(lines, batch_size)):
            yield self.parse(batch, number)
            number += len(batch)
            if len(self.numbers) + sum(map(len, self.fields)) > MOST_CACHED:
                for cache in (self.numbers, *self.fields):
                    cache.clear()

    def read_header(self, line: bytes) -> None:
        names = line.rstrip(b"\r\n").decode("utf-8", "replace").split(",")
        if names not in (self.columns, ["Id", *self.columns]):
            raise ValueError(
                f"{self.name}, line 1: there are neither tabs nor a header Id,"
                f"{','.join(self.columns)}"
            )
        self.columns = names
        self.separator = b","

    def parse(self, lines: list[bytes], number: int) -> Batch:
        """One batch; `number` is that of its first line."""
        rows = [line.rstrip(b"\r\n").split(self.separator) for line in lines]
        if set(map(len, rows)) != {len(self.columns)} or max(map(len, lines)) > LONGEST_LINE:
            raise self.fault(lines, rows, number)
        columns = list(zip(*rows, strict=True))
        try:
            numbers = look_up([self.numbers] * 13, columns[-39:-26], np.float32)
            labels = look_up([LABELS], columns[-40:-39], np.float32) if self.labels else None
        except (KeyError, ValueError):
            raise self.fault(lines, rows, number) from None
        categories = look_up(self.fields, columns[-26:], np.int64)
        return (numbers, categories) if labels is None else (numbers, categories, labels[:, 0])

    def fault(self, lines: list[bytes], rows: list[list[bytes]], number: int) -> ValueError:
        """What is wrong with the first malformed row."""
        for k, (line, row) in enumerate(zip(lines, rows, strict=True)):
            where = f"{self.name}, line {number + k}"
            if len(line) > LONGEST_LINE:
                return ValueError(f"{where}: more than {LONGEST_LINE} bytes")
            if len(row) < len(self.columns):
                return ValueError(f"{where}, column {self.columns[len(row)]}: it is not there")
            if len(row) > len(self.columns):
                return ValueError(f"{where}: {len(row)} columns, not {len(self.columns)}")
            for name, text in zip(self.columns, row, strict=True):
                shown = f"{text[:40].decode('utf-8', 'replace')!r}"
                if name == "Label" and text not in LABELS:
                    return ValueError(f"{where}, column {name}: {shown} is neither 0 nor 1")
                if name in NUMBERS and text and not math.isfinite(to_number(text)):
                    return ValueError(f"{where}, column {name}: {shown} is no finite number")
        raise AssertionError("no row is malformed")


def look_up(
    caches: Sequence[Mapping[bytes, float]], columns: Sequence[tuple[bytes, ...]], dtype: type
) -> Tensor:
    """(B, columns): what each column's cache has for its texts."""
    n = len(columns[0])
    found = [
        np.fromiter(map(cache.__getitem__, column), dtype, n)
        for cache, column in zip(caches, columns, strict=True)
    ]
    return from_numpy(np.stack(found, axis=1))


class HiddenModel:
    """What decides the clicks of synthetic_criteo: numbers, categories, and pairs of them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.numbers = rng.normal(0, 0.25, len(NUMBERS))
        self.weights = [rng.normal(0, 0.3 if size < 1000 else 0.1, size) for size in SIZES]
        self.vectors = [rng.normal(0, 0.7, (size, RANK)) for size in SIZES[:PAIRED]]

    def probability(self, counts: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """(n) out of counts (n, 13), -1 where missing, and codes (n, 26)."""
        logit = (np.log1p(np.maximum(counts, 0)) - 1) @ self.numbers - 2.4
        for weight, code in zip(self.weights, codes.T, strict=True):
            logit += weight[code]
        vectors = np.stack([v[c] for v, c in zip(self.vectors, codes.T, strict=False)])
        pairs = vectors.sum(axis=0) ** 2 - (vectors**2).sum(axis=0)  # each pair twice
        return 1 / (1 + np.exp(-logit - pairs.sum(axis=1) / 2))


def category_texts(field: int) -> list[bytes]:
    """The text of each category of a field; of the last ten, the commonest is missing."""
    names = [b"%08x" % ((k * 0x9E3779B1 + field * 0x85EBCA6B) % 2**32) for k in range(SIZES[field])]
    return [b"", *names[1:]] if field >= 16 else names


def synthetic_criteo(rows: int, seed: int = 0) -> Iterator[bytes]:
    """Made-up rows of Criteo's form: lines with a label, I1 to I13 and C1 to C26 between tabs
    and an end of line, as stream_criteo reads them. Some numbers and categories are missing.

    Clicks follow a logistic model of the numbers' logarithms, a weight for each category, and
    products of vectors for the pairs of C1 to C4, which a model without pairs cannot see. The
    model is always the same; seed and rows decide what is drawn, and fewer rows are the first
    of more.
    """
    model, rng = HiddenModel(), np.random.default_rng(seed)
    texts = [(b"0", b"1"), *[COUNTS] * len(NUMBERS), *map(category_texts, range(len(SIZES)))]
    for start in range(0, rows, BLOCK):
        counts = np.exp(1.5 * rng.standard_normal((BLOCK, len(NUMBERS))))
        counts = np.minimum(counts, MOST_COUNT).astype(np.int64)
        counts[rng.random(counts.shape) < MISSING] = -1
        codes = (rng.random((BLOCK, len(SIZES))) ** 2 * SIZES).astype(np.int64)
        clicks = rng.random(BLOCK) < model.probability(counts, codes)
        numbers = np.column_stack([clicks, counts, codes]).T.tolist()
        columns = [map(t.__getitem__, n) for t, n in zip(texts, numbers, strict=True)]
        for row in islice(zip(*columns, strict=True), rows - start):
            yield b"\t".join(row) + b"\n"
