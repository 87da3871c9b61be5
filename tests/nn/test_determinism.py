"""Training gives the same bits for any number of threads."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.demo.models import MODELS
from fastnn.testing import num_threads


def train(build, threads, steps=4):
    """The bytes of all parameters after a few steps with Adam."""
    with num_threads(threads):
        fastnn.manual_seed(3)
        net = build()
        optimizer = fastnn.optim.Adam(net.parameters())
        images = fastnn.randn(64, 1, 28, 28)
        labels = fastnn.randint(0, 10, (64,))
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
        return b"".join(np.asarray(p.detach()).tobytes() for p in net.parameters())


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_threads_do_not_change_a_bit_of_a_trained_net(build):
    assert train(build, 1) == train(build, 2) == train(build, 3)
