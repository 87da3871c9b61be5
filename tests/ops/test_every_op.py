"""What every operation of the registry must do, run with the cases that its row names."""

import re
from pathlib import Path

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn._core.tensor import Tensor
from fastnn.ops import OPS
from fastnn.testing import directional_error, levels, num_threads, using_isa
from fastnn.testing.cases import CASES, cases_of
from tests.references import REFERENCES

WITH_CASES = [op for op in OPS.values() if op.cases]
EVERY_CASE = [
    pytest.param(op, args, kwargs, id=f"{op.name}-{k}")
    for op in WITH_CASES
    for k, (args, kwargs) in enumerate(cases_of(op.cases))
]
BOUND = {np.float32: 3e-6, np.float64: 1e-12}


def tensor_of(value, dtype, layout="contiguous"):
    if not isinstance(value, np.ndarray):
        return value
    array = value.astype(dtype) if value.dtype == np.float64 else value.copy()
    if layout == "strided" and array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        array = wide[..., ::2]
    if layout == "transposed" and array.ndim > 1:
        array = np.ascontiguousarray(array.T).T
    return from_numpy(array)


def arrays_of(result):
    if isinstance(result, (tuple, list)):
        return [a for entry in result for a in arrays_of(entry)]
    return [result.detach().numpy() if isinstance(result, Tensor) else np.asarray(result)]


def run(op, args, kwargs, dtype, layout="contiguous"):
    kwargs = {name: tensor_of(value, dtype, layout) for name, value in kwargs.items()}
    return arrays_of(op.function(*[tensor_of(a, dtype, layout) for a in args], **kwargs))


def assert_close(found, args, kwargs, op, dtype):
    rounded = [
        a.astype(dtype).astype(np.float64)
        if isinstance(a, np.ndarray) and a.dtype == np.float64
        else a
        for a in args
    ]
    expected = arrays_of(REFERENCES[op.name](*rounded, **kwargs))
    assert len(found) == len(expected)
    for y, reference in zip(found, expected, strict=True):
        assert y.shape == reference.shape
        if y.dtype.kind != "f":
            np.testing.assert_array_equal(y, reference)
            continue
        assert y.dtype == dtype
        scale = max(1.0, np.abs(reference[np.isfinite(reference)]).max(initial=0.0))
        np.testing.assert_allclose(y, reference, rtol=BOUND[dtype], atol=BOUND[dtype] * scale)


def test_every_operation_is_tested():
    texts = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for op in OPS.values():
        if op.cases:
            assert op.cases in CASES, f"{op.name} names unknown cases {op.cases!r}"
            assert op.name in REFERENCES, f"{op.name} has no reference"
        else:
            assert re.search(rf"\b{re.escape(op.name)}\b", texts), f"{op.name} has no test"


def test_every_method_is_installed():
    for op in OPS.values():
        if op.method:
            assert hasattr(Tensor, op.method)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "args", "kwargs"), EVERY_CASE)
def test_forward_equals_the_reference(op, args, kwargs, dtype):
    assert_close(run(op, args, kwargs, dtype), args, kwargs, op, dtype)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("op", WITH_CASES, ids=lambda op: op.name)
def test_every_level_equals_the_reference(op, level):
    with using_isa(level):
        for args, kwargs in cases_of(op.cases):
            assert_close(run(op, args, kwargs, np.float32), args, kwargs, op, np.float32)


@pytest.mark.parametrize("layout", ["strided", "transposed"])
@pytest.mark.parametrize("op", WITH_CASES, ids=lambda op: op.name)
def test_layout_does_not_matter(op, layout):
    for args, kwargs in cases_of(op.cases):
        assert_close(run(op, args, kwargs, np.float32, layout), args, kwargs, op, np.float32)


@pytest.mark.parametrize("op", WITH_CASES, ids=lambda op: op.name)
def test_threads_do_not_change_a_bit(op):
    for args, kwargs in cases_of(op.cases):
        results = []
        for threads in (1, 2, 3):
            with num_threads(threads):
                results.append([a.tobytes() for a in run(op, args, kwargs, np.float32)])
        assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("op", "args", "kwargs"), [case for case in EVERY_CASE if case.values[0].differentiable]
)
def test_gradient_equals_finite_differences(op, args, kwargs):
    places = [k for k, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype == np.float64]
    if sum(args[k].size for k in places) > 20000:
        pytest.skip("too large for finite differences in a quick test")

    def function(*tensors):
        given = [tensor_of(a, np.float64) for a in args]
        for k, t in zip(places, tensors, strict=True):
            given[k] = t
        return op.function(*given, **{k: tensor_of(v, np.float64) for k, v in kwargs.items()})

    assert directional_error(function, [args[k] for k in places]) < 1e-7
