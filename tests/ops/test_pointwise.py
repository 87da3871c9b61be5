import math

import numpy as np
import pytest

import fastnn
from fastnn._core.autograd import no_grad
from fastnn._core.interop import from_numpy
from fastnn.ops import OPS
from fastnn.ops.pointwise import add, maximum, mul, where
from fastnn.testing import last_team, levels, num_threads, using_isa

INPLACE = [
    "add_", "sub_", "mul_", "div_", "neg_", "pow_", "masked_fill_", "abs_", "exp_", "log_", "sqrt_",
    "square_", "reciprocal_", "clamp_", "relu_", "sigmoid_", "tanh_",
]  # fmt: skip
ARGUMENTS = {"masked_fill": (from_numpy(np.array([True, False, True])), 9.0), "clamp": (0.5, 1.5)}


def tensor(*values, dtype=np.float32):
    return from_numpy(np.array(values, dtype))


@pytest.mark.parametrize("name", INPLACE)
def test_in_place_equals_out_of_place(name):
    op = OPS[name.rstrip("_")]
    arguments = ARGUMENTS.get(
        op.name, (2.5,) if op.name in ("add", "sub", "mul", "div", "pow") else ()
    )
    x = tensor(0.25, 1.0, 2.0)
    expected = op.function(tensor(0.25, 1.0, 2.0), *arguments).numpy()
    memory = x.data_ptr()
    assert getattr(x, name)(*arguments) is x
    assert x.data_ptr() == memory
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize(
    "other",
    [
        lambda x: x,
        lambda x: x.T,
        lambda x: x[0],
        lambda x: x[:, 1:2],
        lambda x: x.flip(0),
        lambda x: tensor(1, 2, 3, dtype=np.int64),
        lambda x: tensor(1, 2, 3, dtype=np.float64)[1],
        lambda x: tensor(1, 2, 3)[:1],
    ],
)
def test_in_place_with_what_it_overlaps_or_another_dtype(name, other):
    x = from_numpy(np.arange(1, 10, dtype=np.float32).reshape(3, 3))
    expected = OPS[name].function(x, other(x)).numpy()
    assert getattr(x, f"{name}_")(other(x)) is x
    np.testing.assert_array_equal(x.numpy(), expected)


def test_in_place_enters_the_graph():
    w = tensor(1.0, 2.0, 3.0).requires_grad_()
    x = mul(w, 2.0)
    x += w
    x.relu_()
    x.backward(tensor(1.0, 10.0, 100.0))
    np.testing.assert_array_equal(w.grad.numpy(), [3, 30, 300])


def test_in_place_on_a_shifted_view_of_itself():
    memory = from_numpy(np.arange(1, 8, dtype=np.float32))
    x = memory[1:]
    expected = x.numpy() + memory[:-1].numpy()
    x.add_(memory[:-1])
    np.testing.assert_array_equal(memory.numpy(), [1, *expected])


@pytest.mark.parametrize("name", ["add_", "sub_", "mul_", "div_"])
@pytest.mark.parametrize("tracks", ["operand", "other"])
def test_in_place_arithmetic_has_the_gradient_of_the_operation(name, tracks):
    gradients = []
    for inplace in (False, True):
        w = tensor(0.5, -1.5, 2.0).requires_grad_()
        x, other = (mul(w, 2.0), tensor(3.0)) if tracks == "operand" else (tensor(1, 2, 3), w)
        y = getattr(x, name if inplace else name[:-1])(other)
        y.backward(tensor(1.0, 10.0, 100.0))
        gradients.append(w.grad.tolist())
    assert gradients[0] == gradients[1]


def test_in_place_changes_no_integers_to_fractions():
    x = tensor(1, 2, dtype=np.int64)
    assert x.add_(3).tolist() == [4, 5]
    with pytest.raises((TypeError, RuntimeError), match="int64"):
        x.mul_(0.5)
    assert x.tolist() == [4, 5]


