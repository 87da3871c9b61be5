"""The systems of classic deep learning, a short file a family, and what trains them."""

from fastnn.models.attention import (
    AdditiveAttention,
    EncoderDecoder,
    MultiplicativeAttention,
    symbol_loss,
)
from fastnn.models.autoencoder import Autoencoder
from fastnn.models.click import DeepFM, FactorisationMachine, LogisticRegression, WideAndDeep
from fastnn.models.cnn import (
    ConvNet,
    ResNet8,
    ds_cnn,
    lenet5,
    mnist_cnn,
    mobilenet_small,
    vgg_small,
)
from fastnn.models.dbn import DBN
from fastnn.models.divergence import DivergenceError
from fastnn.models.hopfield import Hopfield
from fastnn.models.mlp import MLP
from fastnn.models.neuron import McCullochPittsNeuron, Perceptron
from fastnn.models.partition import ais_log_z, exact_log_z, log_likelihood
from fastnn.models.rbm import RBM, ContrastiveDivergence, GaussianRBM, train_rbm
from fastnn.models.recurrent import (
    CharacterModel,
    Forecaster,
    SequenceClassifier,
    TextClassifier,
    fit_text,
    open_gates,
    padded,
    windows,
)
from fastnn.models.siamese import Pairs, Siamese, nearest
from fastnn.models.training import (
    History,
    Progress,
    accuracy,
    evaluating,
    fit,
    predict,
    track,
)
from fastnn.models.words import Vocabulary, words

__all__ = [
    "DBN",
    "MLP",
    "RBM",
    "AdditiveAttention",
    "Autoencoder",
    "CharacterModel",
    "ContrastiveDivergence",
    "ConvNet",
    "DeepFM",
    "DivergenceError",
    "EncoderDecoder",
    "FactorisationMachine",
    "Forecaster",
    "GaussianRBM",
    "History",
    "Hopfield",
    "LogisticRegression",
    "McCullochPittsNeuron",
    "MultiplicativeAttention",
    "Pairs",
    "Perceptron",
    "Progress",
    "ResNet8",
    "SequenceClassifier",
    "Siamese",
    "TextClassifier",
    "Vocabulary",
    "WideAndDeep",
    "accuracy",
    "ais_log_z",
    "ds_cnn",
    "evaluating",
    "exact_log_z",
    "fit",
    "fit_text",
    "lenet5",
    "log_likelihood",
    "mnist_cnn",
    "mobilenet_small",
    "nearest",
    "open_gates",
    "padded",
    "predict",
    "symbol_loss",
    "track",
    "train_rbm",
    "vgg_small",
    "windows",
    "words",
]
