"""Views: shared memory, the layouts that the engine chose, gradients through views, messages."""

import numpy as np
import pytest

import fastnn
from fastnn.ops.conv import conv2d
from fastnn.testing import directional_error

RNG = np.random.default_rng(3)


def numbers(*shape):
    return fastnn.from_numpy(RNG.standard_normal(shape))


def conv_result(requires_grad=False):
    """A result that the engine laid out channels-last."""
    x = fastnn.from_numpy(RNG.standard_normal((2, 3, 6, 5)).astype("f4")).requires_grad_(
        requires_grad
    )
    w = fastnn.from_numpy(RNG.standard_normal((4, 3, 3, 3)).astype("f4")).requires_grad_(
        requires_grad
    )
    y = conv2d(x, w)
    assert y.stride() != (48, 12, 3, 1)
    return x, w, y


VIEWS = {
    "view": lambda x: x.view(4, 6),
    "view -1": lambda x: x.view(-1),
    "view tuple": lambda x: x.view((2, 2, 6)),
    "view keyword": lambda x: x.view(shape=(24,)),
    "view_as": lambda x: x.view_as(fastnn.zeros(12, 2)),
    "reshape_as": lambda x: x.reshape_as(fastnn.zeros(12, 2)),
    "expand_as": lambda x: x[:, :1].expand_as(fastnn.zeros(5, 2, 3, 4)),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "chained": lambda x: x.transpose(0, 2).unsqueeze(1).squeeze(1)[1:].permute(2, 0, 1),
    "split": lambda x: x.split(2, 2)[1],
    "unbind": lambda x: x.unbind(1)[2],
    "flatten of a part": lambda x: x[1].flatten(),
    "diagonal": lambda x: x.diagonal(1, 1, 2),
}
AS_NUMPY = {
    "view": lambda a: a.reshape(4, 6),
    "view -1": lambda a: a.reshape(-1),
    "view tuple": lambda a: a.reshape(2, 2, 6),
    "view keyword": lambda a: a.reshape(24),
    "view_as": lambda a: a.reshape(12, 2),
    "reshape_as": lambda a: a.reshape(12, 2),
    "expand_as": lambda a: np.broadcast_to(a[:, :1], (5, 2, 3, 4)),
    "T": lambda a: a.T,
    "mT": lambda a: a.swapaxes(1, 2),
    "chained": lambda a: a.transpose(2, 1, 0)[1:].transpose(2, 0, 1),
    "split": lambda a: a[:, :, 2:],
    "unbind": lambda a: a[:, 2],
    "flatten of a part": lambda a: a[1].reshape(-1),
    "diagonal": lambda a: a.diagonal(1, 1, 2),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_pass_gradients(name):
    x, view, reference = numbers(2, 3, 4), VIEWS[name], AS_NUMPY[name]
    array = x.numpy()
    y = view(x)
    np.testing.assert_array_equal(y.numpy(), reference(array))
    assert np.shares_memory(y.numpy(), array)
    array[...] = RNG.standard_normal(array.shape)
    np.testing.assert_array_equal(y.numpy(), reference(array))
    assert directional_error(view, [array.copy()]) < 1e-9


def test_every_reshape_of_every_layout():
    """Against NumPy, over many shapes and memory orders: values, and shared memory or not."""
    rng = np.random.default_rng(0)
    shapes = [
        (24,),
        (2, 12),
        (4, 6),
        (2, 3, 4),
        (1, 24, 1),
        (3, 1, 8),
        (2, 2, 6),
        (2, 1, 2, 6, 1),
        (8, 3),
    ]
    for shape in shapes:
        for _ in range(6):
            order = rng.permutation(len(shape))
            step = rng.integers(1, 3)
            base = rng.standard_normal([shape[k] * step for k in np.argsort(order)])
            array = base[tuple(slice(None, None, step) for _ in shape)].transpose(order)
            assert array.shape == shape
            x = fastnn.from_numpy(array)
            for target in shapes:
                y = x.reshape(target)
                np.testing.assert_array_equal(y.numpy(), array.reshape(target))
                shared = np.shares_memory(array.reshape(target), array)
                assert np.shares_memory(y.numpy(), array) == shared
                if shared:
                    assert x.view(target).data_ptr() == x.data_ptr()
                else:
                    with pytest.raises(ValueError, match="strides"):
                        x.view(target)


def test_a_layout_of_the_engine_is_not_the_users_problem():
    _, _, y = conv_result()
    expected = np.ascontiguousarray(y.numpy())
    assert y.is_contiguous()
    for name in ("view", "reshape"):
        np.testing.assert_array_equal(
            getattr(y, name)(y.size(0), -1).numpy(), expected.reshape(2, -1)
        )
    np.testing.assert_array_equal(y.flatten(1).numpy(), expected.reshape(2, -1))
    np.testing.assert_array_equal(y.flatten(2).numpy(), expected.reshape(2, 4, 12))
    np.testing.assert_array_equal(y.view(2, 2, 2, 4, 3).numpy(), expected.reshape(2, 2, 2, 4, 3))
    np.testing.assert_array_equal(y[0].view(-1).numpy(), expected[0].reshape(-1))
    np.testing.assert_array_equal((y + 1).view(-1).numpy(), expected.reshape(-1) + 1)
    np.testing.assert_array_equal(y.clone().view(-1).numpy(), expected.reshape(-1))
    np.testing.assert_array_equal(
        y.transpose(1, 2).transpose(1, 2).view(-1).numpy(), expected.reshape(-1)
    )
    flat = y.view(2, -1)
    assert flat.is_contiguous() and not flat.t().is_contiguous()
    assert y.contiguous().stride() == (48, 12, 3, 1)
    assert not y.permute(0, 2, 3, 1).is_contiguous()


def test_a_layout_of_the_user_raises():
    x = numbers(2, 3, 4, 5).contiguous(memory_format=fastnn.channels_last)
    assert not x.is_contiguous() and x.is_contiguous(memory_format=fastnn.channels_last)
    with pytest.raises(ValueError, match=r"shape \(2, 3, 4, 5\) and strides \(60, 1, 15, 3\)"):
        x.view(2, -1)
    with pytest.raises(ValueError, match="strides"):
        numbers(3, 4).t().view(-1)


def test_gradients_through_view_after_a_convolution():
    x, w, y = conv_result(requires_grad=True)
    weights = fastnn.from_numpy(RNG.standard_normal((2, 48)).astype("f4"))
    (y.view(y.size(0), -1) * weights).backward(fastnn.ones(2, 48))
    x2, w2 = (fastnn.tensor(a.detach()).requires_grad_() for a in (x, w))
    conv2d(x2, w2).backward(weights.view(2, 4, 4, 3))
    np.testing.assert_array_equal(x.grad.numpy(), x2.grad.numpy())
    np.testing.assert_array_equal(w.grad.numpy(), w2.grad.numpy())


def test_gradient_of_many_parts():
    for function in (
        lambda x: x.split([1, 2, 0, 2], 0)[1] * x.split(6, 1)[0][1:3],
        lambda x: sum(part * k for k, part in enumerate(x.unbind(1))),
        lambda x: [part * 2 for part in x.chunk(3, 1)],
        lambda x: x.unbind(0)[3] * x.unbind(0)[0],
        lambda x: [row * row for row in x],
        lambda x: x.expand(3, 5, 6) * x.diagonal()[:1],
    ):
        assert directional_error(function, [RNG.standard_normal((5, 6))]) < 1e-7


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: x.view(5, -1),
            ValueError,
            r"\(2, 3, 4\) of 24 elements cannot become \(5, -1\)",
        ),
        (lambda x: x.reshape(-1, -1), ValueError, "only one size can be -1"),
        (lambda x: x.reshape(2, -3), ValueError, "negative dimension -3"),
        (lambda x: fastnn.zeros(0, 2).reshape(0, -1), ValueError, "ambiguous"),
        (lambda x: x.view(2.0, 12), (TypeError, AttributeError), "float"),
        (lambda x: x.reshape(2, 12, shape=(24,)), TypeError, "twice"),
        (lambda x: x.permute(0, 1), ValueError, "needs 3 dimensions"),
        (lambda x: x.permute(0, 0, 1), ValueError, "twice"),
        (lambda x: x.permute(0, 1, 3), IndexError, "got 3"),
        (lambda x: x.transpose(0, 3), IndexError, "got 3"),
        (lambda x: x.t(), ValueError, r"\(2, 3, 4\)"),
        (lambda x: fastnn.zeros(2).mT, ValueError, "at least 2"),
        (lambda x: x.flatten(2, 1), ValueError, "after"),
        (lambda x: x.unflatten(2, (3, 2)), ValueError, r"\(3, 2\)"),
        (lambda x: x.squeeze(3), IndexError, "got 3"),
        (lambda x: x.unsqueeze(4), IndexError, "got 4"),
        (lambda x: fastnn.zeros((1,) * 8).unsqueeze(0), ValueError, "8 dimensions"),
        (lambda x: x.expand(3, 4), ValueError, "shorter"),
        (lambda x: x.expand(5, 3, 4), ValueError, "does not expand"),
        (lambda x: x.narrow(0, 1, 2), IndexError, "beyond"),
        (lambda x: x.select(0, 2), IndexError, "index 2 is out of range"),
        (lambda x: x.movedim((0, 0), (1, 2)), ValueError, "place of its own"),
        (lambda x: x.diagonal(0, 1, 1), ValueError, "two dimensions"),
        (lambda x: fastnn.reshape([1], (1,)), TypeError, "list"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(numbers(2, 3, 4))
