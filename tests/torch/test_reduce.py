"""Reductions, softmax and losses against torch: results, gradients, dtypes."""

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")

REDUCTIONS = ["sum", "mean", "var", "std", "amax", "amin", "prod", "norm", "max", "min"]
REDUCTIONS += ["logsumexp"]
LOSSES = [
    ("mse_loss", {}),
    ("l1_loss", {}),
    ("huber_loss", {"delta": 0.6}),
    ("smooth_l1_loss", {"beta": 0.6}),
    ("smooth_l1_loss", {"beta": 0.0}),
    ("binary_cross_entropy_with_logits", {}),
]


def pair(array):
    """The same leaf for both."""
    ours = fastnn.from_numpy(array.copy())
    theirs = torch.from_numpy(array.copy())
    if array.dtype.kind == "f":
        return ours.requires_grad_(), theirs.requires_grad_()
    return ours, theirs


def assert_same(ours, theirs):
    if isinstance(theirs, tuple):
        assert ours._fields == ("values", "indices")
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b)
        return
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-5, atol=2e-6, equal_nan=True
    )


def assert_same_gradients(y, expected, leaves):
    if isinstance(expected, tuple):
        y, expected = y[0], expected[0]
    dy = np.random.default_rng(9).standard_normal(tuple(expected.shape)).astype(np.float32)
    dy = np.asarray(dy)
    y.backward(fastnn.from_numpy(dy))
    expected.backward(torch.from_numpy(dy))
    for ours, theirs in leaves:
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dim", [None, 0, 1, -1, (0, 2)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_reductions(name, dim, keepdim):
    if (dim is None and (keepdim or name == "logsumexp")) or (
        isinstance(dim, tuple) and name in ("prod", "max", "min", "logsumexp")
    ):
        pytest.skip("torch has no such call, or we do not")
    kwargs = {} if dim is None else {"dim": dim, "keepdim": keepdim}
    x, t = pair(np.random.default_rng(1).standard_normal((4, 5, 6)).astype(np.float32))
    y, expected = getattr(fastnn, name)(x, **kwargs), getattr(torch, name)(t, **kwargs)
    assert_same(y, expected)
    assert_same_gradients(y, expected, [(x, t)])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
def test_reductions_of_integers(dtype):
    x, t = pair(np.random.default_rng(2).integers(0, 2, (4, 5)).astype(dtype))
    for name in ("sum", "prod", "amax", "amin", "any", "all"):
        for args in ((), (1,)):
            y, expected = getattr(x, name)(*args), getattr(t, name)(*args)
            if name in ("any", "all") and dtype == np.uint8:
                expected = expected.bool()  # torch keeps uint8 here, and calls it a mistake
            assert_same(y, expected)
    if dtype != np.bool_:
        for name in ("argmax", "argmin"):
            assert_same(getattr(x, name)(1).max(), getattr(t, name)(1).max())


def test_legacy_forms_of_variance():
    x, t = pair(np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32))
    for args in ((False,), (1, False), (1, True, True)):
        assert_same(x.var(*args), t.var(*args))
    assert_same(x.std(1, correction=2), t.std(1, correction=2))


def test_extremes_of_nan_and_ties():
    array = np.array([[1, 3, 3], [np.nan, 2, np.nan], [-np.inf, -np.inf, -np.inf]], np.float32)
    x, t = pair(array)
    for name in ("max", "min"):
        assert_same(getattr(x, name)(1), getattr(t, name)(1))
    for name in ("argmax", "argmin"):
        assert_same(getattr(x, name)(0), getattr(t, name)(0))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dim", [0, 1, 2, 3])
