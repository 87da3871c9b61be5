"""What a tensor is: attributes, numbers out, the buffer protocol, text, copies, pickles."""

import copy
import math
import pickle

import numpy as np
import pytest

import fastnn
from fastnn._core.tensor import Tensor

DTYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]


def test_attributes():
    x = fastnn.zeros(2, 3, 4)
    assert x.shape == x.size() == (2, 3, 4) and x.size(-1) == 4
    assert x.stride() == (12, 4, 1) and x.stride(0) == 12
    assert x.ndim == x.dim() == 3 and x.numel() == x.nelement() == 24 and len(x) == 2
    assert x.dtype is fastnn.float32 and x.itemsize == x.element_size() == 4 and x.nbytes == 96
    assert str(x.device) == "cpu" and x.is_floating_point() and not x.long().is_floating_point()
    assert x[1, 1].storage_offset() == 16 and x[1].is_contiguous()
    with pytest.raises(IndexError, match="got 3"):
        x.size(3)
    with pytest.raises(TypeError, match="no dimensions"):
        len(fastnn.tensor(1))
    with pytest.raises(TypeError, match=r"fastnn\.tensor"):
        Tensor([1])


def test_dtypes():
    assert repr(fastnn.float32) == "fastnn.float32" and fastnn.float32.itemsize == 4
    assert fastnn.long is fastnn.int64 and fastnn.double is fastnn.float64
    assert fastnn.float64.is_floating_point and not fastnn.bool.is_floating_point
    assert pickle.loads(pickle.dumps(fastnn.int32)) is fastnn.int32
    assert copy.deepcopy(fastnn.int32) is fastnn.int32
    with pytest.raises(TypeError, match="'float16'"):
        fastnn.zeros(2, dtype="float16")


@pytest.mark.parametrize("value", [3, 2.5, True, 0, 255])
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_out(value, dtype):
    x = fastnn.tensor([[value]], dtype=getattr(fastnn, dtype))
    expected = np.array(value).astype(dtype).item()
    assert x.item() == expected and type(x.item()) is type(expected)
    assert float(x) == float(expected)
    assert int(x) == int(expected)
    assert bool(x) == bool(expected)
    assert x.tolist() == [[expected]] and x[0, 0].tolist() == expected
    if dtype.startswith("float"):
        with pytest.raises(TypeError, match="index"):
            range(3)[x]
    else:
        assert range(300)[x] == expected


def test_numbers_need_one_element():
    with pytest.raises(ValueError, match=r"\(2,\)"):
        fastnn.zeros(2).item()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(fastnn.zeros(2))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(fastnn.zeros(0))
    assert f"{fastnn.tensor(1.5):.3f}" == "1.500"


def test_iteration_hash_and_membership():
    x = fastnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert 3 in x and 5 not in x
    assert {x: 1}[x] == 1
    with pytest.raises(TypeError, match="iteration"):
        iter(fastnn.tensor(1))


def test_buffer_protocol():
    x = fastnn.tensor([[1, 2, 3], [4, 5, 6]], dtype=fastnn.int32)
    view = memoryview(x.t())
    assert view.shape == (3, 2) and view.strides == (4, 12) and view.format == "i"
    assert view.tolist() == [[1, 4], [2, 5], [3, 6]]
    memoryview(x)[0, 0] = 9
    assert x[0, 0].item() == 9
    assert bytes(x[0]) == np.array([9, 2, 3], "i4").tobytes()
    with pytest.raises(BufferError, match="requires grad"):
        memoryview(fastnn.ones(2, requires_grad=True))
    array = np.zeros(2)
    array.flags.writeable = False
    assert memoryview(fastnn.from_numpy(array)).readonly


def test_a_view_of_numpy_sees_every_write():
    x = fastnn.zeros(3)
    array = x.numpy()
    x[1] = 5
    array[2] = 7
    assert x.tolist() == [0, 5, 7] and array.tolist() == [0, 5, 7]
    y = x.data
    y[0] = 1
    assert x.tolist() == [1, 5, 7]
    x.data = fastnn.ones(2)
    assert x.tolist() == [1, 1] and x.shape == (2,)
    x.requires_grad_()
    with pytest.raises(TypeError, match="got int64"):
        x.data = fastnn.tensor([1])


