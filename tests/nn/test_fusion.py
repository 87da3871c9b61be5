"""Sequential computes chains of modules in one operation; nobody can tell."""

import pytest

import fastnn
from fastnn import nn
from fastnn.testing import last_team, levels, num_threads, using_isa

NETS = {
    "linear": (lambda: nn.Sequential(nn.Linear(9, 20), nn.ReLU()), (7, 9)),
    "linear without bias": (lambda: nn.Sequential(nn.Linear(9, 20, bias=False), nn.ReLU()), (7, 9)),
    "long sums": (lambda: nn.Sequential(nn.Linear(5000, 3), nn.ReLU()), (40, 5000)),
    "one sample": (lambda: nn.Sequential(nn.Linear(300, 40), nn.ReLU()), (300,)),
    "norm": (lambda: nn.Sequential(nn.BatchNorm1d(20), nn.ReLU()), (7, 20)),
    "norm of lines": (lambda: nn.Sequential(nn.BatchNorm1d(5), nn.ReLU()), (7, 5, 90)),
    "norm of volumes": (lambda: nn.Sequential(nn.BatchNorm3d(5), nn.ReLU()), (2, 5, 3, 4, 3)),
    "convolution and norm": (
        lambda: nn.Sequential(nn.Conv2d(3, 20, 3), nn.BatchNorm2d(20), nn.ReLU()), (4, 3, 9, 8),
    ),
    "convolution": (lambda: nn.Sequential(nn.Conv2d(3, 20, 3), nn.ReLU()), (4, 3, 9, 8)),
    "dilated": (lambda: nn.Sequential(nn.Conv2d(3, 20, 3, dilation=2), nn.ReLU()), (2, 3, 9, 8)),
    "small images": (
        lambda: nn.Sequential(nn.Conv2d(130, 128, 3, padding=1), nn.ReLU()), (2, 130, 7, 7),
    ),
    "few channels": (lambda: nn.Sequential(nn.Conv2d(9, 5, 3), nn.ReLU()), (2, 9, 9, 20)),
    "depthwise": (lambda: nn.Sequential(nn.Conv2d(40, 40, 3, groups=40), nn.ReLU()), (2, 40, 9, 8)),
    "sequences": (
        lambda: nn.Sequential(nn.Conv1d(3, 20, 3, padding=1, padding_mode="circular"), nn.ReLU()),
        (4, 3, 50),
    ),
    "volumes": (lambda: nn.Sequential(nn.Conv3d(3, 20, 3), nn.ReLU()), (2, 3, 5, 6, 7)),
    "many": (
        lambda: nn.Sequential(
            nn.Linear(9, 20), nn.ReLU(inplace=True), nn.ReLU(), nn.Linear(20, 30), nn.Linear(30, 8),
            nn.BatchNorm1d(8), nn.ReLU(), nn.Tanh(), nn.ReLU(), nn.Linear(8, 4),
        ),
        (6, 9),
    ),
}  # fmt: skip


