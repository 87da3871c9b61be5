# Convolution with 3x3 taps by Winograd's tiles: fewer products, more additions.

from fastnn._kernels.conv_pack cimport Packing
from fastnn._kernels.conv_shape cimport ConvShape, Correlation, Tiling
from fastnn._kernels.runtime cimport winograd_fn

# may it be used at all? of this process
cdef bint winograd_allowed() noexcept nogil
cdef void allow_winograd(bint allow) noexcept nogil

# the side of the tiles by which this correlation is fastest, or 0; of the shape alone
cdef int winograd_side(const ConvShape* s) noexcept nogil
# sets the tiling, panels and c.packed_bytes, returns the bytes of all scratch
cdef size_t plan_winograd(Correlation* c, long wanted) noexcept nogil

cdef void pack_winograd(Packing* p) noexcept nogil
# a block of tiles of one group, by some of the panels
cdef void winograd_item(void* context, long item_index, int thread) noexcept nogil

# --- shared with conv_winograd_weight.pyx

cdef bint has_tiles(const ConvShape* s) noexcept nogil
cdef double tiles_of(const ConvShape* s, long side) noexcept nogil
# the faster side, as winograd_side; of what takes `direct` multiply-adds without tiles
cdef int best_side(const ConvShape* s, double direct, double spread, double packed,
                   bint allow_four) noexcept nogil
cdef long padded(const Correlation* c, long n) noexcept nogil
cdef void set_tiling(Correlation* c, long side) noexcept nogil
cdef long tiles_at_once(Correlation* c, long x_channels, long y_channels) noexcept nogil
cdef size_t edge_bytes(const Correlation* c, long channels) noexcept nogil

# Tiles side by side in an image: of image n, from pixel top, left on, in row h of tiles, columns
# w to w_end.
cdef struct Run:
    long n, top, left, h, w, w_end

# the run that starts at a tile, at most up to another
cdef Run run_at(const Correlation* c, long tile, long end) noexcept nogil

# How tiles are read from the images c.x, extent x extent pixels each, and spread.
cdef struct Tiles:
    const Correlation* c
    winograd_fn spread
    long extent
    long plane, tile

# n channels of a run, from channel k of a group on; room: for edge_bytes
cdef void spread_run(const Tiles* t, const Run* r, long g, long k, long n, char* planes,
                     char* room) noexcept nogil