def test_in_place_on_a_leaf_that_requires_grad_is_refused():
    w = tensor(1.0).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf"):
        w.add_(1)
    with no_grad():
        w.add_(1)
    assert w.detach().item() == 2


def test_a_saved_operand_changed_in_place_is_found():
    w, x = tensor(1.0, 2.0).requires_grad_(), tensor(3.0, 4.0)
    y = mul(w, x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward(tensor(1.0, 1.0))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (tensor(1, dtype=np.int32), 2.5, "float32"),
        (tensor(1, dtype=np.int32), tensor(2, dtype=np.int64), "int64"),
        (tensor(1, dtype=np.uint8), 3, "uint8"),
        (tensor(True, dtype=bool), 3, "int64"),
        (tensor(1.0), 2, "float32"),
        (tensor(1.0), tensor(2.0, dtype=np.float64), "float64"),
        (tensor(1.0), from_numpy(np.array(2.0)), "float32"),
    ],
)
def test_promotion_of_dtypes(a, b, expected):
    assert add(a, b).dtype.name == expected
    assert add(b, a).dtype.name == expected


def test_integers_are_exact_and_wrap_around():
    big = tensor(2**62, -3, dtype=np.int64)
    np.testing.assert_array_equal((big + big).numpy(), [-(2**63), -6])
    np.testing.assert_array_equal(mul(tensor(2**53 + 1, dtype=np.int64), 1).numpy(), [2**53 + 1])
    np.testing.assert_array_equal((tensor(200, dtype=np.uint8) + 100).numpy(), [44])


def test_mixed_dtypes_give_each_operand_its_own_gradient():
    a = tensor(1.0, 2.0).requires_grad_()
    b = from_numpy(np.array([[3.0], [4.0]])).requires_grad_()
    (a * b).backward(from_numpy(np.ones((2, 2))))
    assert (a.grad.dtype.name, b.grad.dtype.name) == ("float32", "float64")
    np.testing.assert_array_equal(a.grad.numpy(), [7, 7])
    np.testing.assert_array_equal(b.grad.numpy(), [[3], [3]])


def test_ties_share_the_gradient():
    a, b = tensor(1.0, 2.0).requires_grad_(), tensor(1.0, 1.0).requires_grad_()
    maximum(a, b).backward(tensor(1.0, 1.0))
    np.testing.assert_array_equal(a.grad.numpy(), [0.5, 1.0])
    np.testing.assert_array_equal(b.grad.numpy(), [0.5, 0.0])


@pytest.mark.parametrize("name", ["relu", "clamp", "maximum", "sigmoid", "tanh", "exp"])
def test_nan_goes_through(name):
    x = tensor(np.nan, 1.0, *[0.5] * 20)
    arguments = {"clamp": (0, 1), "maximum": (tensor(*[0.0] * 22),)}.get(name, ())
    y = OPS[name].function(x, *arguments).numpy()
    assert np.isnan(y[0]) and not np.isnan(y[1:]).any()


def test_large_operations_run_on_several_threads():
    x = from_numpy(np.ones(1 << 20, np.float32))
    with num_threads(2):
        add(x, x)
        assert last_team() == 2
    with num_threads(1):
        add(x, x)
        assert last_team() == 1


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\)"):
        add(tensor(1, 2), tensor(1, 2, 3))
    with pytest.raises(TypeError, match="str"):
        add(tensor(1), "x")
    with pytest.raises(TypeError, match="bool tensor, got float32"):
        where(tensor(1), tensor(1), tensor(1))
    with pytest.raises(ValueError, match="does not fit in place"):
        tensor(1, 2).add_(from_numpy(np.ones((3, 2), np.float32)))


def test_comparison_with_none_is_plain_python():
    assert (tensor(1) == None) is False  # noqa: E711


