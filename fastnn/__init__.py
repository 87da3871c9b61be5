"""fastnn: a deep-learning engine for the CPU."""

from fastnn import backends, data, nn, optim
from fastnn._config import show_config
from fastnn._core.autograd import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from fastnn._core.dtype import DType, float32, float64, int32, int64, uint8
from fastnn._core.dtype import bool_ as bool
from fastnn._core.storage import empty_cache, memory_stats, reset_peak_memory_stats
from fastnn._core.tensor import Tensor
from fastnn._kernels.runtime import get_num_threads, set_num_threads
from fastnn._version import __version__
from fastnn.ops import OPS as _OPS
from fastnn.ops.copy import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    preserve_format,
)
from fastnn.ops.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

float = float32
double = float64
int = int32
long = int64

globals().update({op.name: op.function for op in _OPS.values() if op.public})
__all__ = [name for name in globals() if not name.startswith("_")]
