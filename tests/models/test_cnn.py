"""Convolutional nets: their size, what they take, and NumPy references of their blocks."""

from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.bench import nets
from fastnn.models import cnn
from fastnn.models.training import evaluating, fit
from fastnn.nn.functional import cross_entropy
from fastnn.testing import num_threads

RNG = np.random.default_rng(0)
# each net, the number of its weights by hand, and the images it takes by default
NETS = {
    "lenet5": (cnn.lenet5, 61_706, (1, 28, 28)),
    "mnist_cnn": (cnn.mnist_cnn, 421_642, (1, 28, 28)),
    "vgg_small": (cnn.vgg_small, 550_570, (3, 32, 32)),
    "resnet8": (cnn.ResNet8, 78_042, (3, 32, 32)),
    "mobilenet_small": (cnn.mobilenet_small, 67_914, (3, 32, 32)),
    "ds_cnn": (cnn.ds_cnn, 23_180, (1, 49, 10)),
}
ANY_SIZE = {"resnet8": (1, 1), "mobilenet_small": (1, 1), "ds_cnn": (2, 2)}
BENCH = {
    "lenet5": nets.lenet,
    "mnist_cnn": nets.cnn,
    "vgg_small": nets.vgg,
    "resnet8": nets.resnet8,
    "mobilenet_small": nets.mobilenet,
    "ds_cnn": nets.ds_cnn,
}


def images(*shape):
    return fastnn.tensor(RNG.standard_normal(shape).astype(np.float32))


def size_of(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", NETS)
def test_size_and_shapes(name):
    make, weights, image = NETS[name]
    net = make()
    assert size_of(net) == weights
    assert net(images(2, *image)).shape == (2, 12 if name == "ds_cnn" else 10)


@pytest.mark.parametrize("name", NETS)
def test_any_channels_and_classes(name):
    make, _, (_, *size) = NETS[name]
    assert make(channels=5, classes=3)(images(2, 5, *size)).shape == (2, 3)


@pytest.mark.parametrize("name", ANY_SIZE)
@pytest.mark.parametrize("size", [None, (7, 30), (64, 48)])
def test_any_size(name, size):
    make, _, (channels, *_) = NETS[name]
    net = make().eval()
    assert len(net(images(1, channels, *(size or ANY_SIZE[name])))) == 1


@pytest.mark.parametrize(
    "make, sizes",
    [
        (cnn.lenet5, [12, (13, 31), 40]),
        (cnn.mnist_cnn, [4, (5, 30), 40]),
        (cnn.vgg_small, [8, (9, 30), 28]),
    ],
)
def test_sizes_to_build_for(make, sizes):
    for size in sizes:
        height, width = (size, size) if isinstance(size, int) else size
        assert make(1, 4, size)(images(2, 1, height, width)).shape == (2, 4)


@pytest.mark.parametrize("name", NETS)
def test_every_weight_has_a_gradient(name):
    make, _, image = NETS[name]
    net = make()
    cross_entropy(net(images(3, *image)), fastnn.tensor([0, 1, 2])).backward()
    for weight, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max().item() > 0, weight


@pytest.mark.parametrize("name", NETS)
def test_the_benchmark_has_the_same_net(name):
    """Layer by layer, so that its weights can be exchanged with those of the models."""
    make, _, image = NETS[name]
    twin, net = BENCH[name](SimpleNamespace(nn=nn)), make()
    twin.load_state_dict(net.layers.state_dict())
    x = images(2, *image)
    with evaluating(net), evaluating(twin):
        np.testing.assert_array_equal(net(x).numpy(), twin(x).numpy())


def test_original_lenet():
    net = cnn.lenet5(activation=nn.Tanh, pool=nn.AvgPool2d)
    kinds = [type(layer).__name__ for layer in net.layers]
    assert kinds.count("Tanh") == 4 and kinds.count("AvgPool2d") == 2 and "ReLU" not in kinds
    assert size_of(net) == 61_706 and net(images(2, 1, 28, 28)).shape == (2, 10)


# --- blocks, by NumPy in float64 ---


def convolution(x, w, stride, groups=1):
    """With a margin of half a window of zeros; w (O, C / groups, K, K)."""
    half = w.shape[2] // 2
    wide = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, w.shape[2:], (2, 3))
    windows = windows[:, :, ::stride, ::stride]
    if groups > 1:
        return np.einsum("nchwij,cij->nchw", windows, w[:, 0])
    return np.einsum("nchwij,ocij->nohw", windows, w)