def test_softmax(name, dim):
    array = np.random.default_rng(4).normal(0, 3, (2, 5, 3, 4)).astype(np.float32)
    for layout in (array, np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
        x, t = pair(layout)
        y, expected = getattr(fastnn, name)(x, dim), getattr(torch, name)(t, dim)
        assert_same(y, expected)
        assert_same_gradients(y, expected, [(x, t)])


@pytest.mark.parametrize("shape", [(7,), (6, 10), (4, 5, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy(shape, reduction, weighted, smoothing):
    rng = np.random.default_rng(5)
    classes = shape[0] if len(shape) == 1 else shape[1]
    target = np.asarray(rng.integers(0, classes, () if len(shape) == 1 else (shape[0], *shape[2:])))
    if target.ndim:
        target.flat[::3] = -100
    weight = rng.uniform(0.5, 2, classes).astype(np.float32) if weighted else None
    x, t = pair(rng.normal(0, 2, shape).astype(np.float32))
    kwargs = {"reduction": reduction, "label_smoothing": smoothing}
    ours, theirs = dict(kwargs), dict(kwargs)
    if weighted:
        ours["weight"], theirs["weight"] = fastnn.from_numpy(weight), torch.from_numpy(weight)
    y = fastnn.cross_entropy(x, fastnn.from_numpy(target), **ours)
    expected = torch.nn.functional.cross_entropy(t, torch.from_numpy(target), **theirs)
    assert_same(y, expected)
    assert_same_gradients(y, expected, [(x, t)])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(reduction, weighted):
    rng = np.random.default_rng(6)
    x, t = pair(rng.normal(0, 2, (4, 5, 3)).astype(np.float32))
    p, q = pair(rng.uniform(0, 1, (4, 5, 3)).astype(np.float32))
    w = rng.uniform(0.5, 2, 5).astype(np.float32)
    kwargs = {"reduction": reduction, "label_smoothing": 0.1}
    y = fastnn.cross_entropy(x, p, fastnn.from_numpy(w) if weighted else None, **kwargs)
    expected = torch.nn.functional.cross_entropy(
        t, q, torch.from_numpy(w) if weighted else None, **kwargs
    )
    assert_same(y, expected)
    assert_same_gradients(y, expected, [(x, t), (p, q)])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "kwargs"), LOSSES)
def test_losses(name, kwargs, reduction):
    rng = np.random.default_rng(7)
    x, t = pair(rng.normal(0, 1, (3, 40)).astype(np.float32))
    p, q = pair(rng.uniform(0, 1, (3, 40)).astype(np.float32))
    y = getattr(fastnn, name)(x, p, reduction=reduction, **kwargs)
    expected = getattr(torch.nn.functional, name)(t, q, reduction=reduction, **kwargs)
    assert_same(y, expected)
    assert_same_gradients(y, expected, [(x, t), (p, q)])


SIGNS = np.where(np.random.default_rng(3).random(40) < 0.5, -1, 1).astype(np.float32)
SHARES = np.random.default_rng(4).uniform(0, 1, (3, 40)).astype(np.float32)
COUNTS = np.random.default_rng(5).integers(0, 9, (3, 40)).astype(np.float32)
CLASSES = np.random.default_rng(6).integers(0, 40, 3)


# inputs that learn, target, options
@pytest.mark.parametrize(
    ("name", "inputs", "target", "options"),
    [
        ("kl_div", 1, SHARES, {}),
        ("kl_div", 1, np.log(SHARES), {"log_target": True}),
        ("hinge_embedding_loss", 1, np.tile(SIGNS, (3, 1)), {"margin": 0.7}),
        ("soft_margin_loss", 1, np.tile(SIGNS, (3, 1)), {}),
        ("margin_ranking_loss", 2, np.tile(SIGNS, (3, 1)), {"margin": 0.3}),
        ("cosine_embedding_loss", 2, SIGNS[:3], {"margin": -0.2}),
        ("triplet_margin_loss", 3, None, {"margin": 0.9, "swap": True}),
        ("multi_margin_loss", 1, CLASSES, {"p": 2, "margin": 0.8}),
        ("poisson_nll_loss", 1, COUNTS, {"full": True}),
        ("pairwise_distance", 2, None, {"p": 1.0}),
        ("cosine_similarity", 2, None, {"dim": 0}),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")  # torch's, of a mean divergence
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_of_one_tensor_or_several(name, inputs, target, options, reduction):
    if "loss" in name or "div" in name:
        options = {**options, "reduction": reduction}
    arrays = np.random.default_rng(7).normal(0, 1, (inputs, 3, 40)).astype(np.float32)
    leaves = [pair(array) for array in arrays]
    ours, theirs = [list(side) for side in zip(*leaves, strict=True)]
    if target is not None:
        ours.append(fastnn.from_numpy(target.copy()))
        theirs.append(torch.from_numpy(target.copy()))
    y = getattr(fastnn.nn.functional, name)(*ours, **options)
    expected = getattr(torch.nn.functional, name)(*theirs, **options)
    assert_same(y, expected)
    assert_same_gradients(y, expected, leaves)


@pytest.mark.parametrize(
    ("layer", "inputs", "target"),
    [
        (lambda nn: nn.KLDivLoss(reduction="batchmean"), 1, SHARES),
        (lambda nn: nn.HingeEmbeddingLoss(0.7), 1, np.tile(SIGNS, (3, 1))),
        (lambda nn: nn.SoftMarginLoss(), 1, np.tile(SIGNS, (3, 1))),
        (lambda nn: nn.MarginRankingLoss(0.3), 2, np.tile(SIGNS, (3, 1))),
        (lambda nn: nn.CosineEmbeddingLoss(0.1), 2, SIGNS[:3]),
        (lambda nn: nn.TripletMarginLoss(0.9), 3, None),
        (lambda nn: nn.MultiMarginLoss(2), 1, CLASSES),
        (lambda nn: nn.PoissonNLLLoss(full=True), 1, COUNTS),
        (lambda nn: nn.PairwiseDistance(), 2, None),
        (lambda nn: nn.CosineSimilarity(), 2, None),
    ],
)
def test_layers_of_losses(layer, inputs, target):
    arrays = np.random.default_rng(8).normal(0, 1, (inputs, 3, 40)).astype(np.float32)
    arrays = [*arrays] if target is None else [*arrays, target]
    ours = layer(fastnn.nn)(*[fastnn.from_numpy(a.copy()) for a in arrays])
    assert_same(ours, layer(torch.nn)(*[torch.from_numpy(a.copy()) for a in arrays]))


def test_gaussian_likelihood():
    x, t, var = np.random.default_rng(9).uniform(0.5, 2, (3, 4, 5)).astype(np.float32)
    (a, b), (v, w) = pair(x), pair(var)
    for full in (False, True):
        y = fastnn.nn.GaussianNLLLoss(full=full)(a, fastnn.from_numpy(t), v)
        expected = torch.nn.GaussianNLLLoss(full=full)(b, torch.from_numpy(t), w)
        assert_same(y, expected)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weighted_binary_cross_entropy(reduction):
    rng = np.random.default_rng(8)
    x, t = pair(rng.normal(0, 1, (3, 4)).astype(np.float32))
    arrays = [rng.uniform(0.1, 0.9, shape).astype(np.float32) for shape in ((3, 4), (4,), (4,))]
    ours, theirs = [fastnn.from_numpy(a) for a in arrays], [torch.from_numpy(a) for a in arrays]
    y = fastnn.binary_cross_entropy_with_logits(x, ours[0], ours[1], reduction, ours[2])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        t, theirs[0], theirs[1], reduction=reduction, pos_weight=theirs[2]
    )
    assert_same(y, expected)
    assert_same_gradients(y, expected, [(x, t)])
    p, q = pair(rng.uniform(0.1, 0.9, (3, 4)).astype(np.float32))
    y = fastnn.binary_cross_entropy(p, ours[0], ours[1], reduction)
    expected = torch.nn.functional.binary_cross_entropy(q, *theirs[:2], reduction=reduction)
    assert_same(y, expected)
    assert_same_gradients(y, expected, [(p, q)])
