"""Tensor, the graph, the caching arena. They know no operation; ops fills their tables."""

from fastnn._core import autograd, interop
from fastnn._core.tensor import install_method

install_method("numpy", interop.numpy)
install_method("__array__", interop.__array__)
install_method("__deepcopy__", interop.__deepcopy__)
install_method("__reduce_ex__", interop.__reduce_ex__)
install_method("backward", autograd.backward)
