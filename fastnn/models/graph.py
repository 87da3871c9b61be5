"""Define, then run: a graph of nodes that are computed only when a session is asked for them.

A node is an operation of the engine and the nodes that it takes; what is fed comes in through
placeholders, what is learned lies in variables. This is how TensorFlow's first version worked
(Abadi et al., 2016); the numbers, and the gradients, are those of the same operations run at once.

>>> import fastnn
>>> x, w = placeholder((None, 2), "x"), variable(fastnn.ones(2, 1), "w")
>>> y = sigmoid(matmul(x, w))
>>> Session().run(y, {x: fastnn.zeros(1, 2)})
tensor([[0.5000]])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastnn
from fastnn import Tensor, set_grad_enabled
from fastnn.nn import functional
from fastnn.optim import Optimizer


class Node:
    """compute(*values of the inputs) gives the node's value. name: shown in errors."""

    def __init__(self, compute: Callable[..., Any], inputs: Sequence[Any], name: str) -> None:
        self.compute, self.name = compute, name
        self.inputs = [x if isinstance(x, Node) else constant(x) for x in inputs]
        for x in self.inputs:
            if isinstance(x, Update):
                raise TypeError(f"{name} cannot be computed from the {x.name}, an update")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class Placeholder(Node):
    """What is fed: a tensor of this shape, None standing for any length."""

    def __init__(self, shape: tuple[int | None, ...], name: str = "placeholder") -> None:
        super().__init__(self.not_fed, [], name)
        self.shape = tuple(shape)

    def not_fed(self) -> Tensor:
        raise ValueError(f"the placeholder {self.name!r} of shape {self.shape} was not fed")

    def check(self, value: Any) -> Tensor:
        if not isinstance(value, Tensor):
            raise TypeError(f"the placeholder {self.name!r} takes a Tensor, was fed {value!r}")
        pairs = zip(self.shape, value.shape, strict=False)
        if value.ndim != len(self.shape) or not all(n in (None, size) for n, size in pairs):
            raise ValueError(
                f"the placeholder {self.name!r} has the shape {self.shape}, was fed "
                f"{tuple(value.shape)}"
            )
        return value


class Variable(Node):
    """A tensor that stays from run to run, and may be assigned to or learned."""

    def __init__(self, value: Tensor, name: str = "variable") -> None:
        self.value = value.detach().clone().requires_grad_()
        super().__init__(lambda: self.value, [], name)


class Gradient(Node):
    """The gradients of a loss with respect to variables, as a list."""


class Update(Node):
    """Changes variables; done after all other nodes of a run were computed."""


placeholder, variable = Placeholder, Variable


def constant(value: Any, name: str = "constant") -> Node:
    return Node(lambda: value, [], name)


def operation(function: Callable[..., Tensor]) -> Callable[..., Node]:
    """The twin of an operation of the engine that makes a node of it."""

    def make(*inputs: Node | Tensor, **options: Any) -> Node:
        return Node(lambda *values: function(*values, **options), inputs, function.__name__)

    return make


matmul, add, sub, mul = map(operation, (fastnn.matmul, fastnn.add, fastnn.sub, fastnn.mul))
mean, sigmoid, tanh = map(operation, (fastnn.mean, fastnn.sigmoid, fastnn.tanh))
Node.__matmul__, Node.__add__, Node.__sub__, Node.__mul__ = matmul, add, sub, mul
relu, softmax = map(operation, (functional.relu, functional.softmax))
cross_entropy, mse_loss = map(operation, (functional.cross_entropy, functional.mse_loss))
binary_cross_entropy_with_logits = operation(functional.binary_cross_entropy_with_logits)


def backward(loss: Tensor, *parameters: Tensor) -> list[Tensor]:
    """The gradients of a loss; zeros where it does not depend on the parameter."""
    for p in parameters:
        p.grad = None
    if loss.requires_grad:
        loss.backward(retain_graph=True)
    return [fastnn.zeros_like(p) if p.grad is None else p.grad for p in parameters]


def gradients(loss: Node, variables: Sequence[Variable]) -> list[Node]:
    """For each variable the gradient of the loss, a node."""
    for v in variables:
        if not isinstance(v, Variable):
            raise TypeError(f"gradients are those of variables, got {v!r}")
    every = Gradient(backward, [loss, *variables], f"gradients of {loss.name}")
    return [
        Node(lambda found, k=k: found[k], [every], f"gradient of {v.name}")
        for k, v in enumerate(variables)
    ]


def assign(target: Variable, source: Node) -> Update:
    """Gives a variable the value of a node."""

    def change(old: Tensor, new: Tensor) -> Tensor:
        if new.shape != old.shape:
            raise ValueError(f"the variable has the shape {old.shape}, the value {new.shape}")
        return old.copy_(new).detach().clone()

    return Update(change, [target, source], f"assignment to {target.name}")


def minimise(loss: Node, variables: Sequence[Variable], optimizer: Optimizer) -> Update:
    """One step of an optimizer that has the variables' values; its own value is None."""

    def change(*found: Tensor) -> None:
        for v, gradient in zip(variables, found, strict=True):
            v.value.grad = gradient
        optimizer.step()

    return Update(change, gradients(loss, variables), f"step on {loss.name}")


def in_order(nodes: Sequence[Node]) -> list[Node]:
    """The nodes and all that they depend on, inputs first, each once."""
    order: dict[Node, None] = {}
    waiting = [(node, False) for node in reversed(nodes)]
    while waiting:
        node, inputs_are_done = waiting.pop()
        if inputs_are_done:
            order[node] = None
        elif node not in order:
            waiting += [(node, True), *((x, False) for x in reversed(node.inputs))]
    return list(order)


def evaluate(node: Node, values: Mapping[Node, Any]) -> Any:
    found = [values[x] for x in node.inputs]
    try:
        return node.compute(*found)
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        if not found:
            raise
        shown = ", ".join(
            f"{x.name} {tuple(v.shape) if isinstance(v, Tensor) else v}"
            for x, v in zip(node.inputs, found, strict=True)
        )
        raise ValueError(f"{node.name} of {shown}: {error}") from error


def copy_of(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


class Session:
    """Computes nodes, and those that they need, each once a run."""

    def run(self, nodes: Node | Sequence[Node], feed: Mapping[Placeholder, Tensor] | None = None):
        """The value of the node, or of each node of a list. Updates come last: other nodes see
        the variables as they were before the run.

        feed: a tensor for each placeholder that the nodes depend on. ValueError names a
        placeholder that was not fed or whose shape is another, and the node whose inputs do not
        fit together, with their shapes.
        """
        wanted = [nodes] if isinstance(nodes, Node) else list(nodes)
        for x in feed or {}:
            if not isinstance(x, Placeholder):
                raise TypeError(f"only placeholders can be fed, got {x!r}")
        order = in_order(wanted)
        values: dict[Node, Any] = {x: x.check(value) for x, value in (feed or {}).items()}
        with set_grad_enabled(any(isinstance(node, Gradient) for node in order)):
            for node in order:
                if node not in values and not isinstance(node, Update):
                    values[node] = evaluate(node, values)
        found = {x: copy_of(values[x]) for x in wanted if x in values}
        with set_grad_enabled(False):
            found |= {x: evaluate(x, values) for x in order if isinstance(x, Update)}
        results = [found[node] for node in wanted]
        return results[0] if isinstance(nodes, Node) else results
