"""The rules of the further optimisers against NumPy float64 recurrences."""

from functools import partial

import numpy as np
import pytest

from fastnn import optim
from fastnn._core.interop import from_numpy
from fastnn._kernels import runtime
from fastnn.testing import num_threads, using_isa
from tests.optim.test_optim import parameter, problem, run, values

TOLERANCE = {np.float32: 3e-6, np.float64: 1e-12}


def rmsprop(x, g, t, s, alpha=0.99, eps=1e-8, momentum=0, centered=False):
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    s["mean"] = alpha * s.get("mean", 0) + (1 - alpha) * g
    root = np.sqrt(s["v"] - s["mean"] ** 2 if centered else s["v"])
    s["buf"] = momentum * s.get("buf", 0) + g / (root + eps)
    return 0.01 * s["buf"]


def adagrad(x, g, t, s, lr_decay=0, initial_accumulator_value=0, eps=1e-10):
    s["sum"] = s.get("sum", initial_accumulator_value) + g * g
    return 0.01 / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["sum"]) + eps)


def adadelta(x, g, t, s, rho=0.9, eps=1e-6):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    d = np.sqrt(s.get("u", 0) + eps) / np.sqrt(s["v"] + eps) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * d * d
    return 0.01 * d


def moments(g, s, betas):
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    return s["m"], s["v"]


