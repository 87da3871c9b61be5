"""Every register tile of every level, and the driver with all its options, at guard pages."""

import numpy as np
import pytest

from fastnn._kernels.gemm import last_copy, last_path
from fastnn.testing import last_team, levels, num_threads, using_isa
from fastnn.testing.gemm import pack, product, tallest_tile, tile, vector_length
from tests.guard import guarded

DTYPES = ["float32", "float64"]


def at_guard(values, dtype, at_end=True):
    values = np.asarray(values)
    memory = guarded(values.size, dtype, at_end).reshape(values.shape)
    memory[...] = values
    return memory


def assert_close(found, expected, magnitude, terms):
    """Within the error that a sum of so many rounded products may have."""
    bound = np.finfo(found.dtype).eps * (terms + 3) * magnitude + 1e-30
    assert np.all(np.abs(found - expected) <= bound)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("level", levels())
def test_every_tile_equals_the_reference(level, dtype, width):
    rng = np.random.default_rng(width)
    with using_isa(level):
        vl, tallest = vector_length(dtype), tallest_tile(dtype, width)
        least = (width - 1) * vl + 1
        for n in sorted({least, least + vl // 2, width * vl}):
            for batches, k in [(1, 1), (2, 5), (1, 0)]:
                a = rng.standard_normal((batches, tallest, k)).astype(dtype)
                b = rng.standard_normal((batches, k, n)).astype(dtype)
                c = rng.standard_normal((tallest, n)).astype(dtype)
                bias = rng.standard_normal(n).astype(dtype)
                norm = rng.standard_normal((3, n)).astype(dtype)
                bits = None
                for rows in range(tallest, 0, -1):
                    at_end = rows % 2 == 0
                    y = at_guard(c[:rows], dtype, at_end)
                    tile(
                        at_guard(a[:, :rows], dtype, at_end),
                        at_guard(b, dtype, at_end),
                        y,
                        width,
                        at_guard(bias, dtype, at_end),
                        accumulate=True,
                        relu=True,
                        norm=at_guard(norm, dtype, at_end),
                    )
                    expected = np.einsum("bik,bkj->ij", a[:, :rows], b, dtype=np.float64)
                    magnitude = np.einsum("bik,bkj->ij", abs(a[:, :rows]), abs(b))
                    magnitude = magnitude + abs(c[:rows]) + abs(bias)
                    magnitude = abs(norm[1]) * (magnitude + abs(norm[0])) + abs(norm[2])
                    expected = (expected + c[:rows] + bias - norm[0]) * norm[1] + norm[2]
                    expected = np.maximum(expected, 0)
                    assert_close(y, expected, magnitude, batches * k)
                    # each element is one chain, whatever the height of the tile
                    bits = y if bits is None else bits
                    np.testing.assert_array_equal(y, bits[:rows])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("level", levels())
def test_packing_fills_panels_and_stays_inside(level, dtype):
    rng = np.random.default_rng(0)
    with using_isa(level):
        nr = 2 * vector_length(dtype)
        for k in (1, nr - 1, nr, nr + 3):
            for n in (1, nr - 1, nr, 2 * nr + 3):
                panels = -(-n // nr)
                values = rng.standard_normal((k, n)).astype(dtype)
                expected = np.zeros((panels, k, nr))
                for j in range(n):
                    expected[j // nr, :, j % nr] = values[:, j]
                for source in (
                    at_guard(values, dtype),
                    at_guard(values.T, dtype).T,
                    at_guard(np.repeat(values, 2, axis=1), dtype)[:, ::2],
                ):
                    packed = at_guard(np.full((panels, k, nr), np.nan), dtype)
                    pack(source, packed, nr)
                    np.testing.assert_array_equal(packed, expected)


# M, N, K, are A and B transposed in memory, the path
PATHS = [
    (5, 7, 9, False, False, "direct"),
    (33, 31, 40, True, False, "direct"),
    (2, 70, 5, False, False, "direct"),
    (17, 65, 33, False, True, "packed"),
    (200, 300, 230, False, False, "packed"),
    (150, 260, 800, True, True, "packed"),
    (7, 21, 130, False, True, "dot"),
    (40, 9, 700, False, True, "dot"),
    (1, 19, 133, False, True, "dot"),
    (1, 1, 301, False, True, "dot"),
    (50, 1, 77, False, False, "dot"),
    (1, 4100, 13, False, False, "columns"),
    (75, 1, 20, True, False, "columns"),
    (6, 10, 50009, True, False, "split"),
    (3, 4, 70007, False, True, "split"),
    (9, 1, 60011, False, False, "split"),
    (1, 1030, 601, False, False, "split"),
    (700, 1, 501, True, False, "split"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize(("M", "N", "K", "a_transposed", "b_transposed", "path"), PATHS)
def test_every_path_equals_the_reference(level, dtype, M, N, K, a_transposed, b_transposed, path):
    rng = np.random.default_rng(M + N + K)
    a = at_guard(rng.standard_normal((K, M) if a_transposed else (M, K)), dtype)
    b = at_guard(rng.standard_normal((N, K) if b_transposed else (K, N)), dtype)
    a, b = a.T if a_transposed else a, b.T if b_transposed else b
    c, bias = rng.standard_normal((M, N)).astype(dtype), at_guard(rng.standard_normal(N), dtype)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    magnitude = abs(a).astype(np.float64) @ abs(b).astype(np.float64) + abs(c) + abs(bias)
    with using_isa(level):
        for accumulate, relu, b_vector in [(0, 0, None), (1, 0, bias), (0, 1, bias)]:
            y = at_guard(c if accumulate else np.full((M, N), np.nan), dtype)
            product(a, b, y, b_vector, accumulate, relu)
            assert level == "scalar" or last_path() == path
            expected = exact + (c if accumulate else 0) + (0 if b_vector is None else bias)
            assert_close(y, np.maximum(expected, 0) if relu else expected, magnitude, K)
            serial = at_guard(c if accumulate else np.full((M, N), np.nan), dtype)
            product(a, b, serial, b_vector, accumulate, relu, serial=True)
            np.testing.assert_array_equal(serial, y)


# A transposed, or rows a power of two apart, and what is copied of it
COPIES = [
    (120, 400, 512, False, "tiles"),
    (300, 700, 1024, False, "tiles"),
    (300, 500, 1000, False, "in place"),
    (1040, 700, 90, True, "blocks"),
    (600, 1500, 800, True, "blocks"),
    (100, 40, 30, True, "in place"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize(("M", "N", "K", "a_transposed", "copy"), COPIES)
def test_every_copy_of_a_equals_the_reference(level, dtype, M, N, K, a_transposed, copy):
    rng = np.random.default_rng(M + N + K)
    a = at_guard(rng.standard_normal((K, M) if a_transposed else (M, K)), dtype)
    a, b = a.T if a_transposed else a, at_guard(rng.standard_normal((K, N)), dtype)
    exact, magnitude = a.astype(np.float64) @ b.astype(np.float64), abs(a) @ abs(b)
    with using_isa(level):
        results = []
        for threads in (1, 2):
            y = np.full((M, N), np.nan, dtype)
            with num_threads(threads):
                product(a, b, y)
            assert level == "scalar" or last_copy() == copy
            assert_close(y, exact, magnitude, K)
            results.append(y)
        np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("level", levels())
def test_turned_round_equals_the_reference_and_ends_with_the_epilogue(level, dtype):
    rng = np.random.default_rng(0)
    M, N, K = 64, 711, 901
    a, b = (
        at_guard(rng.standard_normal((M, K)), dtype),
        at_guard(rng.standard_normal((N, K)), dtype),
    )
    bias, norm = (at_guard(rng.standard_normal(shape), dtype) for shape in (N, (3, N)))
    magnitude = abs(a).astype(np.float64) @ abs(b.T) + abs(bias)
    magnitude = abs(norm[1]) * (magnitude + abs(norm[0])) + abs(norm[2])
    expected = (a.astype(np.float64) @ b.T + bias - norm[0]) * norm[1] + norm[2]
    with using_isa(level):
        for serial in (True, False):
            y = at_guard(np.full((M, N), np.nan), dtype)
            product(a, b.T, y, bias, relu=True, norm=norm, serial=serial)
            assert_close(y, np.maximum(expected, 0), magnitude, K)
        assert level == "scalar" or last_path() == "turned"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("M", "N", "K", "a_transposed", "b_transposed", "path"),
    [
        (120, 120, 120, False, False, "direct"),
        (300, 500, 800, False, False, "packed"),
        (290, 510, 800, True, True, "packed"),
        (64, 710, 900, False, True, "turned"),
        (8, 1500, 1100, False, True, "dot"),
        (1, 9000, 100, False, False, "columns"),
        (1, 2100, 1100, False, False, "split"),
        (20, 30, 40003, True, False, "split"),
    ],
)
def test_threads_do_not_change_a_bit(dtype, M, N, K, a_transposed, b_transposed, path):
    rng = np.random.default_rng(1)
    a = rng.standard_normal((K, M) if a_transposed else (M, K)).astype(dtype)
    b = rng.standard_normal((N, K) if b_transposed else (K, N)).astype(dtype)
    a, b = a.T if a_transposed else a, b.T if b_transposed else b
    results = []
    for threads in (1, 2, 3):
        y = np.full((M, N), np.nan, dtype)
        with num_threads(threads):
            product(a, b, y)
            assert last_team() == threads
        assert last_path() == path
        results.append(y)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("shared", ["", "a", "b"])
def test_batches(shared):
    rng = np.random.default_rng(2)
    for M, N, K, B in [(3, 5, 4, 7), (1, 40, 30, 3), (20, 33, 64, 5), (70, 70, 70, 12)]:
        a = rng.standard_normal((M, K) if shared == "a" else (B, M, K))
        b = rng.standard_normal((N, K) if shared == "b" else (B, N, K)).swapaxes(-1, -2)
        y = np.full((B, M, N), np.nan)
        product(a, b, y)
        np.testing.assert_allclose(y, np.einsum("...ik,...kj->...ij", a, b), atol=1e-12)


def test_nothing_to_add_up_gives_the_bias_or_zeros():
    for M, N in [(1, 1), (3, 5), (1, 40), (40, 1), (20, 70)]:
        a, b, bias = np.zeros((M, 0)), np.zeros((0, N)), np.arange(N) + 1.0
        y = np.full((M, N), np.nan)
        product(a, b, y)
        assert np.all(y == 0)
        product(a, b, y, bias)
        np.testing.assert_array_equal(y, np.broadcast_to(bias, (M, N)))


@pytest.mark.parametrize(
    ("M", "N", "K", "b_transposed"), [(5, 7, 9, False), (4, 30, 70, True), (1, 30, 9, False)]
)
def test_not_a_number_is_passed_on_and_old_values_are_not_read(M, N, K, b_transposed):
    a, b = np.ones((M, K)), np.ones((N, K)).T if b_transposed else np.ones((K, N))
    a[0, 3] = np.nan
    b[2, 1] = np.inf
    y = np.full((M, N), np.nan)
    product(a, b, y)
    assert np.all(np.isnan(y[0]))
    assert np.all(y[1:, 1] == np.inf)
    assert np.all(y[1:, 2:] == K)
