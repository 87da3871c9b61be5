"""Random numbers against Philox4x32-10 written anew in NumPy, and their distributions."""

import math

import numpy as np
import pytest

import fastnn
from fastnn._kernels import runtime
from fastnn.ops.dropout import dropout
from fastnn.testing import num_threads
from tests.guard import guarded

LANES = 64  # blocks that make a group of consecutive elements
LEVELS = runtime.levels()
SIZES = [0, 1, 17, 63, 64, 65, 255, 256, 257, 1000, 8191, 8193, 20000]


@pytest.fixture(autouse=True)
def same_level_and_threads_afterwards():
    level, threads = runtime.isa(), runtime.get_num_threads()
    yield
    runtime.use_isa(level)
    runtime.set_num_threads(threads)


# --- the reference --------------------------------------------------------------


def philox(blocks, seed, call):
    """The four words of each block, [4, blocks]."""
    low = np.uint64(0xFFFFFFFF)
    counter = [
        blocks & low,
        blocks >> np.uint64(32),
        np.full_like(blocks, call & 0xFFFFFFFF),
        np.full_like(blocks, call >> 32),
    ]
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        product0 = counter[0] * np.uint64(0xD2511F53)
        product1 = counter[2] * np.uint64(0xCD9E8D57)
        counter = [
            (product1 >> np.uint64(32)) ^ counter[1] ^ np.uint64(key0),
            product1 & low,
            (product0 >> np.uint64(32)) ^ counter[3] ^ np.uint64(key1),
            product0 & low,
        ]
        key0 = (key0 + 0x9E3779B9) & 0xFFFFFFFF
        key1 = (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(counter)


def words(n, seed, call, slots):
    """What n elements are made from, [4 / slots, n]: `slots` elements share a block."""
    groups = -(-n // (slots * LANES))
    w = philox(np.arange(groups * LANES, dtype=np.uint64), seed, call)
    w = w.reshape(slots, 4 // slots, groups, LANES)
    return w.transpose(1, 2, 0, 3).reshape(4 // slots, -1)[:, :n]


def uniforms(n, seed, call, dtype):
    if dtype == fastnn.float32:
        return (words(n, seed, call, 4)[0] >> np.uint64(8)) * 2.0**-24
    high, low = words(n, seed, call, 2)
    return ((high >> np.uint64(5)) * 2.0**26 + (low >> np.uint64(6))) * 2.0**-53


def normals(n, seed, call, dtype):
    slots = 4 if dtype == fastnn.float32 else 2
    group = slots * LANES
    full = -(-n // group) * group
    u = uniforms(full, seed, call, dtype).reshape(-1, LANES)
    first, angle = u[0::2], 2 * np.pi * u[1::2]
    if dtype == fastnn.float32:
        w = words(full, seed, call, 4)[0].reshape(-1, LANES)[0::2] >> np.uint64(1)
        first = (w.astype(np.float32) + np.float32(0.5)).astype(float) * 2.0**-31
    else:
        first = 1 - first
    radius = np.sqrt(-2 * np.log(first))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:n]


@pytest.mark.parametrize(
    "block, seed, call, answer",
    [
        (0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**64 - 1, 2**64 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            0x85A308D3243F6A88,
            0x299F31D0A4093822,
            0x0370734413198A2E,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_reference_gives_the_known_answers(block, seed, call, answer):
    w = philox(np.array([block], np.uint64), seed, call)
    assert " ".join(f"{int(word):08x}" for word in w[:, 0]) == answer


# --- numbers are those of the reference -----------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [fastnn.float32, fastnn.float64])
def test_rand(level, dtype):
    runtime.use_isa(level)
    seed = 0x123456789ABCDEF0
    fastnn.manual_seed(seed)
    for call, n in enumerate(SIZES):
        x = fastnn.rand(n, dtype=dtype)
        np.testing.assert_array_equal(x.numpy(), uniforms(n, seed, call, dtype))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype, tolerance", [(fastnn.float32, 2e-6), (fastnn.float64, 1e-14)])
def test_randn(level, dtype, tolerance):
    runtime.use_isa(level)
    fastnn.manual_seed(99)
    for call, n in enumerate(SIZES):
        x = fastnn.randn(n, dtype=dtype)
        np.testing.assert_allclose(
            x.numpy(), normals(n, 99, call, dtype), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "low, high", [(0, 1), (0, 10), (-5, 3), (-(2**63), 2**63 - 1), (0, 2**62 + 2**61)]
)
def test_randint(level, low, high):
    runtime.use_isa(level)
    fastnn.manual_seed(3)
    for call, n in enumerate(SIZES):
        first, second = words(n, 3, call, 2).astype(object)
        expected = low + (((first << 32) | second) * (high - low) >> 64)
        assert fastnn.randint(low, high, (n,)).tolist() == expected.tolist()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [fastnn.float32, fastnn.float64])
def test_bernoulli(level, dtype):
    runtime.use_isa(level)
    for n in SIZES:
        p = np.linspace(0, 1, n)
        fastnn.manual_seed(5)
        y = fastnn.bernoulli(fastnn.tensor(p, dtype=dtype))
        p = fastnn.tensor(p, dtype=dtype).numpy()
        np.testing.assert_array_equal(y.numpy(), uniforms(n, 5, 0, dtype) < p)
    assert y.numpy()[0] == 0 and y.numpy()[-1] == 1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [fastnn.float32, fastnn.float64])
@pytest.mark.parametrize("p", [0.0, 0.25, 0.9, 1.0])
def test_dropout(level, dtype, p):
    runtime.use_isa(level)
    for n in SIZES:
        x = fastnn.tensor(np.linspace(-1, 2, n), dtype=dtype, requires_grad=True)
        fastnn.manual_seed(11)
        y = dropout(x, p)
        kept = words(n, 11, 0, 4)[0] >= p * 2**32
        scale = 1 / (1 - p) if p < 1 else 0
        np.testing.assert_allclose(y.detach().numpy(), x.detach().numpy() * kept * scale, rtol=1e-7)
        dy = np.linspace(1, 3, n)
        y.backward(fastnn.tensor(dy, dtype=dtype))
        np.testing.assert_allclose(x.grad.numpy(), dy * kept * scale, rtol=1e-6)


# --- the same for any number of threads -----------------------------------------


def everything(n):
    fastnn.manual_seed(21)
    x = fastnn.ones(n, requires_grad=True)
    drawn = [
        fastnn.rand(n),
        fastnn.randn(n),
        fastnn.randn(n, dtype=fastnn.float64),
        fastnn.randint(0, 1000, (n,)),
        fastnn.bernoulli(fastnn.full((n,), 0.3)),
    ]
    teams = [runtime.last_team()]
    drawn.append(dropout(x, 0.3))
    teams.append(runtime.last_team())
    drawn[-1].backward(fastnn.ones(n))
    return [t.detach().numpy().tobytes() for t in [*drawn, x.grad]], teams


def test_threads_do_not_change_a_bit():
    with num_threads(1):
        expected, _ = everything(100_003)
    for threads in (2, 3):
        with num_threads(threads):
            drawn, teams = everything(100_003)
        assert drawn == expected
        assert teams == [threads] * 2


# --- distributions --------------------------------------------------------------


def ks_distance(sample, cdf):
    sample = np.sort(sample)
    n = len(sample)
    c = cdf(sample)
    return max(np.max(np.arange(1, n + 1) / n - c), np.max(c - np.arange(n) / n)) * math.sqrt(n)


@pytest.mark.parametrize("dtype", [fastnn.float32, fastnn.float64])
def test_distributions(dtype):
    n = 400_000
    fastnn.manual_seed(2024)
    u = fastnn.rand(n, dtype=dtype).numpy().astype(float)
    z = fastnn.randn(n, dtype=dtype).numpy().astype(float)
    erf = np.vectorize(math.erf)
    assert ks_distance(u, lambda x: x) < 1.7  # exceeded once in 150 seeds
    assert ks_distance(z[:50_000], lambda x: 0.5 + 0.5 * erf(x / math.sqrt(2))) < 1.7
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        spread = np.std(z**power) / math.sqrt(n)
        assert abs(np.mean(z**power) - moment) < 4 * spread
    for lag in (1, 2, LANES, 4 * LANES):
        assert abs(np.mean(z[lag:] * z[:-lag])) < 4 / math.sqrt(n)


def test_integers_are_equally_likely():
    fastnn.manual_seed(8)
    counts = np.bincount(fastnn.randint(7, (70_000,)).numpy(), minlength=7)
    assert np.sum((counts - 10_000.0) ** 2 / 10_000) < 22.5  # chi-square, 6 degrees


def test_permutations():
    fastnn.manual_seed(4)
    for n in (0, 1, 2, 255, 1000):
        assert sorted(fastnn.randperm(n).tolist()) == list(range(n))
    orders = [tuple(fastnn.randperm(3).tolist()) for _ in range(6000)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 6
    assert np.sum((counts - 1000.0) ** 2 / 1000) < 20.5  # chi-square, 5 degrees
    assert fastnn.randperm(5, dtype=fastnn.int32).dtype == fastnn.int32


def test_uniform_stays_below_its_bound():
    x = fastnn.empty(300_000)
    fastnn.manual_seed(0)
    low, high = 1.0, 1.0 + 2.0**-22
    x.uniform_(low, high)
    assert set(x.numpy().tolist()) == {1.0, 1.0 + 2.0**-23}
    x.uniform_(3.0, 3.0)
    assert set(x.numpy().tolist()) == {3.0}


# --- generators -----------------------------------------------------------------


def test_manual_seed_starts_over():
    fastnn.manual_seed(7)
    first = [fastnn.rand(5).tolist(), fastnn.rand(5).tolist()]
    assert first[0] != first[1]
    assert fastnn.manual_seed(7).initial_seed() == 7 == fastnn.initial_seed()
    assert [fastnn.rand(5).tolist(), fastnn.rand(5).tolist()] == first
    fastnn.manual_seed(-1)
    assert fastnn.initial_seed() == 2**64 - 1


def test_state_can_be_kept_and_restored():
    fastnn.manual_seed(7)
    fastnn.rand(5)
    state = fastnn.get_rng_state()
    expected = fastnn.randn(5).tolist()
    fastnn.seed()
    assert fastnn.randn(5).tolist() != expected
    fastnn.set_rng_state(state)
    assert fastnn.randn(5).tolist() == expected
    with pytest.raises(ValueError, match=r"\(3,\)"):
        fastnn.set_rng_state(fastnn.arange(3))


def test_generators_are_independent():
    fastnn.manual_seed(1)
    own = fastnn.Generator().manual_seed(1)
    expected = fastnn.rand(9).tolist()
    fastnn.rand(3)
    assert fastnn.rand(9, generator=own).tolist() == expected
    with pytest.raises(TypeError, match="generator must be a Generator, got int"):
        fastnn.rand(2, generator=3)


@pytest.mark.parametrize("seed, error", [(1.5, TypeError), (True, TypeError), (2**64, ValueError)])
def test_bad_seeds(seed, error):
    with pytest.raises(error, match="seed"):
        fastnn.manual_seed(seed)


# --- shapes, layouts, in place --------------------------------------------------


def test_shapes_and_dtypes():
    assert fastnn.rand().shape == ()
    for x in (fastnn.rand(2, 3), fastnn.rand((2, 3)), fastnn.randn([2, 3])):
        assert x.shape == (2, 3)
    assert fastnn.rand(2, requires_grad=True).requires_grad
    assert fastnn.rand_like(fastnn.zeros(2, 3, dtype=fastnn.float64)).dtype == fastnn.float64
    assert fastnn.randn_like(fastnn.arange(2), dtype=fastnn.float32).shape == (2,)
    assert fastnn.randint(0, 2, (4,), dtype=fastnn.uint8).dtype == fastnn.uint8
    assert fastnn.randint(high=5, size=(2, 2)).shape == (2, 2)


def test_in_place():
    x = fastnn.zeros(4, 5)
    fastnn.manual_seed(6)
    assert x.uniform_(-1, 1) is x
    fastnn.manual_seed(6)
    np.testing.assert_allclose(x.numpy(), fastnn.rand(4, 5).numpy() * 2 - 1, atol=1e-7)
    array = np.zeros((6, 8), np.float32)
    fastnn.from_numpy(array[::2, ::2]).normal_(10, 0.1)
    assert (array[::2, ::2] > 9).all() and np.count_nonzero(array) == 12
    ones = fastnn.zeros(1000, dtype=fastnn.int64).bernoulli_(0.25).numpy().sum()
    assert 180 < ones < 320
    x.bernoulli_(fastnn.ones(4, 5))
    assert x.numpy().sum() == 20
    with pytest.raises(RuntimeError, match="leaf"):
        fastnn.zeros(2, requires_grad=True).uniform_()


def test_dropout_of_other_layouts():
    rng = np.random.default_rng(0)
    array = rng.normal(size=(2, 8, 6, 3)).astype(np.float32)
    images = np.ascontiguousarray(array).transpose(0, 3, 1, 2)  # N C H W
    x = fastnn.from_numpy(images).requires_grad_()
    fastnn.manual_seed(31)
    y = dropout(x, 0.4)
    assert y.stride() == x.stride()
    y.backward(fastnn.ones(*x.shape))
    kept = (words(array.size, 31, 0, 4)[0] >= math.ceil(0.4 * 2**32)).reshape(array.shape)
    y, dx = (t.numpy().transpose(0, 2, 3, 1) for t in (y.detach(), x.grad))
    np.testing.assert_allclose(y, array * kept / 0.6, rtol=1e-6)
    np.testing.assert_allclose(dx, kept / 0.6, rtol=1e-6)
    fastnn.manual_seed(31)
    gaps = dropout(fastnn.from_numpy(array[:, :, ::2]), 0.4).numpy()
    assert gaps.shape == (2, 8, 3, 3)


def test_dropout_in_evaluation_and_in_place():
    x = fastnn.ones(100)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.5, inplace=True) is x
    assert set(x.tolist()) == {0.0, 2.0}
    leaf = fastnn.ones(100, requires_grad=True)
    y = dropout(dropout(leaf, 0.0), 0.5, inplace=True)
    y.backward(fastnn.ones(100))
    assert leaf.grad.tolist() == y.tolist()


def test_dropped_values_do_not_matter():
    x = fastnn.full((1000,), math.nan)
    assert dropout(x, 1.0).tolist() == [0.0] * 1000


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_beyond_the_arrays_is_touched(level, dtype):
    runtime.use_isa(level)
    for n in (1, 3, 63, 65, 127, 129, 200, 257, 300, 1023):
        for at_end in (True, False):
            x = fastnn.from_numpy(guarded(n, dtype, at_end))
            x.uniform_()
            assert dropout(x, 0.0).tolist() == x.tolist()
            fastnn.bernoulli(x)
            x.normal_()


# --- errors ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: dropout(fastnn.ones(2), 1.5), ValueError, "1.5"),
        (lambda: dropout(fastnn.ones(2), -0.1), ValueError, "-0.1"),
        (lambda: dropout(fastnn.arange(2), 0.5), TypeError, "int64"),
        (lambda: dropout([1.0], 0.5), TypeError, "list"),
        (lambda: fastnn.rand(2, dtype=fastnn.int64), TypeError, "int64"),
        (lambda: fastnn.rand(2, -1), ValueError, "-1"),
        (lambda: fastnn.rand(2, device="cuda"), ValueError, "cuda"),
        (lambda: fastnn.randint(3, 3, (2,)), ValueError, "low < high, got 3 and 3"),
        (lambda: fastnn.randint(0, 300, (2,), dtype=fastnn.uint8), ValueError, "299"),
        (lambda: fastnn.randint(5), TypeError, "size"),
        (lambda: fastnn.randperm(-1), ValueError, "-1"),
        (lambda: fastnn.ones(2).uniform_(2, 1), ValueError, "a = 2 and b = 1"),
        (lambda: fastnn.ones(2).normal_(0, -1), ValueError, "-1"),
        (lambda: fastnn.ones(2).bernoulli_(2), ValueError, "2"),
        (lambda: fastnn.bernoulli(fastnn.tensor([0.5, 1.5])), ValueError, "0.5 to 1.5"),
        (lambda: fastnn.bernoulli(fastnn.tensor([-0.25, 1.0] * 99)), ValueError, "-0.25 to 1.0"),
        (lambda: fastnn.bernoulli(fastnn.tensor([float("nan")])), ValueError, "nan"),
        (lambda: fastnn.ones(2).bernoulli_(fastnn.ones(3)), ValueError, r"\(3,\)"),
        (lambda: fastnn.bernoulli(fastnn.arange(3)), TypeError, "int64"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
