"""Making tensors: dtypes, copies, shapes, fills and the messages of what is refused."""

import numpy as np
import pytest

import fastnn


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, "int64"),
        (1.5, "float32"),
        (True, "bool"),
        ([], "float32"),
        ([[]], "float32"),
        ([1, 2], "int64"),
        ([1, 2.5], "float32"),
        ([True, False], "bool"),
        ([[1.0], [2.0]], "float32"),
        (((1, 2), (3, 4)), "int64"),
        (np.float64(1), "float64"),
        (np.float32(1), "float32"),
        (np.int32(1), "int32"),
        (np.zeros(2), "float64"),
        (np.zeros(2, "i1"), "int64"),
        (np.zeros(2, "u4"), "int64"),
        (np.zeros(2, "u1"), "uint8"),
        (np.zeros(2, "f2"), "float32"),
        (np.zeros(2, ">f4"), "float32"),
        ([np.zeros(2), np.ones(2)], "float64"),
        (np.zeros((0, 3), "f4"), "float32"),
    ],
)
def test_tensor_dtype_and_values(data, dtype):
    x = fastnn.tensor(data)
    assert x.dtype.name == dtype
    assert x.shape == np.array(data).shape
    np.testing.assert_array_equal(x.numpy(), np.array(data))


@pytest.mark.parametrize("to", ["bool", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("data", [3, 2.0, [0, 1, 5], [[0.0, 1.5]], np.arange(3)])
def test_tensor_with_dtype(data, to):
    x = fastnn.tensor(data, dtype=getattr(fastnn, to))
    assert x.dtype is getattr(fastnn, to)
    np.testing.assert_array_equal(x.numpy(), np.array(data).astype(to))


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1],
        lambda a: a[:, ::-2],
        lambda a: a.T,
        lambda a: a[1:3, 2:],
        lambda a: a.astype(">f8"),
        lambda a: np.broadcast_to(a[:1], (5, 6)),
    ],
)
def test_tensor_copies_any_array(view):
    array = view(np.random.default_rng(0).standard_normal((4, 6)))
    before = array.copy()
    x = fastnn.tensor(array)
    np.testing.assert_array_equal(x.numpy(), array)
    x.numpy()[...] = 7
    np.testing.assert_array_equal(array, before)


def test_tensor_of_a_field_with_odd_strides():
    records = np.zeros(4, dtype=[("a", "i1"), ("b", "f4")])
    records["b"] = [1, 2, 3, 4]
    assert fastnn.tensor(records["b"]).tolist() == [1, 2, 3, 4]


def test_tensor_copies_tensors_and_lists_of_them():
    x = fastnn.tensor([1.0, 2.0], requires_grad=True)
    y = fastnn.tensor(x)
    assert not y.requires_grad and y.is_leaf and y.data_ptr() != x.data_ptr()
    z = fastnn.tensor([x, y])
    assert z.shape == (2, 2) and z.dtype is fastnn.float32
    assert fastnn.tensor([fastnn.tensor(1.0, dtype=fastnn.float64)]).dtype is fastnn.float64


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([[1], [1, 2]], ValueError, "unequal"),
        ("text", TypeError, "<U4"),
        ([1j], TypeError, "complex"),
        ([None], TypeError, "object"),
        ([2**70], ValueError, "int64"),
        ([2**63], ValueError, "int64"),
        (np.zeros((1,) * 9), ValueError, "8 dimensions"),
    ],
)
def test_tensor_refuses(data, error, message):
    with pytest.raises(error, match=message):
        fastnn.tensor(data)


def test_only_floats_require_grad_and_the_device_is_the_cpu():
    with pytest.raises(TypeError, match="int64"):
        fastnn.tensor([1], requires_grad=True)
    assert fastnn.zeros(2, device="cpu", requires_grad=True).requires_grad
    with pytest.raises(ValueError, match="cuda"):
        fastnn.zeros(2, device="cuda")


def test_as_tensor_shares_where_it_can():
    array = np.zeros(3, "f4")
    x = fastnn.as_tensor(array)
    array[1] = 5
    assert x.tolist() == [0, 5, 0]
    assert fastnn.as_tensor(x) is x
    assert fastnn.as_tensor(array[::-1]).tolist() == [0, 5, 0]
    assert fastnn.as_tensor([1, 2], dtype=fastnn.float64).dtype is fastnn.float64


def test_from_numpy_shares_both_ways_and_refuses_what_it_cannot():
    array = np.arange(6.0).reshape(2, 3)
    x = fastnn.from_numpy(array)
    x.numpy()[0, 0] = 9
    assert array[0, 0] == 9 and x.stride() == (3, 1)
    assert fastnn.from_numpy(array[:, ::2]).stride() == (3, 2)
    with pytest.raises(ValueError, match="negative strides"):
        fastnn.from_numpy(array[::-1])
    with pytest.raises(ValueError, match="byte order"):
        fastnn.from_numpy(array.astype(">f8"))
    with pytest.raises(TypeError, match="complex128"):
        fastnn.from_numpy(array.astype(complex))
    with pytest.raises(TypeError, match="list"):
        fastnn.from_numpy([1])
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        fastnn.from_numpy(array).numpy()[0] = 1


