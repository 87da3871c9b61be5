# Batch norm in evaluation as the end of another operation.

from fastnn._core.tensor cimport Tensor
from fastnn._kernels.runtime cimport epilogue

# norm: (running_mean, running_var, weight, bias, eps) for a result of C channels and of x's
# dtype; or None, which gives None. RuntimeError where a graph may be recorded.
cdef Tensor fixed_constants(object norm, Tensor x, long C)

# a bias, contiguous, then a norm of such constants, then ReLU; looks into the tensors
cdef epilogue epilogue_of(Tensor bias, Tensor constants, bint relu) noexcept
