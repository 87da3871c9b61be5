"""Recurrent nets at work: they judge a sequence, forecast a series, and go on with a text.

A layer is an RNN (Elman, 1990), an LSTM (Hochreiter and Schmidhuber, 1997; Gers et al., 2000) or
a GRU (Cho et al., 2014). Sequences of different lengths are padded and come with their lengths;
the nets pack them, so that no step is spent on padding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import fastnn
from fastnn import Tensor, cat, nn, no_grad, stack
from fastnn.models.checks import check_finite, check_labels
from fastnn.models.training import History, Progress, evaluating
from fastnn.nn.functional import cross_entropy
from fastnn.nn.utils.rnn import pack_padded_sequence, pad_sequence
from fastnn.optim import Adam

KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
State = Tensor | tuple[Tensor, Tensor]


def recurrent_layer(kind: str, inputs: int, hidden: int, **options) -> nn.Module:
    """nn.RNN, nn.LSTM or nn.GRU over (N, T, inputs), by name."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind](inputs, hidden, batch_first=True, **options)


def read(layer: nn.Module, x: Tensor, lengths: Tensor | None) -> tuple:
    """What a recurrent layer gives for (N, T, inputs) of which each has its length (N)."""
    if lengths is not None:
        x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return layer(x)


def last_state(state: State, directions: int = 1) -> Tensor:
    """(N, directions * hidden): what the last layer is left with."""
    h = state[0] if isinstance(state, tuple) else state
    return h[-directions:].transpose(0, 1).flatten(1)


@no_grad()
def open_gates(layer: nn.Module, steps: int) -> None:
    """Biases with which the gates of an LSTM or a GRU begin to keep their state for up to
    `steps` steps, each unit for another number of them (Tallec and Ollivier, 2018); PyTorch's
    forget half of it in each step. A plain RNN has no gates and stays as it is."""
    if isinstance(layer, nn.RNN):
        return
    for name, parameter in layer.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
        if name.startswith("bias_ih"):
            hidden = layer.hidden_size
            spread = (1 + fastnn.rand(hidden) * max(steps - 2, 0)).log()
            parameter[hidden : 2 * hidden] = spread  # an LSTM's forget gate, a GRU's update gate
            if isinstance(layer, nn.LSTM):
                parameter[:hidden] = -spread  # what is kept long, takes little in


def padded(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sequences (T_n, ...) as one tensor (N, T, ...) and their lengths (N)."""
    lengths = fastnn.tensor([len(x) for x in sequences])
    return pad_sequence(sequences, batch_first=True), lengths


def check_sequences(x: Tensor, inputs: int, what: str) -> None:
    """ValueError unless x is (N, T, inputs) with steps to read."""
    if x.ndim != 3 or x.shape[2] != inputs or x.shape[1] == 0:
        raise ValueError(f"{what} must have the shape (N, T, {inputs}), got {tuple(x.shape)}")


class SequenceClassifier(nn.Module):
    """Reads sequences, in both directions if bidirectional, and judges by the states at the ends.

    >>> import fastnn
    >>> net = SequenceClassifier(inputs=12, classes=9, kind="GRU")
    >>> net(fastnn.zeros(2, 7, 12), fastnn.tensor([7, 4])).shape
    (2, 9)
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        kind: str = "LSTM",
        hidden: int = 64,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.inputs, self.directions = inputs, 1 + bidirectional
        self.recurrent = recurrent_layer(kind, inputs, hidden, bidirectional=bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.directions * hidden, classes)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, inputs), lengths (N) if they differ -> scores (N, classes)"""
        check_sequences(x, self.inputs, "the input of the classifier")
        _, state = read(self.recurrent, x, lengths)
        return self.head(self.dropout(last_state(state, self.directions)))


class TextClassifier(nn.Module):
    """A SequenceClassifier of words: each has a vector, which is learned too.

    words: how many there are, padding included, which is number 0. options: as of
    SequenceClassifier; dropout falls on the vectors too.
    """

    def __init__(self, words: int, classes: int, embedding: int = 32, **options) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding, padding_idx=0)
        self.dropout = nn.Dropout(options.get("dropout", 0.0))
        self.reader = SequenceClassifier(embedding, classes, **options)

    def forward(self, words: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Numbers of words (N, T), lengths (N) if they differ -> scores (N, classes)"""
        if words.ndim != 2:
            raise ValueError(f"words must have the shape (N, T), got {tuple(words.shape)}")
        return self.reader(self.dropout(self.embedding(words)), lengths)


