"""Layers: that each hands its options to its function, by NumPy float64 references."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from tests.nn.arrays import IMAGES, RNG, ROWS, close, tensor, values
from tests.references.pad import pad as pad_reference


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# --- references ---


def conv_reference(x, w, b, stride, padding, dilation, groups):
    """padding: ((top, bottom), (left, right))."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    O, C, KH, KW = w.shape
    OH = (x.shape[2] - dilation[0] * (KH - 1) - 1) // stride[0] + 1
    OW = (x.shape[3] - dilation[1] * (KW - 1) - 1) // stride[1] + 1
    y = np.zeros((x.shape[0], O, OH, OW))
    for o in range(O):
        group = x[:, o // (O // groups) * C :][:, :C]
        for i in range(KH):
            for j in range(KW):
                top, left = i * dilation[0], j * dilation[1]
                window = group[
                    :,
                    :,
                    top : top + (OH - 1) * stride[0] + 1 : stride[0],
                    left : left + (OW - 1) * stride[1] + 1 : stride[1],
                ]
                y[:, o] += np.einsum("nchw,c->nhw", window, w[o, :, i, j])
        y[:, o] += 0 if b is None else b[o]
    return y


def log_softmax(x, axis):
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


# --- affine and convolution ---


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias):
    layer = nn.Linear(8, 3, bias=bias).double()
    expected = ROWS @ values(layer.weight).T + (values(layer.bias) if bias else 0)
    close(layer(tensor(ROWS)), expected)
    assert (layer.bias is None) is not bias


def test_flatten_and_identity():
    x = tensor(IMAGES)
    assert nn.Flatten()(x).shape == (2, 4 * 7 * 6)
    assert nn.Flatten(2)(x).shape == (2, 4, 42)
    assert nn.Unflatten(1, (2, -1))(x).shape == (2, 2, 2, 7, 6)
    assert nn.Identity(3, foo=4)(x) is x


@pytest.mark.parametrize(
    "options, padding",
    [
        ({}, (0, 0)),
        ({"stride": 2, "padding": 1}, (1, 1)),
        ({"stride": (1, 2), "padding": (0, 2), "bias": False}, (0, 2)),
        ({"dilation": 2, "padding": 2, "groups": 2}, (2, 2)),
        ({"padding": "valid"}, (0, 0)),
        ({"padding": "same", "dilation": (1, 2)}, (1, 2)),
    ],
)
def test_conv2d(options, padding):
    layer = nn.Conv2d(4, 6, 3, **options).double()
    expected = conv_reference(
        IMAGES,
        values(layer.weight),
        None if layer.bias is None else values(layer.bias),
        layer.stride,
        [(p, p) for p in padding],
        layer.dilation,
        layer.groups,
    )
    close(layer(tensor(IMAGES)), expected)


def test_conv2d_errors():
    with pytest.raises(ValueError, match=r"padding_mode must be one of .* 'edge'"):
        nn.Conv2d(1, 1, 1, padding_mode="edge")
    with pytest.raises(ValueError, match="in_channels=3 must be divisible by groups=2"):
        nn.Conv2d(3, 4, 1, groups=2)
    with pytest.raises(ValueError, match="out_channels=3"):
        nn.Conv2d(4, 3, 1, groups=2)
    with pytest.raises(ValueError, match="strided"):
        nn.Conv2d(1, 1, 3, stride=2, padding="same")
    with pytest.raises(ValueError, match="'full'"):
        nn.Conv2d(1, 1, 3, padding="full")
    with pytest.raises(ValueError, match="kernel_size must be at least 1"):
        nn.Conv2d(1, 1, 0)
    with pytest.raises(ValueError, match=r"kernel_size must be a number or 1, got \(3, 3\)"):
        nn.Conv1d(1, 1, (3, 3))
    with pytest.raises(ValueError, match="'zeros' only, got 'reflect'"):
        nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect")
    with pytest.raises(TypeError, match="'same'"):
        nn.ConvTranspose2d(1, 1, 3, padding="same")


