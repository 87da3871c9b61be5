"""Which ways the passes of a convolution would go, for tests that must reach them."""

from fastnn._core.tensor cimport Tensor
from fastnn._kernels.conv cimport plan_backward_data, plan_forward
from fastnn._kernels.conv_product cimport is_product
from fastnn._kernels.conv_shape cimport ConvShape, Correlation
from fastnn._kernels.conv_weight cimport plan_backward_weight
from fastnn.ops.conv_shape cimport Geometry, as_images, correlation_of, parse_conv


cdef dict ways(const Correlation* c):
    return {
        "depthwise": c.s.depthwise, "planar": c.planar, "side": c.tiling.side,
        "fold": c.fold, "spread": c.spread, "in_place": c.in_place, "clipped": c.clipped,
        "blocks": c.blocks, "bands": c.bands, "images": c.images,
        "groups": c.groups, "parts": c.parts,
    }


def plans(Tensor x, Tensor w, Tensor y, stride=1, padding=0, dilation=1, groups=1):
    """The plans of forward, backward-data (of its last phase) and backward-weight; y and its
    gradient have the same strides."""
    cdef int dims = w.ndim_ - 2
    cdef Geometry g
    cdef ConvShape s
    cdef Correlation forward, data, weight
    parse_conv(&g, "conv", dims, x, w, None, stride, padding, dilation, groups)
    s = correlation_of(&g, False)
    x, y = as_images(x, dims), as_images(y, dims)
    plan_forward(&forward, &s, x.strides_)
    plan_backward_data(&data, &s, y.strides_)
    plan_backward_weight(&weight, &s, x.strides_, y.strides_, True, True)
    product = is_product(&s, y.strides_)
    return {
        "forward": ways(&forward), "data": {**ways(&data), "product": product},
        "weight": {**ways(&weight), "sums": weight.sums, "kernel_parts": weight.kernel_parts,
                   "copy_dy": weight.copy_dy, "turned": weight.turned,
                   "product": product and is_product(&s, x.strides_)},
    }
