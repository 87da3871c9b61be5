"""Convolution by Winograd's tiles: each way of it, its error, its switch, what is special."""

import numpy as np
import pytest

from fastnn import backends
from fastnn._core.autograd import no_grad
from fastnn._core.interop import from_numpy
from fastnn.ops.conv import conv2d, conv2d_fused, conv3d, conv3d_fused
from fastnn.testing import levels, num_threads, using_isa
from fastnn.testing.conv import plans
from tests.guard import guarded
from tests.ops.test_conv import check, exact, make, problem, run, tensor


def conv(x, w, bias=None, **how):
    return (conv3d if w.ndim == 5 else conv2d)(x, w, bias, **how)


@pytest.fixture
def direct():
    """A context's worth of the direct way: call it to compute something so."""

    def compute(function, *args, **how):
        backends.conv.allow_winograd = False
        try:
            return function(*args, **how)
        finally:
            backends.conv.allow_winograd = True

    yield compute
    backends.conv.allow_winograd = True


CASES = [
    # x, w, how, sides of the tiles: forward, backward-data, backward-weight
    ((12, 16, 30, 30), (16, 16, 3, 3), {"padding": 1}, (4, 4, 4)),
    ((1, 64, 32, 32), (64, 64, 3, 3), {"padding": 1}, (4, 4, 2)),
    ((3, 20, 23, 19), (33, 20, 3, 3), {}, (4, 4, 0)),
    ((2, 70, 40, 13), (100, 70, 3, 3), {"padding": (0, 2)}, (4, 4, 4)),
    ((1, 200, 29, 31), (150, 200, 3, 3), {"padding": 1}, (4, 4, 4)),
    ((2, 64, 24, 24), (96, 32, 3, 3), {"padding": "same", "groups": 2}, (4, 4, 4)),
    ((16, 64, 6, 6), (64, 64, 3, 3), {"padding": 1}, (2, 2, 0)),
    ((60, 128, 6, 2), (96, 128, 3, 3), {"padding": 1}, (2, 2, 2)),
    ((2, 128, 14, 14), (128, 128, 3, 3), {"padding": 1}, (4, 4, 2)),
    ((8, 20, 23, 21), (24, 20, 3, 3), {"padding": 2, "dilation": 2}, (4, 4, 4)),
    ((5, 32, 30, 26), (48, 32, 3, 3), {"padding": (1, 0), "dilation": (1, 5)}, (4, 4, 4)),
    ((2, 64, 13, 50), (64, 32, 3, 3), {"padding": 4, "dilation": (4, 3), "groups": 2}, (4, 4, 4)),
    ((4, 40, 15, 18), (33, 40, 5, 5), {"padding": 2}, (2, 2, 0)),
    ((2, 64, 24, 13), (96, 32, 5, 5), {"padding": (0, 3), "groups": 2}, (2, 2, 0)),
    ((3, 65, 11, 19), (48, 65, 5, 5), {"padding": (3, 4), "dilation": (1, 2)}, (2, 2, 0)),
    ((2, 19, 4, 16, 18), (33, 19, 3, 3, 3), {"padding": 1}, (4, 4, 4)),
    ((2, 40, 3, 17, 16), (36, 20, 2, 3, 3), {"padding": (2, 0, 1), "groups": 2}, (4, 4, 4)),
    ((3, 48, 5, 12, 12), (32, 48, 3, 3, 3), {"padding": 1, "stride": (2, 1, 1)}, (4, 4, 4)),
]
IDS = [str(case[:2]) for case in CASES]
cases = pytest.mark.parametrize("x_shape, w_shape, how, sides", CASES, ids=IDS)


@cases
def test_each_pass_goes_by_tiles_unless_they_are_not_allowed(x_shape, w_shape, how, sides, direct):
    x, w = tensor(np.zeros(x_shape, np.float32)), tensor(np.zeros(w_shape, np.float32))
    y = conv(x, w, **how)

    def found():
        return tuple(way["side"] for way in plans(x, w, y, **how).values())

    assert found() == sides
    assert direct(found) == (0, 0, 0)


