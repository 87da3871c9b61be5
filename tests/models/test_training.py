"""fit() and its kin: the loop, what they refuse, and what they say when training diverges."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.data import DataLoader, Dataset, TensorDataset
from fastnn.models import MLP, DivergenceError, accuracy, evaluating, fit, predict
from fastnn.models.checks import check_labels
from fastnn.testing import num_threads

mse_loss = nn.functional.mse_loss


def line(n=64, seed=0):
    """Inputs (n, 2) and targets on a plane."""
    x = np.random.default_rng(seed).standard_normal((n, 2)).astype(np.float32)
    y = x @ np.array([[2.0], [-1.0]], np.float32) + 0.5
    return fastnn.from_numpy(x), fastnn.from_numpy(y)


def test_a_line_is_learned():
    fastnn.manual_seed(0)
    net = MLP([2, 1])
    history = fit(net, line(), mse_loss, epochs=60, batch_size=16, lr=0.1)
    weight, bias = net.linear_layers()[0].weight, net.linear_layers()[0].bias
    np.testing.assert_allclose(weight.detach().numpy(), [[2, -1]], atol=1e-2)
    np.testing.assert_allclose(bias.detach().numpy(), [0.5], atol=1e-2)
    assert len(history.losses) == 60 and history.losses[-1] < 1e-3 * history.losses[0]
    assert history.samples == 60 * 64 and history.seconds > 0


def test_one_step_is_that_of_the_optimizer():
    fastnn.manual_seed(0)
    net, (x, y) = MLP([2, 1]), line(8)
    layer = net.linear_layers()[0]
    before = layer.weight.detach().clone()
    optimizer = fastnn.optim.SGD(net.parameters(), lr=0.1)
    history = fit(net, (x, y), mse_loss, epochs=1, batch_size=8, optimizer=optimizer)
    d = x.numpy() @ before.numpy().T + layer.bias.detach().numpy() + 0.1 * 0 - y.numpy()
    # the bias has moved by its own gradient since
    d = d + 0.1 * layer.bias.grad.numpy()
    np.testing.assert_allclose(history.losses[0], np.mean(d**2), rtol=1e-5)
    step = 0.1 * 2 * (d * x.numpy()).mean(0)
    np.testing.assert_allclose(
        layer.weight.detach().numpy()[0], before.numpy()[0] - step, rtol=1e-4
    )


def test_the_seed_decides_and_threads_do_not():
    found = []
    for threads in (1, 2):
        with num_threads(threads):
            fastnn.manual_seed(3)
            net = MLP([20, 64, 1])
            data = fastnn.randn(300, 20), fastnn.randn(300, 1)
            fit(net, data, mse_loss, epochs=3)
            found.append([p.detach().numpy().tobytes() for p in net.parameters()])
    assert found[0] == found[1]


def test_rate_falls_to_zero_and_schedulers_are_stepped():
    net = MLP([2, 1])
    optimizer = fastnn.optim.SGD(net.parameters(), lr=0.1)
    scheduler = fastnn.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    fit(net, line(), mse_loss, epochs=2, batch_size=32, optimizer=optimizer, scheduler=scheduler)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 16)


def test_scores_and_progress(capsys):
    scores = iter((0.25, 0.75))
    history = fit(
        MLP([2, 1]), line(), mse_loss, epochs=2, evaluate=lambda: next(scores), progress="line"
    )
    assert history.scores == [0.25, 0.75]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].startswith("  line epoch 2: loss") and "0.7500" in lines[1]


def test_stop_ends_after_a_step_or_an_epoch():
    def train(stop):
        fastnn.manual_seed(0)
        return fit(MLP([2, 1]), line(), mse_loss, epochs=5, batch_size=16, stop=stop)

    whole = train(None)
    assert len(whole.step_losses) == 20 and len(whole.losses) == 5
    assert whole.losses[1] == pytest.approx(sum(whole.step_losses[4:8]) / 4)
    part = train(lambda history: len(history.step_losses) == 6)
    assert part.step_losses == whole.step_losses[:6] and part.samples == 96
    assert part.losses[1] == pytest.approx(sum(whole.step_losses[4:6]) / 2)
    assert train(lambda history: len(history.losses) == 2).step_losses == whole.step_losses[:8]


def test_loaders_of_other_kinds():
    class Squares(Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, k):
            return fastnn.tensor([float(k), 1.0]), fastnn.tensor([float(k * k)])

    history = fit(MLP([2, 1]), DataLoader(Squares(), batch_size=4), mse_loss, epochs=1)
    assert history.samples == 10
    with pytest.raises(ValueError, match="no batch"):
        fit(MLP([2, 1]), DataLoader(TensorDataset(*[x[:0] for x in line()])), mse_loss, epochs=1)


def test_clipping_bounds_the_step():
    fastnn.manual_seed(0)
    net, (x, y) = MLP([2, 1]), line(8)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = fastnn.optim.SGD(net.parameters(), lr=1.0)
    fit(net, (x, 1000 * y), mse_loss, epochs=1, batch_size=8, optimizer=optimizer, clip_norm=0.5)
    moved = [(p.detach() - q).norm().item() for p, q in zip(net.parameters(), before, strict=True)]
    assert math.hypot(*moved) == pytest.approx(0.5, rel=1e-4)


def test_predict_and_accuracy_leave_the_mode():
    net = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.9))
    x = line(601)[0]
    found = predict(net, x)
    assert found.shape == (601, 3) and not found.requires_grad and net.training
    np.testing.assert_array_equal(found.numpy(), net[0](x).detach().numpy())
    labels = found.argmax(1)
    assert accuracy(net, x, labels) == 1.0
    assert accuracy(net, x, (labels == 0).long()) == 0.0
    with pytest.raises(ZeroDivisionError), evaluating(net):
        assert not net.training
        _ = 1 / 0
    assert net.training
    net.eval()
    predict(net, x)
    assert not net.training


def test_bad_data_is_named():
    x, y = line()
    net = MLP([2, 1])
    with pytest.raises(ValueError, match=r"one length, got shapes \(64, 2\), \(63, 1\)"):
        fit(net, (x, y[:63]), mse_loss, epochs=1)
    with pytest.raises(ValueError, match="empty"):
        fit(net, (x[:0], y[:0]), mse_loss, epochs=1)
    with pytest.raises(ValueError, match="empty"):
        predict(net, x[:0])
    x = x.clone()
    x[5, 1] = float("nan")
    with pytest.raises(ValueError, match=r"input 0 must be finite .* found nan in row 5, column 1"):
        fit(net, (x, y), mse_loss, epochs=1)
    y = y.clone()
    y[7, 0] = float("inf")
    with pytest.raises(ValueError, match=r"targets must be finite .* found inf in row 7, column 0"):
        fit(net, (line()[0], y), mse_loss, epochs=1)


def test_a_scheduler_comes_with_its_optimizer():
    optimizer = fastnn.optim.SGD(MLP([2, 1]).parameters(), lr=0.1)
    scheduler = fastnn.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    with pytest.raises(ValueError, match="needs the optimizer"):
        fit(MLP([2, 1]), line(), mse_loss, epochs=1, scheduler=scheduler)


def test_labels_are_checked():
    check_labels(fastnn.tensor([0, 2, 1]), 3)
    with pytest.raises(ValueError, match="from 0 to 2, found 3 in row 1"):
        check_labels(fastnn.tensor([0, 3, 1]), 3)
    with pytest.raises(ValueError, match=r"whole numbers, got shape \(2, 1\)"):
        check_labels(fastnn.tensor([[0], [1]]), 3)
    with pytest.raises(ValueError, match="float32"):
        check_labels(fastnn.tensor([0.5]), 3)


# --- divergence ---


class Root(nn.Module):
    def forward(self, x):
        return (x - 100).sqrt()


def test_divergence_names_step_and_parameter():
    net = MLP([2, 4, 1])
    optimizer = fastnn.optim.SGD(net.parameters(), lr=1e30)
    with pytest.raises(DivergenceError, match="smaller learning rate") as caught:
        fit(net, line(), mse_loss, epochs=5, batch_size=16, optimizer=optimizer)
    assert 2 <= caught.value.step <= 4
    assert caught.value.layer is not None
    assert f"step {caught.value.step}" in str(caught.value)
    assert not any(module._forward_hooks for module in net.modules())


def test_divergence_names_the_first_layer():
    net = nn.Sequential(nn.Linear(2, 3), Root(), nn.Linear(3, 1))
    with pytest.raises(DivergenceError, match=r"step 1: layer '1' \(Root\) is the first") as caught:
        fit(net, line(), mse_loss, epochs=1)
    assert (caught.value.step, caught.value.layer) == (1, "1")


def test_divergence_by_the_update_before():
    net = MLP([2, 3, 1])

    def loss(output, target):
        return mse_loss((output - output).abs().sqrt() + output, target)  # the slope at 0 is NaN

    with pytest.raises(DivergenceError, match=r"holds nan .* since the update of step 1") as caught:
        fit(net, line(), loss, epochs=2)
    assert caught.value.layer == "layers.0.weight"


def test_divergence_of_the_loss_and_of_a_loaders_input():
    net = MLP([2, 1])
    with pytest.raises(DivergenceError, match="the loss of them is not finite"):
        fit(net, line(), lambda output, target: (output - 1e9).sqrt().sum(), epochs=1)
    x, y = line()
    x = x.clone()
    x[3, 0] = float("nan")
    with pytest.raises(DivergenceError, match=r"input 0 of the net holds nan at \(\d+, 0\)"):
        fit(net, DataLoader(TensorDataset(x, y), batch_size=64), mse_loss, epochs=1)


def test_divergence_of_packed_sequences():
    recurrent = nn.RNN(2, 3, nonlinearity="relu")

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.root = recurrent, Root()

        def forward(self, packed):
            return self.root(self.recurrent(packed)[1][0])

    packed = nn.utils.rnn.pack_sequence([fastnn.ones(3, 2), fastnn.ones(2, 2)])
    loader = DataLoader([0], batch_size=1, collate_fn=lambda _: (packed, fastnn.zeros(2, 3)))
    with pytest.raises(DivergenceError, match=r"'root' \(Root\)"):
        fit(Last(), loader, mse_loss, epochs=1)
