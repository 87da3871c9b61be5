"""Every test draws the same numbers. In a run of one level alone, tests that choose their levels
themselves are not repeated."""

import os

import pytest

import fastnn


@pytest.fixture(autouse=True)
def same_numbers():
    fastnn.manual_seed(0)


def pytest_collection_modifyitems(config, items):
    if not os.environ.get("FASTNN_ISA"):
        return
    of_every_level = [item for item in items if "level" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=of_every_level)
    items[:] = [item for item in items if item not in set(of_every_level)]
