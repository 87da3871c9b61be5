"""The graph: accumulation, modes, release, long chains, errors on the way, the arena."""

import gc
import resource
import sys
import threading
import weakref

import numpy as np
import pytest

import fastnn
from fastnn._core.tensor import Tensor


def leaf(*values):
    return fastnn.tensor(values, dtype=fastnn.float64, requires_grad=True)


# --- gradients ------------------------------------------------------------------


def test_gradients_add_up_over_uses_and_over_calls():
    x = leaf(1.0, 2.0)
    (x * x + x * 3 + x).sum().backward()
    assert x.grad.tolist() == [6, 8]
    (x * 2).sum().backward()
    assert x.grad.tolist() == [8, 10]
    x.grad = None
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_a_leaf_is_its_own_gradient():
    x = leaf(3.0)
    x.backward()
    x.backward(fastnn.tensor([2.0], dtype=fastnn.float64))
    assert x.grad.tolist() == [3]


def test_backward_with_a_gradient_leaves_it_alone():
    x = leaf(1.0, 2.0)
    weights = fastnn.tensor([1.0, 10.0], dtype=fastnn.float64)
    y = x + 0
    y.backward(weights)
    x.grad.zero_()
    assert weights.tolist() == [1, 10]
    x.grad = None
    other = leaf(0.0, 0.0)
    (x + other).backward(weights)
    x.grad.fill_(7)
    assert other.grad.tolist() == [1, 10] and weights.tolist() == [1, 10]


def test_gradients_of_two_leaves_never_share_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    for make in (
        lambda: a + b,
        lambda: fastnn.cat([a, b]),
        lambda: fastnn.stack([a, b]),
        lambda: a.view(1, 2) + b.clone(),
        lambda: a.double() + b.view(2),
    ):
        a.grad = b.grad = None
        y = make()
        (y * 1).sum().backward()
        assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())


def test_grad_can_be_set():
    x = leaf(1.0, 2.0)
    x.grad = fastnn.tensor([5.0, 5.0], dtype=fastnn.float64)
    x.sum().backward()
    assert x.grad.tolist() == [6, 6]
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        x.grad = fastnn.zeros(3, dtype=fastnn.float64)
    with pytest.raises(ValueError, match="float32"):
        x.grad = fastnn.zeros(2)
    with pytest.raises(TypeError, match="list"):
        x.grad = [1.0, 2.0]


def test_no_gradient_where_none_is_needed():
    x, c = leaf(1.0, 2.0), fastnn.tensor([3.0, 4.0], dtype=fastnn.float64)
    (x * c).sum().backward()
    assert c.grad is None and x.grad.tolist() == [3, 4]


def test_a_node_is_visited_after_all_that_use_it():
    x = leaf(2.0)
    early = x * 3
    y = early
    for _ in range(5):
        y = y * 2
    z = y * early + early
    z.backward()
    assert x.grad.item() == 2 * 32 * 9 * 2 + 3


def test_a_random_graph_against_finite_differences():
    rng = np.random.default_rng(0)
    start, direction = rng.standard_normal((2, 4))
    operations = [
        lambda a, b: a + b,
        lambda a, b: a * b * 0.3,
        lambda a, b: a - b * 0.5,
        lambda a, b: (a * 0.1).tanh(),
        lambda a, b: -a,
    ]

    def build(x):
        rng = np.random.default_rng(1)
        values = [x]
        for _ in range(60):
            a, b = (values[i] for i in rng.integers(0, len(values), 2))
            values.append((operations[rng.integers(0, 5)](a, b) * 0.7).tanh())
        return sum(values[-5:]).sum()

    x = fastnn.tensor(start, requires_grad=True)
    build(x).backward()
    ends = [build(fastnn.tensor(start + h * direction)).item() for h in (1e-6, -1e-6)]
    expected = (ends[0] - ends[1]) / 2e-6
    assert (x.grad.numpy() * direction).sum() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.detach().backward(), RuntimeError, "does not require grad"),
        (lambda x: (x * 2).backward(), RuntimeError, r"shape \(2,\) needs a gradient"),
        (lambda x: (x * 2).backward(fastnn.ones(3)), RuntimeError, r"\(2,\), got \(3,\)"),
        (lambda x: (x * 2).backward(fastnn.ones(2)), RuntimeError, "float64, got float32"),
        (lambda x: (x * 2).backward([1.0, 1.0]), TypeError, "list"),
        (lambda x: x.sum().backward(create_graph=True), NotImplementedError, "create_graph"),
    ],
)
def test_what_backward_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call(leaf(1.0, 2.0))


# --- modes ----------------------------------------------------------------------