def test_conv_transpose_output_size():
    x = tensor(IMAGES)
    layer = nn.ConvTranspose2d(4, 6, 3, stride=(2, 3), padding=1).double()
    assert layer(x).shape == (2, 6, 13, 16)
    for output_size in [(14, 18), (2, 6, 14, 18)]:
        y = layer(x, output_size)
        assert y.shape == (2, 6, 14, 18)
        close(y[:, :, :13, :16], values(layer(x)))
    assert layer(x[0], output_size=(6, 13, 17)).shape == (6, 13, 17)
    with pytest.raises(ValueError, match=r"between \[13, 16\] and \[14, 18\].*got \(15, 16\)"):
        layer(x, (15, 16))
    with pytest.raises(ValueError, match="2 or 4 entries"):
        layer(x, (14,))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_conv_padding_mode_is_padding_before(mode):
    x = tensor(IMAGES)
    for padding, sides in [(2, (2, 2, 2, 2)), ((1, 2), (2, 2, 1, 1)), ("same", (0, 1, 1, 2))]:
        layer = nn.Conv2d(4, 6, (4, 2), padding=padding, padding_mode=mode).double()
        padded = nn.functional.pad(x, sides, mode)
        close(layer(x), values(nn.functional.conv2d(padded, layer.weight, layer.bias)))
    layer = nn.Conv1d(7, 6, 3, padding="valid", padding_mode=mode).double()
    assert layer(x[0]).shape == (4, 6, 4)


@pytest.mark.parametrize(
    "layer, pads, mode, value",
    [
        (nn.ConstantPad1d(2, 1.5), (2, 2), "constant", 1.5),
        (nn.ConstantPad2d((1, 0, 2, 1), -1), (1, 0, 2, 1), "constant", -1),
        (nn.ConstantPad3d(1, 3), (1,) * 6, "constant", 3),
        (nn.ZeroPad1d((-1, 2)), (-1, 2), "constant", 0),
        (nn.ZeroPad2d(1), (1,) * 4, "constant", 0),
        (nn.ZeroPad3d(1), (1,) * 6, "constant", 0),
        (nn.ReflectionPad1d((2, 1)), (2, 1), "reflect", None),
        (nn.ReflectionPad2d(3), (3,) * 4, "reflect", None),
        (nn.ReflectionPad3d(1), (1,) * 6, "reflect", None),
        (nn.ReplicationPad1d(2), (2, 2), "replicate", None),
        (nn.ReplicationPad2d((1, 2, 3, 0)), (1, 2, 3, 0), "replicate", None),
        (nn.ReplicationPad3d(1), (1,) * 6, "replicate", None),
        (nn.CircularPad1d(2), (2, 2), "circular", None),
        (nn.CircularPad2d((1, 2, 3, 0)), (1, 2, 3, 0), "circular", None),
        (nn.CircularPad3d(2), (2,) * 6, "circular", None),
    ],
    ids=str,
)
def test_pads(layer, pads, mode, value):
    x = IMAGES[0] if len(pads) == 2 else IMAGES
    close(layer(tensor(x)), pad_reference(x, pads, mode, value))


def test_pad_errors():
    with pytest.raises(ValueError, match=r"padding must be a number or 4, got \(1, 2\)"):
        nn.ZeroPad2d((1, 2))


# --- pooling ---


@pytest.mark.parametrize(
    "layer, function",
    [
        (nn.MaxPool2d(2), np.max),
        (nn.AvgPool2d(2), np.mean),
        (nn.MaxPool2d(3, stride=1), np.max),
        (nn.AvgPool2d((3, 2), 1), np.mean),
    ],
)
def test_pooling(layer, function):
    KH, KW = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * 2
    step = layer.stride
    expected = np.array(
        [
            [
                function(IMAGES[:, :, i : i + KH, j : j + KW], axis=(2, 3))
                for j in range(0, 6 - KW + 1, step)
            ]
            for i in range(0, 7 - KH + 1, step)
        ]
    ).transpose(2, 3, 0, 1)
    close(layer(tensor(IMAGES)), expected)


def test_pooling_options():
    x = tensor(np.ones((1, 1, 3, 3)))
    assert nn.MaxPool2d(2, ceil_mode=True)(x).shape == (1, 1, 2, 2)
    assert nn.AvgPool2d(2, padding=1)(x)[0, 0, 0, 0].item() == 0.25
    assert nn.AvgPool2d(2, padding=1, count_include_pad=False)(x)[0, 0, 0, 0].item() == 1
    assert nn.AvgPool2d(2, divisor_override=1)(x).item() == 4
    assert nn.AvgPool3d(2, divisor_override=1)(tensor(np.ones((1, 2, 2, 2)))).item() == 8
    assert nn.LPPool2d(1, 2)(x).item() == 4


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pooling_and_back(dims):
    a = np.arange(3.0 * 6**dims).reshape(1, 3, *(6,) * dims)
    pooling = getattr(nn, f"MaxPool{dims}d")(2, return_indices=True)
    y, where = pooling(tensor(a))
    corner = (..., *(slice(1, None, 2),) * dims)
    close(y, a[corner])
    expected = np.zeros_like(a)
    expected[corner] = a[corner]
    close(getattr(nn, f"MaxUnpool{dims}d")(2)(y, where), expected)
    back = getattr(nn, f"MaxUnpool{dims}d")(2)(y, where, output_size=(7,) * dims)
    assert back.shape == (1, 3, *(7,) * dims)
    y, where = getattr(nn, f"AdaptiveMaxPool{dims}d")(3, return_indices=True)(tensor(a))
    close(y, a[corner])
    mean = a[corner] - sum(6**d for d in range(dims)) / 2
    close(getattr(nn, f"AvgPool{dims}d")(2)(tensor(a)), mean)
    close(getattr(nn, f"LPPool{dims}d")(1, 2)(tensor(a)), mean * 2**dims)
    whole = getattr(nn, f"AdaptiveAvgPool{dims}d")(1)(tensor(a))
    close(whole.flatten(), a.reshape(3, -1).mean(1))


