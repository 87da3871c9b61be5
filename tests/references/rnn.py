import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_steps(x, h, c, w_ih, w_hh, b_ih, b_hh):
    """Time-major: for each step x, h_prev, c_prev, c, the gates i f g o, and h."""
    steps = []
    for x_t in x:
        i, f, g, o = np.split(x_t @ w_ih.T + h @ w_hh.T + b_ih + b_hh, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        h_prev, c_prev = h, c
        c = f * c + i * g
        h = o * np.tanh(c)
        steps.append((x_t, h_prev, c_prev, c, i, f, g, o, h))
    return steps


def lstm(x, h0, c0, w_ih, w_hh, b_ih=None, b_hh=None, batch_first=False):
    if x.ndim == 2:
        states = [None if s is None else s[None] for s in (h0, c0)]
        y, h, c = lstm(x[:, None], *states, w_ih, w_hh, b_ih, b_hh)
        return y[:, 0], h[0], c[0]
    if batch_first:
        x = x.swapaxes(0, 1)
    zero = np.zeros((x.shape[1], w_hh.shape[1]))
    steps = lstm_steps(
        x,
        zero if h0 is None else h0,
        zero if c0 is None else c0,
        w_ih,
        w_hh,
        0 if b_ih is None else b_ih,
        0 if b_hh is None else b_hh,
    )
    y = np.stack([step[-1] for step in steps])
    return y.swapaxes(0, 1) if batch_first else y, y[-1], steps[-1][3]


REFERENCES = {"lstm": lstm}
