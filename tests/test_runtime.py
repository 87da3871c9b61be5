import pytest

import fastnn
from fastnn._kernels import runtime
from fastnn.testing import num_threads


def test_levels_are_listed_best_first_and_end_with_the_specification():
    assert runtime.levels()[-1] == "scalar"
    assert runtime.isa() in runtime.levels()


def test_unknown_level_is_refused_by_name():
    with pytest.raises(ValueError, match="'mmx'"):
        runtime.use_isa("mmx")


@pytest.mark.parametrize("n", [0, -1, 1000])
def test_thread_count_out_of_range(n):
    with pytest.raises(ValueError, match=str(n)):
        runtime.set_num_threads(n)


@pytest.mark.skipif(not runtime.openmp(), reason="this build has no OpenMP")
def test_small_regions_stay_on_one_thread_where_threads_come_late():
    small, large = fastnn.zeros(100_000), fastnn.zeros(1500, 1500)
    with num_threads(2):
        for adapts, team in ((False, 2), (True, 1)):
            runtime.adapt(adapts)
            runtime.assume_late(1e6)
            small.sigmoid()
            assert runtime.last_team() == team
            runtime.assume_late(1e6)
            _ = large @ large
            assert runtime.last_team() == 2
