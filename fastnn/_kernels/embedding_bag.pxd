# Sums, means and maxima of rows of a table, bag by bag.

from libc.stdint cimport int32_t, int64_t

from fastnn._kernels.embedding cimport Grouping, RowSums

cdef enum:
    BAG_SUM = 0
    BAG_MEAN = 1
    BAG_MAX = 2

# Bag b holds the rows which[start[b]:start[b + 1]] of a table with D columns.
cdef struct Bags:
    int mode
    int dtype
    long count
    long D
    const int64_t* which
    const int64_t* start       # [count + 1]
    const char* scale          # what each row is multiplied by in a sum; NULL: ones

# The n indices without those of row `padding`: `which` and `start` are written anew, and
# place[k] is where which[k] stood. Returns how many are left.
cdef long bag_without(const int64_t* indices, const int64_t* start, long bags, long padding,
                      int64_t* which, int64_t* new_start, int64_t* place) noexcept nogil

# y (bags, D) from w (V, D); taps (bags, D): for the maximum, which of a bag's rows it was,
# -1 in an empty bag (NULL: not wanted)
cdef int bag_threads(const Bags* bags) noexcept nogil
cdef void bag_forward(const Bags* bags, const char* w, char* y, int32_t* taps,
                      int threads) noexcept nogil

# The gradient of w, for the sums of embedding.pxd: g groups `which`, its places become bags.
cdef long bag_scratch_bytes(const Bags* bags) noexcept nogil
cdef RowSums bag_backward(const Bags* bags, Grouping g, const char* dy, const int32_t* taps,
                          char* scratch) noexcept nogil

# The gradient of scale: ds[k] = dy[bag of k] . w[which[k]]
cdef void bag_scale_backward(const Bags* bags, const char* dy, const char* w, char* ds,
                             int threads) noexcept nogil
