"""JAX as a peer: each call is one compiled function; a recurrent layer is a lax.scan."""

from __future__ import annotations

import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from .conv import pair
from .library import LOSSES, Work
from .peer_arrays import ArrayFunctions
from .surface import Buffer, Surface, Tensor


class JaxFunctions(ArrayFunctions):
    def gelu(self, x):
        return jax.nn.gelu(x, approximate=False)

    def sigmoid(self, x):
        return jax.nn.sigmoid(x)

    def conv2d(self, x, w, b, stride=1, padding=0, dilation=1, groups=1):
        y = jax.lax.conv_general_dilated(
            x, w, pair(stride), [(p, p) for p in pair(padding)],
            rhs_dilation=(dilation, dilation), feature_group_count=groups,
        )  # fmt: skip
        return y if b is None else y + b[:, None, None]

    def max_pool2d(self, x, kernel, stride=None, padding=0):
        return self._pool(x, kernel, stride or kernel, padding, -jnp.inf, jax.lax.max)

    def avg_pool2d(self, x, kernel, stride=None, padding=0):
        total = self._pool(x, kernel, stride or kernel, padding, 0.0, jax.lax.add)
        return total / (kernel * kernel)

    def _pool(self, x, kernel, stride, padding, start, combine):
        return jax.lax.reduce_window(
            x, np.float32(start), combine, (1, 1, kernel, kernel), (1, 1, stride, stride),
            ((0, 0), (0, 0), (padding, padding), (padding, padding)),
        )  # fmt: skip

    def scan(self, step, state, gates, reverse):
        return jax.lax.scan(step, state, gates, reverse=reverse)[1]


def adam(values, gradients, means, squares, count):
    """One step with PyTorch's defaults: (values, means, squares)."""

    def step(value, gradient, mean, square):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient * gradient
        root = jnp.sqrt(square / (1 - 0.999**count)) + 1e-8
        return value - 1e-3 * (mean / (1 - 0.9**count)) / root, mean, square

    stepped = [step(*each) for each in zip(values, gradients, means, squares, strict=True)]
    return tuple(map(list, zip(*stepped, strict=True)))


class JaxPeer(Surface):
    """The lines of a case are traced once, with the arrays in its boxes exchanged for JAX's
    placeholders, and compiled; every array is an argument, lest the compiler computes with it."""

    def begin(self, key: str) -> None:
        super().begin(key)
        self.boxes: list[Tensor] = []

    def tensor(self, array: np.ndarray) -> Tensor:
        box = super().tensor(array)
        self.boxes.append(box)
        return box

    def network(self, net, gain: float = 2.0):
        net = super().network(net, gain)
        self.boxes += net.parameters()
        self.boxes += [b for m in net.modules() for b in vars(m).values() if isinstance(b, Buffer)]
        return net

    def assign(self, tensor: Tensor, array: np.ndarray) -> None:
        super().assign(tensor, array)
        self.arguments = None

    def values(self) -> list:
        """What is in the boxes, gathered once as long as nothing is assigned."""
        if self.arguments is None:
            self.arguments = [box.value for box in self.boxes]
        return self.arguments

    def pure(self, forward):
        """forward as a function of what is in the boxes: (result, what is in the buffers then)."""
        buffers = [box for box in self.boxes if isinstance(box, Buffer)]

        def function(values):
            before = [box.value for box in self.boxes]
            for box, value in zip(self.boxes, values, strict=True):
                box.value = value
            try:
                return forward().value, [box.value for box in buffers]
            finally:
                for box, value in zip(self.boxes, before, strict=True):
                    box.value = value

        return function

    def split(self, forward, leaves):
        """(function of (leaves, the others), places of the leaves, places of the others)."""
        function = self.pure(forward)
        places = [next(n for n, box in enumerate(self.boxes) if box is leaf) for leaf in leaves]
        others = sorted(set(range(len(self.boxes))) - set(places))

        def of_leaves(leaf_values, other_values):
            values = [None] * len(self.boxes)
            for place, value in zip(places + others, [*leaf_values, *other_values], strict=True):
                values[place] = value
            return function(values)

        return of_leaves, places, others

    def inference(self, forward) -> Work:
        self.arguments = None
        run = jax.jit(self.pure(forward))

        def call():
            return jax.block_until_ready(run(self.values()))

        return Work(call, lambda: {"output": np.asarray(call()[0])})

    def training(self, forward, leaves, gradient=None) -> Work:
        self.arguments = None
        function, places, others = self.split(forward, leaves)

        @jax.jit
        def run(values, dy):
            rest = [values[n] for n in others]
            y, pull = jax.vjp(lambda part: function(part, rest)[0], [values[n] for n in places])
            return y, pull(jnp.ones_like(y) if dy is None else dy)[0]

        def call():
            return jax.block_until_ready(run(self.values(), gradient and gradient.value))

        def results():
            y, gradients = call()
            named = {f"gradient {n}": np.asarray(g) for n, g in enumerate(gradients, 1)}
            return {"output": np.asarray(y), **named}

        return Work(call, results)

    def fitting(self, net, loss) -> Work:
        self.arguments = None
        function, places, others = self.split(loss, net.parameters())
        buffers = [n for n in others if isinstance(self.boxes[n], Buffer)]
        rest = {n: self.boxes[n].value for n in others}
        zeros = [jnp.zeros_like(self.boxes[n].value) for n in places]
        parameters = [jnp.array(self.boxes[n].value) for n in places]
        state = parameters, zeros, [z.copy() for z in zeros], jnp.float32(0)

        @partial(jax.jit, donate_argnums=(0,))
        def run(state, rest):
            values, means, squares, count = state
            (value, found), gradients = jax.value_and_grad(function, has_aux=True)(values, rest)
            stepped = adam(values, gradients, means, squares, count + 1)
            return (*stepped, count + 1), value, found

        value = None

        def call():
            nonlocal state, value
            state, value, found = run(state, [rest[n] for n in others])
            rest.update(zip(buffers, found, strict=True))
            jax.block_until_ready((state, value))

        def results():
            found = {"loss 1": np.asarray(value)}
            for n in range(2, LOSSES + 1):
                call()
                found[f"loss {n}"] = np.asarray(value)
            return found

        return Work(call, results, fits=True)


def open_peer(threads: int) -> JaxPeer:
    """XLA makes as many threads as there are processors to run on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return JaxPeer(JaxFunctions(jnp), jax.__version__)
