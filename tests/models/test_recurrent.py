"""Recurrent nets: what they read, what they refuse, and that they learn."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.models.recurrent import (
    KINDS,
    CharacterModel,
    Forecaster,
    SequenceClassifier,
    TextClassifier,
    fit_text,
    open_gates,
    padded,
    windows,
)
from fastnn.models.training import accuracy, fit, predict
from fastnn.models.words import Vocabulary, words
from fastnn.nn.functional import cross_entropy
from fastnn.testing import num_threads

RNG = np.random.default_rng(0)


def sequences(lengths, inputs=3):
    return [fastnn.tensor(RNG.normal(size=(n, inputs)).astype(np.float32)) for n in lengths]


# --- classifiers ---


@pytest.mark.parametrize("bidirectional", [False, True])
def test_elman_by_its_formula(bidirectional):
    """h(t) = tanh(W x(t) + b + U h(t - 1) + c), from each end; scores of the last ones."""
    fastnn.manual_seed(0)
    net = SequenceClassifier(3, 4, "RNN", hidden=5, bidirectional=bidirectional).double().eval()
    w = {name: p.detach().numpy() for name, p in net.named_parameters()}
    x = RNG.normal(size=(2, 6, 3))
    last = []
    for end, order in (("", 1), ("_reverse", -1))[: 1 + bidirectional]:
        names = [f"recurrent.{n}_l0{end}" for n in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")]
        W, b, U, c = (w[name] for name in names)
        h = np.zeros((2, 5))
        for t in range(6)[::order]:
            h = np.tanh(x[:, t] @ W.T + b + h @ U.T + c)
        last.append(h)
    expected = np.concatenate(last, axis=1) @ w["head.weight"].T + w["head.bias"]
    np.testing.assert_allclose(net(fastnn.tensor(x)).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_is_its_sequences_one_by_one(kind):
    fastnn.manual_seed(1)
    net = SequenceClassifier(3, 2, kind, hidden=4, bidirectional=True)
    each = sequences([2, 5, 1, 4])
    x, lengths = padded(each)
    assert x.shape == (4, 5, 3) and lengths.tolist() == [2, 5, 1, 4]
    found = predict(net, x, lengths, batch_size=3).numpy()
    alone = np.concatenate([predict(net, one.unsqueeze(0)).numpy() for one in each])
    np.testing.assert_allclose(found, alone, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_all_parameters(kind):
    fastnn.manual_seed(2)
    net = TextClassifier(9, 3, embedding=4, kind=kind, hidden=5, bidirectional=True)
    tokens, lengths = fastnn.tensor([[1, 2, 3], [8, 4, 0]]), fastnn.tensor([3, 2])
    cross_entropy(net(tokens, lengths), fastnn.tensor([0, 2])).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    unused = net.embedding.weight.grad.abs().sum(1) == 0
    assert unused.nonzero().flatten().tolist() == [0, 5, 6, 7]


def first_symbols(n, steps=8):
    first = fastnn.randint(1, 3, (n,))
    return fastnn.cat([first.unsqueeze(1), fastnn.randint(3, 6, (n, steps))], 1), first - 1


def trained(threads, seed):
    with num_threads(threads):
        fastnn.manual_seed(seed)
        data = first_symbols(256)
        net = TextClassifier(6, 2, embedding=4, kind="GRU", hidden=16, dropout=0.1)
        fit(net, data, cross_entropy, epochs=6, batch_size=16, lr=2e-2, clip_norm=1.0)
        return net, predict(net, *data[:1]).numpy().tobytes()


def test_the_seed_decides_and_threads_do_not():
    net, bits = trained(1, 0)
    assert accuracy(net, *first_symbols(200)) > 0.95
    assert trained(1, 0)[1] == bits
    assert trained(2, 0)[1] == bits
    assert trained(1, 1)[1] != bits


def test_classifiers_say_what_is_wrong():
    with pytest.raises(ValueError, match="one of RNN, LSTM, GRU, got 'LTSM'"):
        SequenceClassifier(3, 2, "LTSM")
    net = SequenceClassifier(3, 2)
    for shape in ((4, 3), (4, 5, 2), (4, 0, 3)):
        with pytest.raises(ValueError, match=r"shape \(N, T, 3\), got \(4, "):
            net(fastnn.zeros(*shape))
    with pytest.raises(ValueError, match="from 1 to 5"):
        net(fastnn.zeros(2, 5, 3), fastnn.tensor([5, 0]))
    with pytest.raises(ValueError, match=r"shape \(N, T\), got \(4,\)"):
        TextClassifier(5, 2)(fastnn.zeros(4, dtype=fastnn.int64))
    with pytest.raises(ValueError, match="nothing to learn from"):
        fit(net, (fastnn.zeros(0, 5, 3), fastnn.zeros(0)), cross_entropy, epochs=1)
    x = fastnn.zeros(2, 5, 3)
    x[1, 2, 0] = math.nan
    with pytest.raises(ValueError, match="found nan in row 1"):
        fit(net, (x, fastnn.tensor([0, 1])), cross_entropy, epochs=1)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_open_gates_keep_what_is_there(kind):
    """A gate sigmoid(b) keeps a state for 1 / (1 - sigmoid(b)) steps: 1 + exp(b)."""
    fastnn.manual_seed(3)
    layer = KINDS[kind](4, 50)
    open_gates(layer, 100)
    b = layer.bias_ih_l0.detach().numpy().reshape(-1, 50)
    kept = 1 + np.exp(b[1])
    assert kept.min() >= 2 and kept.max() <= 100 and kept.std() > 10
    assert (layer.bias_hh_l0 == 0).all()
    if kind == "LSTM":
        np.testing.assert_array_equal(b[0], -b[1])


def test_a_plain_rnn_has_no_gates():
    layer = nn.RNN(4, 5)
    before = layer.bias_ih_l0.detach().clone()
    open_gates(layer, 100)
    assert (layer.bias_ih_l0 == before).all()


# --- forecasts ---


def test_windows():
    x, y = windows(fastnn.arange(7.0), 3, 2)
    assert x.squeeze(2).tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert y.tolist() == [[3, 4], [4, 5], [5, 6]]
    with pytest.raises(ValueError, match=r"at least 8, got shape \(7,\)"):
        windows(fastnn.arange(7.0), 6, 2)
    with pytest.raises(ValueError, match="found inf in row 2"):
        windows(fastnn.tensor([0.0, 1.0, math.inf, 2.0]), 2, 1)


def test_forecaster_learns_a_wave():
    fastnn.manual_seed(0)
    wave = fastnn.tensor(np.sin(np.arange(200) * 0.4).astype(np.float32))
    x, y = windows(wave, 10, 3)
    net = Forecaster(3, "GRU", hidden=16)
    fit(net, (x[:100], y[:100]), nn.functional.mse_loss, epochs=40, batch_size=10, lr=1e-2)
    found = predict(net, x[110:])
    assert found.shape == (len(x) - 110, 3)
    assert (found - y[110:]).abs().mean().item() < 0.1
    with pytest.raises(ValueError, match=r"\(N, T, 1\), got \(5, 10\)"):
        net(fastnn.zeros(5, 10))


# --- texts ---


def test_bits_by_hand():
    """A text read in pieces has the bits of the scores of the whole."""
    fastnn.manual_seed(0)
    net = CharacterModel(5, hidden=8, layers=2, dropout=0.5)
    text = fastnn.tensor(RNG.integers(0, 5, 40))
    net.eval()
    scores = net(text.unsqueeze(1))[0].squeeze(1).detach().numpy().astype(np.float64)
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    for context in (1, 9):
        asked = np.arange(context, 40)
        expected = -np.log2(chances[asked - 1, text.numpy()[asked]]).mean()
        found = net.bits(text[context:], text[:context], window=7)
        assert found == pytest.approx(expected, rel=1e-5)


def test_samples_follow_the_probabilities():
    fastnn.manual_seed(0)
    net = CharacterModel(3, hidden=4)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    chances = [0.5, 0.3, 0.2]
    with fastnn.no_grad():
        net.head.bias.copy_(fastnn.tensor(chances).log())
    counts = np.bincount(net.sample(fastnn.tensor([0]), 3000), minlength=3) / 3000
    np.testing.assert_allclose(counts, chances, atol=0.04)


def test_fit_text_learns_what_repeats():
    fastnn.manual_seed(0)
    text = fastnn.tensor([0, 1, 2, 3, 1, 4] * 100)
    net = CharacterModel(5, hidden=24)
    history = fit_text(net, text, steps=150, batch_size=4, window=10, lr=2e-2)
    assert net.bits(text[:60], text[-12:]) < 0.05
    assert history.losses[-1] < 0.1 * history.losses[0]
    assert net.sample(text[-12:], 6) == [0, 1, 2, 3, 1, 4]


def test_fit_text_ends_with_the_time():
    text = fastnn.tensor([0, 1] * 50)
    history = fit_text(CharacterModel(2, hidden=4), text, minutes=0.002, batch_size=2, window=5)
    assert history.samples > 0 and 0.12 <= history.seconds < 2


def test_fit_text_says_what_is_wrong():
    net = CharacterModel(3, hidden=4)
    with pytest.raises(ValueError, match="from 0 to 2, found 3 in row 1"):
        fit_text(net, fastnn.tensor([0, 3] * 40), steps=1)
    with pytest.raises(ValueError, match="40 symbols is too short to be read at 32 places"):
        fit_text(net, fastnn.tensor([0, 1] * 20), steps=1)
    with pytest.raises(ValueError, match="must end training, got inf and inf"):
        fit_text(net, fastnn.tensor([0, 1] * 40))


def test_words_and_their_numbers():
    assert words("I DON'T like it!") == ["i", "don't", "like", "it", "!"]
    vocabulary = Vocabulary(["red red blue", "blue red green"], size=4)
    assert vocabulary.words == ["<padding>", "<other>", "red", "blue"] and len(vocabulary) == 4
    numbers, lengths = vocabulary.encode(["Blue, green red", "", "red"], longest=2)
    assert numbers.tolist() == [[3, 1], [1, 0], [2, 0]] and lengths.tolist() == [2, 1, 1]
    with pytest.raises(ValueError, match="no texts"):
        vocabulary.encode([])
