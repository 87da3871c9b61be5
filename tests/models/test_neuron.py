"""The first neurons."""

from itertools import product

import numpy as np
import pytest

import fastnn
from fastnn.models import McCullochPittsNeuron, Perceptron

INPUTS = fastnn.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def test_gates_by_hand():
    for weights, threshold, gate in (
        ([1, 1], 2, [0, 0, 0, 1]),
        ([1, 1], 1, [0, 1, 1, 1]),
        ([-1, -1], 0, [1, 0, 0, 0]),
        ([1, -1], 1, [0, 0, 1, 0]),
    ):
        assert McCullochPittsNeuron(weights, threshold)(INPUTS).tolist() == gate


def test_perceptron_learns_what_a_line_parts():
    for gate in product((0, 1), repeat=4):
        neuron = Perceptron(2)
        errors = neuron.learn(INPUTS, fastnn.tensor(gate), epochs=50)
        if gate in ((0, 1, 1, 0), (1, 0, 0, 1)):
            assert len(errors) == 50 and errors[-1] > 0
        else:
            assert errors[-1] == 0
            assert neuron(INPUTS).tolist() == list(gate)


def test_perceptron_keeps_within_novikoffs_bound():
    """At most (R / margin)^2 errors, R the longest sample, both with a 1 for the bias."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    w = np.array([1.0, -2.0, 0.5]) / np.linalg.norm([1.0, -2.0, 0.5])
    x = x[abs(x @ w) > 0.3]
    labels = (x @ w > 0).astype(np.int64)
    neuron = Perceptron(3)
    errors = neuron.learn(fastnn.tensor(x.astype(np.float32)), fastnn.from_numpy(labels), 1000)
    assert errors[-1] == 0
    longest = np.sqrt((x**2).sum(1) + 1).max()
    assert sum(errors) <= (longest / 0.3) ** 2


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"\(N, 2\), got \(4, 3\)"):
        Perceptron(2).learn(fastnn.zeros(4, 3), fastnn.tensor([0, 1, 0, 1]))
    with pytest.raises(ValueError, match="from 0 to 1, found 2 in row 3"):
        Perceptron(2).learn(INPUTS, fastnn.tensor([0, 1, 0, 2]))
    with pytest.raises(ValueError, match="empty"):
        Perceptron(2).learn(fastnn.zeros(0, 2), fastnn.zeros(0, dtype=fastnn.int64))
    with pytest.raises(ValueError, match=r"\(N, 3\), got \(4, 2\)"):
        McCullochPittsNeuron([1, 1, 1], 2)(INPUTS)
