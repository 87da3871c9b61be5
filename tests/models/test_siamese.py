"""Siamese nets: distances, pairs and neighbours, beside NumPy."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.models.siamese import Pairs, Siamese, nearest
from fastnn.models.training import fit, predict
from fastnn.nn.functional import contrastive_loss
from fastnn.testing import num_threads

RNG = np.random.default_rng(0)
LABELS = fastnn.tensor([4, 7, 7, 4, 1, 7, 4, 7])
NUMBERS = fastnn.arange(8).reshape(8, 1).float()


def test_distance_and_gradient():
    net = Siamese(nn.Linear(4, 3)).double()
    a, b = RNG.standard_normal((2, 6, 4))
    alike = np.array([1.0, 0, 1, 0, 0, 1])
    w = net.body.weight.detach().numpy()
    difference = (a - b) @ w.T + 1e-6  # pairwise_distance adds it, biases cancel
    distance = np.sqrt((difference**2).sum(1))
    found = net(fastnn.tensor(a), fastnn.tensor(b))
    np.testing.assert_allclose(found.detach().numpy(), distance, rtol=1e-10)
    loss = contrastive_loss(found, fastnn.tensor(alike), margin=1.5)
    short = np.maximum(0, 1.5 - distance)
    expected = (alike * distance**2 + (1 - alike) * short**2) / 2
    np.testing.assert_allclose(loss.item(), expected.mean(), rtol=1e-10)
    loss.backward()
    slope = (alike * distance - (1 - alike) * short) / 6
    gradient = (slope / distance)[:, None] * difference
    np.testing.assert_allclose(net.body.weight.grad.numpy(), gradient.T @ (a - b), rtol=1e-9)


def drawn(epochs, **options):
    """(first, second, alike) of all pairs, as numbers of samples."""
    pairs = Pairs(NUMBERS, LABELS, batch_size=3, **options)
    batches = [batch for _ in range(epochs) for batch in pairs]
    assert [len(b[0]) for b in batches[:3]] == [3, 3, 2]
    return [np.concatenate([b[k].numpy().ravel() for b in batches]).astype(int) for k in range(3)]


def test_pairs_are_what_they_say():
    fastnn.manual_seed(0)
    first, second, alike = drawn(200)
    kind = LABELS.numpy()
    np.testing.assert_array_equal(kind[first] == kind[second], alike == 1)
    assert (np.bincount(first) == 200).all()
    assert 0.45 < alike.mean() < 0.55
    # of all partners that there could be, each is as likely as the next
    for number in range(8):
        for wanted in (0, 1):
            partners = second[(first == number) & (alike == wanted)]
            possible = np.flatnonzero((kind == kind[number]) == wanted)
            counts = np.bincount(partners, minlength=8)
            assert counts.sum() == counts[possible].sum()
            assert counts[possible].min() > 0.4 * counts.sum() / len(possible)


def test_share_of_pairs_that_are_alike():
    assert drawn(3, share=1.0)[2].all()
    assert not drawn(3, share=0.0)[2].any()


def test_pairs_follow_the_seed_and_change_with_each_epoch():
    fastnn.manual_seed(3)
    once = drawn(2)
    fastnn.manual_seed(3)
    np.testing.assert_array_equal(once, drawn(2))
    assert (once[1][:8] != once[1][8:]).any()


def test_nearest():
    queries, points = RNG.standard_normal((9, 5)), RNG.standard_normal((30, 5))
    distances = ((queries[:, None] - points) ** 2).sum(2)
    found = nearest(fastnn.tensor(queries), fastnn.tensor(points))
    assert found.tolist() == distances.argmin(1).tolist()


def test_errors_name_what_is_wrong():
    net = Siamese(nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"one shape, got \(3, 4\) and \(2, 4\)"):
        net(fastnn.zeros(3, 4), fastnn.zeros(2, 4))
    with pytest.raises(ValueError, match="two classes or more, all labels are 5"):
        Pairs(fastnn.zeros(2, 4), fastnn.tensor([5, 5]))
    with pytest.raises(ValueError, match=r"one length, got shapes \(3, 4\), \(2,\)"):
        Pairs(fastnn.zeros(3, 4), fastnn.tensor([0, 1]))
    with pytest.raises(ValueError, match="the data set is empty"):
        Pairs(fastnn.zeros(0, 4), fastnn.tensor([], dtype=fastnn.int64))
    with pytest.raises(
        ValueError, match=r"samples of pairs must be .* found nan in row 1, column 0"
    ):
        Pairs(fastnn.tensor([[0.0], [float("nan")]]), fastnn.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"labels of pairs .* shape \(2, 1\) of"):
        Pairs(fastnn.zeros(2, 4), fastnn.tensor([[0], [1]]))
    with pytest.raises(ValueError, match=r"one length, got shapes \(2, 3\) and \(4, 2\)"):
        nearest(fastnn.zeros(2, 3), fastnn.zeros(4, 2))


def trained(threads):
    with num_threads(threads):
        fastnn.manual_seed(0)
        labels = fastnn.arange(3).repeat(20)
        x = fastnn.randn(3, 16)[labels] + 0.3 * fastnn.randn(60, 16)
        net = Siamese(nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2)))
        history = fit(net, Pairs(x, labels, 10), contrastive_loss, epochs=20, lr=1e-2)
    return net, x, labels, history.losses


def test_alike_samples_come_together():
    net, x, labels, losses = trained(1)
    assert losses[-1] < 0.2 * losses[0]
    points = predict(net.body, x)
    inside = max((points[labels == k] - points[labels == k].mean(0)).norm(2, 1).max().item()
                 for k in range(3))  # fmt: skip
    centres = fastnn.stack([points[labels == k].mean(0) for k in range(3)])
    between = min((centres[a] - centres[b]).norm().item() for a, b in ((0, 1), (0, 2), (1, 2)))
    assert inside < between


def test_training_is_the_same_for_any_number_of_threads():
    assert trained(1)[3] == trained(2)[3]
