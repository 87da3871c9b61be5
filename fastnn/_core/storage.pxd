# Memory: the caching arena and the storage objects that own its blocks.

cdef enum:
    PACK_KEY = 16
    GEMM_IMAGE = 1               # the last number of a key: who packed it
    CONV_IMAGE = 2
    RNN_IMAGE = 3

# What a storage holds, laid out anew for a kernel. The key says how; the rest of it is zero.
cdef class Packed:
    cdef char* data              # NULL: asked for once, not worth the memory yet
    cdef size_t nbytes
    cdef Py_ssize_t version      # of the storage, when it was packed or last asked for
    cdef bint valid, busy
    cdef long[PACK_KEY] key

cdef class Storage:
    cdef char* data
    cdef size_t nbytes
    cdef int size_class          # of the arena; FOREIGN where another object owns the memory
    cdef Py_ssize_t version      # counts writes in place
    cdef Py_ssize_t rebases      # counts writes in place that entered the graph
    cdef bint shared             # was its memory ever exposed writably to the outside?
    cdef bint readonly
    cdef object owner            # keeps foreign memory alive
    cdef list packed             # of Packed, or None

# all three need the GIL; contents are uninitialised, aligned to 64 bytes
cdef Storage new_storage(size_t nbytes)
cdef Storage foreign_storage(char* data, size_t nbytes, object owner, bint readonly)

# working memory of one call: take it before the GIL is released, give it back after
cdef void* scratch_take(size_t nbytes) except NULL
cdef void scratch_give(void* data, size_t nbytes) noexcept

# The image of this storage for a key. Where it is not valid, the caller fills it and says so by
# packed_done(). None where none is kept: then the caller packs into memory of its own. A
# change of the storage outdates an image; memory that others can write to has none.
cdef Packed packed_image(Storage storage, const long* key, size_t nbytes)
cdef void packed_done(Packed image) noexcept
