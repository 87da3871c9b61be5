"""Optimisers beside torch's: a hundred steps, and a state that moves both ways."""

import numpy as np
import pytest

from fastnn import nn, optim
from fastnn._core.interop import from_numpy

torch = pytest.importorskip("torch")

DENSE = [
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.01, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.01}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.5, "weight_decay": 0.01, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "momentum_decay": 0.1}),
    ("RAdam", {}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "betas": (0.8, 0.9)}),
    ("RAdam", {"weight_decay": 0.1}),
    ("Adamax", {}),
    ("Adamax", {"weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.1), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lambd": 0.1, "t0": 20, "weight_decay": 0.01}),
]
SPARSE = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
    ("SparseAdam", {"lr": 0.1}),
    ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.9), "maximize": True}),
]


def tolerance_of(name, dtype="float64"):
    """torch keeps the step size of ASGD in single precision."""
    return 2e-4 if dtype == "float32" else 1e-6 if name == "ASGD" else 1e-10


class Pair:
    """The same parameters here and there, with the same gradients."""

    def __init__(self, name, options, dtype="float64", start=None):
        rng = np.random.default_rng(0)
        self.rng = rng
        start = start or [rng.standard_normal(shape).astype(dtype) for shape in [(7, 5), (33,)]]
        self.ours = [from_numpy(x.copy()).requires_grad_() for x in start]
        self.theirs = [torch.tensor(x, requires_grad=True) for x in start]
        self.optimizer = getattr(optim, name)(self.ours, **options)
        self.peer = getattr(torch.optim, name)(self.theirs, **options)

    def step(self):
        """The gradient of a bowl, with noise."""
        for p, q in zip(self.ours, self.theirs, strict=True):
            x = q.detach().numpy()
            g = (x + self.rng.standard_normal(x.shape)).astype(x.dtype)
            p.grad, q.grad = from_numpy(g.copy()), torch.from_numpy(g.copy())
        self.optimizer.step()
        self.peer.step()

    def assert_same(self, tolerance):
        for p, q in zip(self.ours, self.theirs, strict=True):
            np.testing.assert_allclose(
                p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "options"), DENSE)
def test_a_hundred_steps(name, options, dtype):
    pair = Pair(name, options, dtype)
    for _ in range(100):
        pair.step()
    pair.assert_same(tolerance_of(name, dtype))


@pytest.mark.parametrize(("name", "options"), DENSE)
def test_state_moves_both_ways(name, options):
    pair = Pair(name, options)
    for _ in range(7):
        pair.step()
    start = [q.detach().numpy() for q in pair.theirs]
    other = Pair(name, options, start=start)
    other.optimizer.load_state_dict(pair.peer.state_dict())
    saved = pair.optimizer.state_dict()
    for entry in saved["state"].values():
        for key, value in entry.items():
            entry[key] = torch.tensor(value.numpy() if hasattr(value, "numpy") else value)
    other.peer.load_state_dict(saved)
    for _ in range(20):
        pair.rng = np.random.default_rng(1)
        other.rng = np.random.default_rng(1)
        pair.step()
        other.step()
    pair.assert_same(tolerance_of(name))
    other.assert_same(tolerance_of(name))
    for p, q in zip(pair.ours, other.ours, strict=True):
        np.testing.assert_allclose(
            p.detach().numpy(), q.detach().numpy(), rtol=0, atol=tolerance_of(name)
        )


@pytest.mark.parametrize(("name", "options"), DENSE)
def test_defaults_and_names(name, options):
    ours, theirs = (
        getattr(package, name)([p])
        for package, p in [
            (optim, from_numpy(np.ones(2)).requires_grad_()),
            (torch.optim, torch.ones(2, requires_grad=True)),
        ]
    )
    for key, value in ours.defaults.items():
        assert theirs.defaults[key] == value, key
    for key in set(theirs.defaults) - set(ours.defaults):
        assert not theirs.defaults[key]
    ours.param_groups[0]["params"][0].grad = from_numpy(np.ones(2))
    theirs.param_groups[0]["params"][0].grad = torch.ones(2)
    ours.step()
    theirs.step()
    states = [next(iter(o.state_dict()["state"].values()), {}) for o in (ours, theirs)]
    assert {k for k, v in states[1].items() if v is not None} - {"step"} == set(states[0]) - {
        "step"
    }


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize(("name", "options"), SPARSE)
def test_sparse_gradients(name, options):
    rng = np.random.default_rng(3)
    start = rng.standard_normal((40, 9))
    ours = nn.Embedding(40, 9, padding_idx=2, sparse=True).double()
    ours.load_state_dict({"weight": from_numpy(start.copy())})
    theirs = torch.nn.Embedding(40, 9, padding_idx=2, sparse=True).double()
    theirs.load_state_dict({"weight": torch.from_numpy(start.copy())})
    optimizer = getattr(optim, name)(ours.parameters(), **options)
    peer = getattr(torch.optim, name)(theirs.parameters(), **options)
    for _ in range(30):
        indices, dy = rng.integers(0, 40, (3, 4)), rng.standard_normal((3, 4, 9))
        optimizer.zero_grad()
        peer.zero_grad()
        ours(from_numpy(indices)).backward(from_numpy(dy))
        theirs(torch.from_numpy(indices)).backward(torch.from_numpy(dy))
        mine, other = ours.weight.grad.coalesce(), theirs.weight.grad.coalesce()
        assert mine.shape == tuple(other.shape)
        np.testing.assert_array_equal(mine.indices().numpy(), other.indices().numpy())
        np.testing.assert_allclose(mine.values().numpy(), other.values().numpy(), rtol=1e-12)
        optimizer.step()
        peer.step()
        np.testing.assert_allclose(
            ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=1e-11, atol=1e-11
        )
