# The products of a recurrent layer over all its steps, with gates in panels (rnn.pyx).

from fastnn._kernels.runtime cimport aligned, fastnn_kernels, item_task

cdef struct LstmShape:
    int dtype
    long size                    # bytes in a number
    long T, N, I, D              # steps, batch rows, inputs, hidden units
    long rows                    # T * N
    long vl, panels              # a panel is the gates of vl hidden units
    long gates                   # 4 * vl * panels, the columns of all panels
    int width                    # of the register tile in use, in vectors
    long tile                    # its columns: half a panel or a whole one
    long state_row               # row length of dh and dc: D in whole tiles
    long blocks                  # of batch rows; 0: the hidden units are split instead
    int threads                  # at most

cdef inline char* at(const void* base, long index, const LstmShape* s) noexcept nogil:
    return <char*>base + index * s.size

cdef inline size_t padded(const LstmShape* s, long n) noexcept nogil:
    return aligned(n * s.size)

# w [4D, length] packed for a product that makes gates: [gates / tile][length][tile],
# or takes them: [length / tile][gates][tile]
cdef void pack_columns(const LstmShape* s, const void* w, long length, char* packed) noexcept nogil
cdef void pack_rows(const LstmShape* s, const void* w, long length, char* packed) noexcept nogil

# woven [gates] += b [4D], nothing where b is NULL; b = the sum over the blocks of woven
cdef void weave_bias(const LstmShape* s, const void* b, void* woven) noexcept nogil
cdef void unweave_bias(const LstmShape* s, const void* woven, void* b) noexcept nogil

# c (+)= a b + bias
cdef struct Product:
    const fastnn_kernels* table
    const LstmShape* s
    long rows, columns
    const char* a            # [batches] of [rows, k]
    long a_row, a_batch, batches, k
    const char* b            # [columns / tile][batches * k][tile]
    char* c
    long c_row, c_tile       # c_tile: from one tile of columns to the next
    bint accumulate
    const char* bias

# some rows and tiles of columns, on the calling thread; all of them, on all threads
cdef void multiply(const Product* p, long row0, long row1, long tile0, long tile1) noexcept nogil
cdef void multiply_all(Product* p) noexcept nogil

# dw = dgates' x over the rows of all steps but the first ones
cdef struct Weight:
    const LstmShape* s
    const char* dgates       # [gates / tile, s.rows, tile]
    long first               # of the rows of dgates that count
    const char* x            # [s.rows - first, length]
    long length
    char* woven              # [gates / tile][length][tile], working memory
    char* packed             # for each thread, a block of x: weight_scratch_bytes(s)
    char* dw                 # [4D, length], NULL: not needed
    long groups, chunks      # items: groups of panels times chunks of columns of x

cdef size_t weight_scratch_bytes(const LstmShape* s) noexcept nogil
cdef void weight_gradients(Weight* two) noexcept nogil
