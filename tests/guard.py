"""Arrays between memory pages that cannot be touched: a kernel that strays crashes."""

import ctypes
import mmap

import numpy as np


def guarded(n, dtype, at_end=True):
    """n zeros that end where a forbidden page begins, or begin where one ends."""
    page = mmap.PAGESIZE
    nbytes = n * np.dtype(dtype).itemsize
    inner = -(-max(nbytes, 1) // page) * page
    memory = mmap.mmap(-1, inner + 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for forbidden in (address, address + page + inner):
        if protect(ctypes.c_void_p(forbidden), ctypes.c_size_t(page), 0):
            raise OSError(ctypes.get_errno(), "mprotect failed")
    start = page + (inner - nbytes if at_end else 0)
    return np.frombuffer(memory, dtype, n, start)
