# Convolution: the shape of a problem, and the plan of one pass over it.

from fastnn._kernels.panels cimport Panels
from fastnn._kernels.runtime cimport epilogue, fastnn_kernels, itemsize

# y[n, o, i, j] = bias[o] + sum over c, kh, kw of
#   x[n, c, i * sh - top + kh * dh, j * sw - left + kw * dw] * w[o, c, kh, kw]
# with x zero outside of its H x W; per group: C and O count one group's channels.
# A volume of y is OD images, N counts all of them, and what image od reads is one image whose
# channels are those of KD images of x: od * sd - front + kd * dd, zero outside of its D, come
# one after the other. X: the channels of an image of x that a group reads, so C = KD * X.
# A depthwise convolution, where every channel is a group of its own, is taken as one group of
# G = 1 and X = O channels, of which a result reads C = KD.
cdef struct ConvShape:
    int dtype
    bint depthwise
    long N, G, C, X, O, H, W, OH, OW, KH, KW, sh, sw, dh, dw, top, left
    long D, OD, KD, sd, dd, front

# How Winograd's tiles cover the images of a problem. With dilated taps the pixels of an image
# whose rows and columns leave the same remainders are an image of their own, with no dilation.
cdef struct Tiling:
    int side                      # of a tile's outputs: 2 or 4; 0: not by tiles
    int kind                      # which of the kernels (kernels.h)
    long edge, values             # of a tile's inputs: side + KH - 1; edge^2
    long rows, cols, count        # tiles of such an image; of all images
    long block                    # tiles of an item, of all images in a row
    long x_tile, x_plane          # pitches of the planes of input,
    long y_tile, y_plane          # of the planes of output,
    long w_plane                  # of the planes of weights

cdef struct Correlation:
    ConvShape s
    const fastnn_kernels* K
    const char* x
    long x_n, x_d, x_c, x_h, x_w  # strides; elements, as all that follow
    const char* w                 # packed [G][panel][KH][KW * C][its columns]
    epilogue after                # for all G * O channels
    char* y                       # channels unit stride
    long y_n, y_d, y_h, y_w
    bint planar                   # few output channels: conv_planar.pyx
    Tiling tiling                 # conv_winograd.pyx
    bint fold                     # the KH rows of a kernel are gathered as channels of one
    bint spread                   # rows are gathered KW times, shifted: all pixels are adjacent
    bint in_place                 # x serves as it lies: nothing to pad, channels last
    bint clipped                  # taps beyond the edges of x are left out: conv_depthwise.pyx
    Panels panels                 # of one group's O columns
    long packed_columns           # of all of them
    long band, bands              # output rows in a band; how many of these
    long run                      # output rows whose pixels follow upon each other
    long step                     # output rows whose input is gathered at once
    long images, groups           # an item takes a group of so many images; how many of these
    long parts                    # the panels, or blocks of a weight gradient, are shared out
    long blocks                   # of the channels gathered, each [row][pixel][its channels]
    long pixel, row               # pitches of gathered pixels, rows,
    long block, image             # blocks and images;
    long out_pixel, tap_h, tap_w  # from an output pixel to the next, from a tap to the next
    char* scratch
    size_t scratch_step           # bytes of scratch per thread;
    size_t row_offset             # there, room for a row of x
    int threads
    size_t packed_bytes
    # of backward-weight
    const char* dy
    long dy_n, dy_c, dy_w         # strides; from row to row it is OW * dy_w
    char* dw                      # partial sums [sums][G][weight_rows + 1][O], the bias last
    bint turned                   # few output channels: dw [..][O][weight_rows], by tiles of O rows
    long weight_rows              # KH * KW * C, or 0 where only the bias is wanted
    long sums, partial            # partial: elements of one partial sum
    long kernel_parts             # 1, or KH where the kernel rows are items of their own
    long dy_rows                  # output rows that a tile of dw sums over at once
    bint copy_dy                  # they are copied, channels last, to dy_offset of scratch
    size_t dy_offset
    bint want_dw, want_db


cdef inline long gathered_channels(const ConvShape* s) noexcept nogil:
    """Of a pixel, as a group reads it."""
    return s.C * s.O if s.depthwise else s.C


cdef inline char* result_image(const Correlation* c, long n) noexcept nogil:
    return c.y + (n // c.s.OD * c.y_n + n % c.s.OD * c.y_d) * itemsize(c.s.dtype)
