"""Convolution without im2col, on the batch-reduce tile of gemm.h.

Activations are channels-last: for one kernel row the taps (kw, c) of an output
pixel are KW * C numbers in a row, and the next pixel starts sw * C later. So a
tile of output pixels is a matrix product over KH overlapping rows of the input,
with weights packed [panel of output channels][KH][KW * C][nr]. A band of input
rows is first copied, padded and transposed into scratch, unless it can be used
as it lies. Backward-data is the same correlation of dy with flipped weights, one
for each phase of the stride. Parallel over (image, group, band of rows, part of
the panels). Called by ops/conv.pyx; conv_weight.pyx has the third pass.
"""

from fastnn._kernels.conv_depthwise cimport clips_in_place, depthwise_item, should_clip
from fastnn._kernels.conv_gather cimport (
    GROUP_BYTES, band_start, gather, inner_rows, items_wanted, set_bands, set_source,
    should_spread, team_for, usable_in_place,
)
from fastnn._kernels.conv_pack cimport Packing, pack_panels
from fastnn._kernels.conv_planar cimport (
    pack_planar, planar_item, plan_planar, should_run_planar,
)
from fastnn._kernels.conv_shape cimport result_image
from fastnn._kernels.conv_winograd cimport (
    pack_winograd, plan_winograd, winograd_item, winograd_side,
)
from fastnn._kernels.panels cimport (
    cut_panels, one_panel, padded_columns, panel_columns, panel_end, panel_start, panel_width,
)
from fastnn._kernels.runtime cimport (
    aligned, ceil_div, epilogue, epilogue_from, gemm_tile_args, item_task, itemsize, kernels,
    no_epilogue, parallel_for,
)


# --- the correlation: forward, and every phase of backward-data -----------------

cdef size_t plan_correlation(Correlation* c, bint dense) noexcept nogil:
    """dense: are the pixels of y adjacent?"""
    cdef const ConvShape* s = &c.s
    cdef long wanted = items_wanted(s)
    c.fold, c.blocks, c.images, c.parts, c.groups = False, 1, 1, 1, s.N
    c.tiling.side = 0
    c.clipped = should_clip(c)
    c.planar = should_run_planar(c)
    if c.planar:
        c.in_place = c.spread = False
        return plan_planar(c, ceil_div(wanted, max(s.N * s.G, <long>1)))
    c.tiling.side = winograd_side(s)
    if c.tiling.side:
        return plan_winograd(c, wanted)
    c.in_place = s.KH * s.KW == 0 or (clips_in_place(c) if c.clipped else usable_in_place(c))
    c.spread = dense and should_spread(c)
    set_bands(c, ceil_div(wanted, max(s.N * s.G, <long>1)), s.N, GROUP_BYTES)
    c.panels = one_panel(c.K, s.O) if s.depthwise else cut_panels(c.K, c.run * s.OW, s.O)
    c.packed_columns = padded_columns(c.K, s.O)
    c.parts = ceil_div(wanted, max(c.groups * s.G * c.bands, <long>1))
    c.parts = max(min(c.panels.count, c.parts), <long>1)
    c.packed_bytes = aligned(s.G * c.packed_columns * s.KH * s.KW * s.C * itemsize(s.dtype))
    return c.packed_bytes + c.threads * c.scratch_step


cdef inline bint taps_apart(const Correlation* c) noexcept nogil:
    """Do the taps of a kernel row not follow upon each other?"""
    return c.s.KW > 1 and (c.s.dw > 1 or c.spread)


