"""Define, then run: a graph of operations that a session computes.

    python -m examples.systems.graph

In a graph, sigmoid(X W + b) is first written down, with a placeholder for X and variables for W
and b, and nothing is computed. A session is then asked for a node and fed what X is. Theano
(Bergstra et al., 2010) and TensorFlow's first version (Abadi et al., 2016) worked so; today most
code computes each line at once, as this engine does. Both ways give the same numbers, bit for bit,
and so does gradient descent: a logistic regression is trained in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.models.graph import (
    Session,
    binary_cross_entropy_with_logits,
    minimise,
    placeholder,
    sigmoid,
    variable,
)
from fastnn.nn import functional
from fastnn.optim import SGD

INPUTS = 20


def made_up_rows(count: int) -> tuple[Tensor, Tensor]:
    """Rows (N, 20) and labels (N, 1), 1 where a noisy weighted sum of the row is above 0."""
    x = fastnn.randn(count, INPUTS)
    noise = fastnn.randn(count, 1)
    return x, (x @ fastnn.randn(INPUTS, 1) + noise > 0).float()


def same(a: Tensor, b: Tensor) -> bool:
    return a.tolist() == b.tolist()


def trained_by_graph(x: Tensor, y: Tensor, w: Tensor, b: Tensor, steps: int) -> list[Tensor]:
    """Weight, bias and the losses of a logistic regression, by a session."""
    rows, labels = placeholder((None, INPUTS), "X"), placeholder((None, 1), "y")
    weight, bias = variable(w, "W"), variable(b, "b")
    loss = binary_cross_entropy_with_logits(rows @ weight + bias, labels)
    optimizer = SGD([weight.value, bias.value], lr=0.5)
    step, session = minimise(loss, [weight, bias], optimizer), Session()
    losses = [session.run([loss, step], {rows: x, labels: y})[0] for _ in range(steps)]
    return [*session.run([weight, bias]), fastnn.stack(losses)]


def trained_at_once(x: Tensor, y: Tensor, w: Tensor, b: Tensor, steps: int) -> list[Tensor]:
    """The same, by operations computed as they are written."""
    weight, bias = w.clone().requires_grad_(), b.clone().requires_grad_()
    optimizer, losses = SGD([weight, bias], lr=0.5), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(x @ weight + bias, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return [weight.detach(), bias.detach(), fastnn.stack(losses)]


def draw(options, losses: Tensor) -> None:
    with common.picture(options, "graph", 5, 3.5) as figure:
        if figure:
            axes = figure.subplots()
            axes.plot(losses.tolist())
            axes.set(xlabel="run of the session", ylabel="loss", title="trained through a graph")


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    x, y = made_up_rows(1000)
    w, b = fastnn.randn(INPUTS, 1), fastnn.randn(1)

    rows = placeholder((None, INPUTS), "X")
    node = sigmoid(rows @ variable(w, "W") + variable(b, "b"))
    forward = same(Session().run(node, {rows: x}), fastnn.sigmoid(x @ w + b))
    print(f"sigmoid(X W + b), fed and run: {'the same bits' if forward else 'other numbers'}")
    try:
        Session().run(node)
    except ValueError as error:
        print(f"without X: {error}")

    steps = 50 if options.quick else 300
    by_graph, at_once = [train(x, y, w, b, steps) for train in (trained_by_graph, trained_at_once)]
    equal = all(same(*pair) for pair in zip(by_graph, at_once, strict=True))
    weight, bias, losses = by_graph
    right = ((x @ weight + bias > 0).float() == y).double().mean().item()
    bits = "the same bits" if equal else "other numbers"
    first, last = losses[0].item(), losses[-1].item()
    print(
        f"{steps} steps: loss {first:.3f} to {last:.3f}, {100 * right:.1f} % right; {bits} at once"
    )
    draw(options, losses)
    return [
        common.Result("graph: sigmoid(X W + b)", "1,000 made-up rows",
                      "the same bits" if forward else "other numbers", "computed at once", forward),
        common.Result("graph: logistic regression", f"{steps} steps",
                      bits, "trained at once",
                      equal and last < first),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
