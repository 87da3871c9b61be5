"""The cases of `python -m fastnn bench`, shown to pytest-benchmark.

pytest benchmarks --benchmark-only -k conv
pytest benchmarks --benchmark-autosave --benchmark-compare
"""

import pytest

import fastnn
from fastnn.bench.cases import all_cases


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.key.replace(" ", "-"))
def test_case(benchmark, case):
    benchmark.group = case.group
    if case.flops:
        benchmark.extra_info["flops"] = case.flops
    benchmark(case.build(fastnn))
