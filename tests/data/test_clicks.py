"""Impressions of a shop, and hashed categories."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.data import hash_features, open_bandit

needs_obp = pytest.mark.skipif(
    importlib.util.find_spec("obp") is None, reason="obp is not installed"
)
HEADER = (
    ",timestamp,item_id,position,click,propensity_score,"
    "user_feature_0,user_feature_1,user_feature_2,user_feature_3,"
    "user-item_affinity_0,user-item_affinity_1"
)
KNOWN = [[842, 935], [269, 935], [861, 12]]
ROW = "0,2019-11-24 00:00:34.762830+00:00,1,3,0,0.5,ab,cd,ef,gh,0.0,2.0"
OTHER = "1,2019-11-24 23:59:34+00:00,0,1,1,0.5,aa,cd,ef,gh,1.0,4.5"


def content(*rows, header=HEADER):
    return "\n".join([header, *rows]) + "\n"


def test_impressions(write):
    table = open_bandit(path=write(content(ROW, OTHER)))
    assert table.number_names == ["affinity", "affinity_total"]
    assert table.numbers.tolist() == [[2, 2], [1, 5.5]]
    assert table.category_names[:3] == ["item_id", "position", "user_feature_0"]
    assert table.category_names[-1] == "hour"
    assert table.categories.tolist() == [[1, 2, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 23]]
    assert table.vocabularies[:3] == [["0", "1"], ["1", "2", "3"], ["aa", "ab"]]
    assert table.target.tolist() == [0, 1]


@pytest.mark.parametrize(
    "old, new, message",
    [
        (",3,0,", ",4,0,", "column position, row 1: the category '4'"),
        (",3,0,", ",3,yes,", "column click, row 1: the category 'yes'"),
        (",1,3,", ",2,3,", "column item_id, row 1: the category '2'"),
        ("00:00:34.", "24:00:34.", "line 3, column timestamp: .* is no time in UTC"),
        ("+00:00", "", "line 3, column timestamp"),
        ("0.0,2.0", "0.0,x", "line 3, column user-item_affinity_1: 'x' is no finite number"),
        ("0.0,2.0", "nan,2.0", "line 3, column user-item_affinity_0"),
        ("0.0,2.0", "0.0", "line 3: 11 columns, where the header has 12"),
    ],
)
def test_malformed_impressions(write, old, new, message):
    assert old in ROW
    with pytest.raises(ValueError, match=f"file.*{message}"):
        open_bandit(path=write(content(OTHER, ROW.replace(old, new))))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("position", "place", "line 1: there must be one column position"),
        ("affinity_1", "affinity_2", "line 1: the affinities must be numbered from 0 on"),
    ],
)
def test_malformed_header(write, old, new, message):
    with pytest.raises(ValueError, match=f"file, {message}"):
        open_bandit(path=write(content(ROW, header=HEADER.replace(old, new))))


def test_impressions_not_there(monkeypatch):
    with pytest.raises(ValueError, match="got 'best' and 'all'"):
        open_bandit("best")
    with pytest.raises(ValueError, match="got 'bts' and 'dogs'"):
        open_bandit("bts", "dogs")
    monkeypatch.setattr("fastnn.data.packages.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install --no-deps obp==0\.4\.1"):
        open_bandit()


@needs_obp
@pytest.mark.parametrize(
    "policy, clicks", [("random", (38, 46, 46)), ("bts", (42, 69, 46))]
)  # 287 in all
def test_open_bandit(policy, clicks):
    for campaign, items, count in zip(("all", "men", "women"), (80, 34, 46), clicks, strict=True):
        table = open_bandit(policy, campaign)
        assert len(table) == 10000
        assert table.target.sum().item() == count
        sizes = [len(words) for words in table.vocabularies]
        assert sizes[:4] == [items, 3, 3, 5]
        codes = np.asarray(table.categories)
        assert sorted(set(codes[:, 0])) == list(range(items))
        assert sorted(set(codes[:, -1])) == list(range(24))
        assert (np.asarray(table.numbers)[:, 1] == 0).mean() > 0.95


def test_hashes_are_what_they_were():
    rows = [["red", "red"], ["blue", "red"], ["", "größe"]]
    assert hash_features(rows, 1000).tolist() == KNOWN
    assert hash_features([[t.encode() for t in row] for row in rows], 1000).tolist() == KNOWN
    code = f"from fastnn.data import hash_features as h; print(h({rows!r}, 1000).tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(KNOWN)


def test_hashes_are_even_and_independent():
    n, buckets = 20000, 1 << 10
    rows = [[f"{k:08x}"] * 2 for k in range(n)]
    first, second = np.asarray(hash_features(rows, buckets)).T
    other = np.asarray(hash_features(rows, buckets, seed=1))[:, 0]
    for codes in (first, second, other):
        counts = np.bincount(codes, minlength=buckets)
        assert len(counts) == buckets
        assert 0.8 < counts.var() / (n / buckets) < 1.2  # that of a Poisson distribution is 1
    for codes in (second, other):
        assert abs((first == codes).sum() - n / buckets) < 5 * (n / buckets) ** 0.5
        together = np.bincount(codes[first == first[0]]).max()
        assert together < 5  # what shares a bucket here does not there


def test_hash_shapes_and_errors():
    assert hash_features([["a"]], 1).tolist() == [[0]]
    assert hash_features([], 5).shape == (0, 0)
    codes = hash_features([["a", "b", "c"]] * 2, 1 << 32)
    assert codes.dtype is fastnn.int64
    assert codes.shape == (2, 3)
    for buckets in (0, -1, 2**32 + 1, 1.5):
        with pytest.raises(ValueError, match="buckets must be a number from 1"):
            hash_features([["a"]], buckets)
    for rows in (["ab", "cd"], [["a"], "b"], [["a"], ["b", "c"]]):
        with pytest.raises(ValueError, match=r"row \d must be a list of as many texts"):
            hash_features(rows, 5)
    with pytest.raises(ValueError, match="row 1, field 0: 3 is no text"):
        hash_features([["a"], [3]], 5)
