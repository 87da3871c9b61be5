# Max unpooling: the numbers x (N P C) at places of planes of Q positions.

cdef int unpool_threads(int dtype, long N, long P, long Q, long C) noexcept nogil

# are all n indices from 0 to Q - 1?
cdef bint unpool_indices_fit(const long long* indices, long n, long Q, int threads) noexcept nogil

# y (N Q C) = 0, but y[n, indices[n, p, c], c] = x[n, p, c]; of equal places the last one stays
cdef void unpool_forward(int dtype, long N, long P, long Q, long C, const char* x,
                         const long long* indices, char* y, int threads) noexcept nogil
# dx[n, p, c] = dy[n, indices[n, p, c], c]
cdef void unpool_backward(int dtype, long N, long P, long Q, long C, const char* dy,
                          const long long* indices, char* dx, int threads) noexcept nogil