def run(modules, leaves, x, gradient):
    for leaf in leaves:
        leaf.grad = None
    y = x
    for module in modules:
        y = module(y)
    y.backward(gradient)
    return [y.detach().numpy().tobytes(), *(leaf.grad.numpy().tobytes() for leaf in leaves)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_results_and_gradients_keep_their_bits(name, training):
    fastnn.manual_seed(1)
    make, shape = NETS[name]
    net = make().train(training)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    x = fastnn.randn(*shape).requires_grad_()
    gradient = fastnn.randn(*net(x).shape)
    leaves = [x, *net.parameters()]
    net.load_state_dict(state)
    fused = run([net], leaves, x, gradient)
    moved = {key: value.numpy().tobytes() for key, value in net.state_dict().items()}
    net.load_state_dict(state)
    assert run(net, leaves, x, gradient) == fused
    assert {key: value.numpy().tobytes() for key, value in net.state_dict().items()} == moved


# a layer that batch norm may follow, by the dimensions of its images, and its input
BEFORE_NORM = {
    "linear": (0, lambda **how: nn.Linear(90, 70, **how), (64, 90)),
    "linear, turned round": (0, lambda **how: nn.Linear(750, 1010, **how), (60, 750)),
    "linear, one sample": (0, lambda **how: nn.Linear(300, 40, **how), (1, 300)),
    "linear, few samples": (0, lambda **how: nn.Linear(300, 40, **how), (5, 300)),
    "linear, one output": (0, lambda **how: nn.Linear(9, 1, **how), (40, 9)),
    "linear, long sums": (0, lambda **how: nn.Linear(5000, 3, **how), (40, 5000)),
    "linear, no samples": (0, lambda **how: nn.Linear(9, 5, **how), (0, 9)),
    "sequences": (
        1, lambda **how: nn.Conv1d(3, 20, 3, padding=1, padding_mode="circular", **how),
        (4, 3, 50),
    ),
    "images": (2, lambda **how: nn.Conv2d(3, 20, 3, **how), (4, 3, 9, 8)),
    "wide": (2, lambda **how: nn.Conv2d(32, 70, 3, padding=1, **how), (2, 32, 17, 16)),
    "pointwise": (2, lambda **how: nn.Conv2d(33, 40, 1, stride=2, **how), (3, 33, 9, 8)),
    "dilated": (2, lambda **how: nn.Conv2d(3, 20, 3, dilation=2, **how), (2, 3, 9, 8)),
    "groups": (2, lambda **how: nn.Conv2d(6, 42, 3, groups=2, **how), (2, 6, 9, 8)),
    "small images": (2, lambda **how: nn.Conv2d(130, 128, 3, padding=1, **how), (2, 130, 7, 7)),
    "few channels": (2, lambda **how: nn.Conv2d(9, 5, 3, **how), (2, 9, 9, 20)),
    "few of groups": (2, lambda **how: nn.Conv2d(18, 6, 3, groups=2, **how), (2, 18, 9, 20)),
    "one channel": (2, lambda **how: nn.Conv2d(9, 1, 3, **how), (2, 9, 9, 20)),
    "depthwise": (2, lambda **how: nn.Conv2d(40, 40, 3, groups=40, **how), (2, 40, 9, 8)),
    "large": (2, lambda **how: nn.Conv2d(16, 32, 3, padding=1, **how), (16, 16, 32, 32)),
    "volumes": (3, lambda **how: nn.Conv3d(3, 20, 3, **how), (2, 3, 5, 6, 7)),
}  # fmt: skip
NORMS = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fixed_norm(dims, channels, **how):
    """A batch norm in evaluation that has seen something."""
    norm = NORMS[dims](channels, **how).eval()
    norm.running_mean = fastnn.randn(channels, dtype=norm.running_mean.dtype)
    norm.running_var = fastnn.rand(channels, dtype=norm.running_var.dtype) + 0.5
    if norm.affine:
        norm.weight.data = fastnn.randn(channels, dtype=norm.weight.dtype)
        norm.bias.data = fastnn.randn(channels, dtype=norm.bias.dtype)
    return norm


def channels_of(layer):
    return layer.weight.shape[0]


def one_by_one(net, x):
    for module in net:
        x = module(x)
    return x


def steps(y):
    """How it lies in memory."""
    return [step for size, step in zip(y.shape, y.stride(), strict=True) if size > 1]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [fastnn.float32, fastnn.float64])
@pytest.mark.parametrize("name", BEFORE_NORM)
def test_norm_in_evaluation_keeps_the_bits(name, dtype, level):
    fastnn.manual_seed(1)
    dims, make, shape = BEFORE_NORM[name]
    with using_isa(level), fastnn.no_grad():
        for bias in (True, False):
            layer = make(bias=bias, dtype=dtype)
            x = fastnn.randn(*shape, dtype=dtype)
            for affine in (True, False):
                norm = fixed_norm(dims, channels_of(layer), affine=affine, dtype=dtype)
                for end in ([], [nn.ReLU()]):
                    net = nn.Sequential(layer, norm, *end)
                    expected = one_by_one(net, x)
                    for threads in (1, 2, 3):
                        with num_threads(threads):
                            y = net(x)
                        assert steps(y) == steps(expected)
                        assert y.numpy().tobytes() == expected.numpy().tobytes()


def test_running_statistics_of_double_precision_keep_the_bits():
    layer, x = nn.Conv2d(3, 20, 3), fastnn.randn(2, 3, 9, 9)
    norm = fixed_norm(2, 20)
    norm.running_mean = fastnn.randn(20, dtype=fastnn.float64) * 1e4
    net = nn.Sequential(layer, norm)
    with fastnn.no_grad():
        assert net(x).tolist() == norm(layer(x)).tolist()


