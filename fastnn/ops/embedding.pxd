# What embedding and embedding_bag share.

from fastnn._core.tensor cimport Tensor
from fastnn._kernels.embedding cimport Grouping, RowSums

cdef Tensor checked_indices(object input, long V)      # contiguous, within a table of V rows
cdef Tensor checked_table(object weight, bint sparse)  # 2-D; a leaf if its gradient is sparse
cdef long checked_padding(object padding_idx, long V) except -2     # the row's number, or -1

# what max_norm and norm_type ask for: rows of w that x names are scaled down, in place
cdef int renorm(Tensor w, Tensor x, object max_norm, object norm_type) except -1
cdef int check_unchanged(Tensor x, long V) except -1

# add up the gradient of a table (V, D) from n rows and hand it on, sparse or dense
cdef int give_table(object where, RowSums sums, Grouping g, long V, bint sparse,
                    long n) except -1
