"""Every kind of recurrent layer, both directions, packed sequences: against the references,
sequence by sequence, and what threads, levels and the graph must do."""

import itertools

import numpy as np
import pytest

import fastnn
from fastnn._core.interop import from_numpy
from fastnn.ops.pointwise import add, mul
from fastnn.ops.reduce import sum as sum_all
from fastnn.ops.rnn import recurrent
from fastnn.testing import directional_error, last_team, levels, num_threads, regions, using_isa
from tests.guard import guarded
from tests.references.rnn import REFERENCES

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "gru_reset_before": 3, "lstm": 4}
KINDS = tuple(GATES)


class Problem:
    """The arguments of one call as float64 arrays, by name."""

    def __init__(
        self, kind, T, N, I, D, directions=1, P=0, peephole=False, sizes=None, states=True, seed=0
    ):
        rng = np.random.default_rng(seed)
        self.kind, self.T, self.N, self.directions, self.sizes = kind, T, N, directions, sizes
        rows, P = GATES[kind] * D, P or D
        self.values = {"x": rng.normal(size=(T, N, I) if sizes is None else (sum(sizes), I))}
        if states:
            self.values["h0"] = rng.normal(size=(directions, N, P))
            if kind == "lstm":
                self.values["c0"] = rng.normal(size=(directions, N, D))
        shapes = {"w_ih": (rows, I), "w_hh": (rows, P), "b_ih": rows, "b_hh": rows}
        shapes |= {"w_hr": (P, D)} if P != D else {}
        shapes |= {"peephole": (3, D)} if peephole else {}
        for d in range(directions):
            for name, shape in shapes.items():
                self.values[f"{name}{d}"] = rng.uniform(-1, 1, shape) / D**0.5

    def run(self, values):
        """The operation on tensors, by name."""
        weights = [
            tuple(
                values.get(f"{name}{d}")
                for name in ("w_ih", "w_hh", "b_ih", "b_hh", "w_hr", "peephole")
            )
            for d in range(self.directions)
        ]
        sizes = None if self.sizes is None else from_numpy(np.array(self.sizes, np.int64))
        first = values.get("h0"), values.get("c0")
        return recurrent(self.kind, values["x"], *first, weights, batch_sizes=sizes)

    def tensors(self, dtype=np.float64):
        return {
            name: from_numpy(value.astype(dtype)).requires_grad_()
            for name, value in self.values.items()
        }

    def expected(self):
        """The reference, direction by direction and sequence by sequence: y, h_n, c_n."""
        starts = np.cumsum([0, *([self.N] * self.T if self.sizes is None else self.sizes)])
        rows = self.values["x"].reshape(starts[-1], -1)
        ys, lasts = [], []
        for d in range(self.directions):
            names = ("w_ih", "w_hh", "b_ih", "b_hh")
            weights = [self.values[f"{name}{d}"] for name in names]
            more = {
                name: self.values[f"{key}{d}"]
                for name, key in (("weight_hr", "w_hr"), ("peephole", "peephole"))
                if f"{key}{d}" in self.values
            }
            states = ("h0", "c0") if self.kind == "lstm" else ("h0",)
            y, last = None, []
            for n in range(self.N):
                where = [s + n for s, end in itertools.pairwise(starts) if s + n < end]
                where = where if d == 0 else where[::-1]
                first = [self.values[s][d, n] if s in self.values else None for s in states]
                found, *ends = REFERENCES[self.kind](rows[where], *first, *weights, **more)
                y = np.empty((len(rows), found.shape[1])) if y is None else y
                y[where] = found
                last.append(ends)
            ys.append(y)
            lasts.append([np.stack(states) for states in zip(*last, strict=True)])
        y = np.concatenate(ys, axis=1)
        if self.sizes is None:
            y = y.reshape(self.T, self.N, -1)
        return [y, *[np.stack(states) for states in zip(*lasts, strict=True)]]


