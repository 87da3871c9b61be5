"""The weights of a convolution, packed into panels of output channels.

Whatever the roles that a pass gives to the axes of w, what is read together lies
together. Called by conv.pyx and conv_winograd.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.panels cimport panel_columns, panel_end, panel_start
from fastnn._kernels.runtime cimport itemsize, parallel_for, team_size


cdef void pack_run(const Packing* p, const char* w, long channels, long n, long columns, char* to,
                   long tap) noexcept nogil:
    """So many channels of one image, for the first n of a panel's columns."""
    cdef const Correlation* c = p.c
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), taps = s.KH * s.KW, k, kh, kw, step = p.tap_w
    if taps > 1 and (s.KH == 1 or p.tap_h == s.KW * p.tap_w):
        # the taps of one pair of channels lie in one run: transpose taps x columns
        if step < 0:
            w += (taps - 1) * step * item
            to += (taps - 1) * tap * item
            step, tap = -step, -tap
        for k in range(channels):
            c.K.copy_2d(w + k * p.k * item, step, p.column, to + k * columns * item, tap, 1,
                        taps, n)
        return
    for kh in range(s.KH):
        for kw in range(s.KW):
            c.K.copy_2d(w + (kh * p.tap_h + kw * p.tap_w) * item, p.k, p.column,
                        to + (kh * s.KW + kw) * tap * item, columns, 1, channels, n)


cdef void pack_channels(const Packing* p, long g, long panel, long k0, long k1, char* to,
                        long tap) noexcept nogil:
    cdef const Correlation* c = p.c
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), each = s.C // s.KD, k = k0, run, t
    cdef long o = panel_start(&c.panels, panel), columns = panel_columns(&c.panels, panel)
    cdef long n = panel_end(&c.panels, panel) - o
    cdef const char* w = p.w + (g * p.group + o * p.column) * item
    if n < columns:
        for t in range(s.KH * s.KW):
            memset(to + t * tap * item, 0, (k1 - k0) * columns * item)
    while k < k1:
        run = min(k1 - k, each - k % each)
        pack_run(p, w + (k // each * p.tap_d + k % each * p.k) * item, run, n, columns,
                 to + (k - k0) * columns * item, tap)
        k += run


cdef void pack_panel(void* context, long item_index, int thread) noexcept nogil:
    cdef const Packing* p = <const Packing*>context
    cdef const Correlation* c = p.c
    cdef const ConvShape* s = &c.s
    cdef long g = item_index // c.panels.count, panel = item_index % c.panels.count
    cdef long first = g * c.packed_columns + panel_start(&c.panels, panel)
    pack_channels(p, g, panel, 0, s.C,
                  p.packed + first * s.KH * s.KW * s.C * itemsize(s.dtype),
                  s.C * panel_columns(&c.panels, panel))


cdef void pack_panels(Packing* p) noexcept nogil:
    cdef const Correlation* c = p.c
    parallel_for(pack_panel, p, c.s.G * c.panels.count,
                 1 if c.threads == 1 else team_size(<double>c.packed_bytes * 0.1))