class Forecaster(nn.Module):
    """Reads the last steps of a series and says the next `horizon` values, all at once."""

    def __init__(self, horizon: int, kind: str = "GRU", hidden: int = 32, inputs: int = 1) -> None:
        super().__init__()
        self.inputs = inputs
        self.recurrent = recurrent_layer(kind, inputs, hidden)
        self.head = nn.Linear(hidden, horizon)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, inputs) -> (N, horizon)"""
        check_sequences(x, self.inputs, "the input of the forecaster")
        return self.head(last_state(self.recurrent(x)[1]))


def windows(series: Tensor, length: int, horizon: int) -> tuple[Tensor, Tensor]:
    """All pieces of a series (T): (N, length, 1) and the values that follow each, (N, horizon),
    where N = T - length - horizon + 1; piece k begins at step k.

    >>> import fastnn
    >>> x, y = windows(fastnn.arange(5.0), length=3, horizon=1)
    >>> x.squeeze(2), y
    (tensor([[0., 1., 2.],
            [1., 2., 3.]]), tensor([[3.],
            [4.]]))
    """
    n = series.shape[0] - length - horizon + 1 if series.ndim == 1 else 0
    if n < 1 or length < 1 or horizon < 1:
        raise ValueError(
            f"windows of {length} and {horizon} steps need a series (T) of at least "
            f"{length + horizon}, got shape {tuple(series.shape)}"
        )
    check_finite(series, "the values of the series")
    pieces = stack([series[k : k + n] for k in range(length + horizon)], 1)
    return pieces[:, :length].unsqueeze(2), pieces[:, length:]


class CharacterModel(nn.Module):
    """LSTM layers that read symbols and say, at each, which one may come next."""

    def __init__(self, symbols: int, hidden: int = 128, layers: int = 1, dropout: float = 0.0):
        super().__init__()
        self.embedding = nn.Embedding(symbols, 64)
        self.recurrent = nn.LSTM(64, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, symbols)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Symbols (T, N) -> scores (T, N, symbols) of the next ones, and the last states"""
        output, state = self.recurrent(self.dropout(self.embedding(x)), state)
        return self.head(self.dropout(output)), state

    def bits(self, text: Tensor, context: Tensor, window: int = 2000) -> float:
        """Mean bits per symbol of a text (T), read in one go after its context (C), C >= 1."""
        with evaluating(self):
            _, state = self(context[:-1].unsqueeze(1)) if len(context) > 1 else (None, None)
            text, total = cat([context[-1:], text]), 0.0
            for start in range(0, len(text) - 1, window):
                x = text[start : start + window + 1]
                scores, state = self(x[:-1].unsqueeze(1), state)
                total += cross_entropy(scores.squeeze(1), x[1:], reduction="sum").item()
        return total / (len(text) - 1) / math.log(2)

    def sample(self, start: Tensor, length: int) -> list[int]:
        """How the model goes on after symbols (T): each is drawn by its probability."""
        found, x, state = [], start.unsqueeze(1), None
        with evaluating(self):
            for _ in range(length):
                scores, state = self(x, state)
                # the largest of scores plus Gumbel's noise is a draw from their softmax
                noise = -(-fastnn.rand(scores.shape[2]).log()).log()
                x = (scores[-1] + noise).argmax(1).unsqueeze(1)
                found.append(x.item())
        return found


def columns_of(text: Tensor, batch: int) -> Tensor:
    """A text (T) as `batch` texts side by side, (T // batch, batch)."""
    rows = len(text) // batch
    return text[: rows * batch].reshape(batch, rows).t().contiguous()


def fit_text(
    net: CharacterModel,
    text: Tensor,
    *,
    steps: float = math.inf,
    minutes: float = math.inf,
    batch_size: int = 32,
    window: int = 100,
    lr: float = 3e-3,
    progress: str | None = None,
) -> History:
    """Back-propagation through time, truncated: states go on, gradients end at each window.

    text: symbols (T). batch_size: the places it is read at together. Training ends after
    `steps` windows or after `minutes`, and the rate of Adam falls to 0 until then. The losses
    of the history, nats per symbol, are of each time that the text was read.
    """
    check_labels(text, net.head.out_features, "symbols of the text")
    columns = columns_of(text, batch_size)
    if len(columns) < 2:
        raise ValueError(
            f"a text of {len(text)} symbols is too short to be read at {batch_size} places: "
            "each needs 2 or more"
        )
    if not 0 < min(steps, minutes) < math.inf:
        raise ValueError(f"steps or minutes must end training, got {steps} and {minutes}")
    optimizer, history = Adam(net.parameters(), lr=lr), History()
    bar = Progress(progress, None if steps == math.inf else steps)
    net.train()
    began, step, start, state, total, count = time.perf_counter(), 0, 0, None, 0.0, 0
    while (spent := share_spent(step, steps, began, minutes)) < 1:
        optimizer.param_groups[0]["lr"] = lr * (1 - spent)
        x = columns[start : start + window + 1]
        scores, state = net(x[:-1], state)
        loss = cross_entropy(scores.flatten(0, 1), x[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        state = tuple(s.detach() for s in state)
        step, start = step + 1, start + window
        total, count = total + loss.item(), count + 1
        bar.step()
        history.samples += x[1:].numel()
        if start + 1 >= len(columns):
            history.losses.append(total / count)
            bar.epoch(len(history.losses), f"{total / count / math.log(2):.3f} bits per symbol")
            # each time the text is cut elsewhere
            start = fastnn.randint(0, min(window, len(columns) - 1), (1,)).item()
            state, total, count = None, 0.0, 0
    bar.close()
    history.seconds = time.perf_counter() - began
    return history


def share_spent(step: int, steps: float, began: float, minutes: float) -> float:
    """Of the steps or of the time, whichever is nearer to its end."""
    return max(step / steps, (time.perf_counter() - began) / (60 * minutes))