@pytest.mark.parametrize("size", [(), (3,), (2, 3), (0,), (2, 0, 3), ((2, 3),), ([4],), ((),)])
def test_filled(size):
    shape = tuple(size[0]) if size and not isinstance(size[0], int) else size
    for name, value in [("zeros", 0), ("ones", 1)]:
        x = getattr(fastnn, name)(*size)
        assert x.dtype is fastnn.float32 and x.shape == shape
        assert (x.numpy() == value).all()
    assert fastnn.empty(*size, dtype=fastnn.int32).shape == shape
    assert fastnn.full(shape, 2.5).numpy().shape == shape


@pytest.mark.parametrize("name", ["bool", "uint8", "int32", "int64", "float32", "float64"])
def test_full_of_every_dtype(name):
    for n in (1, 5, 17, 1000, 70000):
        x = fastnn.full((n,), 3, dtype=getattr(fastnn, name))
        assert (x.numpy() == np.array(3).astype(name)).all()


def test_full_infers_its_dtype():
    assert fastnn.full((2,), 1).dtype is fastnn.int64
    assert fastnn.full((2,), 1.0).dtype is fastnn.float32
    assert fastnn.full((2,), True).dtype is fastnn.bool
    assert np.isnan(fastnn.full((2,), float("nan")).numpy()).all()
    assert np.signbit(fastnn.full((2,), -0.0).numpy()).all()


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        ((-1,), ValueError, "negative dimension -1"),
        ((1 << 30, 1 << 30), ValueError, "too many"),
        ((1,) * 9, ValueError, "8 dimensions"),
        ((2.0,), TypeError, "float"),
    ],
)
def test_sizes_refused(size, error, message):
    with pytest.raises(error, match=message):
        fastnn.zeros(*size)


@pytest.mark.parametrize(
    "args",
    [(5,), (2, 7), (2, 10, 3), (10, 2, -3), (0,), (3, 3), (0, 1, 0.1), (1.5,), (1, -1, -0.5)],
)
def test_arange(args):
    x = fastnn.arange(*args)
    expected = np.arange(*args)
    assert x.dtype is (fastnn.int64 if expected.dtype.kind == "i" else fastnn.float32)
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-6, atol=1e-7)
    assert fastnn.arange(*args, dtype=fastnn.float64).numpy().shape == expected.shape


@pytest.mark.parametrize(
    "args", [(1, 5, -1), (5, 1), (0, 5, 0), (0, float("inf")), (float("nan"),)]
)
def test_arange_refuses(args):
    with pytest.raises(ValueError):
        fastnn.arange(*args)


@pytest.mark.parametrize("args", [(0, 1, 5), (3, -3, 7), (2, 5, 1), (2, 5, 0), (0.1, 0.2, 100)])
def test_linspace(args):
    x = fastnn.linspace(*args, dtype=fastnn.float64).numpy()
    np.testing.assert_allclose(x, np.linspace(*args), rtol=1e-15)
    if args[2] > 1:
        assert x[0] == args[0] and x[-1] == args[1]


@pytest.mark.parametrize("args", [(3,), (3, 5), (5, 3), (0,), (1, 4)])
def test_eye(args):
    np.testing.assert_array_equal(fastnn.eye(*args).numpy(), np.eye(*args))
    assert fastnn.eye(*args, dtype=fastnn.int64).dtype is fastnn.int64


def test_like():
    base = fastnn.from_numpy(np.arange(24.0, dtype="f4").reshape(2, 3, 4).transpose(2, 0, 1))
    for x in (base, fastnn.tensor([[1, 2]]), fastnn.tensor(2.0), fastnn.zeros(0, 3)):
        assert (fastnn.zeros_like(x).numpy() == 0).all()
        assert (fastnn.ones_like(x).numpy() == 1).all()
        assert (fastnn.full_like(x, 4).numpy() == 4).all()
        for y in (fastnn.zeros_like(x), fastnn.ones_like(x), fastnn.empty_like(x)):
            assert y.shape == x.shape and y.dtype is x.dtype and y.stride() == x.stride()
    assert fastnn.zeros_like(base, dtype=fastnn.int32).dtype is fastnn.int32
    with pytest.raises(TypeError, match="list"):
        fastnn.zeros_like([1])


def test_numpy_and_array_protocols():
    x = fastnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    x.numpy()[0, 1] = 9
    assert np.asarray(x)[0, 1] == 9
    assert np.shares_memory(np.asarray(x), x.numpy())
    assert not np.shares_memory(np.array(x), x.numpy())
    assert np.asarray(x, dtype="f8").dtype == np.float64
    assert memoryview(x).shape == (2, 2)
    x.requires_grad_()
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()


def test_new_tensors_of_the_same_dtype():
    x = fastnn.tensor([1, 2])
    for y in (x.new_zeros(2, 3), x.new_ones((2, 3)), x.new_empty(2, 3), x.new_full((2, 3), 4)):
        assert y.dtype is fastnn.int64 and y.shape == (2, 3)
    assert x.new_full((), 4).item() == 4 and x.new_zeros(1, dtype=fastnn.float32).item() == 0
    assert fastnn.empty_like(x).shape == fastnn.zeros_like(x).shape == (2,)
