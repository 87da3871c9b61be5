"""Depthwise convolution: taps that slide over a row, at every width, and blocks of channels."""

import itertools

import numpy as np
import pytest

from fastnn.testing import levels, using_isa
from tests.ops.test_conv import check, make, run

WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 17, 21]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("taps, stride", [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_every_width_and_tail_of_channels(level, dtype, taps, stride):
    with using_isa(level):
        for width, channels in itertools.product(WIDTHS, (5, 16, 35)):
            x = (1, channels, taps, (width - 1) * stride + taps)
            check(x, (channels, 1, taps, taps), dtype, groups=channels, stride=stride)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("taps", [(3, 3), (5, 5), (5, 3), (1, 3), (3, 1), (2, 4)])
def test_many_channels_in_blocks(taps, stride):
    """1024 bytes of channels, and a multiple of that, give pixels another pitch."""
    for channels in (256, 512, 300):
        padding = taps[0] // 2, taps[1] // 2
        check((2, channels, 9, 10), (channels, 1, *taps), groups=channels, stride=stride,
              padding=padding)  # fmt: skip


@pytest.mark.parametrize("level", levels())
def test_a_column_has_the_same_bits_whatever_the_width(level):
    """The columns of a row are taken 8, 4 or 1 at a time, the last ones perhaps twice."""
    x, w, bias = make((1, 35, 3, 21), np.float32, 1), make((35, 1, 3, 3), np.float32, 2), None
    with using_isa(level):
        whole = run(x, w, bias, make((1, 35, 1, 19), np.float32, 3), groups=35)[0]
        for width in range(1, 19):
            dy = make((1, 35, 1, width), np.float32, 3)
            y = run(x[..., : width + 2], w, bias, dy, groups=35)[0]
            np.testing.assert_array_equal(y, whole[..., :width])
