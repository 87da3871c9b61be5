"""The caching arena: blocks in size classes, kept on free lists when released.

Size classes are powers of two with four steps between them (at most 25 % waste).
Small blocks are cut from slabs; blocks of 2 MiB and more come from the system in
huge pages. A training step in its steady state asks the system for nothing, and
so meets no page fault. The GIL guards the arena.
"""

cimport cython
from libc.string cimport memcmp, memcpy, memset

cdef extern from *:
    """
    #include <assert.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #ifndef MAP_ANONYMOUS
    #define MAP_ANONYMOUS MAP_ANON
    #endif

    /* pages of the system, in huge pages where it has them; NULL: out of memory */
    static void *system_take(size_t nbytes)
    {
        const size_t huge = (size_t)2 << 20;
        size_t extra = nbytes >= huge ? huge : 0;
        char *raw = mmap(0, nbytes + extra, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (raw == MAP_FAILED) return 0;
        if (extra) {
            char *start = (char *)(((size_t)raw + huge - 1) / huge * huge);
            if (start > raw) munmap(raw, start - raw);
            if (raw + extra > start) munmap(start + nbytes, raw + extra - start);
            raw = start;
    #ifdef MADV_HUGEPAGE
            madvise(raw, nbytes, MADV_HUGEPAGE);
    #endif
        }
        return raw;
    }
    static void system_give(void *data, size_t nbytes) { munmap(data, nbytes); }

    /* a debug build fills a block with NaN when it is handed out and when it is released */
    static void spoil(void *data, size_t nbytes)
    {
        assert((size_t)data % 64 == 0);
    #ifndef NDEBUG
        memset(data, 0xff, nbytes);
    #endif
    }
    """
    void* system_take(size_t nbytes) noexcept nogil
    void system_give(void* data, size_t nbytes) noexcept nogil
    void spoil(void* data, size_t nbytes) noexcept nogil

cdef enum:
    FOREIGN = -1
    CLASSES = 4 * 42
    SLAB = 1 << 20               # small blocks are cut from slabs of this size
    SMALL = 1 << 17              # largest block cut from a slab
    MOST_IMAGES = 4              # of one storage that are kept packed

cdef struct Free:                # a released block holds the link to the next one
    Free* next

cdef Free* free_lists[CLASSES]
cdef char* slab_next
cdef char* slab_end
cdef size_t bytes_used           # in blocks handed out
cdef size_t bytes_peak
cdef size_t bytes_system         # taken from the system
cdef size_t blocks_system        # how often it was asked

memset(free_lists, 0, sizeof(free_lists))


cdef inline int class_of(size_t nbytes) noexcept:
    """The smallest class that holds nbytes: sizes 64, 80, 96, 112, 128, 160, ..."""
    cdef size_t units = (nbytes + 15) // 16
    cdef int power = 0
    if units <= 4:
        return 0
    units -= 1
    while units >> power >= 8:
        power += 1
    return 4 * power + <int>(units >> power) - 3


