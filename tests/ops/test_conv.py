"""conv2d against a float64 loop reference: shapes, layouts, levels, threads, gradients.

conv1d, conv3d and the transposed convolutions go through the same drivers: of them, what is
their own.
"""

import itertools

import numpy as np
import pytest

from fastnn._core.autograd import no_grad
from fastnn._core.interop import from_numpy
from fastnn.ops.conv import conv1d, conv2d, conv3d
from fastnn.ops.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from fastnn.testing import directional_error, last_team, levels, num_threads, using_isa
from fastnn.testing.conv import plans
from tests.guard import guarded
from tests.references.conv import conv2d_passes, conv3d_passes


def passes(x, w, *others, **how):
    return (conv3d_passes if w.ndim == 5 else conv2d_passes)(x, w, *others, **how)


def make(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tensor(array, layout="plain"):
    """A leaf that requires grad, in the layout asked for."""
    array = array.copy()
    if layout == "channels_last":
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    elif layout == "gaps":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        array = wide[..., ::2]
    return from_numpy(array).requires_grad_()


def run(x, w, bias, dy, layout="plain", **how):
    """y, dx, dw, db; the last None without a bias."""
    leaves = [tensor(x, layout), tensor(w), None if bias is None else tensor(bias)]
    y = (conv3d if w.ndim == 5 else conv2d)(*leaves, **how)
    y.backward(tensor(dy, layout).detach())
    return [y.detach().numpy(), *(None if t is None else t.grad.numpy() for t in leaves)]


def assert_equal(tensor, array):
    """Up to the rounding of float64."""
    np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-12, atol=1e-12)


def problem(x_shape, w_shape, dtype, with_bias=True, **how):
    x, w = make(x_shape, dtype, 1), make(w_shape, dtype, 2)
    bias = make(w_shape[:1], dtype, 3) if with_bias else None
    dy = make(passes(x, w, **how)[0].shape, dtype, 4)
    return x, w, bias, dy


def exact(arrays, **how):
    return passes(*(None if a is None else a.astype(np.float64) for a in arrays), **how)


def check(x_shape, w_shape, dtype=np.float32, with_bias=True, layout="plain", **how):
    arrays = problem(x_shape, w_shape, dtype, with_bias, **how)
    expected = exact(arrays, **how)
    bounds = exact([None if a is None else abs(a) for a in arrays], **how)
    found = run(*arrays, layout=layout, **how)
    _, w, _, dy = arrays
    terms = (w[0].size + 1, w.size, dy.size, dy.size)
    names = ("y", "dx", "dw", "db")
    for name, a, b, bound, n in zip(names, found, expected, bounds, terms, strict=True):
        if a is not None:
            assert a.shape == b.shape and a.dtype == dtype
            error = np.abs(a - b)
            assert (error <= np.finfo(dtype).eps * (2 + n**0.5) * bound).all(), (name, error.max())


