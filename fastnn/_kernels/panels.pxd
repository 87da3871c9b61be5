# How N columns are cut into panels, each as wide as a register tile (gemm.h): full ones,
# then perhaps a narrower one. Used by gemm.pyx and conv.pyx.

from fastnn._kernels.runtime cimport ceil_div, fastnn_kernels

cdef struct Panels:
    long N, vl               # columns in all and in a vector
    int width                # of the full panels, in vectors
    int last_width           # of the narrower one
    long nr                  # columns of a full panel
    long full, count


cdef inline Panels cut_panels(const fastnn_kernels* table, long M, long N) noexcept nogil:
    """For tiles of at most M rows: wide panels where M fits in the few rows of their tile."""
    cdef Panels p
    cdef long vectors = ceil_div(N, table.vl)
    p.N, p.vl = N, table.vl
    p.width = 4 if M <= table.gemm_rows[4] else 2
    p.width = <int>max(1, min(vectors, p.width))
    p.nr = p.width * p.vl
    p.full, p.last_width = vectors // p.width, <int>(vectors % p.width)
    p.count = p.full + (p.last_width > 0)
    return p


cdef inline Panels one_panel(const fastnn_kernels* table, long N) noexcept nogil:
    """All columns in one panel, wider than any tile."""
    cdef Panels p
    p.N, p.vl, p.width = N, table.vl, <int>ceil_div(N, table.vl)
    p.nr, p.full, p.last_width, p.count = p.width * p.vl, 1, 0, 1
    return p


cdef inline int panel_width(const Panels* p, long q) noexcept nogil:
    return p.width if q < p.full else p.last_width


cdef inline long panel_start(const Panels* p, long q) noexcept nogil:
    return q * p.nr


cdef inline long panel_columns(const Panels* p, long q) noexcept nogil:
    """With those that are only there to fill the last vector."""
    return panel_width(p, q) * p.vl


cdef inline long panel_end(const Panels* p, long q) noexcept nogil:
    return min(panel_start(p, q) + panel_columns(p, q), p.N)


cdef inline long padded_columns(const fastnn_kernels* table, long N) noexcept nogil:
    """Of all panels together."""
    return ceil_div(N, table.vl) * table.vl
