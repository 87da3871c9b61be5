"""What the generic tests do not reach: strides, stacks, which gradients are computed, messages."""

import numpy as np
import pytest

import fastnn
from fastnn._core.interop import from_numpy
from fastnn._kernels.gemm import last_path
from fastnn.nn.functional import linear
from fastnn.testing import directional_error, last_team, num_threads
from tests.references.matmul import linear as linear_reference
from tests.references.matmul import matmul as reference


def layouts(array):
    """The same values, contiguous, transposed in memory, with gaps, and within a larger array."""
    yield array
    if array.ndim < 2:
        return
    yield np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
    yield np.repeat(array, 2, axis=-1)[..., ::2]
    wide = np.zeros((*array.shape[:-1], array.shape[-1] + 3))
    wide[..., 2:-1] = array
    yield wide[..., 2:-1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((5, 7), (7, 3)),
        ((70, 65), (65, 80)),
        ((3, 130), (130, 40)),
        ((7,), (7, 40)),
        ((40, 7), (7,)),
        ((2, 3, 5, 7), (3, 7, 4)),
        ((6, 5, 7), (7, 4)),
    ],
)
def test_operands_are_multiplied_as_they_lie(first, second):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(first), rng.standard_normal(second)
    expected = reference(x, w)
    for a in layouts(x):
        for b in layouts(w):
            y = from_numpy(a) @ from_numpy(b)
            np.testing.assert_allclose(y.numpy(), expected, atol=1e-11)


def test_batches_permuted_and_expanded():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 3, 2, 5))
    w = rng.standard_normal((1, 3, 5, 6))
    heads = from_numpy(x).permute(1, 2, 0, 3)
    y = heads @ from_numpy(w).expand(3, 3, 5, 6)[:, :1]
    expected = reference(x.transpose(1, 2, 0, 3), np.broadcast_to(w, (3, 3, 5, 6))[:, :1])
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 3)),
        ((2, 1, 3, 4), (5, 4, 2)),
    ],
)
def test_gradients_of_transposed_operands(first, second, strided):
    rng = np.random.default_rng(2)

    def function(x, w):
        if strided and x.ndim > 1:
            x = x.transpose(-1, -2).contiguous().transpose(-1, -2)
        if strided and w.ndim > 1:
            w = w.transpose(-1, -2).contiguous().transpose(-1, -2)
        return fastnn.matmul(x, w)

    arrays = [rng.standard_normal(first), rng.standard_normal(second)]
    assert directional_error(function, arrays) < 1e-7


def test_an_expanded_gradient_comes_back_right():
    rng = np.random.default_rng(3)
    x, w, b = rng.standard_normal((6, 5)), rng.standard_normal((4, 5)), rng.standard_normal(4)
    tensors = [from_numpy(v.copy()).requires_grad_() for v in (x, w, b)]
    linear(*tensors).sum().backward()
    ones = np.ones((6, 4))
    for tensor, expected in zip(tensors, (ones @ w, ones.T @ x, ones.sum(0)), strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("needed", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)])
def test_only_the_gradients_that_are_needed(needed):
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal(s) for s in ((2, 6, 5), (4, 5), (4,))]
    tensors = [from_numpy(a) for a in arrays]
    for tensor, wanted in zip(tensors, needed, strict=True):
        tensor.requires_grad_(bool(wanted))
    linear(*tensors).backward(fastnn.ones(2, 6, 4, dtype=fastnn.float64))
    for tensor, wanted in zip(tensors, needed, strict=True):
        assert (tensor.grad is not None) == bool(wanted)


def test_linear_of_a_permuted_input():
    rng = np.random.default_rng(5)
    x, w, b = rng.standard_normal((3, 8, 4)), rng.standard_normal((6, 8)), rng.standard_normal(6)

    def function(x, w, b):
        return linear(x.permute(0, 2, 1), w, b)

    y = function(from_numpy(x), from_numpy(w), from_numpy(b))
    np.testing.assert_allclose(y.numpy(), linear_reference(x.transpose(0, 2, 1), w, b), atol=1e-12)
    assert directional_error(function, [x, w, b]) < 1e-7


