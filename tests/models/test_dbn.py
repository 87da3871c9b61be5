"""Deep belief networks: layers trained in turn, sampling downwards, the MLP made of them."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.models.dbn import DBN
from fastnn.models.rbm import RBM, GaussianRBM, train_rbm
from fastnn.models.training import accuracy, fit, predict
from fastnn.nn.functional import cross_entropy
from fastnn.testing import num_threads
from tests.models.test_rbm import stripes

SIZES = [16, 12, 6]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def trained(v, epochs=3, **options):
    fastnn.manual_seed(0)
    net = DBN(SIZES, **options)
    histories = net.pretrain(v, epochs=epochs, batch_size=20)
    return net, histories


def test_layers_are_rbms():
    kinds = [type(rbm) for rbm in DBN([8, 6, 4, 2], linear_top=True).rbms]
    assert kinds == [RBM, RBM, GaussianRBM]
    assert [type(rbm) for rbm in DBN([8, 4]).rbms] == [RBM]
    assert len(list(DBN(SIZES).parameters())) == 6


def test_upward_pass():
    net, _ = trained(stripes(100))
    v = stripes(5, seed=1).numpy().astype(np.float64)
    for rbm in net.rbms:
        w, c = rbm.weight.detach().numpy(), rbm.hidden_bias.detach().numpy()
        v = sigmoid(v @ w.T + c)
    np.testing.assert_allclose(predict(net, stripes(5, seed=1)).numpy(), v, rtol=1e-5)


def test_layers_learn_in_turn():
    v = stripes(200)
    net, histories = trained(v, epochs=4)
    assert [len(history.losses) for history in histories] == [4, 4]
    fastnn.manual_seed(0)
    alone = DBN(SIZES).rbms[0]
    train_rbm(alone, v, epochs=4, batch_size=20)
    assert (alone.weight == net.rbms[0].weight).all()


def test_pretraining_keeps_what_images_are():
    v = stripes(500)
    net, _ = trained(v, epochs=100)
    back = net.rbms[0].visible_mean(net.rbms[1].visible_mean(predict(net, v)))
    assert ((back > 0.5).float() == v).double().mean().item() > 0.95


def test_samples_look_like_the_data():
    net, _ = trained(stripes(500), epochs=60)
    for start in (None, stripes(200, seed=1)):
        samples = net.sample(200, 50, start=start)
        assert samples.shape == (200, 16)
        rows = (samples > 0.5).float().reshape(200, 4, 4).mean(2)
        assert ((rows == 0) | (rows == 1)).double().mean().item() > 0.9


def test_the_mlp_has_the_weights():
    net, _ = trained(stripes(100))
    mlp = net.to_mlp(3)
    assert mlp.sizes == (16, 12, 6, 3)
    v = stripes(5, seed=1)
    assert (predict(mlp, v) == 0).all()
    hidden = nn.Sequential(*list(mlp.layers)[:-1])
    assert (predict(hidden, v) == predict(net, v)).all()
    before = net.rbms[0].weight.clone()
    labels = v[:, 0].long()
    fit(mlp, (v, labels), cross_entropy, epochs=200, lr=0.05)
    assert accuracy(mlp, v, labels) == 1
    assert (net.rbms[0].weight == before).all()
    assert all(p.grad is not None for p in mlp.parameters())


def test_same_bits_with_any_number_of_threads():
    found = []
    for threads in (1, 2):
        with num_threads(threads):
            found.append(trained(stripes(200))[0].rbms[1].weight.detach().numpy())
    np.testing.assert_array_equal(*found)


def test_bad_input():
    with pytest.raises(ValueError, match=r"two or more sizes, each at least 1, got \[4\]"):
        DBN([4])
    net = DBN(SIZES)
    with pytest.raises(ValueError, match=r"must have the shape \(N, 16\), got \(5, 4\)"):
        net.pretrain(fastnn.zeros(5, 4), epochs=1)
    with pytest.raises(ValueError, match=r"from 0 to 1, found 2\.0 in row 0, column 0"):
        net.pretrain(fastnn.full((2, 16), 2.0), epochs=1)
    with pytest.raises(ValueError, match=r"must have the shape \(N, 16\), got \(5, 4\)"):
        net(fastnn.zeros(5, 4))
    with pytest.raises(ValueError, match=r"start must have the shape \(3, 16\), got \(2, 16\)"):
        net.sample(3, start=fastnn.zeros(2, 16))
