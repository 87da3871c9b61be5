# The layouts of a recurrent layer (rnn.pyx): its shape, and weights packed for its products.

from libc.string cimport memset

from fastnn._kernels.runtime cimport RNN_GRU, RNN_GRU_BEFORE, RNN_LSTM, aligned

cdef struct RnnShape:
    int kind                     # RNN_TANH, RNN_RELU, RNN_LSTM, RNN_GRU or RNN_GRU_BEFORE
    int dtype
    long size                    # bytes in a number
    long T, N, I, D              # steps, batch rows, inputs, hidden units
    long P                       # numbers in a row of h: D, or those of its projection
    long rows                    # of all steps together
    const long* batch            # [T], never rising: batch rows of each step; NULL: always N
    const long* start            # [T], if there is batch: rows of all steps before
    int directions               # 2: forward in time, and backward
    bint peephole
    long vl, tile                # a panel is tile = 2 * vl hidden units
    long panels, h_panels        # of D, of P
    long gates, slots            # in the weights; as kept, see csrc/kernels/rnn.h
    long h_slot                  # the first slot that the state feeds
    long db_rows                 # the slots, and the weights of peepholes
    long blocks                  # of batch rows; 0: the hidden units are split instead
    int threads                  # at most

cdef inline long rows_of(const RnnShape* s, long t) noexcept nogil:
    return s.N if s.batch == NULL else s.batch[t]

cdef inline long start_of(const RnnShape* s, long t) noexcept nogil:
    return t * s.N if s.batch == NULL else s.start[t]

cdef inline bint is_gru(const RnnShape* s) noexcept nogil:
    return s.kind == RNN_GRU or s.kind == RNN_GRU_BEFORE

cdef inline bint is_projected(const RnnShape* s) noexcept nogil:
    return s.P != s.D

cdef inline bint has_middle(const RnnShape* s) noexcept nogil:
    """Does a step make something of the state, m, that a second product takes?"""
    return is_projected(s) or s.kind == RNN_GRU_BEFORE

cdef inline char* at(const void* base, long index, const RnnShape* s) noexcept nogil:
    return <char*>base + index * s.size

cdef inline size_t padded(const RnnShape* s, long n) noexcept nogil:
    return aligned(n * s.size)

# a weight [gates * units, length], and where its gates lie in slots
cdef struct Matrix:
    const RnnShape* s
    const void* w
    long gates, units, panels, length
    bint turned                  # slot i holds gate (i + 2) % 3: what the input gives to a GRU

cdef Matrix matrix_ih(const RnnShape* s, const void* w) noexcept nogil
cdef Matrix matrix_hh(const RnnShape* s, const void* w) noexcept nogil
cdef Matrix matrix_hr(const RnnShape* s, const void* w) noexcept nogil

cdef inline long gate_of(const Matrix* m, long slot) noexcept nogil:
    return (slot + 2) % 3 if m.turned else slot

# packed for a product that makes gates: tiles of [length][tile], slot by slot; or that takes
# them: [length / tile] of [slots * panels * tile][tile]
cdef size_t columns_bytes(const Matrix* m) noexcept nogil
cdef size_t rows_bytes(const Matrix* m) noexcept nogil
cdef void pack_columns(const Matrix* m, char* packed) noexcept nogil
cdef void pack_rows(const Matrix* m, char* packed) noexcept nogil

# numbers of hidden units [gates, D] in slots, and back: woven [slots, panels, tile] += b, and
# b = the sum of woven [blocks, panels, db_rows, tile] over blocks, from a slot on
cdef void weave(const Matrix* m, const void* b, long first, long gates, void* woven) noexcept nogil
cdef void unweave(const Matrix* m, const void* woven, long slot, void* b) noexcept nogil
