"""repr() of tensors: PyTorch's form."""

import numpy as np
import pytest

import fastnn

TEXTS = [
    (np.float32(1.5), "tensor(1.5000)"),
    ([1.0, 2.0, 3.0], "tensor([1., 2., 3.])"),
    ([0.0, -0.5], "tensor([ 0.0000, -0.5000])"),
    ([1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00])"),
    ([np.nan, 1.0, -np.inf], "tensor([nan, 1., -inf])"),
    ([1, 200, -3], "tensor([  1, 200,  -3])"),
    ([True, False], "tensor([ True, False])"),
    ([[1.0, 2.0], [3.0, 4.0]], "tensor([[1., 2.],\n        [3., 4.]])"),
    (np.zeros((2, 1, 1), np.float32), "tensor([[[0.]],\n\n        [[0.]]])"),
    (np.arange(3, dtype=np.int32), "tensor([0, 1, 2], dtype=fastnn.int32)"),
    (np.ones(1), "tensor([1.], dtype=fastnn.float64)"),
    (np.zeros((0, 3), np.float32), "tensor([], size=(0, 3))"),
    (np.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
]


@pytest.mark.parametrize("data, text", TEXTS)
def test_repr(data, text):
    assert repr(fastnn.tensor(data)) == text


def test_place_in_the_graph():
    x = fastnn.tensor([1.0], requires_grad=True)
    assert repr(x) == "tensor([1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], grad_fn=<MulBackward>)"


def test_long_lines_and_large_tensors_are_cut():
    text = repr(fastnn.rand(40, 40))
    assert text.count("\n") == 6
    assert text.count("...") == 7
    assert max(map(len, repr(fastnn.rand(100)).split("\n"))) <= 80
