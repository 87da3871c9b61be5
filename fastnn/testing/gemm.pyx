"""Matrix multiply on NumPy arrays as they lie, down to a single register tile, for tests."""

from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._kernels.gemm cimport Gemm, Prepared, gemm_job, gemm_prepare, gemm_run
from fastnn._kernels.runtime cimport FLOAT32, FLOAT64, epilogue, gemm_tile_args, kernels


cdef void* address(array) except? NULL:
    return NULL if array is None else <void*><size_t>array.ctypes.data


cdef int dtype_of(array) except -1:
    return {"float32": FLOAT32, "float64": FLOAT64}[array.dtype.name]


cdef long step(array, int dim) except? -1:
    if dim < 0:
        dim += array.ndim
    return array.strides[dim] // array.itemsize


cdef epilogue epilogue_of(bias, norm, bint relu):
    cdef epilogue e
    e.bias, e.norm, e.norm_row = address(bias), address(norm), 0 if norm is None else step(norm, 0)
    e.relu = relu
    return e


def vector_length(dtype):
    """Numbers in a vector of the level in use."""
    return kernels({"float32": FLOAT32, "float64": FLOAT64}[dtype]).vl


def tallest_tile(dtype, int width):
    """The most rows of a register tile so many vectors wide."""
    return kernels({"float32": FLOAT32, "float64": FLOAT64}[dtype]).gemm_rows[width]


def tile(a, b, c, int width, bias=None, bint accumulate=False, bint relu=False, norm=None):
    """One register tile: a (batches, rows, k), b (batches, k, n), c (rows, n), norm (3, n)."""
    cdef gemm_tile_args t
    t.batches, t.k, t.n = a.shape[0], a.shape[2], b.shape[2]
    t.a, t.a_batch, t.a_row, t.a_k = address(a), step(a, 0), step(a, 1), step(a, 2)
    t.b, t.b_batch, t.b_k = address(b), step(b, 0), step(b, 1)
    t.c, t.c_row = address(c), step(c, 0)
    t.accumulate, t.after = accumulate, epilogue_of(bias, norm, relu)
    kernels(dtype_of(a)).gemm_tile[width][<int>a.shape[1]](&t)


def pack(b, packed, long nr):
    """b (k, n) into panels of nr columns, each (k, nr)."""
    kernels(dtype_of(b)).gemm_pack(address(b), step(b, 0), step(b, 1), address(packed),
                                   b.shape[0], b.shape[1], nr)


def product(a, b, c, bias=None, bint accumulate=False, bint relu=False, bint serial=False,
            norm=None):
    """c = a b through the driver: a (.., M, K), b (.., K, N), c (.., M, N), one batch dimension."""
    cdef int n = c.ndim
    cdef Gemm g = gemm_job(dtype_of(c), c.shape[n - 2], c.shape[n - 1], a.shape[a.ndim - 1])
    cdef Prepared p
    cdef char* scratch = NULL
    g.a, g.a_row, g.a_k = address(a), step(a, -2), step(a, -1)
    g.b, g.b_k, g.b_col = address(b), step(b, -2), step(b, -1)
    g.c, g.c_row = address(c), step(c, -2)
    g.accumulate, g.after = accumulate, epilogue_of(bias, norm, relu)
    if n == 3:
        g.batches, g.c_batch = c.shape[0], step(c, 0)
        g.a_batch = step(a, 0) if a.ndim == 3 else 0
        g.b_batch = step(b, 0) if b.ndim == 3 else 0
    gemm_prepare(&p, &g, not serial)
    if p.scratch_bytes:
        scratch = <char*>scratch_take(p.scratch_bytes)
    gemm_run(&p, scratch)
    if p.scratch_bytes:
        scratch_give(scratch, p.scratch_bytes)