def weighted_sum(outputs, seed=1):
    """A number that depends on all outputs."""
    rng = np.random.default_rng(seed)
    total = None
    for y in outputs:
        weight = rng.normal(size=y.shape).astype(y.detach().numpy().dtype)
        term = sum_all(mul(y, from_numpy(weight)))
        total = term if total is None else add(total, term)
    return total


def results(problem, dtype=np.float32):
    """Outputs and gradients, as arrays by name."""
    given = problem.tensors(dtype)
    outputs = problem.run(given)
    weighted_sum(outputs).backward()
    found = {f"output {k}": y.detach().numpy() for k, y in enumerate(outputs)}
    return found | {name: t.grad.numpy() for name, t in given.items()}


def check_forward(problem, dtype, bound):
    found = problem.run(problem.tensors(dtype))
    for y, reference in zip(found, problem.expected(), strict=True):
        assert y.shape == reference.shape
        error = np.abs(y.detach().numpy() - reference).max() / max(1, np.abs(reference).max())
        assert error < bound


def check_gradients(problem):
    names = list(problem.values)

    def function(*tensors):
        return problem.run(dict(zip(names, tensors, strict=True)))

    # ReLU has kinks: a step across one is no finite difference
    bound = 1e-6 if problem.kind != "rnn_relu" else 1e-4
    assert directional_error(function, [problem.values[n] for n in names]) < bound


SHAPES = [(1, 1, 1, 1), (4, 2, 3, 15), (3, 7, 5, 17), (2, 33, 4, 40), (5, 3, 20, 70)]
SIZES = ([5, 5, 3, 1, 1], [1, 1, 1], [33, 20, 19, 2], [9, 8, 7, 6, 5, 4])


