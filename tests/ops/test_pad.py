"""Padding: layouts, threads, errors; values and gradients are tested from the registry."""

import numpy as np
import pytest

import fastnn
from fastnn.nn.functional import pad
from fastnn.testing import last_team, num_threads
from tests.references.pad import pad as reference

MODES = ["constant", "reflect", "replicate", "circular"]
ALL = (2, 1, 0, 3)


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("mode", MODES)
def test_the_memory_order_of_the_input_stays(mode):
    image = np.moveaxis(numbers(2, 6, 5, 3), -1, 1)
    y = pad(fastnn.from_numpy(image), ALL, mode)
    assert y.is_contiguous(memory_format="channels_last") and not y.is_contiguous()
    np.testing.assert_array_equal(y.numpy(), reference(image, ALL, mode))
    image = fastnn.from_numpy(numbers(2, 3, 6, 5))
    assert pad(image, ALL, mode).is_contiguous()
    row = fastnn.nn.functional.conv1d(image[0], fastnn.ones(4, 6, 3).double())
    padded = pad(row, (1, 1), mode)
    assert padded.stride() == (20, 1, 4) and padded.is_contiguous()
    assert padded.view(3, 20).shape == (3, 20)


@pytest.mark.parametrize("mode", MODES)
def test_threads_do_not_change_a_bit_of_the_gradient(mode):
    x, dy = numbers(8, 16, 40, 30), numbers(8, 16, 43, 33)
    found = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            leaf = fastnn.tensor(x, requires_grad=True)
            y = pad(leaf, ALL, mode)
            y.backward(fastnn.tensor(dy))
            assert last_team() == threads or mode == "constant"
            found.append(y.detach().numpy().tobytes() + leaf.grad.numpy().tobytes())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("mode", MODES)
def test_an_expanded_gradient_and_one_used_twice(mode):
    x = fastnn.tensor(numbers(2, 3, 6, 5), requires_grad=True)
    y = pad(x, ALL, mode)
    y.sum().backward()
    once = x.grad.clone()
    y = pad(x, ALL, mode)
    (y * 2 + y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * once.numpy())
    assert once.sum().item() == (y.numel() if mode != "constant" else x.numel())


def test_other_dtypes():
    mask = fastnn.tensor([True, True])
    assert pad(mask, (1, 1)).tolist() == [False, True, True, False]
    assert pad(fastnn.tensor([1, 2]), (0, 2), value=9).tolist() == [1, 2, 9, 9]


def test_the_result_is_never_the_input():
    x = fastnn.ones(1, 2, 3)
    for mode in MODES:
        for pads in [(0, 0), (-1, 0)]:
            pad(x, pads, mode).zero_()
    assert x.tolist() == fastnn.ones(1, 2, 3).tolist()


@pytest.mark.parametrize(
    ("shape", "pads", "how", "error", "message"),
    [
        ((2, 3), (1,), {}, TypeError, r"even number of ints, got \(1,\)"),
        ((2, 3), 1, {}, TypeError, "even number of ints, got 1"),
        ((2, 3), (1, 1.5), {}, TypeError, r"\(1, 1.5\)"),
        ((2, 3), (1, 1) * 3, {}, ValueError, r"3 dimensions to pad, .* \(2, 3\)"),
        ((2, 3), (-2, -2), {}, ValueError, r"takes more than there is of shape \(2, 3\)"),
        ((2, 3), (1 << 62, 1 << 62), {}, ValueError, "too large"),
        ((2, 3), (1, 1), {"mode": "edge"}, ValueError, "'edge'"),
        ((2, 3), (1, 1), {"mode": "reflect", "value": 1}, ValueError, "takes no value, got 1"),
        ((2, 3), (1, 3), {"mode": "reflect"}, ValueError, r"\(1, 3\) for shape \(2, 3\)"),
        ((2, 3), (1, 4), {"mode": "circular"}, ValueError, r"\(1, 4\) for shape \(2, 3\)"),
        ((2, 0), (1, 0), {"mode": "replicate"}, ValueError, r"replicate in shape \(2, 0\)"),
        ((3,), (1, 1), {"mode": "reflect"}, ValueError, r"got 1 for shape \(3,\)"),
        ((1,) * 6, (1, 1) * 4, {"mode": "circular"}, ValueError, "got 4 for shape"),
    ],
)
def test_errors_name_what_is_wrong(shape, pads, how, error, message):
    with pytest.raises(error, match=message):
        pad(fastnn.zeros(*shape), pads, **how)


def test_only_constants_pad_integers():
    with pytest.raises(TypeError, match="int64"):
        pad(fastnn.tensor([[1, 2]]), (1, 1), "reflect")


@pytest.mark.parametrize("mode", MODES)
def test_a_part_of_a_larger_array(mode):
    whole = numbers(3, 7, 9, 8)
    for cut in [np.s_[1:, 1:5, 2:8, 1:7], np.s_[:, ::2, :, ::2]]:
        part = fastnn.from_numpy(whole)[cut]
        y = pad(part, ALL, mode)
        np.testing.assert_array_equal(y.numpy(), reference(whole[cut], ALL, mode))


def test_a_long_row_is_shared_out_among_threads():
    x = fastnn.tensor(numbers(3, 1 << 20))
    with num_threads(2):
        y = pad(x, (0, 0, 1, 1), value=2.0)
        assert last_team() == 2
    np.testing.assert_array_equal(y[1:-1].numpy(), x.numpy())
    assert y[0].min().item() == y[-1].max().item() == 2.0


@pytest.mark.parametrize("mode", MODES)
def test_many_dimensions_and_gradients_of_expanded_shape(mode):
    x = fastnn.tensor(numbers(2, 3, 4, 5, 6), requires_grad=True)
    y = pad(x, (1, 2, 3, 0, 0, 1), mode)
    np.testing.assert_array_equal(
        y.detach().numpy(), reference(x.detach().numpy(), (1, 2, 3, 0, 0, 1), mode)
    )
    y.backward(fastnn.ones(1).double().expand(*y.shape))
    shown = reference(
        np.arange(x.numel(), dtype=float).reshape(x.shape), (1, 2, 3, 0, 0, 1), mode, -1
    )
    times = np.bincount(shown[shown >= 0].astype(int).ravel(), minlength=x.numel())
    np.testing.assert_array_equal(x.grad.numpy().ravel(), times)