def test_a_changed_weight_is_seen_by_the_next_product():
    w, x = fastnn.ones(70, 80), fastnn.ones(90, 70)
    assert (x @ w)[0, 0].item() == 70
    w.numpy()[...] = 2
    assert (x @ w)[0, 0].item() == 140
    w.copy_(fastnn.zeros(70, 80))
    assert (x @ w)[0, 0].item() == 0


def test_operators_with_python_numbers():
    x = fastnn.tensor([1.0, 2.0, 3.0])
    assert (x > 1.5).tolist() == [False, True, True]
    assert (x >= 2).tolist() == [False, True, True]
    assert (x < 2).tolist() == [True, False, False]
    assert (x == 2).tolist() == [False, True, False]
    assert (x != 2).tolist() == [True, False, True]
    assert (+x) is x and (2**x).tolist() == [2, 4, 8] and (x**2).tolist() == [1, 4, 9]
    assert (1 - x).tolist() == [0, -1, -2] and (6 / x).tolist() == [6, 3, 2]


# --- text -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (1.5, "tensor(1.5000)"),
        (7, "tensor(7)"),
        ([], "tensor([])"),
        ([1.0, 2.0], "tensor([1., 2.])"),
        ([1.5, -2.25], "tensor([ 1.5000, -2.2500])"),
        ([[1, 200], [3, 4]], "tensor([[  1, 200],\n        [  3,   4]])"),
        ([True, False], "tensor([ True, False])"),
        ([math.nan, 1.0, math.inf], "tensor([nan, 1., inf])"),
        ([1e-6, 1.0], "tensor([1.0000e-06, 1.0000e+00])"),
        (np.zeros((0, 3), "f4"), "tensor([], size=(0, 3))"),
        (np.arange(3.0), "tensor([0., 1., 2.], dtype=fastnn.float64)"),
        (np.arange(3, dtype="i4"), "tensor([0, 1, 2], dtype=fastnn.int32)"),
        (np.zeros((1, 1, 2), "f4"), "tensor([[[0., 0.]]])"),
        (np.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    ],
)
def test_text(data, text):
    assert repr(fastnn.tensor(data)) == text
    assert str(fastnn.tensor(data)) == text


def test_text_of_the_graph():
    x = fastnn.tensor([[1.0, 2.0]], requires_grad=True)
    assert repr(x) == "tensor([[1., 2.]], requires_grad=True)"
    assert repr(x * 2) == "tensor([[2., 4.]], grad_fn=<MulBackward>)"
    assert repr(x.log_softmax(1).detach()) == "tensor([[-1.3133, -0.3133]])"


def test_text_of_large_tensors_is_short():
    for shape in [(40, 50), (20, 20, 20), (1_000_000,), (1, 1100), (1100, 1), (3, 2, 400)]:
        text = repr(fastnn.zeros(shape))
        assert "..." in text and len(text) < 4000
    assert "..." not in repr(fastnn.zeros(10, 100))


# --- copies and pickles -----------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_copies_and_pickles(shape, dtype):
    x = fastnn.tensor(np.asarray(np.random.default_rng(0).random(shape) * 5).astype(dtype))
    x.requires_grad = dtype.startswith("float")
    for y in (copy.deepcopy(x), *[pickle.loads(pickle.dumps(x, p)) for p in (2, 4, 5)]):
        assert y.shape == x.shape and y.dtype is x.dtype and y.requires_grad == x.requires_grad
        np.testing.assert_array_equal(y.detach().numpy(), x.detach().numpy())
        assert not np.shares_memory(y.detach().numpy(), x.detach().numpy())
        assert y.is_leaf and y.data_ptr() % 64 == 0


def test_deepcopy_of_layouts_gradients_and_shared_tensors():
    x = fastnn.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=fastnn.channels_last)
    assert copy.deepcopy(x).stride() == x.stride()
    w = fastnn.ones(2, requires_grad=True)
    (w * 3).sum().backward()
    pair = copy.deepcopy([w, w])
    assert pair[0] is pair[1] is not w
    assert pair[0].grad.tolist() == [3, 3] and pair[0].grad is not w.grad
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(w * 2)