WHOLE = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 2.0**24 + 2, 1e30, -1e30, math.inf, -math.inf]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_numbers(name, level, dtype):
    x = np.array([*WHOLE, math.nan] * 3, dtype)
    with using_isa(level):
        y = getattr(fastnn, name)(from_numpy(x)).numpy()
    expected = getattr(np, name)(x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y[:-1]), np.signbit(expected[:-1]))


@pytest.mark.parametrize("level", levels())
def test_remainder_has_the_sign_of_the_divisor(level):
    pairs = [(7, 3), (-7, 3), (7, -3), (-7, -3), (6, 3), (-6, 3), (0, 3), (-(2**63), -1)]
    a, b = np.array(pairs, np.int64).T
    with using_isa(level):
        assert (from_numpy(a.copy()) % from_numpy(b.copy())).tolist()[:-1] == [
            x % y for x, y in pairs[:-1]
        ]
        assert (from_numpy(a.copy()) // from_numpy(b.copy())).tolist()[:-1] == [
            x // y for x, y in pairs[:-1]
        ]
        real = [(5.5, 2.0), (-5.5, 2.0), (5.5, -2.0), (1e-8, -1.0), (1.0, 0.1), (math.inf, 2.0)]
        x, y = np.array(real, np.float64).T
        with np.errstate(invalid="ignore"):
            found = (from_numpy(x.copy()) % from_numpy(y.copy())).numpy()
            np.testing.assert_array_equal(found, np.remainder(x, y))
            found = (from_numpy(x.copy()) // from_numpy(y.copy())).numpy()
            np.testing.assert_array_equal(found[:-1], np.floor_divide(x, y)[:-1])
        assert np.isnan((fastnn.tensor(1.0) % 0.0).item())
        assert (fastnn.tensor(1.0) // 0.0).item() == math.inf


def test_remainders_of_numbers_and_tensors():
    x = fastnn.tensor([5, -5])
    assert (x % 3).tolist() == [2, 1] and (7 % x).tolist() == [2, -3]
    assert (x // 3).tolist() == [1, -2] and (7 // x).tolist() == [1, -2]
    assert (x % 2.5).tolist() == [0.0, 0.0]
    for call in (lambda: x % 0, lambda: x // fastnn.tensor([1, 0])):
        with pytest.raises(ZeroDivisionError, match="divided by 0"):
            call()
    with pytest.raises(ValueError, match="no gradient for its divisor"):
        _ = fastnn.ones(2) % fastnn.ones(2, requires_grad=True)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16, 31, 32, 33, 100, 128, 129])
@pytest.mark.parametrize("rows", [1, 5, 300])
def test_short_rows_with_every_kind_of_operand(rows, n):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((2, rows, n)).astype(np.float32)
    others = [
        rng.standard_normal(n),
        rng.standard_normal((rows, 1)),
        rng.standard_normal((2, 1, n)),
        rng.standard_normal((2, n, rows)).transpose(0, 2, 1),
        rng.standard_normal((2, rows, 2 * n))[..., ::2],
        rng.standard_normal((2, 2 * rows, n))[:, ::2],
        rng.standard_normal((2, 1, 1)),
    ]
    for other in [o.astype(np.float32) for o in others]:
        a, b = from_numpy(x), from_numpy(other)
        np.testing.assert_array_equal((a - b).numpy(), x - other)
        np.testing.assert_array_equal((b - a).numpy(), other - x)
        np.testing.assert_array_equal((a < b).numpy(), x < other)
        np.testing.assert_array_equal(where(a < b, a, b).numpy(), np.minimum(x, other))
        over = a.clone()
        over -= b
        np.testing.assert_array_equal(over.numpy(), x - other)
    whole = rng.integers(-5, 5, (rows, n)), rng.integers(-5, 5, n)
    a, b = from_numpy(whole[0]), from_numpy(whole[1])
    np.testing.assert_array_equal((a * b).numpy(), whole[0] * whole[1])
    np.testing.assert_array_equal(where(a > b, a, b).numpy(), np.maximum(*whole))
