"""Encoder and decoder with attention: one sequence of symbols is turned into another.

The encoder reads the source in both directions. At each of its own steps the decoder compares its
state with all states of the encoder and takes their mean by how well they fit. Scores are
additive (Bahdanau, Cho and Bengio, 2015) or multiplicative (Luong, Pham and Manning, 2015); both
stand after the decoder's recurrent layer, as Luong has it, so that in training all steps are one
call. Without attention the decoder has the encoder's last state alone (Cho et al., 2014).
"""

from __future__ import annotations

import math

from fastnn import Tensor, arange, bmm, cat, full, int64, nn
from fastnn.models.checks import check_same_length
from fastnn.models.recurrent import last_state, read
from fastnn.models.training import evaluating
from fastnn.nn.functional import cross_entropy
from fastnn.nn.utils.rnn import pad_packed_sequence


class Attention(nn.Module):
    """Weights over the keys for each query, and the mean of the keys by them."""

    def forward(self, queries: Tensor, keys: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """queries (N, S, q), keys (N, T, k), there (N, T) bool: which keys count
        -> means (N, S, k), weights (N, S, T) that add up to 1"""
        scores = self.scores(queries, keys)
        weights = scores.masked_fill(~there.unsqueeze(1), -math.inf).softmax(2)
        return bmm(weights, keys), weights


class AdditiveAttention(Attention):
    """score(q, k) = v * tanh(Q q + K k + b)"""

    def __init__(self, queries: int, keys: int, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(queries, hidden)
        self.key = nn.Linear(keys, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        sums = self.query(queries).unsqueeze(2) + self.key(keys).unsqueeze(1)
        return self.score(sums.tanh()).squeeze(3)


class MultiplicativeAttention(Attention):
    """score(q, k) = q W k"""

    def __init__(self, queries: int, keys: int) -> None:
        super().__init__()
        self.key = nn.Linear(keys, queries, bias=False)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        return bmm(queries, self.key(keys).transpose(1, 2))


def attention_of(kind: str | None, hidden: int) -> Attention | None:
    """A decoder's attention, of `hidden` numbers, over an encoder's states, twice as wide."""
    if kind == "additive":
        return AdditiveAttention(hidden, 2 * hidden, hidden)
    if kind == "multiplicative":
        return MultiplicativeAttention(hidden, 2 * hidden)
    if kind is None:
        return None
    raise ValueError(f"attention must be 'additive', 'multiplicative' or None, got {kind!r}")


class EncoderDecoder(nn.Module):
    """Turns symbols into others, by two GRUs.

    sources, targets: how many different symbols there are on each side. In training the decoder
    is shown the symbols that it should have given before (teacher forcing); `translate` shows it
    its own.

    >>> import fastnn
    >>> net = EncoderDecoder(sources=30, targets=11)
    >>> source, lengths = fastnn.zeros(2, 8, dtype=fastnn.int64), fastnn.tensor([8, 5])
    >>> symbols, weights = net.translate(source, lengths, steps=4)
    >>> symbols.shape, weights.shape
    ((2, 4), (2, 4, 8))
    """

    def __init__(
        self,
        sources: int,
        targets: int,
        attention: str | None = "additive",
        hidden: int = 64,
        embedding: int = 32,
    ) -> None:
        super().__init__()
        self.start = targets  # one more symbol, shown to the decoder first
        self.source_embedding = nn.Embedding(sources, embedding)
        self.encoder = nn.GRU(embedding, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.target_embedding = nn.Embedding(targets + 1, embedding)
        self.decoder = nn.GRU(embedding, hidden, batch_first=True)
        self.attention = attention_of(attention, hidden)
        self.mix = nn.Linear(3 * hidden, hidden)
        self.head = nn.Linear(hidden, targets)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Symbols (N, T) and lengths (N) -> states (N, T, 2 * hidden), last ones (N, 2 * hidden),
        and which steps there are (N, T)"""
        if source.ndim != 2 or lengths.ndim != 1:
            raise ValueError(
                "a source has the shapes (N, T) and (N) of its lengths, got "
                f"{tuple(source.shape)} and {tuple(lengths.shape)}"
            )
        steps = source.shape[1]
        states, last = read(self.encoder, self.source_embedding(source), lengths)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=steps)
        return states, last_state(last, 2), arange(steps) < lengths.unsqueeze(1)

    def decode(
        self, shown: Tensor, state: Tensor, encoded: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Symbols (N, S) that are shown, the decoder's state (1, N, hidden) -> scores
        (N, S, targets) of the next ones, the state, the weights (N, S, T) or None"""
        keys, last, there = encoded
        output, state = self.decoder(self.target_embedding(shown), state)
        if self.attention is None:
            context, weights = last.unsqueeze(1).expand(-1, shown.shape[1], -1), None
        else:
            context, weights = self.attention(output, keys, there)
        return self.head(self.mix(cat([output, context], 2)).tanh()), state, weights

    def begin(self, encoded: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """What is shown first (N, 1), and the decoder's first state (1, N, hidden)."""
        last = encoded[1]
        shown = full((len(last), 1), self.start, dtype=int64)
        return shown, self.bridge(last).tanh().unsqueeze(0)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """source (N, T) with lengths (N), target (N, S) -> scores (N, S, targets) of each symbol
        of the target, given those before it"""
        check_same_length((source, lengths, target))
        encoded = self.encode(source, lengths)
        shown, state = self.begin(encoded)
        return self.decode(cat([shown, target[:, :-1]], 1), state, encoded)[0]

    def translate(
        self, source: Tensor, lengths: Tensor, steps: int
    ) -> tuple[Tensor, Tensor | None]:
        """The likeliest symbol of each step, given those before: (N, steps), and the weights of
        attention (N, steps, T)."""
        with evaluating(self):
            encoded = self.encode(source, lengths)
            shown, state = self.begin(encoded)
            symbols, weights = [], []
            for _ in range(steps):
                scores, state, weight = self.decode(shown, state, encoded)
                shown = scores.argmax(2)
                symbols.append(shown)
                weights.append(weight)
        return cat(symbols, 1), None if self.attention is None else cat(weights, 1)


def symbol_loss(scores: Tensor, target: Tensor) -> Tensor:
    """The mean cross-entropy of scores (N, S, targets) and symbols (N, S)."""
    return cross_entropy(scores.flatten(0, 1), target.flatten())