def nadam(x, g, t, s, betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3):
    m, v = moments(g, s, betas)
    mu, following = (betas[0] * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
    s["product"] = s.get("product", 1) * mu
    direction = (1 - mu) / (1 - s["product"]) * g + following / (1 - s["product"] * following) * m
    return 0.01 * direction / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def radam(x, g, t, s, betas=(0.9, 0.999), eps=1e-8):
    m, v = moments(g, s, betas)
    longest = 2 / (1 - betas[1]) - 1
    length = longest - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    step = 0.01 * m / (1 - betas[0] ** t)
    if length <= 5:
        return step
    rectified = np.sqrt(
        (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    )
    return step * rectified * np.sqrt(1 - betas[1] ** t) / (np.sqrt(v) + eps)


def adamax(x, g, t, s, betas=(0.9, 0.999), eps=1e-8):
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["u"] = np.maximum(betas[1] * s.get("u", 0), np.abs(g) + eps)
    return 0.01 / (1 - betas[0] ** t) * s["m"] / s["u"]


def rprop(x, g, t, s, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    turn = np.sign(g * s.get("g", 0))
    factor = np.where(turn > 0, etas[1], np.where(turn < 0, etas[0], 1))
    s["size"] = np.clip(s.get("size", 0.01) * factor, *step_sizes)
    s["g"] = np.where(turn < 0, 0, g)
    return np.sign(s["g"]) * s["size"]


def asgd(x, g, t, s, lambd=1e-4, alpha=0.75, t0=1e6):
    eta = 0.01 / (1 + lambd * 0.01 * (t - 1)) ** alpha
    step = eta * g + lambd * eta * x
    mu = 1 / max(1, t - 1 - t0)
    s["ax"] = s.get("ax", 0) + mu * (x - step - s.get("ax", 0))
    return step


CASES = [
    (optim.RMSprop, rmsprop, {}),
    (optim.RMSprop, rmsprop, {"alpha": 0.9, "eps": 1e-3, "momentum": 0.9}),
    (optim.RMSprop, rmsprop, {"alpha": 0.5, "centered": True, "momentum": 0.5, "eps": 0.1}),
    (optim.Adagrad, adagrad, {}),
    (optim.Adagrad, adagrad, {"lr_decay": 0.3, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    (optim.Adadelta, adadelta, {}),
    (optim.Adadelta, adadelta, {"rho": 0.5, "eps": 1e-3}),
    (optim.NAdam, nadam, {}),
    (optim.NAdam, nadam, {"betas": (0.5, 0.9), "eps": 1e-3, "momentum_decay": 0.1}),
    (optim.RAdam, radam, {}),
    (optim.RAdam, radam, {"betas": (0.5, 0.9), "eps": 1e-3}),
    (optim.Adamax, adamax, {}),
    (optim.Adamax, adamax, {"betas": (0.5, 0.9), "eps": 1e-2}),
    (optim.Rprop, rprop, {}),
    (optim.Rprop, rprop, {"etas": (0.3, 2.0), "step_sizes": (0.008, 0.03)}),
    (optim.ASGD, asgd, {}),
    (optim.ASGD, asgd, {"lambd": 0.5, "alpha": 0.5, "t0": 3}),
]
KINDS = [kind for kind, _, options in CASES if not options]
SHARED = [{}, {"weight_decay": 0.1}, {"maximize": True}]
DECOUPLED = [{"weight_decay": 0.1, "decoupled_weight_decay": True}]


def reference(rule, x, gradients, options, weight_decay=0, maximize=False, decoupled=False):
    x, state = x.astype(np.float64), {}
    for t, gradient in enumerate(gradients, 1):
        g = (-1 if maximize else 1) * gradient.astype(np.float64)
        if decoupled:
            x = x * (1 - 0.01 * weight_decay)
        else:
            g = g + weight_decay * x
        x = x - rule(x, g, t, state, **options)
    return x


def shared_of(kind):
    if kind is optim.Rprop:
        return [SHARED[0], SHARED[2]]
    return SHARED + (DECOUPLED if kind in (optim.NAdam, optim.RAdam) else [])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "rule", "options"), CASES)
def test_rule(kind, rule, options, dtype):
    start, gradients = problem(dtype, steps=12)
    for shared in shared_of(kind):
        results = run(partial(kind, lr=0.01, **options, **shared), start, gradients)
        names = {"decoupled" if k == "decoupled_weight_decay" else k: v for k, v in shared.items()}
        for x, g, result in zip(start, gradients, results, strict=True):
            assert result.dtype == dtype
            np.testing.assert_allclose(
                result,
                reference(rule, x, g, options, **names),
                rtol=TOLERANCE[dtype],
                atol=5 * TOLERANCE[dtype],
            )


@pytest.mark.parametrize("kind", KINDS)
def test_every_level(kind):
    start, gradients = problem(np.float32, shapes=[(37,), (5, 7)])
    results = []
    for level in runtime.levels():
        with using_isa(level):
            results.append(run(lambda ps: kind(ps, lr=0.01), start, gradients))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_and_neighbours_change_no_bit(kind):
    start, gradients = problem(np.float32, shapes=[(700, 300), (300,), (50_001,), (7,)])
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            results.append(run(lambda ps: kind(ps, lr=0.01), start, gradients))
            assert runtime.last_team() == threads
    alone = zip(start, gradients, strict=True)
    results.append([run(lambda ps: kind(ps, lr=0.01), [x], [g])[0] for x, g in alone])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_resumes(kind):
    start, gradients = problem(np.float32, steps=8)
    expected = run(lambda ps: kind(ps, lr=0.01), start, gradients)
    params = [parameter(x) for x in start]
    optimizer = kind(params, lr=0.01)
    for step in range(8):
        if step == 4:
            saved = optimizer.state_dict()
            params = [parameter(values(p)) for p in params]
            optimizer = kind(params, lr=0.5)
            optimizer.load_state_dict(saved)
        for p, gradient in zip(params, gradients, strict=True):
            p.grad = from_numpy(gradient[step].copy())
        optimizer.step()
    for p, value in zip(params, expected, strict=True):
        assert np.array_equal(values(p), value)


def test_asgd_keeps_the_mean():
    p = parameter(np.zeros(1))
    optimizer = optim.ASGD([p], lr=1.0, lambd=0, t0=1)
    seen = []
    for _ in range(6):
        p.grad = from_numpy(np.ones(1))
        optimizer.step()
        seen.append(values(p)[0])
    # the first three steps leave the parameter itself, the mean begins with the fourth
    np.testing.assert_allclose(optimizer.state[p]["ax"].numpy()[0], np.mean(seen[2:]), rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (optim.RMSprop, {"alpha": -0.1}, "Invalid alpha"),
        (optim.Adagrad, {"initial_accumulator_value": -1}, "Invalid initial_accumulator_value"),
        (optim.Adadelta, {"rho": 1.5}, "Invalid rho value: 1.5"),
        (optim.NAdam, {"momentum_decay": -1}, "Invalid momentum_decay"),
        (optim.RAdam, {"betas": (1.0, 0.9)}, "index 0"),
        (optim.Adamax, {"eps": -1}, "Invalid eps"),
        (optim.Rprop, {"etas": (1.1, 1.2)}, "Invalid eta values"),
        (optim.ASGD, {"lr": -1}, "Invalid lr"),
        (optim.SparseAdam, {"betas": (0.9, 2.0)}, "index 1"),
    ],
)
def test_bad_arguments(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind([parameter(np.zeros(2))], **options)


@pytest.mark.parametrize("kind", KINDS)
def test_unsupported_arguments(kind):
    with pytest.raises(NotImplementedError, match="differentiable"):
        kind([parameter(np.zeros(2))], differentiable=True)
