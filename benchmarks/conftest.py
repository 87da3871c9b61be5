import pytest

import fastnn
from fastnn.bench.cases import EVERYDAY, GROUPS, all_cases
from fastnn.bench.library import open_library


def pytest_addoption(parser):
    parser.addoption("--deepbench", action="store_true", help="DeepBench's shapes too: hours")


def pytest_generate_tests(metafunc):
    groups = GROUPS if metafunc.config.getoption("deepbench") else EVERYDAY
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", all_cases(groups), ids=lambda c: c.key.replace(" ", "-"))


@pytest.fixture(scope="session")
def lib():
    return open_library("fastnn", fastnn.get_num_threads())
