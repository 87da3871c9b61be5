"""Attention by its formulas, and an encoder-decoder that learns to turn sequences round."""

import numpy as np
import pytest

import fastnn
from fastnn.models.attention import (
    AdditiveAttention,
    EncoderDecoder,
    MultiplicativeAttention,
    symbol_loss,
)
from fastnn.models.training import fit
from fastnn.testing import num_threads

RNG = np.random.default_rng(0)
KINDS = ["additive", "multiplicative", None]


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def score(module, q, k):
    w = {name: p.detach().numpy() for name, p in module.named_parameters()}
    if isinstance(module, MultiplicativeAttention):
        return q @ w["key.weight"] @ k
    sums = w["query.weight"] @ q + w["query.bias"] + w["key.weight"] @ k
    return w["score.weight"][0] @ np.tanh(sums)


@pytest.mark.parametrize("module", [AdditiveAttention(4, 6, 5), MultiplicativeAttention(4, 6)])
def test_attention_by_its_formula(module):
    module.double()
    queries, keys = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 6))
    there = np.array([[True] * 5, [True, True, False, True, False]])
    arrays = (fastnn.tensor(x) for x in (queries, keys, there))
    means, weights = (x.detach().numpy() for x in module(*arrays))
    for n in range(2):
        for s in range(3):
            used = np.flatnonzero(there[n])
            expected = softmax(np.array([score(module, queries[n, s], keys[n, t]) for t in used]))
            np.testing.assert_allclose(weights[n, s, used], expected, rtol=1e-10)
            assert weights[n, s].sum() == pytest.approx(1)
            np.testing.assert_allclose(means[n, s], expected @ keys[n, used], rtol=1e-10)


def batch(n=3, steps=6):
    source = fastnn.randint(0, 7, (n, steps))
    return source, fastnn.tensor([steps, *[2] * (n - 1)]), fastnn.randint(0, 5, (n, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_gradients(kind):
    fastnn.manual_seed(0)
    net = EncoderDecoder(7, 5, kind, hidden=8, embedding=4)
    source, lengths, target = batch()
    scores = net(source, lengths, target)
    assert scores.shape == (3, 4, 5)
    symbol_loss(scores, target).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    symbols, weights = net.translate(source, lengths, 9)
    assert symbols.shape == (3, 9) and symbols.min() >= 0 and symbols.max() < 5
    if kind is None:
        assert weights is None
    else:
        assert weights.shape == (3, 9, 6) and (weights[1:, :, 2:] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_translates_is_likeliest_under_teacher_forcing(kind):
    """Shown its own symbols at once, the net gives the scores that it chose them by."""
    fastnn.manual_seed(1)
    net = EncoderDecoder(7, 5, kind, hidden=8, embedding=4).eval()
    source, lengths, _ = batch()
    symbols, _ = net.translate(source, lengths, 5)
    assert (net(source, lengths, symbols).argmax(2) == symbols).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_symbol_sees_itself_or_padding(kind):
    fastnn.manual_seed(2)
    net = EncoderDecoder(7, 5, kind, hidden=8, embedding=4).eval()
    source, lengths, target = batch()
    before = net(source, lengths, target).detach().numpy()
    target[:, 2] = fastnn.where(target[:, 2] == 0, 1, 0)
    source[1:, 2:] = 0
    after = net(source, lengths, target).detach().numpy()
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert np.abs(before[:, 3] - after[:, 3]).max() > 1e-4


def trained(epochs, threads=1):
    with num_threads(threads):
        fastnn.manual_seed(0)
        source = fastnn.randint(0, 6, (400, 4))
        lengths, target = fastnn.full((400,), 4, dtype=fastnn.int64), source.flip(1)
        net = EncoderDecoder(6, 6, "multiplicative", hidden=24, embedding=12)
        data = [x[:320] for x in (source, lengths, target, target)]
        fit(net, data, symbol_loss, epochs=epochs, batch_size=16, lr=1e-2, clip_norm=1.0)
        symbols, _ = net.translate(source[320:], lengths[320:], 4)
        right = (symbols == target[320:]).all(1).double().mean().item()
        return right, net.head.weight.detach().numpy().tobytes()


def test_it_learns_to_turn_round():
    right, _ = trained(epochs=10)
    assert right > 0.9


def test_the_seed_decides_and_threads_do_not():
    bits = trained(epochs=1)[1]
    assert trained(epochs=1)[1] == bits and trained(epochs=1, threads=2)[1] == bits


def test_it_says_what_is_wrong():
    with pytest.raises(ValueError, match="'additive', 'multiplicative' or None, got 'dot'"):
        EncoderDecoder(3, 3, "dot")
    net = EncoderDecoder(7, 5, hidden=8, embedding=4)
    source, lengths, target = batch()
    with pytest.raises(ValueError, match=r"\(N, T\) and \(N\) of its lengths, got \(3, 6\)"):
        net(source, lengths.unsqueeze(1), target)
    with pytest.raises(ValueError, match="must have one length"):
        net(source, lengths, target[:2])
    with pytest.raises(ValueError, match="lengths must be from 1 to 6"):
        net(source, lengths + 1, target)