cdef inline size_t class_bytes(int size_class) noexcept:
    return <size_t>(4 + size_class % 4) << (4 + size_class // 4)


cdef void* block_take(int size_class) except NULL:
    global slab_next, slab_end, bytes_used, bytes_peak, bytes_system, blocks_system
    cdef Free* block = free_lists[size_class]
    cdef size_t nbytes = class_bytes(size_class)
    cdef size_t stride
    if block != NULL:
        free_lists[size_class] = block.next
    elif nbytes > SMALL:
        nbytes = (nbytes + 4095) // 4096 * 4096
        block = <Free*>system_take(nbytes)
        if block == NULL:
            raise MemoryError(f"cannot allocate {nbytes} bytes")
        bytes_system += nbytes
        blocks_system += 1
        nbytes = class_bytes(size_class)
    else:
        stride = (nbytes + 63) // 64 * 64
        if slab_next == NULL or slab_end - slab_next < <Py_ssize_t>stride:
            slab_next = <char*>system_take(SLAB)
            if slab_next == NULL:
                slab_end = NULL
                raise MemoryError(f"cannot allocate {SLAB} bytes")
            slab_end = slab_next + SLAB
            bytes_system += SLAB
            blocks_system += 1
        block = <Free*>slab_next
        slab_next += stride
    bytes_used += nbytes
    if bytes_used > bytes_peak:
        bytes_peak = bytes_used
    spoil(block, nbytes)
    return block


cdef inline void block_give(void* data, int size_class) noexcept:
    global bytes_used
    spoil(data, class_bytes(size_class))
    (<Free*>data).next = free_lists[size_class]
    free_lists[size_class] = <Free*>data
    bytes_used -= class_bytes(size_class)


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Storage:
    """A block of memory, shared by a tensor and its views."""

    def __dealloc__(self):
        if self.size_class != FOREIGN and self.data != NULL:
            block_give(self.data, self.size_class)


cdef Storage new_storage(size_t nbytes):
    cdef Storage storage = Storage.__new__(Storage)
    cdef int size_class
    if nbytes > <size_t>1 << 44:
        raise MemoryError(f"cannot allocate {nbytes} bytes")
    size_class = class_of(nbytes)
    storage.size_class = size_class
    storage.data = <char*>block_take(size_class)
    storage.nbytes = nbytes
    return storage


cdef Storage foreign_storage(char* data, size_t nbytes, object owner, bint readonly):
    cdef Storage storage = Storage.__new__(Storage)
    storage.size_class = FOREIGN
    storage.data = data
    storage.nbytes = nbytes
    storage.owner = owner
    storage.readonly = readonly
    storage.shared = not readonly
    return storage


cdef void* scratch_take(size_t nbytes) except NULL:
    if nbytes > <size_t>1 << 44:
        raise MemoryError(f"cannot allocate {nbytes} bytes")
    return block_take(class_of(nbytes))


cdef void scratch_give(void* data, size_t nbytes) noexcept:
    block_give(data, class_of(nbytes))


# --- packed images ------------------------------------------------------------

@cython.final
@cython.no_gc
cdef class Packed:
    """What a storage holds, laid out anew for a kernel."""

    def __dealloc__(self):
        if self.data != NULL:
            scratch_give(self.data, self.nbytes)


cdef Packed packed_image(Storage storage, const long* key, size_t nbytes):
    """Kept from the second request of an unchanged storage on: training, where each step
    changes the weights, keeps none."""
    cdef Packed image
    if storage.shared or storage.size_class == FOREIGN:
        return None
    if storage.packed is None:
        storage.packed = []
    for image in storage.packed:
        if memcmp(image.key, key, PACK_KEY * sizeof(long)) == 0:
            break
    else:
        image = Packed.__new__(Packed)
        memcpy(image.key, key, PACK_KEY * sizeof(long))
        image.version = storage.version - 1
        if len(storage.packed) >= MOST_IMAGES:
            storage.packed.pop(0)
        storage.packed.append(image)
    if image.busy:
        return None
    if image.version != storage.version:
        image.version, image.valid = storage.version, False
        return None
    if image.data == NULL:
        image.data, image.nbytes = <char*>scratch_take(nbytes), nbytes
    image.busy = not image.valid
    return image


cdef void packed_done(Packed image) noexcept:
    if image.busy:
        image.busy, image.valid = False, True


def memory_stats():
    """Bytes in use, their peak, bytes and blocks taken from the system, bytes kept for reuse."""
    return {
        "allocated_bytes": bytes_used,
        "peak_bytes": bytes_peak,
        "system_bytes": bytes_system,
        "system_blocks": blocks_system,
        "cached_bytes": bytes_system - bytes_used,
    }


def reset_peak_memory_stats():
    """Start measuring peak_bytes anew."""
    global bytes_peak
    bytes_peak = bytes_used


def empty_cache():
    """Give the large blocks that are not in use back to the system."""
    global bytes_system
    cdef int size_class
    cdef Free* block
    cdef Free* following
    cdef size_t nbytes
    for size_class in range(CLASSES):
        nbytes = class_bytes(size_class)
        if nbytes <= SMALL:
            continue
        nbytes = (nbytes + 4095) // 4096 * 4096
        block = free_lists[size_class]
        free_lists[size_class] = NULL
        while block != NULL:
            following = block.next
            system_give(block, nbytes)
            bytes_system -= nbytes
            block = following
