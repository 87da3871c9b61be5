"""The LSTM against backpropagation through time in NumPy, and what its path, threads,
layouts and graph must do."""

import itertools

import numpy as np
import pytest

import fastnn
from fastnn._core.interop import from_numpy
from fastnn.ops.pointwise import add, mul
from fastnn.ops.reduce import sum as sum_all
from fastnn.ops.rnn import lstm
from fastnn.testing import directional_error, last_team, levels, num_threads, using_isa
from tests.references.rnn import lstm_steps

NAMES = ("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh")


def arrays(T, N, I, D, seed=0):
    """The arguments in float64, weights distributed as in nn.LSTM."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, s) / D**0.5 for s in ((4 * D, I), (4 * D, D), 4 * D, 4 * D)]
    return [rng.normal(size=(T, N, I)), rng.normal(size=(N, D)), rng.normal(size=(N, D)), *weights]


def leaves(values, dtype=np.float64):
    return [from_numpy(v.astype(dtype)).requires_grad_() for v in values]


def gradients(values, dy, dh, dc):
    """Backpropagation through time: the gradients of x, h0, c0, w_ih, w_hh, b_ih, b_hh."""
    w_ih, w_hh = values[3], values[4]
    dw_ih, dw_hh, db = np.zeros_like(w_ih), np.zeros_like(w_hh), np.zeros(len(w_ih))
    dx = []
    for step, dy_t in zip(reversed(lstm_steps(*values)), dy[::-1], strict=True):
        x, h_prev, c_prev, c, i, f, g, o, _ = step
        dh = dh + dy_t
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        da = np.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c_prev * f * (1 - f),
                dc * i * (1 - g**2),
                dh * np.tanh(c) * o * (1 - o),
            ],
            axis=1,
        )
        dx.append(da @ w_ih)
        dw_ih += da.T @ x
        dw_hh += da.T @ h_prev
        db += da.sum(0)
        dh, dc = da @ w_hh, dc * f
    return np.stack(dx[::-1]), dh, dc, dw_ih, dw_hh, db, db


def backward_all(outputs, weights):
    """Backward from the three outputs at once: the gradient of each is its weight."""
    dtype = outputs[0].detach().numpy().dtype
    weights = [from_numpy(w.astype(dtype)) for w in weights]
    terms = [sum_all(mul(y, w)) for y, w in zip(outputs, weights, strict=True)]
    add(add(terms[0], terms[1]), terms[2]).backward()


def check(shape, dtype, bound):
    values = [v.astype(dtype).astype(np.float64) for v in arrays(*shape)]
    steps = lstm_steps(*values)
    expected = [np.stack([s[-1] for s in steps]), steps[-1][-1], steps[-1][3]]
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=y.shape).astype(dtype).astype(np.float64) for y in expected]
    given = leaves(values, dtype)
    outputs = lstm(*given)
    backward_all(outputs, weights)
    found_all = [y.detach().numpy() for y in outputs] + [t.grad.numpy() for t in given]
    expected += gradients(values, *weights)
    names = ("y", "h_n", "c_n", *NAMES)
    for name, found, reference in zip(names, found_all, expected, strict=True):
        assert found.shape == reference.shape
        error = np.abs(found - reference).max() / max(1.0, np.abs(reference).max())
        assert error < bound, f"{name} of {shape}: {error:.1e}"


@pytest.mark.parametrize("D", [1, 15, 17, 64, 130])
def test_forward_and_gradients_equal_the_reference(D):
    for N, T in itertools.product((1, 2, 7, 33), (1, 2, 40)):
        check((T, N, 3 + D // 4, D), np.float64, 1e-12)
        check((T, N, 3 + D // 4, D), np.float32, 1e-5)


@pytest.mark.parametrize("level", levels())
def test_every_level(level):
    with using_isa(level):
        shapes = [(3, 1, 5, 15), (3, 6, 33, 17), (4, 7, 31, 64), (2, 33, 17, 40), (3, 19, 300, 20)]
        for shape in shapes:
            check(shape, np.float32, 1e-5)
            check(shape, np.float64, 1e-12)


def test_gradient_equals_finite_differences():
    for shape in [(3, 2, 3, 5), (4, 9, 5, 17)]:
        assert directional_error(lstm, arrays(*shape)) < 1e-7


# the batch is split, evenly and not; the hidden units are
SPLITS = [(5, 64, 40, 96), (3, 37, 17, 130), (3, 3, 20, 300), (2, 7, 9, 257)]


@pytest.mark.parametrize("shape", SPLITS)
def test_threads_do_not_change_a_bit(shape):
    results = []
    for threads in (1, 2, 3, 7):
        with num_threads(threads):
            given = leaves(arrays(*shape), np.float32)
            outputs = lstm(*given)
            assert (last_team() > 1) == (threads > 1)
            y = outputs[0]
            dy = np.cos(np.arange(y.numel(), dtype=np.float32)).reshape(y.shape)
            y.backward(from_numpy(dy))
        results.append(
            [t.detach().numpy().tobytes() for t in outputs]
            + [t.grad.numpy().tobytes() for t in given]
        )
    assert results[0] == results[1] == results[2] == results[3]


def test_rows_do_not_depend_on_their_batch():
    values = [v.astype(np.float32) for v in arrays(4, 40, 9, 33)]
    whole = lstm(*map(from_numpy, values))[0].numpy()
    for n in (slice(0, 1), slice(3, 9), slice(7, 38)):
        part = [values[0][:, n], values[1][n], values[2][n], *values[3:]]
        assert lstm(*map(from_numpy, part))[0].numpy().tobytes() == whole[:, n].tobytes()


def test_layouts_of_the_sequence():
    values = arrays(5, 3, 4, 6)
    y, h, c = (t.detach().numpy() for t in lstm(*leaves(values)))
    first = leaves([values[0].swapaxes(0, 1), *values[1:]])
    y_first, h_first, _ = lstm(*first, batch_first=True)
    assert y_first.shape == (3, 5, 6)
    np.testing.assert_array_equal(y_first.detach().numpy(), y.swapaxes(0, 1))
    np.testing.assert_array_equal(h_first.detach().numpy(), h)
    dy = np.random.default_rng(0).normal(size=(3, 5, 6))
    y_first.backward(from_numpy(dy))
    expected = gradients(values, dy.swapaxes(0, 1), 0, 0)
    assert first[0].grad.shape == (3, 5, 4)
    np.testing.assert_allclose(first[0].grad.numpy(), expected[0].swapaxes(0, 1), atol=1e-13)
    np.testing.assert_allclose(first[4].grad.numpy(), expected[4], atol=1e-12)

    single = leaves([values[0][:, 1], values[1][1], values[2][1], *values[3:]])
    y_single, h_single, c_single = lstm(*single)
    assert (y_single.shape, h_single.shape, c_single.shape) == ((5, 6), (6,), (6,))
    np.testing.assert_allclose(y_single.detach().numpy(), y[:, 1], atol=1e-14)
    np.testing.assert_allclose(c_single.detach().numpy(), c[1], atol=1e-14)
    y_single.backward(from_numpy(dy[1]))
    assert (single[0].grad.shape, single[1].grad.shape) == ((5, 4), (6,))


def test_only_what_is_needed_is_given():
    values = arrays(4, 9, 3, 5)
    expected = gradients(values, np.ones((4, 9, 5)), 0, 0)
    for k in range(7):
        given = [from_numpy(v) for v in values]
        given[k].requires_grad_()
        lstm(*given)[0].backward(from_numpy(np.ones((4, 9, 5))))
        np.testing.assert_allclose(given[k].grad.numpy(), expected[k], atol=1e-12)
        assert all(given[j].grad is None for j in range(7) if j != k)


def test_each_output_alone():
    values = arrays(4, 3, 2, 5)
    ones, zero = np.ones((3, 5)), np.zeros((4, 3, 5))
    for k, upstream in [(1, (zero, ones, 0)), (2, (zero, 0, ones))]:
        given = leaves(values)
        lstm(*given)[k].backward(from_numpy(ones))
        for t, expected in zip(given, gradients(values, *upstream), strict=True):
            np.testing.assert_allclose(t.grad.numpy(), expected, atol=1e-12)


def test_without_initial_state():
    for N in (3, 20):
        values = arrays(3, N, 4, 6)
        values[1], values[2] = np.zeros_like(values[1]), np.zeros_like(values[2])
        dy = np.random.default_rng(0).normal(size=(3, N, 6))
        expected = gradients(values, dy, 0, 0)
        given = leaves(values)
        y, _, _ = lstm(given[0], None, None, *given[3:])
        np.testing.assert_allclose(y.detach().numpy(), lstm(*given)[0].detach().numpy(), atol=1e-15)
        y.backward(from_numpy(dy))
        for k in (0, 3, 4, 5, 6):
            np.testing.assert_allclose(given[k].grad.numpy(), expected[k], atol=1e-12)
    given = leaves(arrays(1, 2, 4, 6))
    lstm(given[0], None, None, *given[3:])[0].backward(from_numpy(np.ones((1, 2, 6))))
    assert not given[4].grad.numpy().any()


def test_a_sequence_in_pieces():
    values = arrays(6, 4, 3, 5)
    dy = np.random.default_rng(0).normal(size=(6, 4, 5))

    def run(cut):
        given = leaves(values)
        _, h, c, *weights = given
        first, second = (from_numpy(x).requires_grad_() for x in (values[0][:4], values[0][4:]))
        y1, h, c = lstm(first, h, c, *weights)
        y2, _, _ = lstm(second, *((h.detach(), c.detach()) if cut else (h, c)), *weights)
        assert np.array_equal(
            np.concatenate([y1.detach().numpy(), y2.detach().numpy()]),
            lstm(*given)[0].detach().numpy(),
        )
        y2.backward(from_numpy(dy[4:]), retain_graph=True)
        if not cut:
            y1.backward(from_numpy(dy[:4]))
        return given[3].grad.numpy(), first.grad

    steps = lstm_steps(*values)
    later = [values[0][4:], steps[3][-1], steps[3][3], *values[3:]]
    dw, dx = run(cut=True)
    np.testing.assert_allclose(dw, gradients(later, dy[4:], 0, 0)[3], atol=1e-12)
    assert dx is None
    dw, dx = run(cut=False)
    expected = gradients(values, dy, 0, 0)
    np.testing.assert_allclose(dw, expected[3], atol=1e-12)
    np.testing.assert_allclose(dx.numpy(), expected[0][:4], atol=1e-12)


def test_one_node_for_the_sequence():
    y, h, c = lstm(*leaves(arrays(50, 2, 3, 4)))
    assert {t.grad_fn.name() for t in (y, h, c)} == {"LstmBackward"}
    with fastnn.no_grad():
        assert all(t.grad_fn is None for t in lstm(*leaves(arrays(5, 2, 3, 4))))


def test_backward_twice():
    values = arrays(3, 2, 3, 4)
    given = leaves(values)
    y, h, _ = lstm(*given)
    ones = from_numpy(np.ones(y.shape))
    y.backward(ones, retain_graph=True)
    once = given[4].grad.numpy().copy()
    y.backward(ones)
    np.testing.assert_array_equal(given[4].grad.numpy(), 2 * once)
    for again in (y, h):
        with pytest.raises(RuntimeError, match="released"):
            again.backward(from_numpy(np.ones(again.shape)))


@pytest.mark.parametrize("changed", ["x", "w_ih", "w_hh"])
def test_a_saved_tensor_changed_in_place_is_found(changed):
    given = leaves(arrays(3, 2, 3, 4))
    _, h, _ = lstm(*given)
    with fastnn.no_grad():
        given[NAMES.index(changed)].mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        h.backward(from_numpy(np.ones(h.shape)))


def test_the_output_may_be_changed_in_place():
    values = arrays(3, 2, 3, 4)
    given = leaves(values)
    y, h, _ = lstm(*given)
    with fastnn.no_grad():
        y.detach().mul_(2)
    h.backward(from_numpy(np.ones((2, 4))))
    expected = gradients(values, np.zeros((3, 2, 4)), np.ones((2, 4)), 0)
    np.testing.assert_allclose(given[4].grad.numpy(), expected[4], atol=1e-12)


@pytest.mark.skipif(len(levels()) < 2, reason="this machine runs one level only")
def test_a_level_changed_on_the_way_is_found():
    with using_isa(levels()[-1]):
        y, _, _ = lstm(*leaves(arrays(3, 2, 3, 4)))
    with using_isa(levels()[0]), pytest.raises(RuntimeError, match="instruction-set level"):
        y.backward(from_numpy(np.ones(y.shape)))


def test_an_empty_batch():
    given = leaves(arrays(3, 0, 4, 5))
    y, h, c = lstm(*given)
    assert (y.shape, h.shape, c.shape) == ((3, 0, 5), (0, 5), (0, 5))
    y.backward(from_numpy(np.zeros((3, 0, 5))))
    assert [t.grad.shape for t in given] == [t.shape for t in given]
    assert not any(t.grad.numpy().any() for t in given)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_memory_held_before_does_not_matter(dtype):
    shape = (3, 9, 5, 17)
    poison = [
        fastnn.full((n,), float("nan"), dtype=getattr(fastnn, np.dtype(dtype).name))
        for n in range(8, 20000, 250)
    ]
    del poison
    given = leaves(arrays(*shape), dtype)
    y, _, _ = lstm(*given)
    y.backward(from_numpy(np.ones(y.shape, dtype)))
    assert all(np.isfinite(t.grad.numpy()).all() for t in given)


def test_messages_name_the_shapes():
    def call(**changes):
        values = dict(zip(NAMES, arrays(3, 2, 4, 5), strict=True)) | changes
        return lstm(*[v if isinstance(v, str) else from_numpy(v) for v in values.values()])

    def zeros(*shape):
        return np.zeros(shape)

    with pytest.raises(ValueError, match=r"\(3, 2, 4, 1\)"):
        call(x=zeros(3, 2, 4, 1))
    with pytest.raises(ValueError, match=r"\(0, 2, 4\) has no time step"):
        call(x=zeros(0, 2, 4))
    with pytest.raises(ValueError, match=r"weight_ih.* \(20, 3\).*\(3, 2, 3\).*\(20, 4\)"):
        call(x=zeros(3, 2, 3))
    with pytest.raises(
        ValueError, match=r"weight_hh must have shape \(4 \* hidden, hidden\).*\(15, 5\)"
    ):
        call(w_hh=zeros(15, 5))
    with pytest.raises(ValueError, match=r"weight_hh.*\(0, 0\)"):
        call(w_hh=zeros(0, 0))
    with pytest.raises(ValueError, match=r"h0 must have shape \(2, 5\).*\(5,\)"):
        call(h0=zeros(5))
    with pytest.raises(ValueError, match=r"c0 must have shape \(2, 5\).*\(3, 5\)"):
        call(c0=zeros(3, 5))
    with pytest.raises(ValueError, match=r"bias_hh must have shape \(20,\).*\(5,\)"):
        call(b_hh=zeros(5))
    with pytest.raises(TypeError, match=r"float64 and float32"):
        call(w_hh=np.zeros((20, 5), np.float32))
    with pytest.raises(TypeError, match="int64"):
        call(x=np.zeros((3, 2, 4), np.int64))
    with pytest.raises(TypeError, match="weight_ih must be a Tensor"):
        call(w_ih="weight")
