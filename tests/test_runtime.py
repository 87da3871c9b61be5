import pytest

from fastnn._kernels import runtime


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
