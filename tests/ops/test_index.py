"""x[...] against NumPy: views, index arrays, masks, assignment, gradients, messages."""

import numpy as np
import pytest

import fastnn
from fastnn._kernels.runtime import last_team
from fastnn.testing import directional_error, num_threads

RNG = np.random.default_rng(11)
MASK = RNG.random((4, 5, 6)) < 0.3
VIEWS = [
    np.s_[1],
    np.s_[-1],
    np.s_[1, 2, 3],
    np.s_[:, 2],
    np.s_[..., 2],
    np.s_[...],
    np.s_[:],
    np.s_[()],
    np.s_[1:3],
    np.s_[::2, 1::3],
    np.s_[-3:-1, ..., 4:],
    np.s_[5:2],
    np.s_[10:],
    np.s_[None],
    np.s_[:, None, 2, ..., None],
    np.s_[np.int64(2), :, 3:4],
]
ARRAYS = [
    np.s_[[0, 2]],
    np.s_[[0, 2],],
    np.s_[[]],
    np.s_[[-1, 0, -4, 3]],
    np.s_[np.array([[0, 1], [2, 3]])],
    np.s_[:, [4, 0, 0]],
    np.s_[..., [5, 1]],
    np.s_[1:3, [1, 2]],
    np.s_[[0, 1], [2, 3]],
    np.s_[[0, 1], 1:3, [2, 3]],
    np.s_[:, [0, 1], [2, 3]],
    np.s_[[0, 1, 2], [4], [5, 0, 1]],
    np.s_[np.array([[0], [3]]), np.array([1, 2, 4])],
    np.s_[np.array([[0], [3]]), :, np.array([1, 2, 4])],
    np.s_[[0, 1], None, [2, 3]],
    np.s_[None, [0, 1]],
    np.s_[::2, [3, 3]],
    np.s_[[[0, 1], [2, 3]]],
    np.s_[np.array([1, 2], np.int32)],
    np.s_[MASK],
    np.s_[MASK[:, 0, 0]],
    np.s_[:, MASK[0, :, 0]],
    np.s_[MASK[:, :, 0]],
    np.s_[:, MASK[0]],
    np.s_[MASK[:, 0, 0], 1:],
    np.s_[np.zeros(4, bool)],
    np.s_[[True, False, True, True], :, [0, 1, 2]],
    np.s_[np.array([], int), 1:],
]
ALL = VIEWS + ARRAYS
LAYOUTS = {
    "contiguous": lambda a: a.copy(),
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
}


def name_of(index):
    return "".join(str(index).split()).replace("None", "")[:40]


