"""Optimisers that step only the rows that a sparse gradient holds."""

import numpy as np
import pytest

import fastnn
from fastnn import from_numpy, nn, optim
from fastnn._core.sparse import sparse_rows
from fastnn.testing import last_team, num_threads

MAKERS = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, dampening=0.2),
    "Nesterov": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, maximize=True),
    "Adagrad": lambda ps: optim.Adagrad(ps, lr=0.1),
}


def gradients(rng, rows, columns, count, used=5, dtype=np.float64):
    """Pairs (rows used, their values)."""
    return [
        (
            np.sort(rng.choice(rows, used, replace=False)),
            rng.standard_normal((used, columns)).astype(dtype),
        )
        for _ in range(count)
    ]


def train(make, start, steps, sparse):
    p = from_numpy(start.copy()).requires_grad_()
    optimizer = make([p])
    for k, (index, values) in enumerate(steps):
        p.grad = sparse_rows(from_numpy(index), from_numpy(values), start.shape)
        if not (sparse if isinstance(sparse, bool) else sparse(k)):
            p.grad = p.grad.to_dense()
        optimizer.step()
    return p.detach().numpy(), optimizer


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("sparse", [True, lambda k: k % 3 != 0, lambda k: k > 2])
def test_as_the_dense_gradient(name, sparse):
    """Also where dense gradients come between."""
    rng = np.random.default_rng(0)
    start, steps = rng.standard_normal((30, 11)), gradients(rng, 30, 11, 9)
    expected, _ = train(MAKERS[name], start, steps, sparse=False)
    found, _ = train(MAKERS[name], start, steps, sparse)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("maximize", [False, True])
def test_sparse_adam(maximize):
    rng = np.random.default_rng(1)
    start, steps = rng.standard_normal((20, 7)), gradients(rng, 20, 7, 12)
    found, optimizer = train(
        lambda ps: optim.SparseAdam(ps, lr=0.1, maximize=maximize), start, steps, sparse=True
    )
    x, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for t, (index, g) in enumerate(steps, 1):
        g = -g if maximize else g
        m[index] = 0.9 * m[index] + 0.1 * g
        v[index] = 0.999 * v[index] + 0.001 * g * g
        step = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        x[index] -= step * m[index] / (np.sqrt(v[index]) + 1e-8)
    np.testing.assert_allclose(found, x, rtol=1e-12, atol=1e-12)
    assert next(iter(optimizer.state.values()))["step"] == 12


@pytest.mark.parametrize("name", ["SGD", "momentum", "SparseAdam", "Adagrad"])
def test_rows_without_a_gradient_stay(name):
    make = MAKERS.get(name, lambda ps: optim.SparseAdam(ps, lr=0.1))
    rng = np.random.default_rng(2)
    start, steps = rng.standard_normal((30, 4)), gradients(rng, 30, 4, 2)
    found, _ = train(make, start, steps, sparse=True)
    used = np.union1d(*[index for index, _ in steps])
    rest = np.setdiff1d(np.arange(30), used)
    assert np.array_equal(found[rest], start[rest])
    assert (found[used] != start[used]).any(1).all()


@pytest.mark.parametrize("name", [*MAKERS, "SparseAdam"])
def test_threads_give_the_same_bits(name):
    make = MAKERS.get(name, lambda ps: optim.SparseAdam(ps, lr=0.1))
    rng = np.random.default_rng(3)
    start = rng.standard_normal((20_000, 40)).astype(np.float32)
    steps = gradients(rng, 20_000, 40, 2, used=9000, dtype=np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            results.append(train(make, start, steps, sparse=True)[0].tobytes())
            assert last_team() == threads
    assert len(set(results)) == 1


@pytest.mark.parametrize("name", [*MAKERS, "SparseAdam"])
def test_layouts_and_empty_gradients(name):
    make = MAKERS.get(name, lambda ps: optim.SparseAdam(ps, lr=0.1))
    rng = np.random.default_rng(4)
    start, steps = rng.standard_normal((9, 6)), gradients(rng, 9, 6, 3)
    steps.insert(1, (np.zeros(0, np.int64), np.zeros((0, 6))))
    expected, _ = train(make, start, steps, sparse=True)
    for array in (np.asfortranarray(start), np.zeros((9, 12))[:, ::2]):
        array[...] = start
        p = from_numpy(array).requires_grad_()
        optimizer = make([p])
        for index, values in steps:
            p.grad = sparse_rows(from_numpy(index), from_numpy(values), (9, 6))
            optimizer.step()
        assert np.array_equal(array, expected)


@pytest.mark.parametrize("name", [*MAKERS, "SparseAdam"])
def test_state_dict_resumes(name):
    make = MAKERS.get(name, lambda ps: optim.SparseAdam(ps, lr=0.1))
    rng = np.random.default_rng(5)
    start, steps = rng.standard_normal((15, 3)), gradients(rng, 15, 3, 6)
    expected, _ = train(make, start, steps, sparse=True)
    middle, optimizer = train(make, start, steps[:3], sparse=True)
    saved = optimizer.state_dict()

    def resumed(ps):
        optimizer = make(ps)
        optimizer.load_state_dict(saved)
        return optimizer

    found, _ = train(resumed, middle, steps[3:], sparse=True)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "kind", ["Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adadelta", "Rprop", "ASGD"]
)
def test_others_refuse_sparse_gradients(kind):
    table = nn.Embedding(5, 3, sparse=True)
    table(fastnn.tensor([1])).sum().backward()
    before = table.weight.tolist()
    with pytest.raises(RuntimeError, match=r"does not support sparse gradients.*SparseAdam"):
        getattr(optim, kind)(table.parameters()).step()
    assert table.weight.tolist() == before


def test_errors():
    table = nn.Embedding(5, 3, sparse=True)
    table(fastnn.tensor([1])).sum().backward()
    for kind in (optim.SGD, optim.Adagrad):
        with pytest.raises(RuntimeError, match="weight_decay is not compatible with sparse"):
            kind(table.parameters(), weight_decay=0.1).step()
    optimizer = optim.SGD(table.parameters(), momentum=0.9)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        table.weight.grad = table.weight.grad.to_dense()
        optim.SparseAdam(table.parameters()).step()
    table.weight.data = fastnn.zeros(5, 4)
    table(fastnn.tensor([1]))
    table.weight.grad = None
    table(fastnn.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match=r"momentum_buffer has shape \(5, 3\).*\(5, 4\)"):
        optimizer.step()
