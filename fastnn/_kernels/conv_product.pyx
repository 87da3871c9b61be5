"""Convolution with 1x1 taps of channels-last images as a product of matrices: its gradients.

  dx[pixel, c] = sum over o of dy[pixel, o] w[o, c]
  dw[o, c] = sum over the pixels of dy[pixel, o] x[pixel, c]

Neither packs weights or gathers pixels, and dw comes out as it is to lie. 2 cores of
Zen 4, avx512: dw of (32,128,16,16)->128 2000 -> 1380 us, dx of (32,64,16,16)->128
690 -> 655. Called by ops/conv.pyx.
"""

from fastnn._kernels.gemm cimport gemm_job


cdef bint is_product(const ConvShape* s, const Py_ssize_t* strides) noexcept nogil:
    return (s.KH == 1 and s.KW == 1 and s.G == 1 and not s.depthwise and s.D == 1 and s.KD == 1
            and s.OD == 1 and s.sh == 1 and s.sw == 1 and s.top == 0 and s.left == 0
            and s.OH == s.H and s.OW == s.W and strides[1] == 1
            and (s.H == 1 or strides[2] == s.W * strides[3])
            and (s.N == 1 or strides[0] == s.H * s.W * strides[3]))


cdef Gemm product_backward_data(const ConvShape* s, const char* dy, const Py_ssize_t* dy_strides,
                                const char* w, const Py_ssize_t* w_strides,
                                char* dx) noexcept nogil:
    cdef Gemm g = gemm_job(s.dtype, s.N * s.H * s.W, s.C, s.O)
    g.a, g.a_row, g.a_k = dy, dy_strides[3], 1
    g.b, g.b_k, g.b_col = w, w_strides[0], w_strides[1]
    g.c, g.c_row = dx, s.C
    return g


cdef Gemm product_backward_weight(const ConvShape* s, const char* x, const Py_ssize_t* x_strides,
                                  const char* dy, const Py_ssize_t* dy_strides,
                                  char* dw) noexcept nogil:
    cdef Gemm g = gemm_job(s.dtype, s.O, s.C, s.N * s.H * s.W)
    g.a, g.a_row, g.a_k = dy, 1, dy_strides[3]
    g.b, g.b_k, g.b_col = x, x_strides[3], 1
    g.c, g.c_row = dw, s.C
    return g