@pytest.mark.parametrize(
    ("rows", "inner", "outer", "path"),
    [
        (64, 784, 128, "packed"),
        (8, 784, 128, "dot"),
        (1, 784, 2000, "dot"),
        (300, 400, 500, "packed"),
    ],
)
def test_a_large_linear_has_the_same_bits_on_any_number_of_threads(rows, inner, outer, path):
    rng = np.random.default_rng(6)
    x, w, b = (
        rng.standard_normal(s).astype(np.float32) for s in ((rows, inner), (outer, inner), (outer,))
    )
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            tensors = [from_numpy(v).requires_grad_() for v in (x, w, b)]
            y = linear(*tensors)
            assert (last_team(), last_path()) == (threads, path)
            y.backward(y.detach())
        results.append([y.detach().numpy().tobytes()] + [t.grad.numpy().tobytes() for t in tensors])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("M", "N", "K", "path"),
    [
        (64, 80, 20, "direct"),
        (300, 500, 400, "packed"),
        (1, 300, 40, "columns"),
        (20, 30, 4000, "split"),
    ],
)
def test_a_product_is_added_on_every_path(M, N, K, path):
    rng = np.random.default_rng(7)
    c, a, b = (rng.standard_normal(s) for s in ((M, N), (M, K), (K, N)))
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            y = fastnn.addmm(*[from_numpy(v) for v in (c, a, b)])
            assert last_path() == path
            results.append(y.numpy().tobytes())
    np.testing.assert_allclose(y.numpy(), c + a @ b, atol=1e-11)
    assert results[0] == results[1] == results[2]


def test_an_addend_of_weight_zero_is_not_read():
    nan = fastnn.full((2, 2), float("nan"))
    y = fastnn.addmm(nan, ones(2, 3), ones(3, 2), beta=0)
    assert y.tolist() == [[3, 3], [3, 3]]


def test_an_addend_stays_as_it_was():
    c = ones(2, 2)
    fastnn.addmm(c, ones(2, 3), ones(3, 2))
    assert c.tolist() == [[1, 1], [1, 1]]


def ones(*shape, dtype=fastnn.float32):
    return fastnn.ones(*shape, dtype=dtype)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ones(2, 3) @ ones(4, 5), ValueError, r"\(2, 3\) and \(4, 5\)"),
        (lambda: ones(2, 3, 4) @ ones(3, 4, 5), ValueError, r"\(2, 3, 4\) and \(3, 4, 5\)"),
        (lambda: ones(2, 3) @ fastnn.tensor(1.0), ValueError, r"\(2, 3\) and \(\)"),
        (lambda: ones(2, 3) @ ones(3, 2, dtype=fastnn.float64), TypeError, "float32 and float64"),
        (lambda: ones(2, 3, dtype=fastnn.int64) @ ones(3, 2), TypeError, "int64"),
        (lambda: ones(2, 3) @ 2, TypeError, "int"),
        (lambda: fastnn.mm(ones(2, 3, 4), ones(4, 5)), ValueError, r"input.*\(2, 3, 4\)"),
        (lambda: fastnn.bmm(ones(2, 3, 4), ones(3, 4, 5)), ValueError, "batch sizes"),
        (lambda: fastnn.mv(ones(2, 3), ones(3, 1)), ValueError, r"vec.*\(3, 1\)"),
        (lambda: fastnn.dot(ones(2), ones(3)), ValueError, r"\(2,\) and \(3,\)"),
        (lambda: fastnn.addmm(ones(3), ones(2, 3), ones(4, 5)), ValueError, r"\(2, 3\).*\(4, 5\)"),
        (lambda: fastnn.addmm(ones(3), ones(2, 3), ones(3, 5)), ValueError, r"\(3,\).*\(2, 5\)"),
        (lambda: fastnn.addmm(ones(1, 2, 5), ones(2, 3), ones(3, 5)), ValueError, r"\(1, 2, 5\)"),
        (lambda: fastnn.addmv(ones(2), ones(3, 2), ones(2)), ValueError, r"\(2,\).*\(3,\)"),
        (
            lambda: fastnn.addmm(ones(5, dtype=fastnn.float64), ones(2, 3), ones(3, 5)),
            TypeError,
            "float64",
        ),
        (lambda: fastnn.baddbmm(ones(1), ones(2, 3, 4), ones(3, 4, 5)), ValueError, "batch sizes"),
        (lambda: fastnn.outer(ones(2, 3), ones(3)), ValueError, r"\(2, 3\)"),
        (lambda: linear(ones(2, 3), ones(4, 5)), ValueError, r"\(2, 3\).*\(4, 5\)"),
        (lambda: linear(ones(2, 3), ones(3)), ValueError, r"\(3,\)"),
        (lambda: linear(ones(2, 3), ones(4, 3), ones(5)), ValueError, r"\(5,\).*\(4, 3\)"),
        (lambda: linear(ones(2, 3), ones(4, 3), ones(4, dtype=fastnn.float64)), TypeError, "bias"),
    ],
)
def test_errors_name_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()
