# Random streams for other operations.

from fastnn._kernels.runtime cimport random_stream

# what the numbers of the next call are drawn from; generator None: the default one
cdef int next_stream(object generator, random_stream* stream) except -1