def test_grad_modes_nest_and_survive_errors():
    x = leaf(1.0)
    assert fastnn.is_grad_enabled()
    with fastnn.no_grad():
        assert not fastnn.is_grad_enabled() and not (x * 2).requires_grad
        with fastnn.enable_grad():
            assert (x * 2).requires_grad
        with fastnn.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not fastnn.is_grad_enabled()
    with pytest.raises(KeyError), fastnn.no_grad():
        raise KeyError
    assert fastnn.is_grad_enabled()


def test_grad_modes_decorate():
    @fastnn.no_grad()
    def double(x):
        """Doc."""
        return x * 2

    assert not double(leaf(1.0)).requires_grad and fastnn.is_grad_enabled()
    assert double.__name__ == "double" and double.__doc__ == "Doc."


def test_detach_shares_memory_outside_the_graph():
    x = leaf(1.0, 2.0)
    y = (x * 2).detach()
    assert y.is_leaf and not y.requires_grad
    d = x.detach()
    d[0] = 9
    assert x.tolist() == [9, 2]
    (x * d).sum().backward()
    assert x.grad.tolist() == d.tolist()


def test_requires_grad_is_settable_on_leaves():
    x = fastnn.ones(2)
    assert x.requires_grad_() is x and x.requires_grad and x.is_leaf and x.grad_fn is None
    x.requires_grad = False
    assert not (x * 2).requires_grad
    y = x.requires_grad_() * 2
    assert not y.is_leaf and repr(y.grad_fn) == "<MulBackward>"
    with pytest.raises(RuntimeError, match="detach"):
        y.requires_grad = False
    with pytest.raises(TypeError, match="int64"):
        fastnn.arange(2).requires_grad_()


# --- release --------------------------------------------------------------------


def test_a_graph_goes_through_once_unless_retained():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    assert x.grad.item() == 8
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    assert x.grad.item() == 12


def test_retained_graphs_with_several_outputs():
    x = leaf(1.0, 2.0, 3.0)
    a, b, c = x.unbind()
    y = a * b
    for k in (1, 2, 3):
        y.backward(retain_graph=True)
        assert x.grad.tolist() == [2 * k, k, 0]
    (c * 1).backward()
    assert x.grad.tolist() == [6, 3, 1]


def test_outputs_of_a_released_operation():
    x = leaf(1.0, 2.0)
    a, b = x.unbind()
    a.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        b.backward()


def test_saved_tensors_are_released_as_it_goes():
    x = leaf(1.0)
    h = x * 2
    kept = weakref.ref(h)
    y = h * h
    del h
    assert kept() is not None
    y.backward()
    assert kept() is None


def test_results_do_not_keep_themselves_alive():
    x = leaf(1.0, 2.0)
    makers = [
        lambda: x.exp(),
        lambda: x.view(2, 1),
        lambda: x.softmax(0),
        lambda: x[[0]],
        lambda: x[0],
        lambda: x.split(1)[0],
        lambda: (x * 1).copy_(x),
        lambda: fastnn.cat([x, x]),
    ]
    gc.disable()
    try:
        for make in makers:
            y = make()
            gone = weakref.ref(y)
            del y
            assert gone() is None
    finally:
        gc.enable()


def test_a_hundred_thousand_operations():
    """Running, backward and being freed, each without a deep stack."""
    x = fastnn.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    for step in (lambda y: y * 1.0, lambda y: y.view(1), lambda y: y[0:1], lambda y: y.tanh()):
        y = x
        for _ in range(100_000):
            y = step(y)
        del y
    parts = [x]
    for _ in range(30_000):
        parts = fastnn.cat([parts[0], x]).split(1)
    del parts


def test_an_error_on_the_way_leaves_everything_usable():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    saved = x * 2
    y = (saved * w + x).unbind()
    z = y[0] * y[1]
    saved.detach().zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        z.backward(retain_graph=True)
    x.grad = w.grad = None
    (x * w).sum().backward()
    assert x.grad.tolist() == [3, 4] and w.grad.tolist() == [1, 2]
    assert fastnn.is_grad_enabled()


@pytest.mark.parametrize("parts", [False, True])
def test_an_error_leaves_no_gradient_behind_in_the_graph(parts):
    x = leaf(1.0, 2.0)
    b = x * 1
    first, second = b.unbind() if parts else (b, b)
    bad = second.exp()
    y = (first * 1).sum() + bad.sum()
    bad.detach().zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward(retain_graph=True)
    assert x.grad is None
    (first * 1).sum().backward()
    assert x.grad.tolist() == ([1, 0] if parts else [1, 1])


# --- in place -------------------------------------------------------------------


def test_an_operation_in_place_keeps_what_its_gradient_needs():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x * 1
    h *= w
    h.mul_(h)
    h.sum().backward()
    assert x.grad.tolist() == [18, 64] and w.grad.tolist() == [6, 32]


