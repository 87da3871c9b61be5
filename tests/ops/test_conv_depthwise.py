"""Depthwise convolution: taps that slide over a row, at every width; blocks of channels; edges."""

import itertools

import numpy as np
import pytest

from fastnn.ops.conv import conv2d
from fastnn.testing import levels, using_isa
from fastnn.testing.conv import plans
from tests.ops.test_conv import check, make, run, tensor

WIDTHS = [1, 3, 4, 7, 8, 9, 13, 16]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("taps, stride", [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_every_width_and_tail_of_channels(level, dtype, taps, stride):
    with using_isa(level):
        for width, channels in itertools.product(WIDTHS, (5, 35)):
            x = (1, channels, taps, (width - 1) * stride + taps)
            check(x, (channels, 1, taps, taps), dtype, groups=channels, stride=stride)


@pytest.mark.parametrize("layout", ["plain", "channels_last"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("taps", [(3, 3), (5, 5), (5, 3), (1, 3), (3, 1), (2, 4)])
def test_many_channels_in_blocks(taps, stride, layout):
    """1024 bytes of channels, and a multiple of that, give copied pixels another pitch."""
    for channels in (256, 512, 300):
        padding = taps[0] // 2, taps[1] // 2
        check((2, channels, 9, 10), (channels, 1, *taps), groups=channels, stride=stride,
              padding=padding, layout=layout)  # fmt: skip


EDGES = [
    # height and width, taps, how
    ((7, 9), (3, 3), {"padding": 1}),
    ((7, 9), (3, 3), {"padding": 1, "stride": 2}),
    ((7, 9), (5, 5), {"padding": 2}),
    ((8, 8), (5, 5), {"padding": 2, "stride": (3, 2)}),
    ((9, 11), (3, 3), {"padding": 2, "dilation": 2}),
    ((9, 11), (3, 5), {"padding": (3, 7), "dilation": (3, 2), "stride": 2}),
    ((6, 7), (4, 2), {"padding": "same"}),
    ((6, 7), (4, 3), {"padding": "same", "dilation": 3}),
    ((2, 3), (3, 3), {"padding": 4}),
    ((1, 1), (3, 3), {"padding": 1}),
    ((3, 1), (5, 3), {"padding": (4, 3), "stride": 3}),
]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size, taps, how", EDGES, ids=str)
def test_taps_beyond_an_edge_are_left_out(level, dtype, size, taps, how):
    with using_isa(level):
        for channels in (5, 37):
            check((2, channels, *size), (channels, 1, *taps), dtype, groups=channels,
                  layout="channels_last", **how)  # fmt: skip


@pytest.mark.parametrize(
    "channels, taps, layout, in_place",
    [
        (64, 3, "channels_last", True),
        (256, 3, "channels_last", True),
        (200, 5, "channels_last", True),
        (256, 5, "channels_last", False),
        (64, 3, "plain", False),
    ],
)
def test_what_is_read_as_it_lies_and_what_is_copied(channels, taps, layout, in_place):
    x = tensor(np.zeros((2, channels, 9, 9), np.float32), layout)
    w = tensor(np.zeros((channels, 1, taps, taps), np.float32))
    how = {"groups": channels, "padding": taps // 2}
    y = tensor(np.zeros((2, channels, 9, 9), np.float32), layout)
    found = plans(x, w, y, **how)
    for name in ("forward", "data", "weight"):
        assert found[name]["clipped"] and found[name]["in_place"] == in_place
    assert conv2d(x, w, **how).shape == y.shape


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