cdef void output_run(const Correlation* c, gemm_tile_args* t, int width, long pixels, long taps_h,
                     const char* a, const char* b, char* y) noexcept nogil:
    """A run of output pixels by one panel, in tiles of even heights, from so many rows of taps."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), tiles = ceil_div(pixels, c.K.gemm_rows[width])
    cdef long i, first, m, kh
    cdef epilogue after = t.after
    for i in range(tiles):
        first = pixels * i // tiles
        m = pixels * (i + 1) // tiles - first
        t.a = a + first * t.a_row * item
        t.b = b
        t.c = y + first * c.y_w * item
        if not taps_apart(c) or taps_h == 0:
            t.batches = taps_h
            c.K.gemm_tile[width][m](t)
            continue
        t.batches, t.accumulate = s.KW, False         # one kernel row at a time
        for kh in range(taps_h):
            t.after = after if kh == taps_h - 1 else no_epilogue()
            c.K.gemm_tile[width][m](t)
            t.accumulate = True
            t.a = <const char*>t.a + c.tap_h * item
            t.b = <const char*>t.b + s.KW * s.C * t.b_k * item


cdef void correlate_item(void* context, long item_index, int thread) noexcept nogil:
    """A band of the images of one group, by some of the panels."""
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype)
    cdef long part = item_index % c.parts
    cdef long oh0 = item_index // c.parts % c.bands * c.band
    cdef long g = item_index // (c.parts * c.bands) % s.G
    cdef long n0 = item_index // (c.parts * c.bands * s.G) * c.images
    cdef long end = min(oh0 + c.band, s.OH), panel, n, o, oh, rows
    cdef long first = c.panels.count * part // c.parts
    cdef long kh, taps_h
    cdef char* band
    cdef const char* b
    cdef gemm_tile_args t
    cdef int width
    t.accumulate = False
    t.a_row, t.a_k = c.out_pixel, 1
    if taps_apart(c):
        t.k, t.a_batch = s.C, c.tap_w
    else:
        t.k, t.a_batch = s.KW * s.C, c.tap_h
    t.c_row = c.y_w
    for panel in range(first, c.panels.count * (part + 1) // c.parts):
        o, width = panel_start(&c.panels, panel), panel_width(&c.panels, panel)
        t.b_k = panel_columns(&c.panels, panel)
        t.b_batch = t.k * t.b_k
        t.n = panel_end(&c.panels, panel) - o
        b = c.w + (g * c.packed_columns + o) * s.KH * s.KW * s.C * item
        for n in range(n0, min(n0 + c.images, s.N)):
            band = band_start(c, n, g, oh0, n - n0, thread)
            oh = oh0
            while oh < end:
                rows = min(c.run, end - oh)
                if panel == first and (oh - oh0) % c.step == 0:
                    gather(c, n, g, oh0, oh, min(oh + c.step, end), 0, 1, band, thread)
                t.after = epilogue_from(&c.after, g * s.O + o, item)
                inner_rows(c, oh, &kh, &taps_h)
                output_run(c, &t, width, rows * s.OW, taps_h,
                           band + ((oh - oh0) * s.sh * c.row + kh * c.tap_h) * item,
                           b + kh * s.KW * s.C * t.b_k * item,
                           result_image(c, n) + (oh * c.y_h + g * s.O + o) * item)
                oh += rows


cdef void correlate(Correlation* c) noexcept nogil:
    cdef item_task task = correlate_item
    if c.planar:
        task = planar_item
    elif c.tiling.side:
        task = winograd_item
    elif c.s.depthwise:
        task = depthwise_item
    parallel_for(task, c, c.groups * c.s.G * c.bands * c.parts, c.threads)


# --- packing weights ------------------------------------------------------------

cdef void pack(Packing* p, Correlation* c, char* packed) noexcept nogil:
    p.c = c
    p.packed = packed
    if c.planar:
        pack_planar(p)
    elif c.tiling.side:
        pack_winograd(p)
    else:
        pack_panels(p)


# --- forward --------------------------------------------------------------------

cdef size_t plan_forward(Correlation* c, const ConvShape* s, const Py_ssize_t* x_strides) noexcept:
    c.s = s[0]
    c.K = kernels(s.dtype)
    c.threads = team_for(s)
    set_source(c, x_strides)
    return plan_correlation(c, True)


cdef void conv_image_key(const Correlation* c, const Py_ssize_t* w_strides,
                         long* key) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef int d
    key[1], key[2], key[3], key[4] = <long>c.K, s.G, s.O, s.C
    key[5], key[6], key[7] = s.KH, s.KW, 0 if c.planar else c.panels.width
    for d in range(4):
        key[8 + d] = w_strides[d]
    key[12], key[13], key[14] = c.tiling.side, s.KD, w_strides[4] if s.KD > 1 else 0


cdef void conv_pack(Correlation* c, const char* w, const Py_ssize_t* w_strides,
                    char* image) noexcept nogil:
    cdef Packing p
    p.w = w
    p.group, p.column, p.k = c.s.O * w_strides[0], w_strides[0], w_strides[1]
    p.tap_h, p.tap_w, p.tap_d = w_strides[2], w_strides[3], w_strides[4] if c.s.KD > 1 else 0
    pack(&p, c, image)


cdef void conv_forward(Correlation* c, const char* x, const char* image, const epilogue* after,
                       char* y, char* scratch) noexcept nogil:
    c.x, c.w, c.after, c.y = x, image, after[0], y
    c.scratch = scratch
    c.y_w = c.s.G * c.s.O
    c.y_h = c.y_w * c.s.OW
    c.y_d = c.y_h * c.s.OH
    c.y_n = c.y_d * c.s.OD
    correlate(c)


# --- backward-data --------------------------------------------------------------

# Input pixel r + stride * j takes part in output pixel j + (r + pad - k * dilation)
# / stride for the taps k = first, first + step, ... for which that is whole. In
# falling order of k it is a correlation of stride 1.
cdef struct Phase:
    long first, step, count, dilation, pad, size


cdef void set_phase(Phase* p, long r, long size, long kernel, long stride, long dilation,
                    long pad) noexcept nogil:
    cdef long k, a = stride, b = dilation
    while b > 0:
        a, b = b, a % b              # a becomes the greatest common divisor
    p.step = stride // a
    p.dilation = dilation // a
    p.size = ceil_div(size - r, stride) if size > r else 0
    p.count = p.pad = p.first = 0
    for k in range(min(kernel, p.step)):
        if (r + pad - k * dilation) % stride == 0:
            p.first = k
            p.count = ceil_div(kernel - k, p.step)
            p.pad = (p.count - 1) * p.dilation - (r + pad - k * dilation) // stride
            break
    if p.count <= 1:
        p.dilation = 1


cdef void set_phases(Phase* p, const ConvShape* s, long r) noexcept nogil:
    """Depth, rows and columns of phase r of sd * sh * sw."""
    set_phase(&p[0], r // (s.sh * s.sw), s.D, s.KD, s.sd, s.dd, s.front)
    set_phase(&p[1], r // s.sw % s.sh, s.H, s.KH, s.sh, s.dh, s.top)
    set_phase(&p[2], r % s.sw, s.W, s.KW, s.sw, s.dw, s.left)


cdef bint plan_phase(Correlation* c, const ConvShape* f, const Py_ssize_t* dy_strides,
                     const Phase* p, size_t* scratch_bytes) noexcept nogil:
    """The correlation of dy that gives one phase of dx; False if the phase has no pixels."""
    cdef ConvShape* s = &c.s
    s[0] = f[0]
    s.N, s.X, s.O = f.N // f.OD * p[0].size, f.O, f.X
    s.D, s.H, s.W, s.OD, s.OH, s.OW = f.OD, f.OH, f.OW, p[0].size, p[1].size, p[2].size
    s.KD, s.KH, s.KW, s.sd, s.sh, s.sw = p[0].count, p[1].count, p[2].count, 1, 1, 1
    s.dd, s.dh, s.dw = p[0].dilation, p[1].dilation, p[2].dilation
    s.front, s.top, s.left = p[0].pad, p[1].pad, p[2].pad
    if s.KD * s.KH * s.KW == 0:      # no tap reaches these pixels: sums of nothing
        s.KD, s.KH, s.KW = 1, 0, 0
        s.dh = s.dw = 1
    s.C = s.KD if f.depthwise else s.KD * f.O
    if s.OD == 0 or s.OH == 0 or s.OW == 0:
        return False
    set_source(c, dy_strides)
    scratch_bytes[0] = plan_correlation(c, f.sh == 1 and f.sw == 1)
    return True


cdef size_t plan_backward_data(Correlation* c, const ConvShape* s,
                               const Py_ssize_t* dy_strides) noexcept:
    cdef Phase[3] p
    cdef long r
    cdef size_t nbytes, most = 0
    c.K = kernels(s.dtype)
    c.threads = team_for(s)
    for r in range(s.sd * s.sh * s.sw):
        set_phases(p, s, r)
        if plan_phase(c, s, dy_strides, p, &nbytes):
            most = max(most, nbytes)
    return most


cdef inline long last_tap(const Phase* p) noexcept nogil:
    return p.first + (p.count - 1) * p.step


cdef void conv_backward_data(Correlation* c, const ConvShape* s, const char* dy,
                             const Py_ssize_t* dy_strides, const char* w,
                             const Py_ssize_t* w_strides, char* dx, char* scratch) noexcept nogil:
    cdef Phase[3] ph
    cdef Packing p
    cdef long r, item = itemsize(s.dtype), pixel = s.G * s.X, w_d = w_strides[4] if s.KD > 1 else 0
    cdef size_t nbytes
    p.group, p.column, p.k = s.O * w_strides[0], w_strides[1], w_strides[0]
    if s.depthwise:
        p.column = w_strides[0]
    for r in range(s.sd * s.sh * s.sw):
        set_phases(ph, s, r)
        if not plan_phase(c, s, dy_strides, ph, &nbytes):
            continue
        p.tap_d, p.tap_h = -ph[0].step * w_d, -ph[1].step * w_strides[2]
        p.tap_w = -ph[2].step * w_strides[3]
        p.w = w + (last_tap(&ph[0]) * w_d + last_tap(&ph[1]) * w_strides[2]
                   + last_tap(&ph[2]) * w_strides[3]) * item
        pack(&p, c, scratch)
        c.x, c.w, c.after = dy, scratch, no_epilogue()
        c.scratch = scratch + c.packed_bytes
        c.y = dx + ((r // (s.sh * s.sw) * s.H + r // s.sw % s.sh) * s.W + r % s.sw) * pixel * item
        c.y_w = s.sw * pixel
        c.y_h = s.sh * s.W * pixel
        c.y_d = s.sd * s.H * s.W * pixel
        c.y_n = s.D * s.H * s.W * pixel
        correlate(c)
