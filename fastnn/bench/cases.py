"""All cases, in the order of the report."""

from . import conv, gemm, models, overhead, pointwise, pool, rnn
from .case import Case

GROUPS = ("gemm", "conv", "pool", "pointwise", "rnn", "overhead", "models")


def all_cases(groups: tuple[str, ...] = GROUPS) -> list[Case]:
    modules = (gemm, conv, pool, pointwise, rnn, overhead, models)
    return [case for module in modules for case in module.CASES if case.group in groups]
