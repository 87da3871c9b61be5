"""The arena: reuse, alignment, what is in use, what is given back."""

import numpy as np
import pytest

import fastnn
from fastnn._core.storage import reset_peak_memory_stats


def test_blocks_are_reused_and_aligned():
    for n in (1, 7, 100, 1000, 40_000, 300_000, 2_000_000):
        x = fastnn.empty(n)
        place = x.data_ptr()
        assert place % 64 == 0
        del x
        y = fastnn.empty(n)
        assert y.data_ptr() == place


def test_every_size_has_room_for_itself():
    """Blocks filled to the last byte do not touch each other."""
    sizes = [*range(0, 300), *range(1000, 20_000, 777), 131_071, 131_072, 131_073, 3_000_001]
    blocks = [fastnn.full((n,), k % 251, dtype=fastnn.uint8) for k, n in enumerate(sizes)]
    for k, block in enumerate(blocks):
        assert (block.numpy() == k % 251).all()


def test_statistics():
    before = fastnn.memory_stats()
    x = fastnn.empty(1000)
    during = fastnn.memory_stats()
    assert 4000 <= during["allocated_bytes"] - before["allocated_bytes"] <= 5120
    view = x[10:]
    del x
    assert fastnn.memory_stats()["allocated_bytes"] == during["allocated_bytes"]
    del view
    assert fastnn.memory_stats()["allocated_bytes"] == before["allocated_bytes"]
    reset_peak_memory_stats()
    y = fastnn.empty(1_000_000)
    peak = fastnn.memory_stats()["peak_bytes"]
    del y
    assert peak == fastnn.memory_stats()["peak_bytes"] >= before["allocated_bytes"] + 4_000_000


def test_empty_cache_gives_large_blocks_back():
    x = fastnn.ones(5_000_000)
    held = fastnn.memory_stats()["system_bytes"]
    del x
    assert fastnn.memory_stats()["system_bytes"] == held
    fastnn.empty_cache()
    assert fastnn.memory_stats()["system_bytes"] <= held - 20_000_000
    assert fastnn.ones(5_000_000).numpy().sum() == 5_000_000


def test_arrays_keep_the_memory_alive():
    array = fastnn.full((1000,), 3.0).numpy()
    others = [fastnn.zeros(1000) for _ in range(10)]
    assert (array == 3).all() and len(others) == 10
    array = np.full(1000, 4.0)
    x = fastnn.from_numpy(array)[500:]
    del array
    assert (x.numpy() == 4).all()
    view = memoryview(fastnn.full((5,), 2.0))
    others.append(fastnn.zeros(5))
    assert view.tolist() == [2.0] * 5


def test_too_much_memory_is_an_error():
    with pytest.raises((MemoryError, ValueError)):
        fastnn.empty(1 << 44)
    with pytest.raises((MemoryError, ValueError)):
        fastnn.empty(1 << 30, 1 << 30)
    assert fastnn.ones(2).tolist() == [1, 1]
