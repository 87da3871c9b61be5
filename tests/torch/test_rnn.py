import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fastnn._core.interop import from_numpy  # noqa: E402
from fastnn.ops.rnn import lstm  # noqa: E402


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (7, 3, 5, 15), (28, 33, 28, 64), (12, 2, 40, 130), (5, 16, 9, 17)]
)
def test_lstm(shape, bias, batch_first):
    T, N, I, D = shape
    torch.manual_seed(0)
    layer = torch.nn.LSTM(I, D, bias=bias, batch_first=batch_first)
    x = torch.randn((N, T, I) if batch_first else (T, N, I), requires_grad=True)
    h0, c0 = (torch.randn(1, N, D, requires_grad=True) for _ in range(2))
    y, (h, c) = layer(x, (h0, c0))
    upstream = [torch.randn_like(t) for t in (y, h, c)]
    torch.autograd.backward([y, h, c], upstream)

    parameters = [layer.weight_ih_l0, layer.weight_hh_l0]
    parameters += [layer.bias_ih_l0, layer.bias_hh_l0] if bias else []
    theirs = [x, h0, c0, *parameters]
    values = [t.detach().numpy().copy() for t in theirs]
    values[1], values[2] = values[1][0], values[2][0]  # the only layer
    ours = [from_numpy(v).requires_grad_() for v in values]
    outputs = lstm(*ours, batch_first=batch_first)
    for output, dy in zip(outputs, upstream, strict=True):
        output.backward(from_numpy(dy.numpy().reshape(output.shape).copy()), retain_graph=True)
    names = ["output", "h_n", "c_n", "x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh"]
    found_all = [t.detach() for t in outputs] + [t.grad for t in ours]
    expected_all = [y, h, c, *[t.grad for t in theirs]]
    for name, found, expected in zip(names, found_all, expected_all, strict=False):
        reference = expected.detach().numpy().reshape(found.shape)
        scale = max(1.0, np.abs(reference).max())
        np.testing.assert_allclose(
            found.numpy(), reference, rtol=0, atol=1e-5 * scale, err_msg=name
        )


def test_lstm_without_a_batch():
    layer = torch.nn.LSTM(5, 9)
    x = torch.randn(6, 5)
    y, (h, c) = layer(x)
    found = lstm(
        from_numpy(x.numpy()),
        None,
        None,
        *[from_numpy(p.detach().numpy()) for p in layer.parameters()],
    )
    for ours, theirs in zip(found, (y, h[0], c[0]), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), atol=1e-6)
