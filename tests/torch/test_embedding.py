"""Embedding beside torch's."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn.ops.embedding import embedding

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("padding_idx", [None, 3, -2])
def test_values_and_gradients(padding_idx):
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 20, (6, 9))
    table, dy = rng.standard_normal((20, 17)), rng.standard_normal((6, 9, 17))
    w, theirs = from_numpy(table.copy()).requires_grad_(), torch.tensor(table, requires_grad=True)
    y = embedding(from_numpy(indices), w, padding_idx)
    expected = torch.nn.functional.embedding(torch.from_numpy(indices), theirs, padding_idx)
    np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy())
    y.backward(from_numpy(dy))
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(w.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-13)