def test_adaptive_pooling():
    x = tensor(IMAGES)
    close(nn.AdaptiveAvgPool2d(1)(x), IMAGES.mean((2, 3), keepdims=True))
    close(nn.AdaptiveMaxPool2d((1, 1))(x), IMAGES.max((2, 3), keepdims=True))
    assert nn.AdaptiveAvgPool2d((7, 3))(x).shape == (2, 4, 7, 3)


# --- activations ---


@pytest.mark.parametrize(
    "layer, function",
    [
        (nn.ReLU(), lambda x: np.maximum(x, 0)),
        (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
        (nn.ELU(1.5), lambda x: np.where(x > 0, x, 1.5 * np.expm1(x))),
        (nn.PReLU(), lambda x: np.where(x > 0, x, 0.25 * x)),
        (nn.Sigmoid(), sigmoid),
        (nn.Tanh(), np.tanh),
        (nn.SiLU(), lambda x: x * sigmoid(x)),
        (
            nn.GELU("tanh"),
            lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        ),
        (nn.Softplus(2.0), lambda x: np.log1p(np.exp(2 * x)) / 2),
        (nn.Softmax(dim=0), lambda x: np.exp(log_softmax(x, 0))),
        (nn.Softmax(), lambda x: np.exp(log_softmax(x, 1))),
        (nn.LogSoftmax(dim=-1), lambda x: log_softmax(x, -1)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_activations(layer, function):
    close(layer.double()(tensor(ROWS)), function(ROWS))


def test_inplace():
    x = fastnn.tensor([-1.0, 2.0])
    assert nn.ReLU(inplace=True)(x) is x
    assert x.tolist() == [0.0, 2.0]


def test_prelu_by_channel():
    layer = nn.PReLU(4, init=0.5).double()
    close(layer(tensor(IMAGES)), np.where(IMAGES > 0, IMAGES, 0.5 * IMAGES))
    layer(tensor(IMAGES)).sum().backward()
    close(layer.weight.grad, np.minimum(IMAGES, 0).sum(axis=(0, 2, 3)))


# --- dropout ---


def test_dropout():
    layer = nn.Dropout(0.25)
    x = fastnn.ones(100, 100)
    y = values(layer(x))
    assert set(np.unique(y).tolist()) == {0.0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.03
    assert not np.array_equal(values(layer(x)), y)
    layer.eval()
    assert values(layer(x)).min() == 1
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        nn.Dropout(1.5)


# --- losses ---


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(reduction):
    reduce = {"mean": np.mean, "sum": np.sum, "none": lambda x: x}[reduction]
    x, y = ROWS, RNG.standard_normal(ROWS.shape)
    classes = np.array([0, 7, 3, 3, 1])
    logs = log_softmax(x, 1)
    target = fastnn.tensor(classes)
    close(nn.MSELoss(reduction=reduction)(tensor(x), tensor(y)), reduce((x - y) ** 2))
    close(nn.L1Loss(reduction=reduction)(tensor(x), tensor(y)), reduce(abs(x - y)))
    picked = -logs[np.arange(5), classes]
    close(nn.CrossEntropyLoss(reduction=reduction)(tensor(x), target), reduce(picked))
    close(nn.NLLLoss(reduction=reduction)(tensor(logs), target), reduce(picked))
    likely, positive = sigmoid(y), np.arange(1.0, 9.0)
    expected = -(positive * likely * np.log(sigmoid(x)) + (1 - likely) * np.log(sigmoid(-x)))
    loss = nn.BCEWithLogitsLoss(reduction=reduction, pos_weight=tensor(positive))
    close(loss(tensor(x), tensor(likely)), reduce(expected))


def test_robust_losses():
    x, y = ROWS, RNG.standard_normal(ROWS.shape)
    d = abs(x - y)
    huber = np.where(d < 0.5, d * d / 2, 0.5 * (d - 0.25))
    close(nn.HuberLoss(delta=0.5)(tensor(x), tensor(y)), huber.mean())
    close(nn.SmoothL1Loss(beta=0.5)(tensor(x), tensor(y)), huber.mean() / 0.5)
    p, q = sigmoid(x), sigmoid(y)
    weight = np.arange(1.0, 9.0)
    expected = -weight * (q * np.log(p) + (1 - q) * np.log(1 - p))
    close(nn.BCELoss(tensor(weight))(tensor(p), tensor(q)), expected.mean())


def test_cross_entropy_options():
    weight = np.arange(1.0, 9.0)
    classes = np.array([0, 7, -1, 3, 1])
    logs = log_softmax(ROWS, 1)
    loss = nn.CrossEntropyLoss(tensor(weight), ignore_index=-1).double()
    kept = classes >= 0
    picked, used = -logs[np.arange(5), classes][kept], weight[classes[kept]]
    close(loss(tensor(ROWS), fastnn.tensor(classes)), (picked * used).sum() / used.sum())
    assert "weight" in dict(loss.named_buffers())
    classes = np.array([0, 7, 2, 3, 1])
    expected = 0.8 * -logs[np.arange(5), classes].mean() - 0.2 * logs.mean()
    close(nn.CrossEntropyLoss(label_smoothing=0.2)(tensor(ROWS), fastnn.tensor(classes)), expected)


def test_loss_errors():
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'max'"):
        nn.MSELoss(reduction="max")
    with pytest.raises(ValueError, match="use reduction"):
        nn.L1Loss(size_average=False)


# --- all of them ---

REPRS = [
    (lambda: nn.Linear(3, 4, bias=False), "Linear(in_features=3, out_features=4, bias=False)"),
    (lambda: nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (lambda: nn.Conv2d(3, 8, 3), "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))"),
    (
        lambda: nn.Conv2d(4, 8, (3, 5), 2, 1, 2, 4, False),
        "Conv2d(4, 8, kernel_size=(3, 5), stride=(2, 2), padding=(1, 1), dilation=(2, 2), "
        "groups=4, bias=False)",
    ),
    (
        lambda: nn.Conv2d(4, 8, 3, padding="same"),
        "Conv2d(4, 8, kernel_size=(3, 3), stride=(1, 1), padding=same)",
    ),
    (lambda: nn.Conv1d(3, 8, 3), "Conv1d(3, 8, kernel_size=(3,), stride=(1,))"),
    (
        lambda: nn.Conv1d(3, 8, 3, padding=1, padding_mode="circular"),
        "Conv1d(3, 8, kernel_size=(3,), stride=(1,), padding=(1,), padding_mode=circular)",
    ),
    (
        lambda: nn.ConvTranspose2d(4, 8, 3, 2, 1, 1, 2, False),
        "ConvTranspose2d(4, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), "
        "output_padding=(1, 1), groups=2, bias=False)",
    ),
    (lambda: nn.ConstantPad1d(2, 1.5), "ConstantPad1d(padding=(2, 2), value=1.5)"),
    (lambda: nn.ZeroPad2d(1), "ZeroPad2d((1, 1, 1, 1))"),
    (lambda: nn.ReflectionPad1d(2), "ReflectionPad1d((2, 2))"),
    (
        lambda: nn.MaxPool2d(2),
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
    ),
    (lambda: nn.AvgPool2d(3, 2), "AvgPool2d(kernel_size=3, stride=2, padding=0)"),
    (lambda: nn.ReLU(inplace=True), "ReLU(inplace=True)"),
    (lambda: nn.LeakyReLU(0.2, True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
    (lambda: nn.ELU(), "ELU(alpha=1.0)"),
    (lambda: nn.PReLU(), "PReLU(num_parameters=1)"),
    (lambda: nn.GELU(), "GELU(approximate='none')"),
    (lambda: nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
    (lambda: nn.Softmax(1), "Softmax(dim=1)"),
    (lambda: nn.Dropout(), "Dropout(p=0.5, inplace=False)"),
    (lambda: nn.LSTM(3, 4, batch_first=True), "LSTM(3, 4, batch_first=True)"),
    (lambda: nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
]


@pytest.mark.parametrize("make, text", REPRS, ids=lambda x: x if isinstance(x, str) else "")
def test_reprs(make, text):
    assert repr(make()) == text


def test_functional_names_are_the_compiled_functions():
    from fastnn.nn import functional as F

    assert F.relu is fastnn.relu
    assert F.conv2d is fastnn.conv2d
    for name in F.__all__:
        assert callable(getattr(F, name))