def test_random_numbers_in_place_cut_the_gradient():
    x = leaf(1.0, 2.0)
    for fill in (lambda y: y.uniform_(), lambda y: y.normal_(), lambda y: y.bernoulli_(0.5)):
        y = x * 2
        fill(y)
        assert not y.requires_grad
        (y * x).sum().backward()
        assert x.grad.tolist() == y.tolist()
        x.grad = None


def test_a_view_is_stale_once_its_tensor_changed_in_the_graph():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = x * 1
    view = y[1:]
    early = view * 2
    y.mul_(w)
    for use in (lambda: view * 2, lambda: view.view(1), lambda: view.sum().backward()):
        with pytest.raises(RuntimeError, match="taken before"):
            use()
    assert view.tolist() == [8]
    early.backward(retain_graph=True)
    assert x.grad.tolist() == [0, 2]
    (y[1:] * 2).backward()
    assert x.grad.tolist() == [0, 10]


def test_writes_outside_the_graph_do_not_hide_views():
    base = fastnn.zeros(2, 2)
    row = base[0]
    row.add_(1)
    base.mul_(3)
    assert row.tolist() == [3, 3] and base.tolist() == [[3, 3], [0, 0]]
    p = fastnn.ones(2, 2, requires_grad=True)
    with fastnn.no_grad():
        p[0].zero_()
        p.sub_(p * 0.5)
    assert p.tolist() == [[0, 0], [0.5, 0.5]] and p.is_leaf


# --- memory ---------------------------------------------------------------------


def test_a_steady_step_asks_the_system_for_nothing():
    rng = np.random.default_rng(0)
    x = fastnn.tensor(rng.standard_normal((256, 300)).astype("f4"))
    w = fastnn.tensor(rng.standard_normal((300, 200)).astype("f4"), requires_grad=True)

    def step():
        w.grad = None
        h = (x @ w).relu().view(256, 10, 20).transpose(1, 2)
        (h[:, 3:].contiguous() * h[:, [0, 1, 2] * 5 + [0, 1]]).sum().backward()

    for _ in range(5):
        step()
    before = fastnn.memory_stats()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    after = fastnn.memory_stats()
    assert after["system_blocks"] == before["system_blocks"]
    assert after["allocated_bytes"] == before["allocated_bytes"]
    if sys.platform == "linux":
        assert faults / 20 < 10


def test_nothing_leaks():
    def work():
        x = leaf(1.0, 2.0)
        y = x[[0, 1]] * x.view(2, 1).expand(2, 2)
        y[0] = x
        y.copy_(y.t())
        y.sum().backward()
        with pytest.raises(RuntimeError):
            y.sum().backward()

    for _ in range(3):
        work()
    gc.collect()
    before = fastnn.memory_stats()["allocated_bytes"]
    for _ in range(50):
        work()
    gc.collect()
    assert fastnn.memory_stats()["allocated_bytes"] == before


def test_subclasses_take_part():
    class Named(Tensor):
        pass

    x = Tensor._make_subclass(Named, fastnn.ones(2), True)
    assert isinstance(x, Named) and x.requires_grad
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_backward_in_several_threads_at_once():
    """Kernels release the GIL: while one waits in a kernel, another goes through its own graph."""
    conv2d, rng = fastnn.nn.functional.conv2d, np.random.default_rng(0)
    inputs = [
        fastnn.tensor(rng.standard_normal((64, 1, 28, 28)), dtype=fastnn.float32) for _ in range(4)
    ]
    first, second = rng.standard_normal((32, 1, 3, 3)), rng.standard_normal((32, 32, 3, 3))

    def gradient(x):
        w = fastnn.tensor(first, dtype=fastnn.float32, requires_grad=True)
        v = fastnn.tensor(second, dtype=fastnn.float32, requires_grad=True)
        for _ in range(15):
            w.grad = v.grad = None
            conv2d(conv2d(x, w).relu(), v).square().mean().backward()
        return w.grad.numpy()

    expected = [gradient(x) for x in inputs]
    found = {}
    threads = [
        threading.Thread(target=lambda k=k: found.update({k: gradient(inputs[k])}))
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        np.testing.assert_array_equal(found[k], expected[k])


def test_threads_add_up_their_gradients_of_one_leaf():
    w = fastnn.zeros(300_000, requires_grad=True)
    w.grad = fastnn.zeros(300_000)
    x = fastnn.ones(300_000)

    def work():
        for _ in range(20):
            (w * x).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.grad.min().item() == w.grad.max().item() == 60


def test_a_gradient_that_nobody_else_holds_is_taken_over_without_a_copy():
    x, y = (fastnn.ones(100_000, requires_grad=True) for _ in range(2))
    dy = fastnn.ones(100_000)
    before = fastnn.memory_stats()["allocated_bytes"]
    fastnn.reset_peak_memory_stats()
    (x * y).backward(dy)
    arrays = (fastnn.memory_stats()["peak_bytes"] - before) / x.nbytes
    assert arrays < 3.9  # the product and two gradients, with what size classes add
