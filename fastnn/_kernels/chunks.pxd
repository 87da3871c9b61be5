# Parts of different lengths laid end to end and cut into chunks, which lie within one part
# each: how the drivers of optimisers and of clipping share their work out.

cdef enum:
    CHUNK = 8192              # numbers

# Part k begins with chunk first[k], these numbers being `step` bytes apart; returns the last
# part that begins at or before a chunk.
cdef inline long part_of(const long* first, long step, long count, long chunk) noexcept nogil:
    cdef long low = 0, high = count, middle
    while high - low > 1:
        middle = (low + high) // 2
        if (<const long*>(<const char*>first + middle * step))[0] <= chunk:
            low = middle
        else:
            high = middle
    return low
