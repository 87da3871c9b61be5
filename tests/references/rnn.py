import functools

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_steps(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr=None, peephole=None):
    """Time-major: for each step x, h_prev, c_prev, c, the gates i f g o, and h."""
    steps = []
    p_i, p_f, p_o = np.zeros((3, 1)) if peephole is None else peephole
    for x_t in x:
        i, f, g, o = np.split(x_t @ w_ih.T + h @ w_hh.T + b_ih + b_hh, 4, axis=1)
        i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), np.tanh(g)
        h_prev, c_prev = h, c
        c = f * c + i * g
        o = sigmoid(o + p_o * c)
        h = o * np.tanh(c)
        if w_hr is not None:
            h = h @ w_hr.T
        steps.append((x_t, h_prev, c_prev, c, i, f, g, o, h))
    return steps


def gru_steps(x, h, w_ih, w_hh, b_ih, b_hh, reset_before=False):
    """Time-major: h after each step."""
    steps = []
    D = h.shape[1]
    b_hh = np.zeros(3 * D) + b_hh
    for x_t in x:
        x_r, x_z, x_n = np.split(x_t @ w_ih.T + b_ih, 3, axis=1)
        h_r, h_z, h_n = np.split(h @ w_hh.T + b_hh, 3, axis=1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        h_n = (r * h) @ w_hh[2 * D :].T + b_hh[2 * D :] if reset_before else r * h_n
        h = (1 - z) * np.tanh(x_n + h_n) + z * h
        steps.append((h,))
    return steps


def rnn_steps(activation):
    def steps_of(x, h, w_ih, w_hh, b_ih, b_hh):
        steps = []
        for x_t in x:
            h = activation(x_t @ w_ih.T + h @ w_hh.T + b_ih + b_hh)
            steps.append((h,))
        return steps

    return steps_of


def layer(steps_of, numbers):
    """The operation whose steps these are; numbers: of each of its states, from w_ih and w_hh."""

    def operation(x, *arguments, batch_first=False, **more):
        states, (w_ih, w_hh, *biases) = arguments[: len(numbers)], arguments[len(numbers) :]
        biases = [*biases, None, None][:2]
        if x.ndim == 2:
            states = [None if s is None else s[None] for s in states]
            y, *last = operation(x[:, None], *states, w_ih, w_hh, *biases, **more)
            return y[:, 0], *[s[0] for s in last]
        if batch_first:
            x = x.swapaxes(0, 1)
        states = [
            np.zeros((x.shape[1], size(w_hh))) if s is None else s
            for s, size in zip(states, numbers, strict=True)
        ]
        steps = steps_of(x, *states, w_ih, w_hh, *[0 if b is None else b for b in biases], **more)
        y = np.stack([step[-1] for step in steps])
        last = [y[-1]] if len(numbers) == 1 else [y[-1], steps[-1][3]]
        return y.swapaxes(0, 1) if batch_first else y, *last

    return operation


def numbers_of_h(w_hh):
    return w_hh.shape[1]


def projected_lstm_steps(*arguments, weight_hr=None, peephole=None):
    return lstm_steps(*arguments, weight_hr, peephole)


REFERENCES = {
    "lstm": layer(projected_lstm_steps, (numbers_of_h, lambda w_hh: len(w_hh) // 4)),
    "gru": layer(gru_steps, (numbers_of_h,)),
    "gru_reset_before": layer(functools.partial(gru_steps, reset_before=True), (numbers_of_h,)),
    "rnn_tanh": layer(rnn_steps(np.tanh), (numbers_of_h,)),
    "rnn_relu": layer(rnn_steps(lambda x: np.maximum(x, 0)), (numbers_of_h,)),
}
