"""Recurrent models and attention equal the same networks put together in torch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastnn  # noqa: E402
from fastnn.models.attention import AdditiveAttention, EncoderDecoder  # noqa: E402
from fastnn.models.recurrent import (  # noqa: E402
    KINDS,
    CharacterModel,
    SequenceClassifier,
    last_state,
)

RNG = np.random.default_rng(0)


def theirs(name, ours, *sizes, **options):
    """A layer of torch with the parameters of ours."""
    layer = getattr(torch.nn, name)(*sizes, **options)
    layer.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    return layer


def equal(ours, expected):
    found, expected = ours.detach().numpy(), expected.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def both(*arrays):
    return [fastnn.tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]


@pytest.mark.parametrize("kind", KINDS)
def test_sequence_classifier(kind):
    fastnn.manual_seed(0)
    net = SequenceClassifier(3, 4, kind, hidden=5, bidirectional=True).eval()
    layer = theirs(kind, net.recurrent, 3, 5, batch_first=True, bidirectional=True)
    head = theirs("Linear", net.head, 10, 4)
    ours, (x, lengths) = both(RNG.normal(size=(3, 6, 3)).astype(np.float32), np.array([2, 6, 3]))
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
    state = layer(packed)[1]
    equal(net(*ours), head(last_state(state, 2)))


def test_character_model():
    fastnn.manual_seed(1)
    net = CharacterModel(7, hidden=6, layers=2).eval()
    embedding = theirs("Embedding", net.embedding, 7, 64)
    layer, head = theirs("LSTM", net.recurrent, 64, 6, 2), theirs("Linear", net.head, 6, 7)
    (ours,), (x,) = both(RNG.integers(0, 7, (9, 2)))
    output, states = layer(embedding(x))
    scores, found = net(ours)
    equal(scores, head(output))
    for one, other in zip(found, states, strict=True):
        equal(one, other)


def attend(attention, queries, keys, there):
    """Softmax over torch's scores, with the parameters of ours."""
    key = theirs("Linear", attention.key, keys.shape[2], attention.key.out_features, bias=False)
    if isinstance(attention, AdditiveAttention):
        query = theirs("Linear", attention.query, queries.shape[2], attention.query.out_features)
        v = theirs("Linear", attention.score, attention.score.in_features, 1, bias=False)
        scores = v(torch.tanh(query(queries)[:, :, None] + key(keys)[:, None]))[..., 0]
    else:
        scores = queries @ key(keys).transpose(1, 2)
    return scores.masked_fill(~there[:, None], -torch.inf).softmax(2) @ keys


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_encoder_decoder(kind):
    fastnn.manual_seed(2)
    net = EncoderDecoder(7, 5, kind, hidden=6, embedding=4).eval()
    arrays = RNG.integers(0, 7, (3, 8)), np.array([8, 3, 5]), RNG.integers(0, 5, (3, 4))
    ours, (source, lengths, target) = both(*arrays)
    embedding = theirs("Embedding", net.source_embedding, 7, 4)
    encoder = theirs("GRU", net.encoder, 4, 6, batch_first=True, bidirectional=True)
    rnn = torch.nn.utils.rnn
    packed = rnn.pack_padded_sequence(embedding(source), lengths, True, enforce_sorted=False)
    keys, last = encoder(packed)
    keys, last = rnn.pad_packed_sequence(keys, batch_first=True)[0], last_state(last, 2)
    state = torch.tanh(theirs("Linear", net.bridge, 12, 6)(last))[None]
    shown = torch.cat([torch.full((3, 1), 5), target[:, :-1]], 1)
    shown = theirs("Embedding", net.target_embedding, 6, 4)(shown)
    output, _ = theirs("GRU", net.decoder, 4, 6, batch_first=True)(shown, state)
    context = attend(net.attention, output, keys, torch.arange(8) < lengths[:, None])
    mixed = torch.tanh(theirs("Linear", net.mix, 18, 6)(torch.cat([output, context], 2)))
    equal(net(*ours), theirs("Linear", net.head, 6, 5)(mixed))