def as_tensors(index):
    """The arrays and lists of an index as tensors."""
    if isinstance(index, tuple):
        return tuple(map(as_tensors, index))
    return fastnn.tensor(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("index", ALL, ids=name_of)
def test_reading(index, layout):
    array = LAYOUTS[layout](RNG.standard_normal((4, 5, 6)))
    x = fastnn.from_numpy(array)
    expected = array[index]
    for form in (index, as_tensors(index)):
        y = x[form]
        np.testing.assert_array_equal(y.numpy(), expected)
        assert y.shape == expected.shape
    if any(index is view for view in VIEWS) and expected.size:
        assert np.shares_memory(y.numpy(), array)


@pytest.mark.parametrize("index", ALL, ids=name_of)
def test_gradient_of_reading(index):
    arrays = [RNG.standard_normal((4, 5, 6))]
    if arrays[0][index].size:
        assert directional_error(lambda x: x[index] * x[index], arrays) < 1e-7
        assert directional_error(lambda x: x.transpose(0, 2).transpose(0, 2)[index], arrays) < 1e-7


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("index", ARRAYS[:9] + VIEWS[:4], ids=name_of)
def test_every_dtype(index, dtype):
    array = (RNG.random((4, 5, 6)) * 3).astype(dtype)
    x = fastnn.tensor(array)
    np.testing.assert_array_equal(x[index].numpy(), array[index])
    value = (RNG.random(array[index].shape) * 3).astype(dtype)
    if index is not ARRAYS[5]:  # of equal places the last one stays: tested below
        array[index] = value
        x[index] = fastnn.tensor(value)
        np.testing.assert_array_equal(x.numpy(), array)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("index", ALL, ids=name_of)
def test_assignment(index, layout):
    for form in (index, as_tensors(index)):
        expected = LAYOUTS[layout](RNG.standard_normal((4, 5, 6)))
        x = fastnn.from_numpy(LAYOUTS[layout](expected))
        shape = expected[index].shape
        values = [RNG.standard_normal(shape), 2.5, RNG.standard_normal((1, *shape[1:]))]
        for value in values[: 3 if shape else 2]:
            expected[index] = value
            x[form] = value
            np.testing.assert_array_equal(x.numpy(), expected)
            x[form] = fastnn.tensor(value)
            np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("index", ALL, ids=name_of)
def test_gradient_of_assignment(index):
    def function(x, v):
        y = x * 1.5
        y[index] = v * 2
        return y * y

    array = RNG.standard_normal((4, 5, 6))
    shape = array[index].shape
    assert directional_error(function, [array, RNG.standard_normal(shape)]) < 1e-7
    assert directional_error(function, [array, np.asarray(0.7)]) < 1e-7
    assert directional_error(function, [array, RNG.standard_normal((1, 1, *shape))]) < 1e-7


def test_gradient_of_assignment_to_a_tensor_outside_the_graph():
    v = fastnn.tensor([1.0, 2.0], requires_grad=True)
    x = fastnn.zeros(4)
    x[1:3] = v
    x[[0, 3]] = v * 3
    x.backward(fastnn.tensor([1.0, 10.0, 100.0, 1000.0]))
    assert v.grad.tolist() == [10 + 3, 100 + 3000]


def test_assignment_converts_and_passes_the_gradient_on():
    v = fastnn.tensor([1.0, 2.0], dtype=fastnn.float64, requires_grad=True)
    x = fastnn.zeros(3)
    x[[2, 0]] = v
    assert x.tolist() == [2, 0, 1]
    x.backward(fastnn.tensor([1.0, 2.0, 3.0]))
    assert v.grad.dtype is fastnn.float64 and v.grad.tolist() == [3, 1]
    n = fastnn.zeros(3, dtype=fastnn.int64)
    n[0] = 2.7
    n[1:] = v
    assert n.tolist() == [2, 1, 2] and not n.requires_grad


def test_of_equal_places_the_last_one_stays_and_takes_the_gradient():
    v = fastnn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = fastnn.zeros(2)
    x[[0, 0, 1]] = v
    assert x.tolist() == [2, 3]
    x.backward(fastnn.tensor([5.0, 7.0]))
    assert v.grad.tolist() == [0, 5, 7]


def test_assignment_within_one_tensor():
    x = fastnn.arange(6)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3, 4]
    x[[5, 4, 3, 2, 1, 0]] = x
    assert x.tolist() == [4, 3, 2, 1, 0, 0]
    y = fastnn.arange(4.0) * 1
    y[2:] += 1
    y[[0]] *= 3
    assert y.tolist() == [0, 1, 3, 4]


def test_rules_of_assignment_in_the_graph():
    leaf = fastnn.zeros(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        leaf[0] = 1
    with fastnn.no_grad():
        leaf[0] = 1
    y = leaf * 2
    with pytest.raises(RuntimeError, match="view"):
        y[1:][0] = 1
    v = fastnn.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="view"):
        fastnn.zeros(3)[1:][0] = v[0]
    view = y[1:]
    y[0] = v[0]
    with pytest.raises(RuntimeError, match="taken before"):
        view * 2
    saved = (leaf * 2).exp()
    saved[0] = 1.0
    with pytest.raises(RuntimeError, match="changed in place"):
        saved.backward(fastnn.ones(3))
    array = np.zeros(3)
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        fastnn.from_numpy(array)[0] = 1


def test_an_integer_takes_its_dimension_away_first():
    x = fastnn.zeros(4, 5, 6)
    assert x[0, :, [1, 2]].shape == (5, 2)  # NumPy: (2, 5)
    assert x[[1, 2], 0, [0, 1]].shape == (2,)


def test_large_reads_and_sums_have_the_same_bits_on_any_number_of_threads():
    x = RNG.standard_normal((500, 64)).astype("f4")
    index = RNG.integers(0, 500, 20000)
    gradient = fastnn.from_numpy(RNG.standard_normal((20000, 64)).astype("f4"))
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            t = fastnn.tensor(x, requires_grad=True)
            y = t[index]
            assert (last_team() > 1) == (threads > 1)
            y.backward(gradient)
            assert (last_team() > 1) == (threads > 1)
            results.append((y.detach().numpy().tobytes(), t.grad.numpy().tobytes()))
    assert results[0] == results[1] == results[2]
    expected = np.zeros((500, 64))
    np.add.at(expected, index, gradient.numpy().astype("f8"))
    np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_large_writes_keep_the_last_of_equal_places():
    index = RNG.integers(0, 300, (1000,))
    value = RNG.standard_normal((1000, 40))
    expected = np.zeros((300, 40))
    for k, row in zip(index, value, strict=True):
        expected[k] = row
    for threads in (1, 3):
        with num_threads(threads):
            x = fastnn.zeros(300, 40, dtype=fastnn.float64)
            x[index] = value
            np.testing.assert_array_equal(x.numpy(), expected)
            x[x > 0] = 0
            np.testing.assert_array_equal(x.numpy(), np.minimum(expected, 0))


