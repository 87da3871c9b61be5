"""Clicks: the impressions of a shop, and categories hashed into buckets."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._core.tensor import Tensor
from fastnn.data.packages import package_file
from fastnn.data.readers import PathLike, parse_numbers, read_columns
from fastnn.data.tables import Table, encode_categories, numbers_of

BANDIT_INSTALL = "pip install --no-deps obp==0.4.1"
BANDIT_BYTES = 1 << 26
POLICIES = ("random", "bts")
CAMPAIGNS = ("all", "men", "women")
USER_FEATURES = [f"user_feature_{k}" for k in range(4)]
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d ([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?\+00:00")


def open_bandit(
    policy: str = "random", campaign: str = "all", path: PathLike | None = None
) -> Table:
    """10,000 impressions of a fashion shop in November 2019, in the order of time; the target
    (N) float32 is 1 for the 38 to 69 that were clicked.

    policy: what chose the items, "random" or "bts" (Thompson sampling); campaign: "all" (80
    items), "men" (34) or "women" (46). Categories: item_id (the code is the number of the
    item), position (1 to 3), four features of the user (anonymous; codes are those of this
    file), hour (00 to 23, UTC). Numbers: affinity, how often the user had clicked on the item
    shown, and affinity_total, on any item; both are 0 in over 95 % of the rows.

    path: the .csv file; found in the installed package obp without. Data: Saito, Aihara,
    Matsutani and Narita, Open Bandit Dataset and Pipeline, 2021.
    """
    if policy not in POLICIES or campaign not in CAMPAIGNS:
        raise ValueError(
            f"policy must be one of {POLICIES} and campaign one of {CAMPAIGNS}, "
            f"got {policy!r} and {campaign!r}"
        )
    if path is None:
        parts = ("dataset", "obd", policy, campaign, f"{campaign}.csv")
        what = "the impressions of Open Bandit"
        path = package_file("obp", *parts, what=what, install=BANDIT_INSTALL)
    path = os.fspath(path)
    columns = read_columns(
        path, ["timestamp", "item_id", "position", "click", *USER_FEATURES], BANDIT_BYTES
    )
    return bandit_table(columns, path)


def bandit_table(columns: dict[str, list[str]], path: str) -> Table:
    affinities = [name for name in columns if name.startswith("user-item_affinity_")]
    if affinities != [f"user-item_affinity_{k}" for k in range(len(affinities))]:
        raise ValueError(f"{path}, line 1: the affinities must be numbered from 0 on")
    items = [str(k) for k in range(len(affinities))]
    chosen = {"item_id": columns["item_id"], "position": columns["position"]}
    chosen |= {name: columns[name] for name in USER_FEATURES}
    chosen |= {"hour": hours(columns["timestamp"], path), "click": columns["click"]}
    known = {name: sorted(set(texts)) for name, texts in chosen.items()}
    known |= {"item_id": items, "position": ["1", "2", "3"], "click": ["0", "1"]}
    known["hour"] = [f"{k:02d}" for k in range(24)]
    try:
        codes, vocabularies = encode_categories(chosen, known)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    table = np.asarray(codes)
    parsed = [parse_numbers(columns[name], path, name) for name in affinities]
    affinity = np.stack(parsed, axis=1) if parsed else np.empty((len(table), 0))
    shown = affinity[np.arange(len(table)), table[:, 0]]
    return Table(
        numbers_of([shown, affinity.sum(axis=1)]),
        ["affinity", "affinity_total"],
        from_numpy(np.ascontiguousarray(table[:, :-1])),
        list(chosen)[:-1],
        list(vocabularies.values())[:-1],
        from_numpy(table[:, -1].astype(np.float32)),
    )


def hours(timestamps: list[str], path: str) -> list[str]:
    """The hour of each timestamp, 00 to 23."""
    found = [TIMESTAMP.fullmatch(text) for text in timestamps]
    for k, match in enumerate(found):
        if match is None:
            raise ValueError(
                f"{path}, line {k + 2}, column timestamp: {timestamps[k][:40]!r} is no time in UTC"
            )
    return [match[1] for match in found]


class Buckets(dict):
    """The bucket of each text of one field, computed when it is first asked for.

    A checksum of seed, field and text, its bits mixed so that what shares a bucket in one
    field or with one seed need not in another.
    """

    def __init__(self, field: int, buckets: int, seed: int) -> None:
        self.start = zlib.crc32(b"%d:%d:" % (seed, field))
        self.buckets = buckets

    def __missing__(self, text: bytes) -> int:
        bits = zlib.crc32(text, self.start)
        bits = ((bits ^ bits >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
        bits = ((bits ^ bits >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
        bucket = self[text] = (bits ^ bits >> 16) % self.buckets
        return bucket


def check_buckets(buckets: int) -> None:
    if not isinstance(buckets, int) or not 1 <= buckets <= 1 << 32:
        raise ValueError(f"buckets must be a number from 1 to 2^32, got {buckets!r}")


def hash_features(values: Sequence[Sequence[str | bytes]], buckets: int, seed: int = 0) -> Tensor:
    """Bucket numbers (N, F) int64 from 0 to buckets - 1 of N rows of F texts.

    The same for all processes and versions: text, field (its place in the row) and seed decide,
    so a text of two fields has two buckets. Texts are hashed as UTF-8.

    >>> import fastnn
    >>> fastnn.data.hash_features([["red", "red"], ["blue", "red"]], buckets=1000).tolist()
    [[842, 935], [269, 935]]
    """
    check_buckets(buckets)
    rows = [None if isinstance(row, (str, bytes)) else list(row) for row in values]
    width = len(rows[0]) if rows and rows[0] is not None else 0
    fields = [Buckets(j, buckets, seed) for j in range(width)]
    table = np.empty((len(rows), width), dtype=np.int64)
    for k, row in enumerate(rows):
        if row is None or len(row) != width:
            raise ValueError(f"row {k} must be a list of as many texts as row 0")
        for j, text in enumerate(row):
            if not isinstance(text, (str, bytes)):
                raise ValueError(f"row {k}, field {j}: {text!r} is no text")
            table[k, j] = fields[j][text.encode() if isinstance(text, str) else text]
    return from_numpy(table)