def normalised(x):
    """A new batch norm in training: variance over the batch and all places."""
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


def weights(module):
    return [w.detach().numpy() for n, w in module.named_parameters() if w.ndim == 4]


@pytest.mark.parametrize("inputs, outputs, stride", [(4, 4, 1), (4, 6, 2), (4, 6, 1)])
def test_residual_block(inputs, outputs, stride):
    block, x = (
        cnn.ResidualBlock(inputs, outputs, stride).double(),
        RNG.standard_normal((3, 4, 7, 6)),
    )
    first, second, *skip = weights(block)
    body = np.maximum(normalised(convolution(x, first, stride)), 0)
    body = normalised(convolution(body, second, 1))
    carried = normalised(convolution(x, skip[0], stride)) if skip else x
    assert bool(skip) == ((inputs, stride) != (outputs, 1))
    result = block(fastnn.tensor(x)).detach().numpy()
    np.testing.assert_allclose(result, np.maximum(body + carried, 0), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
def test_separable(stride):
    block, x = (
        nn.Sequential(*cnn.separable(4, 6, stride)).double(),
        RNG.standard_normal((3, 4, 7, 6)),
    )
    own, mixed = weights(block)
    expected = np.maximum(normalised(convolution(x, own, stride, 4)), 0)
    expected = np.maximum(normalised(convolution(expected, mixed, 1)), 0)
    result = block(fastnn.tensor(x)).detach().numpy()
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-10)


# --- what they refuse ---


def test_images_that_a_net_cannot_take():
    with pytest.raises(ValueError, match=r"LeNet-5 takes .* \(N, 1, H, W\), got \(2, 3, 28, 28\)"):
        cnn.lenet5()(images(2, 3, 28, 28))
    with pytest.raises(ValueError, match=r"ResNet-8 takes .* \(N, 3, H, W\), got \(3, 28, 28\)"):
        cnn.ResNet8()(images(3, 28, 28))
    with pytest.raises(ValueError, match="the MNIST CNN was built for images of 28 x 28, got 32 x"):
        cnn.mnist_cnn()(images(2, 1, 32, 28))
    with pytest.raises(ValueError, match="DS-CNN needs images of at least 2 x 2, got 49 x 1"):
        cnn.ds_cnn()(images(2, 1, 49, 1))


def test_sizes_that_a_net_cannot_be_built_for():
    with pytest.raises(ValueError, match="LeNet-5 needs images of at least 12 x 12, got 11 x 40"):
        cnn.lenet5(size=(11, 40))
    with pytest.raises(ValueError, match="the MNIST CNN needs images of at least 4 x 4, got 3 x 3"):
        cnn.mnist_cnn(size=3)
    with pytest.raises(ValueError, match="the small VGG needs images of at least 4 x 4, got 4 x 3"):
        cnn.vgg_small(size=(4, 3), widths=(8, 16))


# --- training ---


def trained(threads):
    with num_threads(threads):
        fastnn.manual_seed(1)
        net = cnn.ResNet8(1, 3, width=4)
        x = fastnn.randn(48, 1, 10, 10)
        history = fit(net, (x, fastnn.arange(3).repeat(16)), cross_entropy, epochs=2, batch_size=16)
    return history.losses, [w.numpy().tobytes() for w in net.state_dict().values()]


def test_training_is_the_same_for_any_number_of_threads():
    one = trained(1)
    assert trained(1) == one and trained(2) == one


def test_a_net_learns():
    fastnn.manual_seed(0)
    labels = fastnn.arange(3).repeat(20)
    patterns = fastnn.randn(3, 1, 12, 12)
    x = patterns[labels] + 0.3 * fastnn.randn(60, 1, 12, 12)
    net = cnn.lenet5(1, 3, 12)
    history = fit(net, (x, labels), cross_entropy, epochs=10, batch_size=10, lr=3e-3)
    assert history.losses[-1] < 0.1 < history.losses[0]