@pytest.mark.parametrize(
    "x_shape, w_shape, how",
    [
        ((4, 64, 32, 32), (64, 64, 3, 3), {"padding": 1, "stride": 2}),
        ((4, 64, 32, 32), (64, 64, 3, 3), {"padding": 31, "dilation": 31}),
        ((4, 64, 32, 32), (64, 64, 3, 1), {}),
        ((4, 64, 32, 32), (64, 64, 3, 5), {}),
        ((4, 64, 32, 32), (64, 64, 7, 7), {}),
        ((4, 64, 32, 32), (64, 1, 3, 3), {"groups": 64}),
        ((4, 8, 32, 32), (64, 8, 3, 3), {}),
        ((1, 512, 4, 4), (512, 512, 3, 3), {"padding": 1}),
    ],
    ids=str,
)
def test_what_tiles_do_not_serve_goes_the_direct_way(x_shape, w_shape, how):
    x, w = tensor(np.zeros(x_shape, np.float32)), tensor(np.zeros(w_shape, np.float32))
    found = plans(x, w, conv2d(x, w, **how), **how)
    assert [way["side"] for way in found.values()] == [0, 0, 0]


@cases
@pytest.mark.parametrize("layout", ["plain", "channels_last", "gaps"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_reference(x_shape, w_shape, how, sides, layout, dtype):
    check(x_shape, w_shape, dtype, layout=layout, **how)


@cases
def test_the_direct_way_against_reference(x_shape, w_shape, how, sides, direct):
    direct(check, x_shape, w_shape, layout="channels_last", **how)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_level(level, dtype):
    with using_isa(level):
        for x_shape, w_shape, how, _ in CASES[2:3] + CASES[5:]:
            check(x_shape, w_shape, dtype, layout="channels_last", **how)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 12, 13])
def test_sizes_around_the_ends_of_tiles(size):
    check((40, 16, size, 9), (17, 16, 3, 3), padding=1, layout="channels_last")
    check((40, 18, 9, size), (16, 18, 3, 3), padding=(1, 2), layout="channels_last")
    check((20, 32, size, 11), (35, 32, 5, 5), padding=(2, 0), layout="channels_last")
    check((40, 18, 9, size), (16, 18, 3, 3), padding=3, dilation=(2, 3), layout="channels_last")


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_no_pass_reads_beyond_its_arrays(level, at_end, last):
    def fenced(array):
        array = np.moveaxis(array, 1, -1) if last else array
        memory = guarded(array.size, array.dtype, at_end)
        memory[:] = array.reshape(-1)
        memory = memory.reshape(array.shape)
        return from_numpy(np.moveaxis(memory, -1, 1) if last else memory)

    with using_isa(level):
        for x_shape, w_shape, how, _ in CASES[2:4] + CASES[6:8] + CASES[9:12] + CASES[13:]:
            x, w, bias, dy = problem(x_shape, w_shape, np.float32, **how)
            leaves = [fenced(x), from_numpy(w), from_numpy(bias)]
            for leaf in leaves:
                leaf.requires_grad_()
            conv(*leaves, **how).backward(fenced(dy))


@cases
def test_threads_do_not_change_a_bit(x_shape, w_shape, how, sides):
    arrays = problem(x_shape, w_shape, np.float32, **how)
    results = []
    for threads in (1, 2, 3, 7):
        with num_threads(threads):
            results.append([a.tobytes() for a in run(*arrays, layout="channels_last", **how)])
    assert all(result == results[0] for result in results)


@cases
def test_relu_in_the_same_pass_is_the_same(x_shape, w_shape, how, sides):
    x, w, bias, _ = (from_numpy(a) for a in problem(x_shape, w_shape, np.float32, **how))
    fused = (conv3d_fused if w.ndim == 5 else conv2d_fused)(x, w, bias, **how).numpy()
    assert (fused == np.maximum(conv(x, w, bias, **how).numpy(), 0)).all()


