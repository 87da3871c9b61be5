"""Weights and biases of a recurrent layer, packed in slots and panels (see rnn.pyx)."""

from fastnn._kernels.runtime cimport ceil_div, item_task, kernels, parallel_for, team_size

cdef double NS_PER_NUMBER = 0.3


cdef Matrix matrix(const RnnShape* s, const void* w, long gates, long units,
                   long length) noexcept nogil:
    return Matrix(s, w, gates, units, ceil_div(units, s.tile), length, False)


cdef Matrix matrix_ih(const RnnShape* s, const void* w) noexcept nogil:
    cdef Matrix m = matrix(s, w, s.gates, s.D, s.I)
    m.turned = is_gru(s)
    return m


cdef Matrix matrix_hh(const RnnShape* s, const void* w) noexcept nogil:
    return matrix(s, w, s.gates, s.D, s.P)


cdef Matrix matrix_hr(const RnnShape* s, const void* w) noexcept nogil:
    return matrix(s, w, 1, s.P, s.D)


# --- weights ---------------------------------------------------------------------------

cdef size_t columns_bytes(const Matrix* m) noexcept nogil:
    return padded(m.s, m.gates * m.panels * m.length * m.s.tile)


cdef size_t rows_bytes(const Matrix* m) noexcept nogil:
    cdef const RnnShape* s = m.s
    return padded(s, m.gates * m.panels * s.tile * ceil_div(m.length, s.tile) * s.tile)


cdef struct Pack:
    const Matrix* m
    char* packed


cdef char* first_row(const Matrix* m, long item, long* units) noexcept nogil:
    """The rows of the weight that panel `item` of all slots holds."""
    cdef const RnnShape* s = m.s
    cdef long unit = item % m.panels * s.tile
    units[0] = min(s.tile, m.units - unit)
    return at(m.w, (gate_of(m, item // m.panels) * m.units + unit) * m.length, s)


cdef void pack_columns_item(void* context, long item, int thread) noexcept nogil:
    cdef Pack* p = <Pack*>context
    cdef const Matrix* m = p.m
    cdef const RnnShape* s = m.s
    cdef long units
    cdef char* rows = first_row(m, item, &units)
    cdef char* packed = at(p.packed, item * m.length * s.tile, s)
    if units < s.tile:
        memset(packed, 0, m.length * s.tile * s.size)
    kernels(s.dtype).copy_2d(rows, 1, m.length, packed, s.tile, 1, m.length, units)


cdef void pack_rows_item(void* context, long item, int thread) noexcept nogil:
    cdef Pack* p = <Pack*>context
    cdef const Matrix* m = p.m
    cdef const RnnShape* s = m.s
    cdef long units, q, columns
    cdef char* rows = first_row(m, item, &units)
    cdef char* packed
    for q in range(ceil_div(m.length, s.tile)):
        columns = min(s.tile, m.length - q * s.tile)
        packed = at(p.packed, (q * m.gates * m.panels + item) * s.tile * s.tile, s)
        if units < s.tile or columns < s.tile:
            memset(packed, 0, s.tile * s.tile * s.size)
        kernels(s.dtype).copy_2d(at(rows, q * s.tile, s), m.length, 1, packed, s.tile, 1,
                                 units, columns)


cdef void pack(item_task task, const Matrix* m, char* packed) noexcept nogil:
    cdef Pack p = Pack(m, packed)
    cdef double ns = NS_PER_NUMBER * m.gates * m.units * m.length
    parallel_for(task, &p, m.gates * m.panels, min(m.s.threads, team_size(ns)))


cdef void pack_columns(const Matrix* m, char* packed) noexcept nogil:
    pack(pack_columns_item, m, packed)


cdef void pack_rows(const Matrix* m, char* packed) noexcept nogil:
    pack(pack_rows_item, m, packed)


# --- biases -----------------------------------------------------------------------------

ctypedef fused real:
    float
    double


cdef void weave_real(const Matrix* m, const real* b, long first, long gates,
                     real* woven) noexcept nogil:
    cdef long slot, gate, unit
    for slot in range(m.gates):
        gate = gate_of(m, slot)
        if first <= gate < first + gates:
            for unit in range(m.units):
                woven[slot * m.panels * m.s.tile + unit] += b[gate * m.units + unit]


cdef void unweave_real(const Matrix* m, const real* woven, long slot0, real* b) noexcept nogil:
    cdef const RnnShape* s = m.s
    cdef long slot, gate, unit, block, place
    cdef real total
    for slot in range(m.gates):
        gate = gate_of(m, slot)
        for unit in range(m.units):
            place = (unit // s.tile * s.db_rows + slot0 + slot) * s.tile + unit % s.tile
            total = 0
            for block in range(max(s.blocks, <long>1)):
                total += woven[block * m.panels * s.db_rows * s.tile + place]
            b[gate * m.units + unit] = total


cdef void weave(const Matrix* m, const void* b, long first, long gates,
                void* woven) noexcept nogil:
    if b == NULL:
        return
    if m.s.size == 4:
        weave_real(m, <const float*>b, first, gates, <float*>woven)
    else:
        weave_real(m, <const double*>b, first, gates, <double*>woven)


cdef void unweave(const Matrix* m, const void* woven, long slot, void* b) noexcept nogil:
    if m.s.size == 4:
        unweave_real(m, <const float*>woven, slot, <float*>b)
    else:
        unweave_real(m, <const double*>woven, slot, <double*>b)
