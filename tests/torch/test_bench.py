"""The cases of the benchmark compute the same with torch, forward and backward."""

import pytest

from fastnn.bench import cases, limits, runner, table

pytest.importorskip("torch")


def test_results_agree():
    """Of the quick cases of every group, by the check that the benchmark itself makes."""
    chosen = [case for case in cases.all_cases(cases.EVERYDAY) if case.quick]
    entrants = [runner.Entrant(name, name, 2) for name in ("fastnn", "torch")]
    endless = limits.Limits(2, 1e18, 1e18, [1e18] * len(limits.SIZES), 1e18)  # no time is too short
    rows = runner.measure(chosen, entrants, endless, 1, 1e-4, lambda row: None)["rows"]
    assert len(rows) == len(chosen)
    assert not table.errors(rows)
    assert all("median" in entry for row in rows for entry in row["libraries"].values())
