"""The norm of many gradients taken as one, and their clipping in place, each in one parallel
region. Called by nn/utils.py."""

from libc.stdlib cimport calloc, free

from fastnn._core.checks cimport check_float, check_writable
from fastnn._core.layout cimport contiguous
from fastnn._core.sparse cimport SparseRows
from fastnn._core.tensor cimport (
    FLOAT32, Tensor, as_tensor, copy_into, is_dense, new_tensor,
)
from fastnn._kernels.clip cimport (
    Piece, clip_chunks, clip_norm, clip_scale, clip_value, norm_kind, norm_root,
)


cdef class Pieces:
    """Gradients as raw pointers, each in one block of memory."""
    cdef Piece* pieces
    cdef long count
    cdef long chunks
    cdef list given               # the tensors; of a sparse gradient its rows
    cdef list dense               # they, or stand-ins of those with gaps

    def __cinit__(self, gradients, bint once):
        """once: a gradient that comes twice counts once."""
        cdef Tensor x
        cdef Piece* piece
        self.given = [rows_of(gradient) for gradient in gradients]
        if once:
            self.given = list({id(x): x for x in self.given}.values())
        self.dense = [x if is_dense(x) else contiguous(x) for x in self.given]
        self.pieces = <Piece*>calloc(len(self.given) + 1, sizeof(Piece))
        if self.pieces == NULL:
            raise MemoryError("the list of gradients does not fit in memory")
        for x in self.dense:
            if x.size_ > 0:
                piece = &self.pieces[self.count]
                piece.x, piece.n, piece.dtype = x.ptr, x.size_, x.dtype_
                self.count += 1
        self.chunks = clip_chunks(self.pieces, self.count)

    def __dealloc__(self):
        free(self.pieces)

    cdef int check(self) except -1:
        cdef Tensor x
        for x in self.given:
            check_writable(x)
        return 0

    cdef int changed(self) except -1:
        cdef Tensor x, dense
        for x, dense in zip(self.given, self.dense):
            if x is not dense:
                copy_into(x, dense)
            x.storage.version += 1
        return 0


cdef Tensor rows_of(object gradient):
    cdef Tensor x
    if type(gradient) is SparseRows:
        return (<SparseRows>gradient).rows
    x = as_tensor(gradient, "a gradient")
    check_float(x, "a gradient")
    return x


def total_norm(list gradients, double norm_type):
    """The norm of all gradients as one vector, of the first one's dtype; 0.0 for none."""
    cdef Pieces all = Pieces(gradients, False)
    cdef int kind = norm_kind(norm_type)
    cdef double total
    cdef double* sums
    cdef Tensor y
    if not norm_type > 0:
        raise ValueError(f"norm_type must be positive, got {norm_type}")
    sums = <double*>calloc(all.chunks + 1, sizeof(double))
    if sums == NULL:
        raise MemoryError("the sums of a norm do not fit in memory")
    with nogil:
        total = clip_norm(all.pieces, all.count, all.chunks, kind, norm_type, sums)
    free(sums)
    total = norm_root(kind, norm_type, total)
    y = new_tensor((<Tensor>all.given[0]).dtype_ if all.given else FLOAT32, 0, NULL)
    if y.dtype_ == FLOAT32:
        (<float*>y.ptr)[0] = total
    else:
        (<double*>y.ptr)[0] = total
    return y


def scale_gradients(list gradients, double factor):
    """gradients *= factor, in place."""
    cdef Pieces all = Pieces(gradients, True)
    all.check()
    with nogil:
        clip_scale(all.pieces, all.count, all.chunks, factor)
    all.changed()


def hold_gradients(list gradients, double low, double high):
    """Hold every number of the gradients within [low, high], in place."""
    cdef Pieces all = Pieces(gradients, True)
    all.check()
    with nogil:
        clip_value(all.pieces, all.count, all.chunks, low, high)
    all.changed()
