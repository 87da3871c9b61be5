# Memory: the caching arena and the storage objects that own its blocks.

cdef class Storage:
    cdef char* data
    cdef size_t nbytes
    cdef int size_class          # of the arena; FOREIGN where another object owns the memory
    cdef Py_ssize_t version      # counts writes in place
    cdef Py_ssize_t rebases      # counts writes in place that entered the graph
    cdef bint shared             # was its memory ever exposed writably to the outside?
    cdef bint readonly
    cdef object owner            # keeps foreign memory alive

# all three need the GIL; contents are uninitialised, aligned to 64 bytes
cdef Storage new_storage(size_t nbytes)
cdef Storage foreign_storage(char* data, size_t nbytes, object owner, bint readonly)

# working memory of one call: take it before the GIL is released, give it back after
cdef void* scratch_take(size_t nbytes) except NULL
cdef void scratch_give(void* data, size_t nbytes) noexcept
