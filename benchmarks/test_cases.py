"""The cases of `python -m fastnn bench`, shown to pytest-benchmark.

pytest benchmarks --benchmark-only -k conv
pytest benchmarks --benchmark-autosave --benchmark-compare
pytest benchmarks --deepbench -k deepbench
"""


def test_case(benchmark, lib, case):
    lib.begin(case.key)
    benchmark.group = case.group
    if case.flops:
        benchmark.extra_info["flops"] = case.flops
    benchmark(case.build(lib).call)