def inputs(name, shape):
    x = make(shape, np.float64, 1)
    return {
        "normal": lambda: x,
        "relu": lambda: np.maximum(x, 0),
        "bytes": lambda: np.floor(256 * np.random.default_rng(1).random(shape)),
        "heavy tails": lambda: x**3,
        "far from zero": lambda: x + 10,
    }[name]().astype(np.float32)


@pytest.mark.parametrize("name", ["normal", "relu", "bytes", "heavy tails", "far from zero"])
@pytest.mark.parametrize(
    "x_shape, w_shape, how",
    [
        ((4, 16, 32, 32), (16, 16, 3, 3), {"padding": 1}),
        ((4, 64, 32, 32), (64, 64, 3, 3), {"padding": 1}),
        ((4, 256, 14, 14), (128, 256, 3, 3), {"padding": 1}),
        ((2, 64, 28, 28), (64, 64, 3, 3), {"padding": 2, "dilation": 2}),
        ((2, 64, 28, 28), (64, 64, 5, 5), {"padding": 2}),
        ((2, 64, 4, 14, 14), (64, 64, 3, 3, 3), {"padding": 1}),
    ],
    ids=str,
)
def test_error_stays_within_four_times_the_direct_way_s(name, x_shape, w_shape, how, direct):
    """Root of the mean square, of every pass."""
    x, w = inputs(name, x_shape), make(w_shape, np.float32, 2) / np.float32(w_shape[1] ** 0.5)
    dy = make((x_shape[0], w_shape[0], *x_shape[2:]), np.float32, 3)
    expected = exact((x, w, None, dy), **how)

    def errors():
        found = run(x, w, None, dy, layout="channels_last", **how)
        pairs = zip(found[:3], expected[:3], strict=True)
        return [np.square(a - b).mean() ** 0.5 for a, b in pairs]

    tiles = errors()
    for pass_name, ours, theirs in zip(("y", "dx", "dw"), tiles, direct(errors), strict=True):
        assert ours <= 4 * theirs, (pass_name, ours / theirs)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_within_its_tiles(bad, direct):
    x, w, _, _ = problem((1, 32, 32, 32), (32, 32, 3, 3), np.float32, padding=1)
    with no_grad():
        clean = conv2d(from_numpy(x), from_numpy(w), padding=1).numpy()
        x[0, 3, 13, 14] = bad
        found = conv2d(from_numpy(x), from_numpy(w), padding=1).numpy()
        truth = direct(conv2d, from_numpy(x), from_numpy(w), padding=1).numpy()
    spoilt = ~np.isfinite(found)
    assert spoilt[~np.isfinite(truth)].all()
    assert not spoilt[:, :, :12].any() and not spoilt[:, :, 16:].any()
    assert not spoilt[:, :, :, :12].any() and not spoilt[:, :, :, 16:].any()
    assert (found[~spoilt] == clean[~spoilt]).all()


def test_weights_packed_for_one_way_do_not_serve_the_other(direct):
    x, w, _, _ = problem((2, 32, 32, 32), (32, 32, 3, 3), np.float32, padding=1)
    x, w = from_numpy(x), tensor(w).detach() * 1.0
    first = [conv2d(x, w, padding=1).numpy() for _ in range(3)]
    second = [direct(conv2d, x, w, padding=1).numpy() for _ in range(3)]
    bound = conv2d(x.abs(), w.abs(), padding=1).numpy()
    rounding = np.finfo(np.float32).eps * (2 + w[0].numel() ** 0.5)
    assert (abs(first[2] - second[2]) <= rounding * bound).all()
    assert (first[0] == first[2]).all() and (second[0] == second[2]).all()
    assert (first[0] != second[0]).any()


def test_the_switch():
    assert backends.conv.allow_winograd is True
    with pytest.raises(TypeError, match="allow_winograd must be True or False, not 1"):
        backends.conv.allow_winograd = 1
    with pytest.raises(AttributeError):
        backends.conv.allow_winnograd = False