def test_by_name_in_place_and_along():
    x = fastnn.zeros(3, 2)
    assert x.index_add_(0, fastnn.tensor([1, 1]), fastnn.ones(2, 2)) is x
    assert x.tolist() == [[0, 0], [2, 2], [0, 0]]
    x.scatter_add_(0, fastnn.tensor([[2, 0]]), fastnn.ones(1, 2))
    assert x.tolist() == [[0, 1], [2, 2], [1, 0]]
    x.scatter_(1, fastnn.tensor([[0], [1]]), 9.0)
    assert x.tolist() == [[9, 1], [2, 9], [1, 0]]
    a = RNG.standard_normal((3, 4))
    order = np.argsort(a, 1)
    t = fastnn.from_numpy(a)
    np.testing.assert_array_equal(
        t.take_along_dim(fastnn.tensor(order), 1).numpy(), np.take_along_axis(a, order, 1)
    )
    np.testing.assert_array_equal(
        t.take_along_dim(fastnn.tensor([5, 1])).numpy(), a.ravel()[[5, 1]]
    )
    np.testing.assert_array_equal(t.take_along_dim(fastnn.tensor([[1]]), 0).numpy(), a[1:2])
    for found, expected in zip(t.nonzero(as_tuple=True), a.nonzero(), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x[4], IndexError, "index 4 is out of range for dimension 0 of size 4"),
        (lambda x: x[:, -6], IndexError, "index -6 is out of range for dimension 1 of size 5"),
        (lambda x: x[0, 0, 0, 0], IndexError, r"4 indices are too many for shape \(4, 5, 6\)"),
        (lambda x: x[..., ...], IndexError, "one ellipsis"),
        (lambda x: x[::-1], ValueError, "step of -1"),
        (lambda x: x[::0], ValueError, "step of 0"),
        (lambda x: x[1.0], (IndexError, TypeError), "float"),
        (lambda x: x[[0.5]], IndexError, "float32"),
        (lambda x: x["a"], TypeError, "U1"),
        (lambda x: x[[0, 4]], IndexError, "index 4 is out of range for dimension 0 of size 4"),
        (lambda x: x[:, :, [-7]], IndexError, "index -7 is out of range for dimension 2 of size 6"),
        (lambda x: x[[0, 1], [0, 1, 2]], IndexError, r"\(2,\), \(3,\) do not broadcast"),
        (lambda x: x[np.ones(3, bool)], IndexError, r"mask of shape \(3,\)"),
        (lambda x: x[np.ones((4, 6), bool)], IndexError, r"mask of shape \(4, 6\)"),
        (lambda x: x[np.ones((4, 5, 6, 1), bool)], IndexError, "too many"),
        (lambda x: x[(None,) * 6], IndexError, "8 dimensions"),
        (lambda x: x[np.zeros((1,) * 7, int)], IndexError, "8 dimensions"),
        (
            lambda x: x.__setitem__(0, fastnn.zeros(2)),
            ValueError,
            r"\(2,\) does not fit .*\(5, 6\)",
        ),
        (lambda x: x.__setitem__([0], [1, 2]), ValueError, r"\(2,\) does not fit .*\(1, 5, 6\)"),
        (lambda x: x.__setitem__(9, 1), IndexError, "index 9"),
        (lambda x: x.index_select(0, fastnn.tensor([[0]])), IndexError, "vector"),
        (lambda x: x.index_select(3, fastnn.tensor([0])), IndexError, "got 3"),
        (lambda x: x.gather(0, fastnn.tensor([0])), IndexError, "3 dimensions"),
        (lambda x: x.gather(0, fastnn.zeros(1, 9, 1, dtype=int)), IndexError, "beyond shape"),
        (
            lambda x: x.index_add(0, fastnn.tensor([0]), fastnn.zeros(2, 5, 6)),
            ValueError,
            r"\(2, 5, 6\)",
        ),
        (
            lambda x: x.scatter_add(0, fastnn.zeros(2, 1, 1, dtype=int), x[:1]),
            ValueError,
            "as large",
        ),
        (lambda x: x.masked_select(x), TypeError, "bool"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(fastnn.zeros(4, 5, 6))
