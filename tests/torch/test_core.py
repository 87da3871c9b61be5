"""Random programs of views and writes in place beside torch: its gradient or an error."""

import random

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")

UNARY = {
    "exp": lambda x: (x * 0.3).exp(),
    "tanh": lambda x: x.tanh(),
    "relu": lambda x: x.relu(),
    "sum": lambda x: x.sum(0) if x.ndim else x * 1,
    "clone": lambda x: x.clone(),
    "detach": lambda x: x.detach(),
    "rows": lambda x: x[[1, 0, 1]][:2] * 1,
}
BINARY = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y}
VIEWS = {
    "row": lambda x: x[1],
    "slice": lambda x: x[1:],
    "T": lambda x: x.permute(tuple(range(x.ndim))[::-1]),
    "flat": lambda x: x.reshape(-1),
    "expand": lambda x: x.unsqueeze(0).expand(2, *x.shape),
    "split": lambda x: x.split(1)[0],
    "unbind": lambda x: x.unbind(0)[1],
    "view": lambda x: x.view(tuple(x.shape)),
    "diagonal": lambda x: x.diagonal() if x.ndim == 2 else x[:],
}
INPLACE = {
    "add_": lambda x, y: x.add_(y),
    "sub_": lambda x, y: x.sub_(y),
    "mul_": lambda x, y: x.mul_(y),
    "copy_": lambda x, y: x.copy_(y),
    "zero_": lambda x, y: x.zero_(),
    "fill_": lambda x, y: x.fill_(0.7),
    "x[0] =": lambda x, y: x.__setitem__(0, y),
    "x[:1] =": lambda x, y: x.__setitem__(slice(0, 1), y),
    "x[[1, 0]] =": lambda x, y: x.__setitem__([1, 0], y),
    "x[...] =": lambda x, y: x.__setitem__(Ellipsis, 0.3),
}


class OneRaised(Exception):
    """A library refused: the program ends here."""


def attempt(function, *args):
    try:
        return function(*args), None
    except (RuntimeError, ValueError, IndexError) as error:
        return None, error


def both(function, *args):
    """The results in torch and in fastnn; each argument is a pair."""
    theirs, their_error = attempt(function, *[a[0] for a in args])
    ours, our_error = attempt(function, *[a[1] for a in args])
    if their_error or our_error:
        raise OneRaised
    return theirs, ours


def no_grad(function):
    def wrapped(x, *rest):
        with torch.no_grad() if isinstance(x, torch.Tensor) else fastnn.no_grad():
            return function(x, *rest)

    return wrapped


def overlap(x, y):
    """May y lie in x's memory? Then torch's result of a write depends on its loop."""
    return x[0].untyped_storage().data_ptr() == y[0].untyped_storage().data_ptr()


def program(rng, pairs):
    """Append results to the pairs, each a tensor of torch and its twin."""
    for _ in range(rng.randint(3, 9)):
        x, y = rng.choice(pairs), rng.choice(pairs)
        outside = rng.random() < 0.15
        table = rng.choice([UNARY, BINARY, VIEWS, INPLACE, INPLACE])
        name = rng.choice(list(table))
        function = no_grad(table[name]) if outside else table[name]
        by_row = table is VIEWS or name == "rows" or name.startswith("x[")
        if by_row and (x[0].ndim == 0 or x[0].shape[0] < 2):
            continue
        if table is INPLACE and overlap(x, y):
            continue
        args = (x, y) if table in (BINARY, INPLACE) else (x,)
        result = both(function, *args)
        if table is not INPLACE:
            pairs.append(result)
        for theirs, ours in pairs:
            np.testing.assert_allclose(
                ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-12
            )


@pytest.mark.parametrize("block", range(8))
def test_gradients_of_programs_that_write_in_place(block):
    compared = 0
    for seed in range(1000 * block, 1000 * block + 400):
        rng = random.Random(seed)
        arrays = np.random.default_rng(seed).uniform(0.5, 1.5, (3, 2, 2))
        pairs = [
            (torch.tensor(a, requires_grad=k < 2), fastnn.tensor(a, requires_grad=k < 2))
            for k, a in enumerate(arrays)
        ]
        leaves = pairs[:2]
        try:
            program(rng, pairs)
            picks = [pair for pair in pairs if rng.random() < 0.6] + pairs[:2]
            loss = both(lambda *xs: sum(((k + 1) * x).sum() for k, x in enumerate(xs)), *picks)
            both(lambda y: y.backward(), loss)
        except OneRaised:
            continue
        compared += 1
        for theirs, ours in leaves:
            np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), 1e-7, 1e-9)
    assert compared > 80


SHOWN = [
    np.zeros(()),
    np.array(1.5),
    np.random.default_rng(0).standard_normal((3, 4, 5)).astype("f4"),
    np.random.default_rng(1).standard_normal((40, 50)).astype("f4"),
    np.arange(30),
    np.arange(2000).astype("f4"),
    np.array([1, 2000], "f4"),
    np.array([1e-5, 1], "f4"),
    np.array([np.nan, 1.5, -np.inf], "f4"),
    np.array([-0.0, 1], "f4"),
    np.zeros((2, 0, 3)),
    np.zeros(0, "i8"),
    np.array([True, False]),
    np.arange(5, dtype="u1"),
    np.ones((1, 1100), "f4"),
]


@pytest.mark.parametrize("array", SHOWN, ids=range(len(SHOWN)))
def test_text(array):
    assert repr(fastnn.tensor(array)) == repr(torch.tensor(array)).replace("torch.", "fastnn.")


INDICES = [
    np.s_[0, :, [1, 2]],
    np.s_[[0, 1], :, [1, 2]],
    np.s_[:, [0, 1], [1, 2]],
    np.s_[None, [0, 1], 1],
    np.s_[..., [2, 0]],
    np.s_[[True, False, True], 1:],
    np.s_[True],
    np.s_[[[0, 1], [1, 0]], None, [0, 1]],
    np.s_[1:, ..., -1],
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indices(index):
    array = np.random.default_rng(0).standard_normal((3, 4, 5))
    theirs, ours = torch.tensor(array, requires_grad=True), fastnn.tensor(array, requires_grad=True)
    y, z = theirs[index], ours[index]
    np.testing.assert_array_equal(z.detach().numpy(), y.detach().numpy())
    (y * y).sum().backward()
    (z * z).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12)
    with torch.no_grad():
        theirs[index] = 0.5
    with fastnn.no_grad():
        ours[index] = 0.5
    np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())
