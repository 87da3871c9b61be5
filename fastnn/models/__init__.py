"""The systems of classic deep learning, a short file a family, and what trains them."""

from fastnn.models.divergence import DivergenceError
from fastnn.models.mlp import MLP
from fastnn.models.neuron import McCullochPittsNeuron, Perceptron
from fastnn.models.training import History, accuracy, evaluating, fit, predict

__all__ = [
    "MLP",
    "DivergenceError",
    "History",
    "McCullochPittsNeuron",
    "Perceptron",
    "accuracy",
    "evaluating",
    "fit",
    "predict",
]
