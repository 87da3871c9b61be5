"""The define-then-run graph: values, gradients and updates as computed at once, and its errors."""

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim
from fastnn.models import graph
from fastnn.models.graph import Session, assign, gradients, minimise, placeholder, variable

RUN = Session().run


def numbers(*shape, seed=0):
    return fastnn.tensor(np.random.default_rng(seed).standard_normal(shape))


def test_a_layer_is_what_numpy_says():
    x, w, b = numbers(5, 3), numbers(3, 2, seed=1), numbers(2, seed=2)
    fed = placeholder((None, 3), "X")
    y = graph.sigmoid(fed @ variable(w, "W") + variable(b, "b"))
    expected = 1 / (1 + np.exp(-(x.numpy() @ w.numpy() + b.numpy())))
    np.testing.assert_allclose(RUN(y, {fed: x}).numpy(), expected, rtol=1e-12)
    assert RUN(y, {fed: x}).tolist() == fastnn.sigmoid(x @ w + b).tolist()


def test_nothing_is_computed_before_the_run_and_each_node_once():
    calls = []

    def counted(x):
        calls.append(x)
        return x + 1

    node = graph.operation(counted)(placeholder((2,), "x"))
    total = node * node + node
    assert not calls
    x = fastnn.tensor([1.0, 2.0])
    assert RUN([total, node], {node.inputs[0]: x})[0].tolist() == [6.0, 12.0]
    assert len(calls) == 1


def test_operations_and_constants():
    x = placeholder((2, 2))
    value = numbers(2, 2)
    target = fastnn.tensor([1, 0])
    for node, expected in [
        (x - fastnn.ones(2, 2), value - 1),
        (graph.tanh(x), value.tanh()),
        (graph.relu(x), value.relu()),
        (graph.softmax(x, dim=1), value.softmax(1)),
        (graph.mean(x), value.mean()),
        (graph.mse_loss(x, fastnn.zeros(2, 2).double()), value.square().mean()),
        (graph.cross_entropy(x, target), nn.functional.cross_entropy(value, target)),
    ]:
        assert RUN(node, {x: value}).tolist() == expected.tolist()


def test_gradients_are_those_of_autograd():
    x, w = numbers(4, 3), numbers(3, 1, seed=1)
    fed, v, unused = placeholder((None, 3)), variable(w, "w"), variable(numbers(2), "unused")
    loss = graph.mean(graph.tanh(fed @ v))
    found = RUN(gradients(loss, [v, unused]), {fed: x})
    eager = w.clone().requires_grad_()
    (x @ eager).tanh().mean().backward()
    assert found[0].tolist() == eager.grad.tolist()
    assert found[1].tolist() == [0.0, 0.0]


def test_gradients_of_two_losses_in_one_run_do_not_add_up():
    v = variable(fastnn.tensor([3.0]), "v")
    square = graph.mean(v * v)
    nodes = gradients(square, [v]) + gradients(graph.mean(square * v), [v])
    assert [g.item() for g in RUN(nodes)] == [6.0, 27.0]


def test_updates_come_last():
    v = variable(fastnn.tensor([1.0]), "v")
    double = v + v
    assert [x.item() for x in RUN([v, assign(v, double), double])] == [1.0, 2.0, 2.0]
    assert RUN(v).item() == 2.0


def test_what_was_returned_stays_when_a_variable_changes():
    v = variable(fastnn.tensor([[1.0, 2.0]]), "v")
    kept = RUN([v, graph.operation(fastnn.reshape)(v, shape=(2,))])
    RUN(assign(v, v + v))
    assert [x.flatten().tolist() for x in kept] == [[1.0, 2.0], [1.0, 2.0]]


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_training_gives_the_same_bits(kind):
    x, y, w = numbers(20, 3), (numbers(20, 1, seed=3) > 0).double(), numbers(3, 1, seed=1)
    fed, labels, v = placeholder((None, 3)), placeholder((None, 1)), variable(w, "w")
    loss = graph.binary_cross_entropy_with_logits(fed @ v, labels)
    step = minimise(loss, [v], kind([v.value], lr=0.1))
    eager = w.clone().requires_grad_()
    optimizer = kind([eager], lr=0.1)
    for _ in range(5):
        RUN(step, {fed: x, labels: y})
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(x @ eager, y).backward()
        optimizer.step()
    assert RUN(v).tolist() == eager.tolist()


def test_a_deep_graph_needs_no_deep_stack():
    node = placeholder((), "x")
    fed = node
    for _ in range(5000):
        node = node + fed
    assert RUN(node, {fed: fastnn.tensor(1.0)}).item() == 5001


# --- errors ---


def test_a_placeholder_that_is_not_fed_is_named():
    x = placeholder((None, 3), "X")
    with pytest.raises(ValueError, match=r"placeholder 'X' of shape \(None, 3\) was not fed"):
        RUN(graph.sigmoid(x))


@pytest.mark.parametrize("shape", [(3,), (5, 4), (1, 5, 3)])
def test_a_placeholder_of_another_shape_is_named(shape):
    x = placeholder((None, 3), "X")
    with pytest.raises(ValueError, match=r"'X' has the shape \(None, 3\), was fed \(.*\)"):
        RUN(graph.sigmoid(x), {x: fastnn.zeros(shape)})


def test_shapes_that_do_not_fit_are_named():
    x, w = placeholder((None, 3), "X"), variable(fastnn.zeros(4, 2), "W")
    with pytest.raises(ValueError, match=r"^matmul of X \(5, 3\), W \(4, 2\): "):
        RUN(x @ w, {x: fastnn.zeros(5, 3)})
    with pytest.raises(
        ValueError, match=r"assignment to W of W \(4, 2\), X \(5, 3\): the variable"
    ):
        RUN(assign(w, x), {x: fastnn.zeros(5, 3)})


def test_what_is_no_placeholder_and_no_variable_is_named():
    x, w = placeholder((1,), "x"), variable(fastnn.zeros(1), "w")
    with pytest.raises(TypeError, match="only placeholders can be fed, got <Variable 'w'>"):
        RUN(w, {w: fastnn.zeros(1)})
    with pytest.raises(TypeError, match="'x' takes a Tensor, was fed 3"):
        RUN(x, {x: 3})
    with pytest.raises(TypeError, match="those of variables, got <Placeholder 'x'>"):
        gradients(w, [x])
    with pytest.raises(TypeError, match="add cannot be computed from the assignment to w"):
        graph.add(assign(w, x), w)