def test_norm_joins_only_where_it_is_fixed(monkeypatch):
    calls = []
    forward = nn.BatchNorm2d.forward
    monkeypatch.setattr(
        nn.BatchNorm2d, "forward", lambda self, x: calls.append(self) or forward(self, x)
    )
    x = fastnn.randn(2, 3, 9, 9)
    net = nn.Sequential(nn.Conv2d(3, 20, 3), nn.BatchNorm2d(20))
    net(x)
    with fastnn.no_grad():
        net(x)
        net.eval()
        assert len(calls) == 2
        net(x)
        assert len(calls) == 2
    net(x)
    with fastnn.no_grad():
        nn.Sequential(net[0], nn.BatchNorm2d(20, track_running_stats=False).eval())(x)
    assert len(calls) == 4


def test_gradients_in_evaluation_are_those_of_the_modules():
    net = nn.Sequential(nn.Conv2d(3, 20, 3), fixed_norm(2, 20), nn.ReLU()).eval()
    x = fastnn.randn(4, 3, 9, 8).requires_grad_()
    leaves = [x, *net.parameters()]
    gradient = fastnn.randn(*net(x).shape)
    assert run([net], leaves, x, gradient) == run(net, leaves, x, gradient)


def test_inputs_without_a_batch_and_of_more_dimensions_go_the_separate_way():
    with fastnn.no_grad():
        lines = nn.Sequential(nn.Conv1d(3, 20, 3), fixed_norm(1, 7))
        x = fastnn.randn(3, 9)
        assert lines(x).tolist() == one_by_one(lines, x).tolist()
        rows = nn.Sequential(nn.Linear(9, 4), fixed_norm(0, 5), nn.ReLU())
        x = fastnn.randn(2, 5, 9)
        assert rows(x).tolist() == one_by_one(rows, x).tolist()
        images = nn.Sequential(nn.Conv2d(3, 20, 3), fixed_norm(2, 20))
        with pytest.raises(ValueError, match="BatchNorm2d expects 4-D"):
            images(fastnn.randn(3, 9, 9))


def test_a_norm_that_does_not_fit_is_refused_as_ever():
    x = fastnn.randn(2, 3, 9, 9)
    half = fixed_norm(2, 20)
    half.running_var = None
    wrong = [fixed_norm(2, 21), fixed_norm(2, 20, dtype=fastnn.float64), half, fixed_norm(1, 20)]
    with fastnn.no_grad():
        for norm in wrong:
            net = nn.Sequential(nn.Conv2d(3, 20, 3), norm)
            with pytest.raises((ValueError, TypeError)) as separate:
                one_by_one(net, x)
            with pytest.raises(separate.type) as fused:
                net(x)
            assert str(fused.value) == str(separate.value)


def test_threads_share_a_convolution_with_norm():
    dims, make, _ = BEFORE_NORM["large"]
    layer = make()
    with fastnn.no_grad(), num_threads(2):
        nn.Sequential(layer, fixed_norm(dims, channels_of(layer)))(fastnn.randn(64, 16, 32, 32))
        assert last_team() == 2


def label(y):
    return str(y.grad_fn).lower()


def test_one_node_stands_for_both():
    x = fastnn.randn(4, 9)
    net = nn.Sequential(nn.Linear(9, 9), nn.ReLU(), nn.BatchNorm1d(9), nn.ReLU())
    assert "linearrelu" in label(net[:2](x))
    assert "batchnormrelu" in label(net(x))
    assert "relu" not in label(net[:1](x))


def test_infinities_and_nan_go_through():
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU())
    net[0].weight.data = fastnn.eye(3)
    x = fastnn.tensor([[float("inf"), 0.0, 0.0], [float("nan"), 1.0, -1.0]])
    expected = net[1](net[0](x))
    assert str(net(x).tolist()) == str(expected.tolist())


def test_hooks_subclasses_and_replaced_methods_are_honoured():
    class Doubled(nn.Linear):
        def forward(self, input):
            return super().forward(input) * 2

    x = fastnn.randn(4, 9)
    for change in ("hook on the linear", "hook on the relu", "forward of the relu", "subclass"):
        net = nn.Sequential(nn.Linear(9, 9), nn.ReLU())
        seen = []
        if change == "hook on the linear":
            net[0].register_forward_hook(lambda module, args, y, seen=seen: seen.append(y))
        elif change == "hook on the relu":
            net[1].register_forward_pre_hook(lambda module, args, seen=seen: seen.append(args[0]))
        elif change == "forward of the relu":
            net[1].forward = lambda y, seen=seen: seen.append(y) or y
        else:
            net[0] = Doubled(9, 9)
            seen.append(net[0](x))
        y = net(x)
        assert len(seen) == 1
        assert seen[0].tolist() == net[0](x).tolist()
        assert y.tolist() == net[1](net[0](x)).tolist()
