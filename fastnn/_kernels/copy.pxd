# Copies between any two strided layouts and dtypes; strides in elements.

cdef void copy_strided(int ndim, const Py_ssize_t* shape,
                       const char* src, const Py_ssize_t* src_strides, int src_dtype,
                       char* dst, const Py_ssize_t* dst_strides, int dst_dtype) noexcept nogil