def problems(kind):
    for shape in SHAPES:
        for directions in (1, 2):
            yield Problem(kind, *shape, directions=directions)
    for sizes in SIZES:
        yield Problem(kind, len(sizes), sizes[0], 4, 19, directions=2, sizes=sizes)
    yield Problem(kind, 3, 9, 4, 6, directions=2, states=False)
    yield Problem(kind, 4, 12, 4, 6, sizes=[12, 7, 7, 2], states=False)
    if kind == "lstm":
        for N, P in [(2, 5), (19, 33)]:
            yield Problem(kind, 3, N, 4, 40, directions=2, P=P)
            yield Problem(kind, 3, N, 4, 40, directions=2, peephole=True)
        yield Problem(kind, 4, 9, 4, 40, 2, P=7, peephole=True, sizes=[9, 9, 4, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_forward_equals_the_reference(kind):
    for problem in problems(kind):
        check_forward(problem, np.float64, 1e-12)
        check_forward(problem, np.float32, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_equals_finite_differences(kind):
    for problem in problems(kind):
        check_gradients(problem)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_gradients_equal_those_of_float64(kind):
    for problem in problems(kind):
        for name, value in problem.values.items():
            problem.values[name] = value.astype(np.float32).astype(np.float64)
        single, double = results(problem), results(problem, np.float64)
        for name, reference in double.items():
            error = np.abs(single[name] - reference).max() / max(1, np.abs(reference).max())
            assert error < 3e-5, f"{name}: {error:.1e}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", levels())
def test_every_level(level, kind):
    with using_isa(level):
        for problem in problems(kind):
            check_forward(problem, np.float32, 1e-5)
            check_gradients(problem)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {"T": 6, "N": 37, "D": 130},  # blocks of rows
        {"T": 4, "N": 3, "D": 300, "directions": 2},  # units, and directions
        {"T": 4, "N": 17, "D": 400},  # units of a larger batch
        {"T": 4, "N": 37, "D": 200, "directions": 2, "sizes": [37, 30, 9, 9]},
        {"T": 4, "N": 5, "D": 200, "directions": 2, "sizes": [5, 3, 3, 1]},
        {"T": 3, "N": 37, "D": 100, "P": 60},
        {"T": 3, "N": 4, "D": 300, "directions": 2, "P": 100},
    ],
)
def test_threads_do_not_change_a_bit(kind, options):
    if options.get("P") and kind != "lstm":
        pytest.skip("only an LSTM projects")
    problem = Problem(kind, I=40, **options)
    bits = []
    for threads in (1, 2, 3, 7):
        with num_threads(threads):
            problem.run(problem.tensors(np.float32))
            assert (last_team() > 1) == (threads > 1)
            bits.append({name: v.tobytes() for name, v in results(problem).items()})
    assert bits[0] == bits[1] == bits[2] == bits[3]


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_sequence_is_computed_as_if_alone(kind):
    """With the same bits, as rows do not depend on each other."""
    sizes = [21, 20, 9, 3, 3, 1]
    batch = Problem(kind, len(sizes), sizes[0], 5, 33, directions=2, sizes=sizes)
    y, *last = [t.detach().numpy() for t in batch.run(batch.tensors(np.float32))]
    starts = np.cumsum([0, *sizes])
    for n in (0, 1, 8, 20):
        rows = [start + n for start, size in zip(starts, sizes, strict=False) if n < size]
        one = Problem(kind, len(rows), 1, 5, 33, directions=2)
        one.values = {**batch.values, "x": batch.values["x"][rows][:, None]}
        for state in {"h0", "c0"} & set(one.values):
            one.values[state] = one.values[state][:, n : n + 1]
        alone, *ends = [t.detach().numpy() for t in one.run(one.tensors(np.float32))]
        assert alone[:, 0].tobytes() == y[rows].tobytes()
        for end, state in zip(ends, last, strict=True):
            assert end[:, 0].tobytes() == state[:, n].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_one_node_and_as_many_regions_for_any_length(kind):
    counts = []
    with num_threads(2):
        for T in (50, 400):
            problem = Problem(kind, T, 12, 64, 64, directions=2)
            given = problem.tensors(np.float32)
            before = regions()
            outputs = problem.run(given)
            forward = regions() - before
            outputs[0].backward(from_numpy(np.ones(outputs[0].shape, np.float32)))
            counts.append((forward, regions() - before - forward))
            nodes = {y.grad_fn.name() for y in outputs}
            assert len(nodes) == 1
    assert counts[0] == counts[1]
    assert 0 < sum(counts[0]) < 16


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", levels())
def test_nothing_is_read_beyond_the_arguments(level, kind):
    """Every argument and the gradient end where memory must not be touched."""

    def at_the_end(array):
        copy = guarded(array.size, np.float32).reshape(array.shape)
        copy[...] = array
        return from_numpy(copy)

    sizes = [9, 5, 5, 1]
    with using_isa(level):
        for problem in (
            Problem(kind, 2, 3, 5, 7, directions=2),
            Problem(kind, len(sizes), sizes[0], 19, 17, sizes=sizes),
            *[Problem(kind, 3, 9, 5, 23, P=7, peephole=True)] * (kind == "lstm"),
        ):
            values = problem.values.items()
            given = {name: at_the_end(value).requires_grad_() for name, value in values}
            outputs = problem.run(given)
            for y in outputs:
                y.backward(at_the_end(np.ones(y.shape)), retain_graph=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_memory_held_before_does_not_matter(kind):
    """Working memory is not cleared: poison it."""
    problem = Problem(kind, 4, 9, 5, 20, directions=2, sizes=[9, 5, 5, 1])
    clean = results(problem)
    for dtype in (fastnn.float32, fastnn.float64):
        poison = [fastnn.full((n,), float("nan"), dtype=dtype) for n in range(8, 40000, 250)]
        del poison
    for name, value in results(problem).items():
        np.testing.assert_array_equal(value, clean[name])


def test_twice_through_the_graph():
    for kind in KINDS:
        problem = Problem(kind, 3, 9, 4, 20, directions=2)
        given = problem.tensors(np.float32)
        total = weighted_sum(problem.run(given))
        total.backward(retain_graph=True)
        once = {name: t.grad.numpy().copy() for name, t in given.items()}
        total.backward()
        for name, t in given.items():
            np.testing.assert_array_equal(t.grad.numpy(), 2 * once[name])


@pytest.mark.parametrize("kind", ["rnn_tanh", "gru", "gru_reset_before", "lstm"])
def test_gradients_that_vanish_are_exact(kind):
    """Through so many steps that they become denormal, and the caller's mode stays."""
    problem = Problem(kind, 120, 3, 4, 8)
    for name, value in problem.values.items():
        if name.startswith("w_hh"):
            value *= 0.4
        problem.values[name] = value.astype(np.float32).astype(np.float64)
    problem.values["b_ih0"][: 8 * (GATES[kind] - 1)] -= 1.0  # gates nearly closed

    def gradient_of_start(dtype):
        given = problem.tensors(dtype)
        outputs = problem.run(given)
        sum_all(outputs[1]).backward()
        return np.concatenate([given["h0"].grad.numpy()[..., :4], given["x"].grad.numpy()])

    found, reference = map(gradient_of_start, (np.float32, np.float64))
    assert (np.abs(found[found != 0]) < np.finfo(np.float32).tiny).any()
    largest = np.abs(reference).max(axis=(1, 2), keepdims=True)  # of each step
    # a denormal is rounded to a multiple of 2^-149 in each of some operations
    assert (np.abs(found - reference) < 1e-4 * largest + 64 * 2.0**-149).all()


def test_a_long_sequence_needs_little_memory():
    T, N, D = 2000, 8, 64
    fastnn.empty_cache()
    lstm = fastnn.nn.LSTM(D, D, 2)
    x = fastnn.randn(T, N, D)
    fastnn.reset_peak_memory_stats()
    before = fastnn.memory_stats()["allocated_bytes"]
    lstm(x)[0].backward(fastnn.ones(T, N, D))
    peak = fastnn.memory_stats()["peak_bytes"] - before
    # a layer keeps 7 numbers a unit and step, its output among them; backward adds dx and
    # the gradient of the output
    assert peak < 1.3 * 4 * T * N * D * (2 * 7 + 3)


def test_messages_name_what_is_wrong():
    def call(kind="gru", sizes=None, **changes):
        problem = Problem(kind, 3, 2, 4, 5, directions=2, sizes=sizes)
        problem.values |= changes
        return problem.run(problem.tensors())

    def zeros(*shape):
        return np.zeros(shape)

    with pytest.raises(ValueError, match=r"h0 must have shape \(2, 2, 5\).*\(1, 2, 5\)"):
        call(h0=zeros(1, 2, 5))
    with pytest.raises(ValueError, match=r"weight_hh_reverse must have shape \(15, 5\).*\(15, 4\)"):
        call(w_hh1=zeros(15, 4))
    with pytest.raises(ValueError, match=r"weight_hh must have shape \(3 \* hidden, hidden\)"):
        call(w_hh0=zeros(14, 5))
    with pytest.raises(ValueError, match=r"a projection must be smaller than the 5 hidden"):
        call("lstm", w_hr0=zeros(5, 5))
    with pytest.raises(ValueError, match="both directions"):
        call("lstm", peephole0=zeros(3, 5))
    with pytest.raises(ValueError, match=r"never rise, got 3 after 2 at step 1"):
        call(sizes=[2, 3, 1])
    with pytest.raises(ValueError, match=r"positive.*got 0 after 2"):
        call(sizes=[2, 0])
    with pytest.raises(ValueError, match=r"3 steps do not add up to the 6 rows"):
        call(sizes=[2, 2, 1], x=zeros(6, 4))
    with pytest.raises(ValueError, match=r"is one of rnn_tanh, .* got elman"):
        recurrent("elman", fastnn.zeros(3, 2, 4), None, None, [(None, None)])
    with pytest.raises(ValueError, match=r"no time step"):
        call(sizes=[])
