"""The same weights trained for 100 steps by PyTorch and by fastnn: the same loss curves."""

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim

torch = pytest.importorskip("torch")

STEPS = 100
TOLERANCE = {"float64": 1e-8, "float32": 2e-3}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The nets are tiny: PyTorch's threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mlp(nn):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.Tanh(),
        nn.Linear(32, 16),
        nn.GELU(),
        nn.LayerNorm(16),
        nn.Linear(16, 10),
    )


def cnn(nn):
    """No bias before BatchNorm: its gradient is 0, and Adam makes steps of the rounding errors."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding="same"),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def reader(nn):
    """An LSTM over the rows of an image."""

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(8, 12, batch_first=True)
            self.out = nn.Linear(12, 10)

        def forward(self, x):
            output, (h, c) = self.lstm(x.squeeze(1))
            return self.out(output[:, -1]) + 0.1 * c[0].sum(1, keepdim=True) * self.out(h[0])

    return Reader()


OPTIMISERS = {
    "sgd": lambda o, p: o.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda o, p: o.Adam(p, lr=0.003, weight_decay=1e-3),
    "adamw": lambda o, p: o.AdamW(p, lr=0.003, amsgrad=True),
}


def batches(dtype):
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((10, 1, 8, 8))
    for _ in range(STEPS):
        labels = rng.integers(0, 10, 16)
        yield (patterns[labels] + 0.5 * rng.standard_normal((16, 1, 8, 8))).astype(dtype), labels


def train(model, loss, optimizer, tensor, dtype):
    curve = []
    for images, labels in batches(dtype):
        optimizer.zero_grad()
        value = loss(model(tensor(images)), tensor(labels))
        value.backward()
        optimizer.step()
        curve.append(value.item())
    return np.array(curve)


def arrays(model):
    return {name: np.asarray(value.detach()) for name, value in model.state_dict().items()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("build", [mlp, cnn, reader])
def test_training_curves(build, optimiser, dtype):
    ours, theirs = build(nn), build(torch.nn)
    if dtype == "float64":
        ours, theirs = ours.double(), theirs.double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())

    make = OPTIMISERS[optimiser]
    expected = train(
        theirs,
        torch.nn.CrossEntropyLoss(),
        make(torch.optim, theirs.parameters()),
        torch.from_numpy,
        dtype,
    )
    curve = train(ours, nn.CrossEntropyLoss(), make(optim, ours.parameters()), fastnn.tensor, dtype)

    assert expected[-10:].mean() < 0.8 * expected[:10].mean()  # something was learned
    np.testing.assert_allclose(curve, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    final = arrays(theirs)
    for name, value in arrays(ours).items():
        np.testing.assert_allclose(
            value, final[name], rtol=10 * TOLERANCE[dtype], atol=10 * TOLERANCE[dtype], err_msg=name
        )


@pytest.mark.parametrize("build", [mlp, cnn, reader])
def test_weights_go_both_ways(build):
    ours, theirs = build(nn), build(torch.nn)
    x = np.random.default_rng(1).standard_normal((4, 1, 8, 8)).astype(np.float32)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in arrays(ours).items()})
    np.testing.assert_allclose(
        np.asarray(ours(fastnn.tensor(x)).detach()),
        theirs(torch.from_numpy(x)).detach().numpy(),
        rtol=2e-5,
        atol=2e-6,
    )


@pytest.mark.parametrize("build", [mlp, cnn, reader])
def test_reprs(build):
    assert repr(build(nn)) == repr(build(torch.nn))
