"""Weights that stay packed from call to call: a change of the weight is always seen."""

import threading

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.nn.functional import conv2d, linear
from fastnn.testing import levels, using_isa

MAKERS = {
    "linear": (lambda: fastnn.randn(80, 70), lambda: fastnn.randn(90, 70), linear),
    "linear, turned round": (
        lambda: fastnn.randn(60, 750), lambda: fastnn.randn(1010, 750),
        lambda x, w: linear(x, w, x[0, 0].expand(1010)),
    ),
    "matmul": (lambda: fastnn.randn(80, 70), lambda: fastnn.randn(90, 70).t(), lambda x, w: x @ w),
    "conv2d": (
        lambda: fastnn.randn(2, 20, 9, 9), lambda: fastnn.randn(40, 20, 3, 3), conv2d,
    ),
    "depthwise": (
        lambda: fastnn.randn(2, 40, 9, 9), lambda: fastnn.randn(40, 1, 3, 3),
        lambda x, w: conv2d(x, w, groups=40),
    ),
}  # fmt: skip


@pytest.fixture(params=MAKERS)
def problem(request):
    """An input, a weight that was used often enough to be kept packed, and the operation."""
    fastnn.manual_seed(0)
    make_x, make_w, run = MAKERS[request.param]
    x, w = make_x(), make_w()
    for _ in range(4):
        run(x, w)
    return x, w, run


def fresh(x, w, run):
    """The same on a weight that was never used."""
    return run(x, w.clone()).detach().numpy().tobytes()


def same(problem):
    return run_bytes(*problem) == fresh(*problem)


def run_bytes(x, w, run):
    return run(x, w).detach().numpy().tobytes()


def test_every_call_gives_the_same_bits(problem):
    x, w, run = problem
    assert {run_bytes(x, w, run) for _ in range(4)} == {fresh(x, w, run)}


def test_images_are_kept_and_freed(problem):
    x, w, run = problem
    run(x, w)
    before = fastnn.memory_stats()["allocated_bytes"]
    twin = w.clone()
    single = fastnn.memory_stats()["allocated_bytes"] - before
    run(x, twin)
    assert fastnn.memory_stats()["allocated_bytes"] - before == single
    run(x, twin)
    assert fastnn.memory_stats()["allocated_bytes"] - before > single
    del twin
    assert fastnn.memory_stats()["allocated_bytes"] == before


def test_a_change_in_place_is_seen(problem):
    x, w, run = problem
    for _ in range(3):
        w.mul_(2)
        assert same(problem)
        run(x, w)
        assert same(problem)


def test_a_change_of_a_view_is_seen(problem):
    w = problem[1]
    view = w[1:3]
    view += 1
    assert same(problem)


def test_a_change_through_numpy_is_seen(problem):
    w = problem[1]
    w.numpy()[...] = np.random.default_rng(0).standard_normal(w.shape)
    assert same(problem)
    w.numpy()[...] *= 3
    assert same(problem)


def test_a_change_through_a_buffer_is_seen(problem):
    w = problem[1]
    np.asarray(memoryview(w))[...] = 1
    assert same(problem)


def test_an_array_that_is_shared_is_packed_anew():
    array = np.ones((90, 70), np.float32)
    x, w = fastnn.ones(80, 70), fastnn.from_numpy(array)
    for value in (1, 2, 3):
        array[:] = value
        assert (linear(x, w).numpy() == 70 * value).all()


def test_new_data_is_seen(problem):
    w = problem[1]
    w.data = fastnn.randn(*w.shape)
    assert same(problem)


def test_loaded_and_trained_weights_are_seen():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 40))
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 40))
    x = fastnn.randn(64, 3, 8, 8)
    optimizer = fastnn.optim.SGD(net.parameters(), lr=0.1)

    def now():
        with fastnn.no_grad():
            return [net(x).numpy().tobytes() for _ in range(3)]

    first = now()
    net.load_state_dict(other.state_dict())
    loaded = now()
    assert set(loaded) == {other(x).detach().numpy().tobytes()} and loaded[0] not in first
    net(x).square().mean().backward()
    optimizer.step()
    trained = now()
    assert len(set(trained)) == 1 and trained[0] != loaded[0]
    other.load_state_dict(net.state_dict())
    assert trained[0] == other(x).detach().numpy().tobytes()


def test_levels_do_not_mix_up_their_images(problem):
    for level in levels():
        with using_isa(level):
            assert same(problem)


def test_layouts_do_not_mix_up_their_images():
    square = fastnn.randn(70, 70)
    x = fastnn.randn(80, 70)
    for _ in range(4):
        for w in (square, square.t(), square[:40], square[:, 5:40].t()):
            rows = x[:, : w.shape[1]]
            assert run_bytes(rows, w, linear) == fresh(rows, w, linear)


def test_training_takes_no_memory_for_images():
    w = fastnn.randn(90, 70)
    x = fastnn.randn(80, 70)
    linear(x, w)
    before = fastnn.memory_stats()["allocated_bytes"]
    for _ in range(5):
        w.mul_(0.9)
        linear(x, w)
    assert fastnn.memory_stats()["allocated_bytes"] == before


def test_threads_that_pack_the_same_weight_at_once():
    x, w = fastnn.randn(300, 400), fastnn.randn(500, 400)
    expected = fresh(x, w, linear)
    wrong = []

    def work():
        for _ in range(20):
            if run_bytes(x, w, linear) != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
