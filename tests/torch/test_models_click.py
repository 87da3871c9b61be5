"""Click-through models beside twins written in torch."""

from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn.models.click import DeepFM, FactorisationMachine, LogisticRegression, WideAndDeep

torch = pytest.importorskip("torch")

SIZES, NUMBERS, FACTORS, HIDDEN = [4, 7, 2], 3, 5, (8, 6)


class Twin(torch.nn.Module):
    """All four models: which parts there are decides."""

    def __init__(self, pairs, deep):
        super().__init__()
        self.pairs, rows = pairs, sum(SIZES)
        self.offsets = torch.tensor(np.cumsum([0, *SIZES[:-1]]))
        self.linear = torch.nn.Linear(NUMBERS, 1)
        self.weights = torch.nn.EmbeddingBag(rows, 1, mode="sum")
        if pairs or deep:
            self.vectors = torch.nn.Embedding(rows, FACTORS)
        if pairs:
            self.number_vectors = torch.nn.Parameter(torch.zeros(FACTORS, NUMBERS))
        if deep:
            sizes = [NUMBERS + len(SIZES) * FACTORS, *HIDDEN, 1]
            layers = [torch.nn.Linear(*pair) for pair in pairwise(sizes)]
            relus = [torch.nn.ReLU() for _ in layers]
            parts = [part for two in zip(layers, relus, strict=True) for part in two][:-1]
            self.deep = torch.nn.ModuleDict({"layers": torch.nn.Sequential(*parts)})

    def forward(self, numbers, categories):
        rows = categories + self.offsets
        y = (self.linear(numbers) + self.weights(rows))[:, 0]
        if self.pairs:
            scaled = numbers[:, :, None] * self.number_vectors.T
            vectors = torch.cat([self.vectors(rows), scaled], 1)
            products = vectors @ vectors.transpose(1, 2)
            y = y + torch.triu(products, diagonal=1).sum((1, 2))
        if hasattr(self, "deep"):
            x = torch.cat([numbers, self.vectors(rows).flatten(1)], 1)
            y = y + self.deep["layers"](x)[:, 0]
        return y


@pytest.mark.parametrize(
    "kind, options, pairs, deep",
    [
        (LogisticRegression, {}, False, False),
        (FactorisationMachine, {"factors": FACTORS}, True, False),
        (WideAndDeep, {"factors": FACTORS, "hidden": HIDDEN}, False, True),
        (DeepFM, {"factors": FACTORS, "hidden": HIDDEN}, True, True),
    ],
)
def test_logits_and_gradients(kind, options, pairs, deep):
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((9, NUMBERS))
    codes = np.stack([rng.integers(0, size, 9) for size in SIZES], 1)
    ours, theirs = kind(NUMBERS, SIZES, **options).double(), Twin(pairs, deep).double()
    values = {name: rng.standard_normal(p.shape) for name, p in ours.named_parameters()}
    with fastnn.no_grad():
        for name, p in ours.named_parameters():
            p.copy_(fastnn.tensor(values[name]))
    theirs.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    y = ours(fastnn.tensor(numbers), fastnn.tensor(codes))
    expected = theirs(torch.tensor(numbers), torch.tensor(codes))
    np.testing.assert_allclose(
        y.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-10
    )
    y.sigmoid().sum().backward()
    expected.sigmoid().sum().backward()
    gradients = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(
            p.grad.numpy(), gradients[name].grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=name
        )
