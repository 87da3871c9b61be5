"""Convolutional nets beside the same nets in PyTorch, with the same weights."""

import numpy as np
import pytest

import fastnn
from fastnn.models import cnn
from fastnn.models.siamese import Siamese
from fastnn.nn.functional import contrastive_loss, cross_entropy

torch = pytest.importorskip("torch")
nn = torch.nn


def conv_norm(inputs, outputs, kernel=3, stride=1, groups=1):
    padding = kernel // 2
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def lenet(activation, pool):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), activation(), pool(2),
        nn.Conv2d(6, 16, 5), activation(), pool(2), nn.Flatten(),
        nn.Linear(400, 120), activation(), nn.Linear(120, 84), activation(), nn.Linear(84, 10),
    )  # fmt: skip


def textbook():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def vgg():
    layers = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        for channels in (inputs, outputs):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(128 * 16, 128), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(*layers, *head)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        first, second = conv_norm(inputs, outputs, 3, stride), conv_norm(outputs, outputs)
        self.body = nn.Sequential(*first, nn.ReLU(), *second)
        self.skip = nn.Sequential(*conv_norm(inputs, outputs, 1, stride)) if stride > 1 else None

    def forward(self, x):
        return torch.relu(self.body(x) + (x if self.skip is None else self.skip(x)))


def head(width, classes):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


def resnet():
    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    return nn.Sequential(*conv_norm(3, 16), nn.ReLU(), *blocks, *head(64, 10))


def separable(inputs, outputs, stride):
    own, mixed = conv_norm(inputs, inputs, 3, stride, inputs), conv_norm(inputs, outputs, 1)
    return [*own, nn.ReLU(), *mixed, nn.ReLU()]


def mobilenet():
    layers = [*conv_norm(3, 32), nn.ReLU()]
    for sizes in ((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2)):
        layers += separable(*sizes)
    return nn.Sequential(*layers, *head(256, 10))


def spotter():
    first = nn.Conv2d(1, 64, (10, 4), stride=(2, 2), padding=(4, 1), bias=False)
    layers = [first, nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += separable(64, 64, 1)
    return nn.Sequential(*layers, *head(64, 12))


NETS = {
    "lenet5": (cnn.lenet5, lambda: lenet(nn.ReLU, nn.MaxPool2d), (1, 28, 28)),
    "lenet5, original": (
        lambda: cnn.lenet5(activation=fastnn.nn.Tanh, pool=fastnn.nn.AvgPool2d),
        lambda: lenet(nn.Tanh, nn.AvgPool2d),
        (1, 28, 28),
    ),
    "mnist_cnn": (cnn.mnist_cnn, textbook, (1, 28, 28)),
    "vgg_small": (cnn.vgg_small, vgg, (3, 32, 32)),
    "resnet8": (cnn.ResNet8, resnet, (3, 17, 32)),
    "mobilenet_small": (cnn.mobilenet_small, mobilenet, (3, 17, 32)),
    "ds_cnn": (cnn.ds_cnn, spotter, (1, 49, 10)),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small nets: PyTorch's threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_weights_of(twin, module):
    """The twin in PyTorch, with the weights of a module of fastnn."""
    state = {name: torch.tensor(value.numpy()) for name, value in module.state_dict().items()}
    twin.load_state_dict(state)
    return twin


def close(found, expected):
    expected = expected.detach().numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("name", NETS)
def test_same_outputs_and_gradients(name):
    make, make_twin, image = NETS[name]
    net = make().double()  # rounding must not decide which side of a ReLU a number falls on
    twin = with_weights_of(make_twin().double(), net.layers)
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in twin.parameters())

    x = np.random.default_rng(0).standard_normal((4, *image))
    labels = np.arange(4)
    output, expected = net(fastnn.tensor(x)), twin(torch.tensor(x))
    close(output, expected)
    cross_entropy(output, fastnn.tensor(labels)).backward()
    nn.functional.cross_entropy(expected, torch.tensor(labels)).backward()
    first, last = next(twin.parameters()), list(twin.parameters())[-1]
    parameters = list(net.parameters())
    close(parameters[0].grad, first.grad)
    close(parameters[-1].grad, last.grad)

    net.eval(), twin.eval()
    with fastnn.no_grad(), torch.no_grad():
        close(net(fastnn.tensor(x)), twin(torch.tensor(x)))


def test_siamese():
    net = Siamese(cnn.lenet5(classes=5)).double()
    twin = lenet(nn.ReLU, nn.MaxPool2d)
    twin[-1] = nn.Linear(84, 5)
    with_weights_of(twin.double(), net.body.layers)
    a, b = np.random.default_rng(0).standard_normal((2, 6, 1, 28, 28))
    alike = np.array([1.0, 0, 1, 0, 0, 1])

    distance = net(fastnn.tensor(a), fastnn.tensor(b))
    expected = nn.functional.pairwise_distance(twin(torch.tensor(a)), twin(torch.tensor(b)))
    close(distance, expected)
    contrastive_loss(distance, fastnn.tensor(alike)).backward()
    target = torch.tensor(alike)
    pushed = torch.relu(1 - expected) ** 2
    ((target * expected**2 + (1 - target) * pushed) / 2).mean().backward()
    close(net.body.layers[0].weight.grad, twin[0].weight.grad)
