# The arguments of recurrent layers: checked, and in the layout of their kernels.

from fastnn._core.tensor cimport Tensor
from fastnn._kernels.rnn cimport RnnShape

cdef enum:
    W_IH, W_HH, B_IH, B_HH, W_HR, PEEPHOLE, WEIGHTS     # the arguments of one direction

# how the user laid out the sequence
cdef enum:
    UNBATCHED                # (T, I)
    TIME_FIRST               # (T, N, I)
    BATCH_FIRST              # (N, T, I)
    PACKED                   # (rows, I), see batch_sizes

# One call: its shape, and its arguments in float memory. weights: WEIGHTS of each direction.
cdef class Call:
    cdef RnnShape s
    cdef str name
    cdef int layout
    cdef bint stacked            # do states have a dimension of directions?
    cdef Tensor x, h0, c0, steps     # steps: [2, T] int64: rows of a step, rows before it
    cdef list weights

    cdef Tensor new_array(self, tuple shape)
    cdef tuple state_shape(self, long numbers)
    cdef Tensor time_major(self, Tensor x)
    cdef Tensor like_input(self, Tensor y)

cdef Call checked_call(str name, object input, object h0, object c0, object weights,
                       bint batch_first, object batch_sizes, bint stacked)
