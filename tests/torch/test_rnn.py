"""Recurrent layers equal torch's: output, last states and every gradient, for all options."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastnn  # noqa: E402
from fastnn import nn  # noqa: E402

SIZES = list(itertools.product((1, 15, 16, 17, 64, 130), (1, 2, 7, 33), (1, 2, 40)))
OPTIONS = {
    "plain": {},
    "no bias": {"bias": False, "batch_first": True},
    "both ways": {"bidirectional": True},
    "two layers": {"num_layers": 2, "batch_first": True},
    "two layers both ways": {"num_layers": 2, "bidirectional": True},
    "projected": {"proj_size": 1},
    "projected, two layers both ways": {"proj_size": 1, "num_layers": 2, "bidirectional": True},
}
KINDS = {"RNN": {}, "RNN relu": {"nonlinearity": "relu"}, "GRU": {}, "LSTM": {}}


def to_ours(tensor):
    return fastnn.from_numpy(tensor.detach().numpy().copy())


def to_packed(lib, x, lengths, batch_first):
    return lib.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)


def run(lib, layer, x, states, upstream, lengths):
    """[output, last states...], after a backward pass from all of them."""
    hx = None
    if states:
        hx = tuple(states) if isinstance(layer, lib.nn.LSTM) else states[0]
    given = x if lengths is None else to_packed(lib, x, lengths, layer.batch_first)
    output, last = layer(given, hx)
    if lengths is not None:  # torch packs sequences of one length in any order
        output, _ = lib.nn.utils.rnn.pad_packed_sequence(output, layer.batch_first)
    outputs = [output]
    outputs += last if isinstance(last, tuple) else [last]
    total = None
    for y, weight in zip(outputs, upstream(outputs), strict=True):
        term = (y * weight).sum()
        total = term if total is None else total + term
    total.backward()
    return outputs


def compare(kind, options, D, N, T, with_states, packed):
    torch.manual_seed(D * N + T)
    options = {**options, **KINDS[kind]}
    if "proj_size" in options:
        options["proj_size"] = max(1, D // 3)
    name = kind.split()[0]
    theirs = getattr(torch.nn, name)(3 + D // 4, D, **options)
    ours = getattr(nn, name)(3 + D // 4, D, **options)
    # rounding flips a ReLU now and then
    dtype, bound = (torch.float64, 1e-10) if kind == "RNN relu" else (torch.float32, 2e-5)
    if dtype == torch.float64:
        theirs, ours = theirs.double(), ours.double()
    ours.load_state_dict({k: to_ours(v) for k, v in theirs.state_dict().items()})
    shape = (N, T) if theirs.batch_first else (T, N)
    x = torch.randn(*shape, 3 + D // 4, dtype=dtype, requires_grad=True)
    rows = theirs.num_layers * (2 if theirs.bidirectional else 1)
    sizes = (theirs.proj_size or D, D)[: 2 if name == "LSTM" else 1]
    states = [torch.randn(rows, N, size, dtype=dtype, requires_grad=True) for size in sizes]
    states = states if with_states else []
    lengths = torch.randint(1, T + 1, (N,)).tolist() if packed else None
    x_ours, states_ours = to_ours(x).requires_grad_(), [to_ours(s).requires_grad_() for s in states]
    weights = []

    def random(outputs):
        weights[:] = [torch.randn_like(y) for y in outputs]
        return weights

    expected = run(torch, theirs, x, states, random, lengths)
    found = run(
        fastnn, ours, x_ours, states_ours, lambda _: [to_ours(w) for w in weights],
        lengths,
    )  # fmt: skip
    labels = ["output", "h_n", "c_n"][: len(expected)]
    labels += ["x", "h_0", "c_0"][: 1 + len(states)] + [n for n, _ in theirs.named_parameters()]
    expected += [t.grad for t in [x, *states, *theirs.parameters()]]
    found += [t.grad for t in [x_ours, *states_ours, *ours.parameters()]]
    for label, y, reference in zip(labels, found, expected, strict=True):
        reference = reference.detach().numpy()
        error = np.abs(y.detach().numpy() - reference).max()
        assert y.shape == reference.shape
        assert error < bound * max(1.0, np.abs(reference).max()), (label, D, N, T, error)


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_layer(kind, options, packed):
    if options.startswith("projected") and kind != "LSTM":
        pytest.skip("only an LSTM projects")
    for k, (D, N, T) in enumerate(SIZES):
        if D == 1 and options.startswith("projected"):
            continue
        if kind == "RNN relu" and D * T > 640:  # unbounded: it grows from step to step
            continue
        compare(kind, OPTIONS[options], D, N, T, with_states=k % 3 != 0, packed=packed)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_cell_and_input_without_a_batch(kind):
    theirs, ours = getattr(torch.nn, f"{kind}Cell")(5, 9), getattr(nn, f"{kind}Cell")(5, 9)
    ours.load_state_dict({k: to_ours(v) for k, v in theirs.state_dict().items()})
    for shape in [(4, 5), (5,)]:
        x = torch.randn(shape)
        expected, found = theirs(x), ours(to_ours(x))
        if kind != "LSTM":
            expected, found = (expected,), (found,)
        for y, reference in zip(found, expected, strict=True):
            np.testing.assert_allclose(y.detach().numpy(), reference.detach().numpy(), atol=1e-6)
    theirs, ours = getattr(torch.nn, kind)(5, 9, 2), getattr(nn, kind)(5, 9, 2)
    ours.load_state_dict({k: to_ours(v) for k, v in theirs.state_dict().items()})
    x = torch.randn(6, 5)
    expected, found = theirs(x), ours(to_ours(x))
    np.testing.assert_allclose(found[0].detach().numpy(), expected[0].detach().numpy(), atol=1e-6)


def test_a_state_dict_moves_both_ways():
    ours = nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2)
    theirs = torch.nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2)
    theirs.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()})
    assert list(theirs.state_dict()) == list(ours.state_dict())


@pytest.mark.parametrize("batch_first", [False, True])
def test_packing(batch_first):
    lengths = [3, 7, 1, 6, 5]
    x = torch.randn(5, 7, 4) if batch_first else torch.randn(7, 5, 4)
    expected = to_packed(torch, x, lengths, batch_first)
    found = to_packed(fastnn, to_ours(x), lengths, batch_first)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    for options in ({}, {"padding_value": -1.0, "total_length": 9}):
        expected_padded = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first, **options)
        found_padded = nn.utils.rnn.pad_packed_sequence(found, batch_first, **options)
        for ours, theirs in zip(found_padded, expected_padded, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    pieces = [torch.randn(length, 4) for length in lengths]
    for side in ("left", "right"):
        np.testing.assert_array_equal(
            nn.utils.rnn.pad_sequence([to_ours(p) for p in pieces], batch_first, 2.0, side).numpy(),
            torch.nn.utils.rnn.pad_sequence(pieces, batch_first, 2.0, side).numpy(),
        )
