"""JAX as a peer: recurrent layers as jax.lax.scan over the steps, compiled.

As its users write them: the input's part of all steps is one product before the scan.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

__version__ = jax.__version__
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def __getattr__(name: str):
    raise AttributeError("this peer is timed for recurrent layers only")


def set_num_threads(n: int) -> None:
    """XLA makes as many threads as there are processors to run on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


def manual_seed(seed: int) -> None:
    np.random.seed(seed)


def lstm_step(w, state, gates):
    h, c = state
    i, f, g, o = jnp.split(gates + h @ w["hh"], 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def gru_step(w, state, gates):
    (h,) = state
    x_r, x_z, x_n = jnp.split(gates, 3, axis=1)
    h_r, h_z, h_n = jnp.split(h @ w["hh"] + w["b_hh"], 3, axis=1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + r * h_n)
    h = n + z * (h - n)
    return (h,), h


def rnn_step(w, state, gates):
    (h,) = state
    h = jnp.tanh(gates + h @ w["hh"])
    return (h,), h


STEPS = {"LSTM": lstm_step, "GRU": gru_step, "RNN": rnn_step}


def direction(kind: str, w, x, reverse: bool):
    hidden = w["hh"].shape[0]
    zero = jnp.zeros((x.shape[1], hidden), x.dtype)
    state = (zero, zero) if kind == "LSTM" else (zero,)
    gates = x @ w["ih"] + w["b"]
    _, y = jax.lax.scan(lambda s, g: STEPS[kind](w, s, g), state, gates, reverse=reverse)
    return y


def forward(kind: str, parameters, x):
    for layer in parameters:
        x = jnp.concatenate([direction(kind, w, x, d > 0) for d, w in enumerate(layer)], axis=2)
    return x


def random(*shape: int):
    return jnp.asarray(0.1 * np.random.standard_normal(shape).astype(np.float32))


def recurrent(
    kind: str,
    t: int,
    n: int,
    inputs: int,
    hidden: int,
    train: bool,
    layers: int = 1,
    bidirectional: bool = False,
) -> Callable[[], object]:
    """The call to time: forward, or with train all gradients too."""
    directions, rows = 2 if bidirectional else 1, GATES[kind] * hidden
    parameters = [
        [
            {
                "ih": random(directions * hidden if layer else inputs, rows),
                "hh": random(hidden, rows),
                "b": random(rows),
                "b_hh": random(rows),
            }
            for _ in range(directions)
        ]
        for layer in range(layers)
    ]
    x, gradient = random(t, n, inputs), random(t, n, directions * hidden)
    run = jax.jit(lambda parameters, x: forward(kind, parameters, x))
    if train:

        def gradients(parameters, x, gradient):
            y, pull = jax.vjp(lambda p, x: forward(kind, p, x), parameters, x)
            return y, pull(gradient)

        step = jax.jit(gradients)
        return lambda: jax.block_until_ready(step(parameters, x, gradient))
    return lambda: jax.block_until_ready(run(parameters, x))
