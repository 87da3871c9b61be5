"""Copies, casts and writes in place: layouts, gradients, rules, messages."""

import numpy as np
import pytest

import fastnn
from fastnn.testing import directional_error

RNG = np.random.default_rng(7)
CASTS = {"float": "f4", "double": "f8", "long": "i8", "int": "i4", "byte": "u1", "bool": "?"}


@pytest.mark.parametrize("source", ["?", "u1", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("method", CASTS)
def test_casts(method, source):
    array = np.array([[0, 1, 2], [3, 100, 7]]).astype(source)
    for a in (array, array.T, array[:, ::2]):
        y = getattr(fastnn.from_numpy(a), method)()
        np.testing.assert_array_equal(y.numpy(), a.astype(CASTS[method]))
        assert y.dtype.name == np.dtype(CASTS[method]).name


def test_casts_return_the_tensor_itself_where_nothing_changes():
    x = fastnn.ones(2)
    for y in (
        x.float(),
        x.to("cpu"),
        x.to(fastnn.float32),
        x.to(x),
        x.cpu(),
        x.type_as(x),
        x.to(None),
    ):
        assert y is x
    assert x.to(fastnn.float32, copy=True) is not x
    assert x.to("cpu", fastnn.float64).dtype is fastnn.float64
    assert x.to(dtype=int).dtype is fastnn.int64
    assert x.type_as(fastnn.tensor(1)).dtype is fastnn.int64
    with pytest.raises(ValueError, match="cuda"):
        x.to("cuda")
    with pytest.raises(TypeError, match="dtype"):
        x.to(dtype="float32")


def test_casts_between_floats_pass_gradients():
    x = fastnn.ones(3, requires_grad=True)
    x.double().float().double().backward(fastnn.tensor([1.0, 2.0, 3.0], dtype=fastnn.float64))
    assert x.grad.dtype is fastnn.float32 and x.grad.tolist() == [1, 2, 3]
    assert not x.long().requires_grad and not x.bool().requires_grad


def test_clone_and_contiguous_keep_or_change_the_memory_order():
    x = fastnn.from_numpy(RNG.standard_normal((2, 3, 4, 5)))
    last = x.contiguous(memory_format=fastnn.channels_last)
    assert last.stride() == (60, 1, 15, 3) and last.clone().stride() == (60, 1, 15, 3)
    assert x.to(memory_format=fastnn.channels_last).stride() == (60, 1, 15, 3)
    assert last.clone(memory_format=fastnn.contiguous_format).stride() == (60, 20, 5, 1)
    assert last.contiguous().stride() == (60, 20, 5, 1)
    assert x.contiguous() is x and last.contiguous(memory_format=fastnn.channels_last) is last
    np.testing.assert_array_equal(last.numpy(), x.numpy())
    volume = fastnn.zeros(2, 3, 4, 5, 6).to(memory_format=fastnn.channels_last_3d)
    assert volume.stride() == (360, 1, 90, 18, 3) and not volume.is_contiguous()
    assert volume.is_contiguous(memory_format=fastnn.channels_last_3d)
    assert not volume.is_contiguous(memory_format=fastnn.channels_last)
    with pytest.raises(ValueError, match="channels_last_3d needs 5 dimensions"):
        x.contiguous(memory_format=fastnn.channels_last_3d)
    with pytest.raises(ValueError, match="4 dimensions"):
        fastnn.ones(2).contiguous(memory_format=fastnn.channels_last)
    with pytest.raises(ValueError, match="'rows'"):
        x.clone(memory_format="rows")
    y = x.clone()
    y.zero_()
    assert x.numpy().any()


def test_large_copies_of_any_layout():
    a = RNG.standard_normal((70, 33, 90)).astype("f4")
    for order in [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)]:
        x = fastnn.from_numpy(a.transpose(order))
        y = x.contiguous()
        np.testing.assert_array_equal(y.numpy(), a.transpose(order))
        assert y.numpy().flags.c_contiguous


def test_copy_broadcasts_converts_and_passes_gradients():
    x = fastnn.zeros(2, 3)
    assert x.copy_(fastnn.tensor([1, 2, 3])) is x
    assert x.tolist() == [[1, 2, 3]] * 2

    def function(a, b):
        y = a * 2
        y.copy_(b)
        return y * y

    arrays = [RNG.standard_normal((2, 3)), RNG.standard_normal(3)]
    assert directional_error(function, arrays) < 1e-8
    a, b = (fastnn.tensor(v, requires_grad=True) for v in arrays)
    function(a, b).backward(fastnn.ones(2, 3, dtype=fastnn.float64))
    assert not a.grad.numpy().any()
    with pytest.raises(ValueError, match="does not expand"):
        x.copy_(fastnn.zeros(2))


def test_copy_within_one_tensor():
    x = fastnn.arange(6)
    x[1:].copy_(x[:-1])
    assert x.tolist() == [0, 0, 1, 2, 3, 4]


def test_fill_and_zero_cut_the_gradient():
    a = fastnn.ones(3, requires_grad=True)
    for write in (lambda y: y.fill_(5), lambda y: y.zero_(), lambda y: y.fill_(fastnn.tensor(2.0))):
        a.grad = None
        y = a * 3
        z = y + 1
        write(y)
        (y + z).backward(fastnn.ones(3))
        assert a.grad.tolist() == [3, 3, 3]
    v = fastnn.tensor(2.0, requires_grad=True)
    fastnn.zeros(3).fill_(v).backward(fastnn.ones(3))
    assert v.grad.item() == 3
    with pytest.raises(ValueError, match="one value"):
        fastnn.zeros(3).fill_(fastnn.zeros(3))


@pytest.mark.parametrize("write", ["zero_", "fill_", "copy_"])
def test_rules_of_writing_in_place(write):
    args = {"zero_": (), "fill_": (1,), "copy_": (fastnn.ones(3),)}[write]
    leaf = fastnn.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        getattr(leaf, write)(*args)
    with fastnn.no_grad():
        getattr(leaf, write)(*args)
    result = leaf * 2
    with pytest.raises(RuntimeError, match="view"):
        getattr(result[1:], write)(
            *[a if not isinstance(a, fastnn.Tensor) else a[1:] for a in args]
        )
    saved = leaf.detach().requires_grad_().exp()
    getattr(saved, write)(*args)
    before = saved._version
    assert before == 1
    array = np.zeros(3, "f4")
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        getattr(fastnn.from_numpy(array), write)(*args)
    with pytest.raises(ValueError, match="expanded"):
        getattr(fastnn.zeros(1).expand(3), write)(*args)


def test_saved_tensors_notice_a_write():
    x = fastnn.ones(3, requires_grad=True)
    y = x.exp()
    z = y * 2
    y.zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        z.backward(fastnn.ones(3))


def test_detach_in_place():
    x = fastnn.ones(3, requires_grad=True)
    y = x * 2
    assert y.detach_() is y and not y.requires_grad and y.is_leaf
    with pytest.raises(RuntimeError, match="view"):
        (x * 2)[1:].detach_()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.repeat(2), ValueError, r"shape \(2, 3\)"),
        (lambda x: x.repeat(2, -1), ValueError, "at least 0"),
        (lambda x: x.flip(2), IndexError, "got 2"),
        (lambda x: x[0].tril(), ValueError, "at least 2 dimensions"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(fastnn.ones(2, 3))