CASES = [
    # x, w, how
    ((2, 3, 7, 9), (5, 3, 3, 3), {}),
    ((2, 3, 7, 9), (5, 3, 3, 3), {"padding": 1}),
    ((1, 1, 28, 28), (32, 1, 3, 3), {"padding": 1}),
    ((3, 1, 6, 5), (17, 1, 5, 5), {"padding": 2}),
    ((2, 2, 9, 8), (33, 2, 3, 3), {"padding": (2, 0)}),
    ((2, 16, 15, 15), (64, 16, 3, 3), {"padding": 1}),
    ((2, 33, 4, 5), (65, 33, 3, 3), {"padding": 1}),
    ((1, 20, 5, 5), (130, 20, 3, 3), {"padding": 1}),
    ((2, 7, 6, 6), (9, 7, 1, 1), {}),
    ((2, 17, 7, 7), (40, 17, 1, 1), {"stride": 2}),
    ((2, 5, 6, 7), (9, 5, 1, 1), {"stride": 3, "padding": 1}),
    ((2, 5, 11, 12), (8, 5, 3, 3), {"stride": 2, "padding": 1}),
    ((2, 5, 11, 12), (8, 5, 3, 3), {"stride": (3, 2), "padding": (0, 1)}),
    ((2, 5, 13, 12), (8, 5, 4, 5), {"stride": 3, "padding": 2}),
    ((1, 3, 30, 30), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((2, 4, 12, 13), (6, 4, 3, 3), {"dilation": 2, "padding": 2}),
    ((2, 4, 14, 13), (6, 4, 3, 2), {"dilation": (3, 2), "stride": 2, "padding": 1}),
    ((2, 4, 14, 13), (6, 4, 3, 3), {"dilation": 2, "stride": 2}),
    ((2, 4, 14, 17), (6, 4, 3, 3), {"dilation": (4, 6), "stride": (2, 4), "padding": (3, 5)}),
    ((2, 6, 8, 8), (9, 2, 3, 3), {"groups": 3, "padding": 1}),
    ((2, 6, 8, 8), (6, 1, 3, 3), {"groups": 6, "padding": 1}),
    ((2, 6, 9, 9), (12, 1, 3, 3), {"groups": 6, "stride": 2, "dilation": 2}),
    ((2, 33, 9, 9), (33, 1, 3, 3), {"groups": 33, "padding": 1, "stride": 2}),
    ((2, 65, 7, 13), (65, 1, 5, 7), {"groups": 65, "padding": (2, 3)}),
    ((1, 16, 12, 9), (16, 1, 2, 4), {"groups": 16, "dilation": (3, 2), "padding": 2}),
    ((2, 48, 5, 4), (48, 1, 1, 1), {"groups": 48, "stride": (1, 3)}),
    ((2, 32, 6, 6), (64, 16, 1, 1), {"groups": 2}),
    ((2, 3, 8, 9), (4, 3, 4, 2), {"padding": "same"}),
    ((2, 3, 8, 9), (4, 3, 4, 3), {"padding": "same", "dilation": 3}),
    ((2, 3, 8, 9), (4, 3, 4, 2), {"padding": "valid"}),
    ((2, 3, 3, 3), (4, 3, 3, 3), {}),
    ((2, 3, 3, 3), (4, 3, 3, 3), {"padding": 5}),
    ((1, 3, 2, 2), (4, 3, 1, 1), {"padding": 3, "stride": 2}),
    ((2, 3, 4, 1), (4, 3, 3, 1), {"padding": (1, 0)}),
    ((1, 2, 1, 40), (3, 2, 1, 9), {"stride": (1, 3)}),
    ((1, 12, 40, 3), (3, 12, 9, 1), {}),
    ((9, 4, 5, 5), (6, 4, 3, 3), {}),
    # short rows and many channels
    ((5, 130, 7, 7), (132, 130, 3, 3), {"padding": 1}),
    ((2, 129, 4, 5), (128, 129, 2, 3), {"dilation": 2, "padding": (1, 2), "stride": (1, 2)}),
    ((1, 256, 3, 3), (256, 128, 3, 3), {"padding": 2, "groups": 2}),
    ((3, 128, 4, 6), (130, 128, 1, 1), {}),
    # few output channels
    ((2, 40, 9, 37), (5, 40, 3, 3), {"padding": 1}),
    ((2, 12, 11, 20), (6, 6, 3, 5), {"groups": 2, "dilation": (1, 2), "stride": (2, 1)}),
    ((3, 6, 14, 14), (17, 6, 5, 5), {}),
    ((2, 1, 9, 70), (1, 1, 5, 5), {"padding": 2}),
    ((2, 30, 6, 9), (2, 30, 1, 1), {}),
]

# the ways that a case of CASES goes, of which pass: each is gone by some case
WAYS = [
    ("forward", {"spread": True, "in_place": False, "groups": 1}),
    ("forward", {"spread": True, "in_place": True}),
    ("forward", {"spread": False, "in_place": False}),
    ("forward", {"spread": False, "in_place": True}),
    ("forward", {"depthwise": True}),
    ("data", {"spread": True, "in_place": False}),
    ("data", {"depthwise": True}),
    ("forward", {"planar": True}),
    ("data", {"planar": True}),
    ("weight", {"fold": True, "turned": False}),
    ("weight", {"fold": True, "turned": True}),
    ("weight", {"fold": False, "turned": True}),
    ("weight", {"spread": True, "blocks": 10}),
    ("weight", {"spread": True, "in_place": True}),
    ("weight", {"depthwise": True}),
    ("forward", {"clipped": True}),
    ("data", {"clipped": True}),
    ("weight", {"clipped": True}),
    ("data", {"product": True}),
    ("weight", {"product": True}),
    ("weight", {"product": False, "in_place": True}),
]

# work enough for several threads in all passes; many images, one image, many channels
LARGE = [
    ((1, 16, 30, 31), (70, 16, 3, 3), {"stride": 2, "padding": 1}),
    ((12, 1, 28, 28), (32, 1, 5, 5), {}),
    ((9, 16, 20, 20), (70, 16, 3, 3), {"padding": 1}),
    ((1, 70, 9, 9), (130, 70, 3, 3), {"padding": 1}),
    ((2, 40, 16, 16), (80, 20, 3, 3), {"groups": 2}),
    ((20, 160, 7, 7), (160, 160, 3, 3), {"padding": 1}),
    ((8, 520, 9, 9), (520, 1, 3, 3), {"groups": 520, "padding": 1}),
    ((3, 130, 20, 21), (340, 130, 1, 1), {}),
]


@pytest.mark.skipif("avx512" not in levels(), reason="the ways depend on the size of a tile")
@pytest.mark.parametrize("name, way", WAYS, ids=str)
def test_every_way_is_gone_by_some_case(name, way):
    def goes(x_shape, w_shape, how, layout):
        x, w = tensor(np.zeros(x_shape, np.float32), layout), tensor(np.zeros(w_shape, np.float32))
        found = plans(x, w, conv2d(x, w, **how), **how)[name]
        return all(found[key] == value for key, value in way.items())

    with using_isa("avx512"):
        assert any(goes(*case, layout) for case in CASES for layout in ("plain", "channels_last"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x_shape, w_shape, how", CASES, ids=str)
def test_against_reference(x_shape, w_shape, how, dtype):
    check(x_shape, w_shape, dtype, **how)


@pytest.mark.parametrize("layout", ["channels_last", "gaps"])
@pytest.mark.parametrize("x_shape, w_shape, how", CASES, ids=str)
def test_layout_does_not_matter(x_shape, w_shape, how, layout):
    check(x_shape, w_shape, layout=layout, **how)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_level(level, dtype):
    with using_isa(level):
        for x_shape, w_shape, how in CASES[::2] + LARGE[:1]:
            check(x_shape, w_shape, dtype, **how)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("at_end", [True, False])
def test_no_pass_reads_beyond_its_arrays(level, at_end):
    def fenced(array, channels_last=False):
        if channels_last:
            array = np.moveaxis(array, 1, -1)
        memory = guarded(array.size, array.dtype, at_end)
        memory[:] = array.reshape(-1)
        memory = memory.reshape(array.shape)
        return from_numpy(np.moveaxis(memory, -1, 1) if channels_last else memory)

    with using_isa(level):
        for (x_shape, w_shape, how), last in itertools.product(CASES[::2], (False, True)):
            x, w, bias, dy = problem(x_shape, w_shape, np.float32, **how)
            leaves = [fenced(x, last), fenced(w), fenced(bias)]
            for leaf in leaves:
                leaf.requires_grad_()
            conv2d(*leaves, **how).backward(fenced(dy, last))


@pytest.mark.parametrize("channels", [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 47, 49, 63, 65, 100])
def test_channels_around_the_ends_of_tiles(channels):
    check((2, 3, 5, 6), (channels, 3, 3, 3), padding=1)
    check((2, channels, 5, 4), (3, channels, 2, 3))


@pytest.mark.parametrize("width", [1, 2, 5, 6, 7, 11, 12, 13, 14, 15, 16, 17, 27, 28, 29, 43])
def test_widths_around_the_ends_of_tiles(width):
    check((1, 5, 3, width), (33, 5, 3, 3), padding=1)
    check((1, 5, 2, width), (33, 5, 1, 1))


FEW = [
    ((20, 96, 16, 16), (5, 96, 3, 3), {"padding": 1}),
    ((20, 6, 14, 14), (70, 6, 5, 5), {}),
]


@pytest.mark.parametrize("x_shape, w_shape, how", LARGE + FEW, ids=str)
def test_threads_do_not_change_a_bit(x_shape, w_shape, how):
    x, w, bias, dy = problem(x_shape, w_shape, np.float32, **how)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            results.append([a.tobytes() for a in run(x, w, bias, dy, **how)])
    assert results[0] == results[1] == results[2]
    check(x_shape, w_shape, **how)


@pytest.mark.parametrize("x_shape, w_shape, how", LARGE[2:], ids=str)
def test_every_pass_runs_on_several_threads(x_shape, w_shape, how):
    x, w, _, dy = problem(x_shape, w_shape, np.float32, **how)
    dy = from_numpy(np.moveaxis(np.ascontiguousarray(np.moveaxis(dy, 1, -1)), -1, 1))
    with num_threads(2):
        with no_grad():
            conv2d(from_numpy(x), from_numpy(w), **how)
        assert last_team() == 2
        conv2d(tensor(x), from_numpy(w), **how).backward(dy)
        assert last_team() == 2
        conv2d(from_numpy(x), tensor(w), **how).backward(dy)
        assert last_team() == 2


def test_small_work_stays_on_one_thread():
    with num_threads(2):
        conv2d(tensor(make((1, 2, 5, 5), np.float32, 0)), tensor(make((3, 2, 3, 3), np.float32, 1)))
        assert last_team() == 1


@pytest.mark.parametrize("x_shape, w_shape, how", CASES, ids=str)
def test_gradient_equals_finite_differences(x_shape, w_shape, how):
    arrays = problem(x_shape, w_shape, np.float64, **how)[:3]
    assert directional_error(lambda x, w, b: conv2d(x, w, b, **how), arrays) < 1e-7


def test_only_the_gradients_asked_for_are_computed():
    x, w, bias, dy = problem((2, 3, 6, 6), (4, 3, 3, 3), np.float64)
    expected = exact((x, w, bias, dy))
    for wanted in range(3):
        leaves = [from_numpy(a) for a in (x, w, bias)]
        leaves[wanted].requires_grad_()
        conv2d(*leaves).backward(from_numpy(dy))
        assert [t.grad is not None for t in leaves] == [k == wanted for k in range(3)]
        assert_equal(leaves[wanted].grad, expected[1 + wanted])


def test_expanded_gradient():
    x, w, bias, dy = problem((2, 3, 6, 6), (4, 3, 3, 3), np.float64)
    leaves = [tensor(a) for a in (x, w, bias)]
    row = from_numpy(np.broadcast_to(dy[:1, :, :1], dy.shape))
    conv2d(*leaves).backward(row)
    expected = exact((x, w, bias, np.broadcast_to(dy[:1, :, :1], dy.shape)))
    for leaf, gradient in zip(leaves, expected[1:], strict=True):
        assert_equal(leaf.grad, gradient)


def test_weight_of_any_strides():
    x, w, _, dy = problem((2, 3, 6, 6), (4, 3, 3, 3), np.float64)
    turned = np.ascontiguousarray(w.transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0)
    tx, turned = tensor(x), from_numpy(turned).requires_grad_()
    y = conv2d(tx, turned)
    y.backward(from_numpy(dy))
    expected = exact((x, w, None, dy))
    for a, b in zip((y.detach(), tx.grad, turned.grad), expected, strict=False):
        assert_equal(a, b)


def test_result_is_channels_last_and_counts_as_contiguous():
    y = conv2d(tensor(make((2, 3, 5, 5), np.float32, 0)), tensor(make((4, 3, 3, 3), np.float32, 1)))
    assert y.stride() == (36, 1, 12, 4)
    assert y.is_contiguous() and y.is_contiguous(memory_format="channels_last")


def test_without_a_batch():
    x, w, bias, dy = problem((1, 3, 6, 5), (4, 3, 3, 3), np.float64)
    tx, tw = tensor(x[0]), tensor(w)
    y = conv2d(tx, tw, from_numpy(bias))
    y.backward(from_numpy(dy[0]))
    expected = exact((x, w, bias, dy))
    for a, b in zip((y.detach(), tx.grad), expected, strict=False):
        assert a.shape == b.shape[1:]
        assert_equal(a, b[0])
    assert_equal(tw.grad, expected[2])


def test_empty_batch():
    x, w, b = (tensor(make(shape, np.float64, 1)) for shape in ((0, 3, 5, 5), (4, 3, 3, 3), (4,)))
    y = conv2d(x, w, b, padding=1)
    assert y.shape == (0, 4, 5, 5)
    y.backward(from_numpy(np.zeros((0, 4, 5, 5))))
    assert x.grad.shape == (0, 3, 5, 5)
    assert not w.grad.numpy().any() and not b.grad.numpy().any()


def test_a_change_in_place_after_it_was_saved_is_an_error():
    x, w = from_numpy(make((1, 2, 4, 4), np.float32, 0)), tensor(make((3, 2, 3, 3), np.float32, 1))
    y = conv2d(x, w)
    x *= 2
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward(from_numpy(np.ones(y.shape, np.float32)))


X, W = (2, 4, 6, 6), (6, 4, 3, 3)


@pytest.mark.parametrize(
    ("x", "w", "b", "how", "error", "message"),
    [
        (X, (6, 3, 3, 3), None, {}, ValueError, r"\(2, 4, 6, 6\) has 4 channels.*\(6, 3, 3, 3\)"),
        (X, W, None, {"groups": 2}, ValueError, "with 2 groups needs 8"),
        (X, (5, 2, 3, 3), None, {"groups": 2}, ValueError, "5 out channels, which 2 groups cannot"),
        (X, W, None, {"groups": 0}, ValueError, "groups must be at least 1, got 0"),
        (X, W, None, {"groups": 1.0}, TypeError, "groups must be an int"),
        (X, (6, 4, 7, 3), None, {}, ValueError, r"kernel of 7x3 .*\(2, 4, 6, 6\)"),
        (X, W, None, {"dilation": 3}, ValueError, r"dilation \(3, 3\) does not fit"),
        (X, (6, 4, 0, 3), None, {}, ValueError, "kernel of 0x3"),
        ((4, 6), W, None, {}, ValueError, r"input must have shape .* got \(4, 6\)"),
        ((1, *X), W, None, {}, ValueError, r"got \(1, 2, 4, 6, 6\)"),
        (X, (4, 3, 3), None, {}, ValueError, r"weight must have shape .* got \(4, 3, 3\)"),
        (X, W, (5,), {}, ValueError, r"bias must have shape \(6,\) .* got \(5,\)"),
        (X, W, (6, 1), {}, ValueError, r"got \(6, 1\)"),
        (X, W, None, {"stride": 0}, ValueError, "stride must not be less than 1"),
        (X, W, None, {"stride": (1, 2, 3)}, ValueError, r"pair of ints, got \(1, 2, 3\)"),
        (X, W, None, {"stride": 1.5}, TypeError, "stride must be an int or a pair"),
        (X, W, None, {"dilation": (1, -1)}, ValueError, "dilation must not be less than 1"),
        (X, W, None, {"padding": -1}, ValueError, "padding must not be negative"),
        (X, W, None, {"padding": 1 << 40}, ValueError, "too large"),
        (X, W, None, {"padding": (1 << 29, 1 << 29)}, ValueError, "too large"),
        (X, W, None, {"padding": "full"}, ValueError, "'full'"),
        (X, W, None, {"padding": "same", "stride": 2}, ValueError, "padding='same' needs stride 1"),
    ],
)
def test_errors_name_what_is_wrong(x, w, b, how, error, message):
    x, w = from_numpy(np.ones(x, np.float32)), from_numpy(np.ones(w, np.float32))
    b = None if b is None else from_numpy(np.ones(b, np.float32))
    with pytest.raises(error, match=message):
        conv2d(x, w, b, **how)


def test_dtypes_must_be_floating_and_the_same():
    x, w = from_numpy(np.ones(X, np.float32)), from_numpy(np.ones(W, np.float64))
    with pytest.raises(TypeError, match=r"float32 and float64|float64 and float32"):
        conv2d(x, w)
    with pytest.raises(TypeError, match="int64"):
        conv2d(from_numpy(np.ones(X, np.int64)), w)
    with pytest.raises(TypeError, match="ndarray"):
        conv2d(np.ones(X), w)


# --- one dimension, and transposed ---

OTHERS = [
    # function, x, w, how: work enough for several threads in all passes
    (conv1d, (16, 32, 100), (48, 32, 5), {"padding": 2}),
    (conv1d, (9, 300, 41), (300, 1, 9), {"groups": 300}),
    (conv3d, (2, 16, 6, 14, 14), (24, 16, 3, 3, 3), {"padding": 1}),
    (conv3d, (2, 16, 6, 14, 14), (24, 16, 1, 3, 3), {"stride": (1, 2, 1)}),
    (conv_transpose1d, (16, 32, 60), (32, 48, 4), {"stride": 2, "padding": 1}),
    (conv_transpose2d, (8, 24, 14, 14), (24, 40, 4, 4), {"stride": 2, "padding": 1}),
    (conv_transpose2d, (8, 64, 20, 20), (64, 1, 3, 3), {"groups": 64}),
    (conv_transpose3d, (2, 16, 5, 9, 9), (16, 24, 4, 4, 4), {"stride": 2, "padding": 1}),
]

TRANSPOSED = (conv_transpose1d, conv_transpose2d, conv_transpose3d)


def operands(x_shape, w_shape, groups=1, transposed=False):
    out = w_shape[1] * groups if transposed else w_shape[0]
    return [make(shape, np.float32, k) for k, shape in enumerate((x_shape, w_shape, (out,)))]


@pytest.mark.parametrize("layout", ["plain", "channels_last", "gaps"])
@pytest.mark.parametrize("function, x_shape, w_shape, how", OTHERS, ids=str)
def test_others_on_several_threads(function, x_shape, w_shape, how, layout):
    transposed = function in TRANSPOSED
    arrays = operands(x_shape, w_shape, how.get("groups", 1), transposed)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            leaves = [tensor(arrays[0], layout), *map(tensor, arrays[1:])]
            y = function(*leaves, **how)
            assert last_team() == threads or how.get("groups")
            dy = make(y.shape, np.float32, 7)
            y.backward(tensor(dy, layout).detach())
            results.append([y.detach().numpy().tobytes(), *(t.grad.numpy() for t in leaves)])
    for found in results[1:]:
        assert found[0] == results[0][0]
        for a, b in zip(found[1:], results[0][1:], strict=True):
            assert a.tobytes() == b.tobytes()
    leaves = [tensor(a.astype(np.float64)) for a in arrays]
    function(*leaves, **how).backward(from_numpy(dy.astype(np.float64)))
    for a, leaf in zip(results[0][1:], leaves, strict=True):
        scale = abs(leaf.grad.numpy()).max()
        np.testing.assert_allclose(a, leaf.grad.numpy(), rtol=1e-4, atol=2e-5 * scale)


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("function, x_shape, w_shape, how", OTHERS, ids=str)
def test_others_do_not_read_beyond_their_arrays(function, x_shape, w_shape, how, at_end):
    def fenced(array):
        memory = guarded(array.size, array.dtype, at_end)
        memory[:] = array.reshape(-1)
        return from_numpy(memory.reshape(array.shape))

    transposed = function in TRANSPOSED
    arrays = operands((1, *x_shape[1:]), w_shape, how.get("groups", 1), transposed)
    leaves = [fenced(a).requires_grad_() for a in arrays]
    y = function(*leaves, **how)
    y.backward(fenced(make(y.shape, np.float32, 7)))


def test_conv1d_is_channels_last_and_counts_as_contiguous():
    x, w, b = operands((2, 3, 9), (4, 3, 3))
    y = conv1d(tensor(x), tensor(w), tensor(b))
    assert y.stride() == (28, 1, 4)
    assert y.is_contiguous()
    assert y.flatten(1).shape == (2, 28)
    np.testing.assert_array_equal(y.view(2, 28).detach().numpy(), y.detach().numpy().reshape(2, 28))
    assert conv1d(from_numpy(x[0]), from_numpy(w)).stride() == (1, 4)


def test_conv3d_is_channels_last_and_counts_as_contiguous():
    x, w, b = operands((2, 3, 4, 5, 6), (4, 3, 3, 3, 3))
    y = conv3d(tensor(x), tensor(w), tensor(b), padding=1)
    assert y.stride() == (480, 1, 120, 24, 4)
    assert y.is_contiguous()
    assert y.view(2, 480).shape == (2, 480)
    a = conv3d(tensor(x[0]), tensor(w), tensor(b), padding=1)
    np.testing.assert_array_equal(a.detach().numpy(), y.detach().numpy()[0])


def test_weight_of_conv3d_may_have_any_strides():
    x, w, _ = operands((2, 3, 4, 5, 6), (4, 3, 3, 2, 3))
    turned = np.ascontiguousarray(w.transpose(2, 0, 1, 4, 3)).transpose(1, 2, 0, 4, 3)
    a, b = conv3d(tensor(x), tensor(w)), conv3d(tensor(x), tensor(turned))
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_weight_of_conv1d_may_have_any_strides():
    x, w, _ = operands((2, 3, 9), (4, 3, 5))
    turned = np.ascontiguousarray(w.transpose(2, 0, 1)).transpose(1, 2, 0)
    for tx in (tensor(x), tensor(x, "gaps")):
        a, b = conv1d(tx, tensor(w)), conv1d(tx, tensor(turned))
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_transposed_convolution_is_the_adjoint_of_convolution():
    for case in CASES:
        x_shape, w_shape, how = case
        if isinstance(how.get("padding"), str):
            continue
        x, w, _, dy = problem(x_shape, w_shape, np.float64, **how)
        sizes = zip(
            x_shape[2:],
            conv_transpose2d(from_numpy(dy), from_numpy(w), **how).shape[2:],
            strict=True,
        )
        extra = tuple(size - least for size, least in sizes)
        found = conv_transpose2d(from_numpy(dy), from_numpy(w), output_padding=extra, **how)
        assert_equal(found, conv2d_passes(x, w, None, dy, **how)[1])


def test_only_the_gradients_asked_for_are_computed_transposed():
    arrays = operands((2, 3, 6, 6), (3, 4, 3, 3), transposed=True)
    for wanted in range(3):
        leaves = [from_numpy(a) for a in arrays]
        leaves[wanted].requires_grad_()
        conv_transpose2d(*leaves).sum().backward()
        assert [t.grad is not None for t in leaves] == [k == wanted for k in range(3)]


@pytest.mark.parametrize(
    ("function", "x", "w", "b", "how", "error", "message"),
    [
        (conv1d, X, (6, 4, 3), None, {}, ValueError, r"conv1d: .* \(N, C, L\) or \(C, L\), got"),
        (conv1d, (2, 4, 6), W, None, {}, ValueError, r"conv1d: weight .* / groups, K\), got"),
        (conv1d, (2, 4, 6), (6, 4, 9), None, {}, ValueError, r"a kernel of 9 with .* \(1,\)"),
        (conv1d, (2, 4, 6), (6, 4, 3), None, {"stride": (1, 2)}, ValueError, "must be an int, got"),
        (conv1d, (2, 4, 6), (6, 4, 3), (4,), {}, ValueError, r"conv1d: bias .* \(6,\)"),
        (
            conv3d,
            X,
            (6, 4, 3, 3, 3),
            None,
            {},
            ValueError,
            r"conv3d: .* has 2 channels, .* needs 4",
        ),
        (conv3d, (2, 4, 6, 6, 6), W, None, {}, ValueError, r"conv3d: weight .*KD, KH, KW\), got"),
        (conv_transpose2d, X, (3, 4, 3, 3), None, {}, ValueError, "has 4 channels, .* needs 3"),
        (conv_transpose2d, X, (4, 4, 3, 3), None, {"groups": 3}, ValueError, "4 in channels, whi"),
        (conv_transpose2d, X, (4, 2, 3, 3), (2,), {"groups": 2}, ValueError, r"shape \(4,\)"),
        (conv_transpose2d, X, (4, 2, 3), None, {}, ValueError, r"weight must have shape \(in ch"),
        (conv_transpose2d, X, (4, 2, 3, 0), None, {}, ValueError, "at least one element"),
        (conv_transpose2d, X, (4, 2, 1, 1), None, {"padding": 3}, ValueError, r"of \(0, 0\)"),
        (conv_transpose2d, X, (4, 2, 3, 3), None, {"padding": "same"}, TypeError, "'same'"),
        (conv_transpose2d, X, (4, 2, 3, 3), None, {"output_padding": 1}, ValueError, "smaller"),
        (conv_transpose2d, X, (4, 2, 3, 3), None, {"output_padding": -1}, ValueError, "negative"),
        (conv_transpose2d, X, (4, 2, 3, 3), None, {"stride": 1 << 29}, ValueError, "too large"),
        (conv_transpose1d, X, (4, 2, 3), None, {}, ValueError, r"conv_transpose1d: input"),
    ],
)
def test_errors_of_the_others(function, x, w, b, how, error, message):
    x, w = from_numpy(np.ones(x, np.float32)), from_numpy(np.ones(w, np.float32))
    b = None if b is None else from_numpy(np.ones(b, np.float32))
    with pytest.raises(error, match=message):
        function(x, w, b, **how)
