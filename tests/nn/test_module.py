"""Module: registration, walking, state, hooks, copies, text."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import fastnn
from fastnn import nn


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(fastnn.ones(2, 3))
        self.register_buffer("seen", fastnn.zeros(2))
        self.register_buffer("scratch", fastnn.zeros(1), persistent=False)

    def forward(self, x):
        return x * self.weight


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Inner()
        self.bias = nn.Parameter(fastnn.zeros(3))
        self.second = Inner()
        self.register_parameter("absent", None)
        self.note = "text"

    def forward(self, x, scale=1.0):
        return self.second(self.first(x)) * scale + self.bias


# --- registration ---


def test_names():
    net = Outer()
    assert [name for name, _ in net.named_parameters()] == ["bias", "first.weight", "second.weight"]
    assert [name for name, _ in net.named_buffers()] == [
        "first.seen",
        "first.scratch",
        "second.seen",
        "second.scratch",
    ]
    assert [name for name, _ in net.named_modules()] == ["", "first", "second"]
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert [name for name, _ in net.named_parameters("net", recurse=False)] == ["net.bias"]
    assert next(net.parameters()) is net.bias
    assert list(net.state_dict()) == [
        "bias",
        "first.weight",
        "first.seen",
        "second.weight",
        "second.seen",
    ]
    assert net.get_parameter("first.weight") is net.first.weight
    assert net.get_submodule("second") is net.second
    with pytest.raises(AttributeError, match="no submodule 'third'"):
        net.get_submodule("third")


def test_members_lie_in_the_instance_dict():
    net = Outer()
    for name in ("first", "bias", "absent"):
        assert name in vars(net)
    assert not hasattr(nn.Module, "__getattr__")


def test_shared_members_come_once():
    net = Outer()
    net.second = net.first
    assert len(list(net.parameters())) == 2
    assert len(list(net.modules())) == 2
    assert "second.weight" in net.state_dict()
    assert len(list(net.named_parameters(remove_duplicate=False))) == 3


def test_assigning_over():
    net = Outer()
    net.bias = None
    assert [name for name, _ in net.named_parameters()] == ["first.weight", "second.weight"]
    net.bias = nn.Parameter(fastnn.ones(3))  # keeps its place
    assert next(iter(net.named_parameters()))[0] == "bias"
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as parameter 'bias'"):
        net.bias = fastnn.ones(3)
    with pytest.raises(TypeError, match="cannot assign 'str' as child module 'first'"):
        net.first = "x"
    net.first.seen = fastnn.ones(2)
    assert net.first.seen.tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match="cannot assign 'list' as buffer 'seen'"):
        net.first.seen = [1, 2]
    net.first.seen = nn.Parameter(fastnn.ones(2))
    assert "first.seen" in dict(net.named_parameters())
    assert "first.seen" not in dict(net.named_buffers())
    net.note = nn.Parameter(fastnn.ones(1))
    assert "note" in dict(net.named_parameters())
    net.bias = Inner()
    assert "bias" not in dict(net.named_parameters())
    assert "bias.weight" in dict(net.named_parameters())


def test_delete():
    net = Outer()
    del net.bias, net.first, net.second.seen
    assert list(net.state_dict()) == ["second.weight"]
    assert not hasattr(net, "bias")
    with pytest.raises(AttributeError):
        del net.bias


def test_registration_errors():
    net = Outer()
    with pytest.raises(KeyError, match="already exists"):
        net.register_buffer("note", fastnn.zeros(1))
    with pytest.raises(KeyError, match="already exists"):
        net.add_module("forward", Inner())
    with pytest.raises(KeyError, match="be empty or contain"):
        net.register_parameter("a.b", None)
    with pytest.raises(TypeError, match="None required"):
        net.register_parameter("x", fastnn.zeros(1))
    with pytest.raises(TypeError, match="not a Module subclass"):
        net.add_module("x", 3)

    class Forgetful(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(fastnn.zeros(1))

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Forgetful()


def test_forward_is_required():
    with pytest.raises(NotImplementedError, match="missing the required"):
        nn.Module()(1)


# --- parameters ---


def test_parameter():
    data = fastnn.ones(2)
    p = nn.Parameter(data)
    assert isinstance(p, nn.Parameter)
    assert isinstance(p, fastnn.Tensor)
    assert p.requires_grad
    assert p.is_leaf
    assert p.data_ptr() == data.data_ptr()
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert repr(p).startswith("Parameter containing:\ntensor(")
    assert type(p + 1) is fastnn.Tensor
    with pytest.raises(TypeError, match="got list"):
        nn.Parameter([1.0])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_parameters(duplicate):
    p = nn.Parameter(fastnn.tensor([1.0, 2.0]), requires_grad=False)
    q, again = duplicate((p, p))
    assert q is again
    assert type(q) is nn.Parameter
    assert not q.requires_grad
    assert q.tolist() == [1.0, 2.0]
    assert q.data_ptr() != p.data_ptr()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_modules(duplicate):
    net = Outer()
    net.second = net.first
    twin = duplicate(net)
    assert twin.second is twin.first
    assert list(twin.state_dict()) == list(net.state_dict())
    assert twin.first.weight is not net.first.weight
    with fastnn.no_grad():
        twin.first.weight.fill_(5.0)
    assert net.first.weight.tolist() == [[1.0] * 3] * 2
    assert twin(fastnn.ones(2, 3)).tolist() == [[25.0] * 3] * 2
    twin.extra = nn.Parameter(fastnn.zeros(1))
    assert "extra" not in dict(net.named_parameters())


# --- changing all of it ---


def test_train_and_eval():
    net = Outer()
    assert net.training
    assert net.first.training
    assert net.eval() is net
    assert not net.first.training
    net.train()
    assert net.second.training
    with pytest.raises(ValueError, match="boolean"):
        net.train(1)


def test_apply_visits_children_first():
    seen = []
    net = Outer()
    assert net.apply(seen.append) is net
    assert seen == [net.first, net.second, net]


def test_gradients():
    net = Outer()
    net(fastnn.ones(2, 3)).sum().backward()
    assert net.bias.grad.tolist() == [2.0] * 3
    net.zero_grad(set_to_none=False)
    assert net.bias.grad.tolist() == [0.0] * 3
    net.zero_grad()
    assert net.first.weight.grad is None
    net.requires_grad_(False)
    assert not net(fastnn.ones(2, 3)).requires_grad


def test_conversion_keeps_the_parameters():
    net = Outer()
    bias = net.bias
    net.register_buffer("count", fastnn.zeros(1, dtype=fastnn.int64))
    net(fastnn.ones(2, 3)).sum().backward()
    assert net.double() is net
    assert net.bias is bias
    assert bias.dtype is bias.grad.dtype is net.first.seen.dtype is fastnn.float64
    assert net.count.dtype is fastnn.int64
    assert net(fastnn.ones(2, 3, dtype=fastnn.float64)).dtype is fastnn.float64
    assert net.to(fastnn.float32).bias.dtype is fastnn.float32
    assert net.to("cpu").to(fastnn.ones(1, dtype=fastnn.float64)).bias.dtype is fastnn.float64
    assert net.float().bias.dtype is fastnn.float32
    with pytest.raises(TypeError, match="int64"):
        net.to(fastnn.int64)
    with pytest.raises(ValueError, match="device must be 'cpu'"):
        net.to("cuda")


def test_conversion_to_a_memory_format_changes_strides_alone():
    net = fastnn.nn.Sequential(fastnn.nn.Conv2d(3, 4, 3), fastnn.nn.Conv3d(4, 2, 2))
    image, volume = net[0].weight, net[1].weight
    numbers = image.detach().clone()
    assert net.to(memory_format=fastnn.channels_last) is net
    assert image is net[0].weight and image.is_contiguous(memory_format=fastnn.channels_last)
    assert volume.is_contiguous() and net[0].bias.is_contiguous()
    assert (image.detach() == numbers).all()
    net.to(memory_format=fastnn.channels_last_3d)
    assert volume.is_contiguous(memory_format=fastnn.channels_last_3d)
    net.to(fastnn.float64, memory_format=fastnn.contiguous_format)
    assert image.is_contiguous() and volume.is_contiguous() and image.dtype is fastnn.float64
    with pytest.raises(ValueError, match=r"must be one of .* got 'nhwc'"):
        net.to(memory_format="nhwc")


# --- state ---


def test_state_dict_shares_memory():
    net = Outer()
    state = net.state_dict()
    assert not state["bias"].requires_grad
    assert state["bias"].data_ptr() == net.bias.data_ptr()
    assert net.state_dict(keep_vars=True)["bias"] is net.bias
    assert "net.bias" in net.state_dict(prefix="net.")


def test_load_state_dict():
    net, other = Outer(), Outer()
    with fastnn.no_grad():
        other.bias.fill_(3.0)
        other.first.seen.fill_(4.0)
    assert net.load_state_dict(other.state_dict()) == ([], [])
    assert net.bias.tolist() == [3.0] * 3
    assert net.first.seen.tolist() == [4.0] * 2
    assert net.bias.data_ptr() != other.bias.data_ptr()
    arrays = {name: np.full(value.shape, 2.0) for name, value in net.state_dict().items()}
    net.load_state_dict(arrays)
    assert net.bias.dtype is fastnn.float32
    assert net.second.weight.tolist() == [[2.0] * 3] * 2


def test_load_state_dict_errors():
    net = Outer()
    state = net.state_dict()
    state["bias"] = fastnn.full((4,), 9.0)
    state["other"] = state.pop("first.seen")
    state["first.weight"] = fastnn.full((2, 3), 9.0)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    assert str(error.value) == (
        'Error(s) in loading state_dict for Outer:\n\tMissing key(s) in state_dict: "first.seen".'
        '\n\tUnexpected key(s) in state_dict: "other".'
        "\n\tsize mismatch for bias: copying a param with shape (4,) from checkpoint, "
        "the shape in current model is (3,)."
    )
    assert net.first.weight.tolist() == [[1.0] * 3] * 2  # nothing was changed
    del state["bias"]
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert missing == ["bias", "first.seen"]
    assert unexpected == ["other"]
    assert net.first.weight.tolist() == [[9.0] * 3] * 2
    with pytest.raises(TypeError, match="'bias' is no tensor"):
        net.load_state_dict({"bias": "x"}, strict=False)


def test_the_next_forward_sees_loaded_weights():
    layer = nn.Linear(64, 64)
    x = fastnn.ones(16, 64)
    layer(x)
    layer.load_state_dict({"weight": np.zeros((64, 64)), "bias": np.full(64, 2.0)})
    assert layer(x).tolist() == [[2.0] * 64] * 16
    np.asarray(layer.weight.detach())[...] = 1.0
    assert layer(x).tolist() == [[66.0] * 64] * 16


# --- hooks ---


def test_hooks():
    net, calls = Inner(), []
    x = fastnn.ones(2, 3)
    first = net.register_forward_pre_hook(lambda module, args: calls.append(("pre", module)))
    second = net.register_forward_hook(lambda module, args, output: output * 10)
    net.register_forward_pre_hook(lambda module, args: args[0] + 1, prepend=True)
    assert net(x).tolist() == [[20.0] * 3] * 2
    assert calls == [("pre", net)]
    first.remove()
    second.remove()
    second.remove()
    assert net(x).tolist() == [[2.0] * 3] * 2
    assert len(calls) == 1
    with net.register_forward_hook(lambda module, args, output: None):
        assert net._hooked
    assert copy.deepcopy(net)(x).tolist() == [[2.0] * 3] * 2


def test_hooks_with_keywords():
    net = Outer()
    handle = net.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"scale": 2 * kwargs["scale"]}), with_kwargs=True
    )
    assert net(fastnn.ones(2, 3), scale=3.0).tolist() == [[6.0] * 3] * 2
    handle.remove()
    assert not net._hooked
    net.register_forward_hook(
        lambda module, args, kwargs, output: output * kwargs["scale"], with_kwargs=True
    )
    assert net(fastnn.ones(2, 3), scale=3.0).tolist() == [[9.0] * 3] * 2


def test_failing_hook_leaves_the_module_usable():
    net = Inner()

    def fail(module, args):
        raise RuntimeError("no")

    with net.register_forward_pre_hook(fail), pytest.raises(RuntimeError, match="no"):
        net(fastnn.ones(2, 3))
    assert net(fastnn.ones(2, 3)).shape == (2, 3)


# --- containers ---


def test_sequential():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    assert net(fastnn.zeros(5, 3)).shape == (5, 2)
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert len(net) == 3
    assert net[-1] is net[2]
    assert [type(m) for m in net[:2]] == [nn.Linear, nn.ReLU]
    assert list(net[1:].state_dict()) == ["2.weight", "2.bias"]
    net[1] = nn.Tanh()
    assert isinstance(list(net)[1], nn.Tanh)
    del net[1]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    net.append(nn.ReLU()).insert(0, nn.Identity())
    assert [type(m).__name__ for m in net] == ["Identity", "Linear", "Linear", "ReLU"]
    assert isinstance(net.pop(0), nn.Identity)
    assert len(net + net) == 6
    with pytest.raises(IndexError, match="index 5"):
        net[5]
    with pytest.raises(TypeError, match="not a Module"):
        nn.Sequential(3)


def test_sequential_of_names():
    net = nn.Sequential(OrderedDict(fc=nn.Linear(3, 4), act=nn.ReLU()))
    assert list(net.state_dict()) == ["fc.weight", "fc.bias"]
    assert net.fc is net[0]
    del net[0]
    assert [name for name, _ in net.named_children()] == ["act"]


def test_module_list():
    layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    assert len(list(layers.parameters())) == 6
    assert list(layers.state_dict())[2] == "1.weight"
    layers += [nn.ReLU()]
    assert len(layers) == 4
    assert isinstance(layers[-1], nn.ReLU)
    assert isinstance(layers[:2], nn.ModuleList)
    first = layers[0]
    del layers[1:]
    assert list(layers) == [first]
    layers.extend([nn.ReLU(), nn.Tanh()])
    del layers[-2]
    assert [type(m) for m in layers] == [nn.Linear, nn.Tanh]


def test_module_dict():
    layers = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ReLU()})
    layers["c"] = nn.Tanh()
    assert list(layers) == list(layers.keys()) == ["a", "b", "c"]
    assert "a" in layers
    assert layers["a"] is layers.a
    assert [name for name, _ in layers.items()] == ["a", "b", "c"]
    assert isinstance(layers.pop("b"), nn.ReLU)
    assert len(layers) == len(layers.values()) == 2
    with pytest.raises(KeyError):
        layers["b"]
    layers.clear()
    assert list(layers.parameters()) == []


def test_repr():
    net = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Identity()))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Identity()\n"
        "  )\n"
        ")"
    )
    assert repr(Inner()) == "Inner()"
