import pytest

import fastnn


@pytest.fixture(autouse=True)
def seeded():
    fastnn.manual_seed(0)
