"""Recurrent layers and cells: parameters, layouts, stacked layers, states, dropout, messages."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence
from tests.nn.arrays import close, values
from tests.references.rnn import REFERENCES

LAYERS = {
    "RNN": ("rnn_tanh", nn.RNN, nn.RNNCell, 1),
    "GRU": ("gru", nn.GRU, nn.GRUCell, 3),
    "LSTM": ("lstm", nn.LSTM, nn.LSTMCell, 4),
}
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def tensor(array):
    return fastnn.tensor(np.ascontiguousarray(array))


def expected(layer, kind, x, states):
    """Layer by layer and direction by direction with the reference, time first."""
    directions, lasts = 2 if layer.bidirectional else 1, []
    for k in range(layer.num_layers):
        ys = []
        for d in range(directions):
            suffix = f"_l{k}{'_reverse' if d else ''}"
            weights = [values(getattr(layer, name + suffix)) for name in NAMES if layer.bias]
            weights = weights or [values(getattr(layer, name + suffix)) for name in NAMES[:2]]
            options = {}
            if layer.proj_size:
                options["weight_hr"] = values(getattr(layer, f"weight_hr{suffix}"))
            first = [s[k * directions + d] for s in states]
            y, *last = REFERENCES[kind](x[:: -1 if d else 1], *first, *weights, **options)
            ys.append(y[:: -1 if d else 1])
            lasts.append(last)
        x = np.concatenate(ys, axis=2)
    return x, [np.stack(states) for states in zip(*lasts, strict=True)]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False, "batch_first": True},
        {"num_layers": 3},
        {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.5},
        {"num_layers": 2, "bidirectional": True, "proj_size": 3},
    ],
)
def test_layers(name, options):
    kind, layer_of, _, _ = LAYERS[name]
    if "proj_size" in options and name != "LSTM":
        pytest.skip("only an LSTM projects")
    layer = layer_of(5, 7, **options).double().eval()
    rng = np.random.default_rng(0)
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    sizes = (layer.proj_size or 7, 7)[: 2 if name == "LSTM" else 1]
    states = [rng.normal(size=(rows, 4, size)) for size in sizes]
    x = rng.normal(size=(6, 4, 5))
    given = x.swapaxes(0, 1) if layer.batch_first else x
    for first in (None, states):
        zero = [0 * s for s in states]
        y, last = expected(layer, kind, x, first or zero)
        hx = None if first is None else tuple(map(tensor, first))
        output, end = layer(tensor(given), hx if hx is None or name == "LSTM" else hx[0])
        close(output, y.swapaxes(0, 1) if layer.batch_first else y)
        for found, reference in zip(end if name == "LSTM" else [end], last, strict=True):
            close(found, reference)
    # without a batch
    hx = tuple(tensor(s[:, 1]) for s in states)
    output, end = layer(tensor(x[:, 1]), hx if name == "LSTM" else hx[0])
    close(output, y[:, 1])
    for found, reference in zip(end if name == "LSTM" else [end], last, strict=True):
        close(found, reference[:, 1])


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_is_a_step_of_its_layer(name, bias):
    _, layer_of, cell_of, gates = LAYERS[name]
    layer, cell = layer_of(5, 7, bias=bias), cell_of(5, 7, bias)
    shapes = [(gates * 7, 5), (gates * 7, 7)] + [(gates * 7,)] * 2 * bias
    assert [p.shape for p in cell.parameters()] == shapes
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x, state = fastnn.randn(4, 3, 5), None
    output, _ = layer(x)
    for t in range(4):
        state = cell(x[t], state)
        np.testing.assert_array_equal(
            values(state[0] if name == "LSTM" else state), values(output[t])
        )
    single = cell(x[0, 1])
    np.testing.assert_array_equal(
        values(single[0] if name == "LSTM" else single), values(output[0, 1])
    )
    loss = (state[0] if name == "LSTM" else state).sum()
    loss.backward()
    found = [values(p.grad) for p in cell.parameters()]
    layer(x)[0][-1].sum().backward()
    for gradient, p in zip(found, layer.parameters(), strict=True):
        np.testing.assert_allclose(gradient, values(p.grad), rtol=1e-5, atol=1e-6)


def test_relu_is_a_choice_of_the_plain_layer():
    x = fastnn.randn(4, 3, 5)
    layer = nn.RNN(5, 7, nonlinearity="relu")
    cell = nn.RNNCell(5, 7, nonlinearity="relu")
    weights = [values(p) for p in layer.parameters()]
    y, _ = REFERENCES["rnn_relu"](values(x), None, *weights)
    np.testing.assert_allclose(values(layer(x)[0]), y, atol=1e-6)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    np.testing.assert_array_equal(values(cell(x[0])), values(layer(x)[0][0]))
    for wrong in (nn.RNN, nn.RNNCell):
        with pytest.raises(ValueError, match="nonlinearity must be 'tanh' or 'relu', got 'elu'"):
            wrong(5, 7, nonlinearity="elu")


def test_parameters_have_the_names_of_layers_and_directions():
    layer = nn.LSTM(5, 8, 2, bidirectional=True, proj_size=3)
    assert [(name, p.shape) for name, p in layer.named_parameters()] == [
        (f"{name}_l{k}{suffix}", shape)
        for k, inputs in enumerate((5, 6))
        for suffix in ("", "_reverse")
        for name, shape in (
            ("weight_ih", (32, inputs)),
            ("weight_hh", (32, 3)),
            ("bias_ih", (32,)),
            ("bias_hh", (32,)),
            ("weight_hr", (3, 8)),
        )
    ]
    assert [len(weights) for weights in layer.all_weights] == [5, 5, 5, 5]
    other = nn.LSTM(5, 8, 2, bidirectional=True, proj_size=3)
    other.load_state_dict(layer.state_dict())
    x = fastnn.randn(3, 2, 5)
    np.testing.assert_array_equal(values(layer(x)[0]), values(other(x)[0]))
    bound = 1 / 8**0.5
    assert all(np.abs(values(p)).max() <= bound for p in layer.parameters())
    assert layer.flatten_parameters() is None


def test_dropout_comes_between_layers_in_training():
    layer = nn.GRU(5, 200, 2, dropout=0.5)
    x = fastnn.randn(3, 2, 5)
    first, second = values(layer(x)[0]), values(layer(x)[0])
    assert not np.array_equal(first, second)
    assert (first != 0).all()  # nothing is dropped after the last layer
    layer.eval()
    np.testing.assert_array_equal(values(layer(x)[0]), values(layer(x)[0]))
    with pytest.warns(UserWarning, match="does nothing to a single one"):
        nn.GRU(5, 7, dropout=0.5)


@pytest.mark.parametrize("name", LAYERS)
def test_packed_sequences_equal_each_alone(name):
    _, layer_of, _, _ = LAYERS[name]
    layer = layer_of(5, 7, 2, bidirectional=True)
    sequences = [fastnn.randn(length, 5) for length in (2, 6, 1, 6, 4)]
    output, end = layer(pack_sequence(sequences, enforce_sorted=False))
    padded, lengths = pad_packed_sequence(output, batch_first=True)
    assert lengths.tolist() == [2, 6, 1, 6, 4]
    for n, sequence in enumerate(sequences):
        y, last = layer(sequence)
        np.testing.assert_array_equal(values(padded[n, : len(sequence)]), values(y))
        for found, reference in zip(
            end if name == "LSTM" else [end], last if name == "LSTM" else [last], strict=True
        ):
            np.testing.assert_array_equal(values(found[:, n]), values(reference))
    state = fastnn.randn(4, 5, 7)  # in the user's order
    hx = (state, state) if name == "LSTM" else state
    _, end = layer(pack_sequence(sequences, enforce_sorted=False), hx)
    one = (state[:, 2], state[:, 2]) if name == "LSTM" else state[:, 2]
    _, last = layer(sequences[2], one)
    found, reference = (end[0], last[0]) if name == "LSTM" else (end, last)
    np.testing.assert_array_equal(values(found[:, 2]), values(reference))


def test_padding_gets_no_gradient_and_does_not_change_those_of_weights():
    layer = nn.LSTM(3, 4)
    x = fastnn.randn(5, 3, 3)
    x[3:, 1] = 1e30  # what the padding holds does not matter
    x[1:, 2] = float("nan")
    x.requires_grad_()
    output, _ = layer(pack_padded_sequence(x, [5, 3, 1]))
    output.data.sum().backward()
    gradients = [values(p.grad) for p in layer.parameters()]
    assert all(np.isfinite(g).all() for g in gradients)
    assert not values(x.grad)[3:, 1].any() and not values(x.grad)[1:, 2].any()
    layer.zero_grad()
    for n, length in enumerate((5, 3, 1)):
        layer(x.detach()[:length, n])[0].sum().backward()
    for found, p in zip(gradients, layer.parameters(), strict=True):
        np.testing.assert_allclose(found, values(p.grad), rtol=1e-5, atol=1e-6)


def test_detached_states_cut_the_gradient():
    layer = nn.GRU(3, 4)
    x = fastnn.randn(6, 2, 3, requires_grad=True)
    _, h = layer(x[:4])
    output, _ = layer(x[4:], h.detach())
    output.sum().backward()
    assert not values(x.grad)[:4].any() and values(x.grad)[4:].all()


def test_two_layers_over_two_thousand_steps():
    fastnn.manual_seed(0)
    layer = nn.LSTM(256, 256, 2)
    x = fastnn.randn(2000, 8, 256)
    output, (h, c) = layer(x)
    output.mean().backward()
    assert h.shape == c.shape == (2, 8, 256)
    assert all(np.isfinite(values(p.grad)).all() for p in layer.parameters())
    with fastnn.no_grad():  # in pieces, with the same bits
        state, pieces = None, []
        for t in range(0, 2000, 500):
            piece, state = layer(x[t : t + 500], state)
            pieces.append(values(piece))
    np.testing.assert_array_equal(np.concatenate(pieces), values(output))
    np.testing.assert_array_equal(values(state[0]), values(h))


@pytest.mark.parametrize("name", LAYERS)
def test_weights_that_change_are_packed_anew(name):
    """From the second call on they stay packed, until then."""
    layer, other = LAYERS[name][1](20, 30), LAYERS[name][1](20, 30)
    x = fastnn.randn(4, 9, 20)

    def same():
        other.load_state_dict(layer.state_dict())
        for net in (layer, other):
            net.zero_grad()
            net(x)[0].sum().backward()
        np.testing.assert_array_equal(values(layer(x)[0]), values(other(x)[0]))
        for p, q in zip(layer.parameters(), other.parameters(), strict=True):
            np.testing.assert_array_equal(values(p.grad), values(q.grad))

    for _ in range(3):
        same()
    with fastnn.no_grad():
        layer.weight_hh_l0.mul_(0.5)
        layer.weight_ih_l0[3] = 2.0
    same()


def test_messages():
    layer = nn.LSTM(5, 4)
    with pytest.raises(ValueError, match=r"2-D or 3-D input, got shape \(5,\)"):
        layer(fastnn.zeros(5))
    with pytest.raises(ValueError, match=r"input_size=5.*\(3, 2, 4\)"):
        layer(fastnn.zeros(3, 2, 4))
    with pytest.raises(ValueError, match=r"h_0 of shape \(1, 2, 4\).*got \(2, 4\)"):
        layer(fastnn.zeros(3, 2, 5), (fastnn.zeros(2, 4), fastnn.zeros(1, 2, 4)))
    with pytest.raises(TypeError, match="pair"):
        layer(fastnn.zeros(3, 2, 5), fastnn.zeros(1, 2, 4))
    with pytest.raises(TypeError, match="GRU expects a Tensor as first state, got tuple"):
        nn.GRU(5, 4)(fastnn.zeros(3, 2, 5), (fastnn.zeros(1, 2, 4),))
    with pytest.raises(ValueError, match="input_size must be positive, got 0"):
        nn.LSTM(0, 4)
    with pytest.raises(TypeError, match="hidden_size must be an int, got float"):
        nn.LSTM(5, 4.0)
    with pytest.raises(ValueError, match=r"dropout must be a probability.*1\.5"):
        nn.LSTM(5, 4, 2, dropout=1.5)
    with pytest.raises(
        ValueError, match=r"proj_size must be smaller than hidden_size \(4\), got 4"
    ):
        nn.LSTM(5, 4, proj_size=4)
    cell = nn.LSTMCell(5, 4)
    with pytest.raises(ValueError, match=r"input of shape \(N, 5\) or \(5,\), got \(3, 4\)"):
        cell(fastnn.zeros(3, 4))
    with pytest.raises(ValueError, match=r"state of shape \(3, 4\).*got \(2, 4\)"):
        cell(fastnn.zeros(3, 5), (fastnn.zeros(2, 4), fastnn.zeros(3, 4)))
    with pytest.raises(TypeError, match="pair"):
        cell(fastnn.zeros(3, 5), fastnn.zeros(3, 4))
    with pytest.raises(ValueError, match="must be positive, got 5 and 0"):
        nn.GRUCell(5, 0)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            lambda: nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
            "LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)",
        ),
        (lambda: nn.GRU(3, 4, bias=False), "GRU(3, 4, bias=False)"),
        (lambda: nn.RNN(3, 4), "RNN(3, 4)"),
        (
            lambda: nn.RNNCell(3, 4, bias=False, nonlinearity="relu"),
            "RNNCell(3, 4, bias=False, nonlinearity=relu)",
        ),
        (lambda: nn.LSTMCell(3, 4), "LSTMCell(3, 4)"),
    ],
)
def test_repr(layer, text):
    assert repr(layer()) == text
