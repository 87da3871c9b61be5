# The products of a recurrent layer, between rows and packed weights (rnn.pyx).

from fastnn._kernels.rnn_pack cimport Matrix, RnnShape

# c (+)= a b + bias: some rows, tile after tile of columns
cdef struct Product:
    const RnnShape* s
    const char* a            # [batches] of [rows, k]
    long a_row, a_batch, batches, k
    const char* b            # tiles of [batches * k][tile]
    long b_tile
    char* c
    long c_row, c_tile
    bint accumulate
    const char* bias         # [tiles, tile], or NULL
    long columns             # of all tiles together; 0: every tile is whole, in c too

# tiles q0 to q1 of some rows, a and c being at the first of them, on the calling thread
cdef void multiply(const Product* p, long rows, long q0, long q1) noexcept nogil

# for `count` products one after the other, all of their `rows`, on all threads
cdef void multiply_all(const Product* p, int count, long rows) noexcept nogil

# dw = dgates' x over all rows
cdef struct Weight:
    Matrix m
    const char* dgates       # [slots * panels, rows, tile]
    const char* x            # [rows, x_row]
    long x_row
    char* woven              # [slots * panels][length][tile], working memory
    char* packed             # for each thread, a block of x: weight_scratch_bytes(s)
    char* dw                 # [gates * units, length]
    long groups, chunks      # items: groups of tiles times chunks of columns of x

cdef size_t weight_scratch_bytes(const RnnShape* s) noexcept nogil
cdef void weight_gradients(Weight* weights, int count) noexcept nogil
