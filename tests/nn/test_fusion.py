"""Sequential computes a ReLU together with the module before it; nobody can tell."""

import pytest

import fastnn
from fastnn import nn

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
