"""The deep autoencoder: a DBN unrolled, and fine-tuned."""

import numpy as np
import pytest

import fastnn
from fastnn.models.autoencoder import Autoencoder
from fastnn.models.dbn import DBN
from fastnn.models.training import fit, predict
from fastnn.nn.functional import binary_cross_entropy_with_logits, mse_loss
from fastnn.testing import num_threads
from tests.models.test_rbm import stripes

SIZES = [16, 12, 4]


def unrolled(v, epochs=20):
    fastnn.manual_seed(0)
    dbn = DBN(SIZES, linear_top=True)
    dbn.pretrain(v, epochs=epochs, batch_size=20)
    return dbn, Autoencoder.unrolled(dbn)


def rebuilt(net, v):
    return predict(net, v).sigmoid()


def test_unrolled_is_the_dbn_up_and_down():
    v = stripes(100)
    dbn, net = unrolled(v)
    with fastnn.no_grad():
        code = net.encode(v)
        np.testing.assert_allclose(code.numpy(), dbn(v).numpy(), rtol=1e-5, atol=1e-6)
        down = dbn.rbms[0].visible_mean(dbn.rbms[1].visible_mean(code))
        np.testing.assert_allclose(net.decode(code).numpy(), down.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(rebuilt(net, v).numpy(), down.numpy(), rtol=1e-5, atol=1e-6)


def test_the_code_is_linear():
    net = Autoencoder(SIZES)
    last = net.encoder.linear_layers()[-1]
    with fastnn.no_grad():
        last.bias.fill_(5.0)
        assert net.encode(stripes(3)).min() > 2
    assert len(net.encoder.linear_layers()) == len(net.decoder.linear_layers()) == 2


def test_fine_tuning_rebuilds():
    v = stripes(500)
    dbn, net = unrolled(v)
    before, weight = mse_loss(rebuilt(net, v), v).item(), dbn.rbms[0].weight.clone()
    fit(net, (v, v), binary_cross_entropy_with_logits, epochs=20, batch_size=20, lr=0.01)
    after = mse_loss(rebuilt(net, v), v).item()
    assert after < 0.01 < before
    assert (dbn.rbms[0].weight == weight).all()
    assert all(p.grad is not None for p in net.parameters())


def test_same_bits_with_any_number_of_threads():
    v, found = stripes(100), []
    for threads in (1, 2):
        with num_threads(threads):
            _, net = unrolled(v, epochs=2)
            fit(net, (v, v), binary_cross_entropy_with_logits, epochs=2)
            found.append(rebuilt(net, v).numpy())
    np.testing.assert_array_equal(*found)


def test_bad_input():
    net = Autoencoder(SIZES)
    with pytest.raises(ValueError, match=r"must have the shape \(N, 16\), got \(5, 3\)"):
        net(fastnn.zeros(5, 3))
    with pytest.raises(ValueError, match=r"must have the shape \(N, 4\), got \(5, 16\)"):
        net.decode(fastnn.zeros(5, 16))
    with pytest.raises(ValueError, match="linear_top"):
        Autoencoder.unrolled(DBN(SIZES))
