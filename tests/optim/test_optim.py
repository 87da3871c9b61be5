"""Optimisers against NumPy float64 recurrences written from their definitions."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn._kernels import runtime
from fastnn.optim import SGD, Adam, AdamW, Optimizer
from fastnn.testing import num_threads

SHAPES = [(1,), (3, 5), (16,), (17, 33), (0,), (2, 3, 4, 5), (8192,), (16391,)]
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}

SGD_OPTIONS = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3},
    {"momentum": 0.9, "nesterov": True},
    {"weight_decay": 0.1},
    {"momentum": 0.8, "weight_decay": 0.05, "nesterov": True, "maximize": True},
]
ADAM_OPTIONS = [
    {},
    {"betas": (0.5, 0.9), "eps": 1e-3},
    {"weight_decay": 0.1},
    {"amsgrad": True},
    {"maximize": True, "weight_decay": 0.02, "amsgrad": True},
]


def parameter(array):
    return from_numpy(array.copy()).requires_grad_()


def values(tensor):
    return np.array(tensor.detach())


def sgd_reference(
    x, gradients, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False
):
    x, buf = x.astype(np.float64), None
    for gradient in gradients:
        g = (-1 if maximize else 1) * gradient.astype(np.float64) + weight_decay * x
        if momentum:
            buf = g if buf is None else momentum * buf + (1 - dampening) * g
            g = g + momentum * buf if nesterov else buf
        x = x - lr * g
    return x


def adam_reference(
    x,
    gradients,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0,
    amsgrad=False,
    maximize=False,
    decoupled=False,
):
    x = x.astype(np.float64)
    m, v, largest = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for t, gradient in enumerate(gradients, 1):
        g = (-1 if maximize else 1) * gradient.astype(np.float64)
        if decoupled:
            x = x * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * x
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        largest = np.maximum(largest, v)
        v_hat = (largest if amsgrad else v) / (1 - betas[1] ** t)
        x = x - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v_hat) + eps)
    return x


def problem(dtype, steps=5, shapes=SHAPES):
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    gradients = [
        [rng.standard_normal(shape).astype(dtype) for _ in range(steps)] for shape in shapes
    ]
    return start, gradients


def run(make, start, gradients):
    params = [parameter(x) for x in start]
    optimizer = make(params)
    for step in range(len(gradients[0])):
        for p, gradient in zip(params, gradients, strict=True):
            p.grad = from_numpy(gradient[step].copy())
        optimizer.step()
    return [values(p) for p in params]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", SGD_OPTIONS)
def test_sgd(options, dtype):
    start, gradients = problem(dtype)
    results = run(lambda params: SGD(params, lr=0.1, **options), start, gradients)
    for x, g, result in zip(start, gradients, results, strict=True):
        assert result.dtype == dtype
        np.testing.assert_allclose(
            result,
            sgd_reference(x, g, 0.1, **options),
            rtol=TOLERANCE[dtype],
            atol=TOLERANCE[dtype],
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", ADAM_OPTIONS)
@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_adam(kind, options, dtype):
    start, gradients = problem(dtype)
    results = run(lambda params: kind(params, lr=0.01, **options), start, gradients)
    options = {"weight_decay": 0.01 if kind is AdamW else 0, **options}
    for x, g, result in zip(start, gradients, results, strict=True):
        expected = adam_reference(x, g, 0.01, decoupled=kind is AdamW, **options)
        np.testing.assert_allclose(result, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


MAKERS = [
    lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    lambda params: Adam(params, lr=0.1, weight_decay=0.01, amsgrad=True),
]


@pytest.mark.parametrize("make", MAKERS)
def test_same_bits_at_every_level_of_tail(make):
    """A parameter's bits do not depend on where its neighbours put the vector's end."""
    start, gradients = problem(np.float32, shapes=[(n,) for n in range(1, 40)])
    together = run(make, start, gradients)
    joined = run(
        make,
        [np.concatenate(start)],
        [[np.concatenate(step) for step in zip(*gradients, strict=True)]],
    )
    assert np.array_equal(np.concatenate(together), joined[0])


@pytest.mark.parametrize("make", MAKERS)
def test_together_as_one_by_one(make):
    start, gradients = problem(np.float32)
    together = run(make, start, gradients)
    for x, g, result in zip(start, gradients, together, strict=True):
        assert np.array_equal(run(make, [x], [g])[0], result)


@pytest.mark.parametrize("make", MAKERS)
def test_threads_give_the_same_bits(make):
    start, gradients = problem(np.float32, shapes=[(700, 300), (300,), (50_001,), (7,)])
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            results.append(run(make, start, gradients))
            assert runtime.last_team() == threads
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("level", runtime.levels())
def test_levels(level):
    start, gradients = problem(np.float32)
    before = runtime.isa()
    try:
        runtime.use_isa(level)
        results = run(MAKERS[0], start, gradients)
        assert runtime.isa() == level
    finally:
        runtime.use_isa(before)
    for x, g, result in zip(start, gradients, results, strict=True):
        expected = sgd_reference(x, g, 0.1, 0.9, weight_decay=0.01, nesterov=True)
        np.testing.assert_allclose(result, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("make", MAKERS)
def test_layouts(make):
    """A gradient in another order, a parameter in Fortran order, one with gaps."""
    rng = np.random.default_rng(1)
    start = rng.standard_normal((6, 10)).astype(np.float32)
    gradient = rng.standard_normal((6, 10)).astype(np.float32)
    expected = run(make, [start], [[gradient] * 3])[0]
    wide = np.zeros((6, 20), np.float32)
    for array in (np.asfortranarray(start), wide[:, ::2], start.copy()):
        array[...] = start
        p = from_numpy(array).requires_grad_()
        optimizer = make([p])
        for k in range(3):
            p.grad = from_numpy(np.asfortranarray(gradient) if k < 2 else gradient)
            optimizer.step()
        assert np.array_equal(array, expected)
    assert not wide[:, 1::2].any()


def test_parameters_without_gradient_are_left_alone():
    p, q = parameter(np.ones(3, np.float32)), parameter(np.ones(3, np.float32))
    optimizer = Adam([p, q], lr=0.1)
    p.grad = from_numpy(np.ones(3, np.float32))
    optimizer.step()
    assert q not in optimizer.state
    assert optimizer.state[p]["step"] == 1
    assert np.array_equal(values(q), np.ones(3))
    q.grad = from_numpy(np.ones(3, np.float32))
    optimizer.step()  # the bias correction of q begins now
    np.testing.assert_allclose(values(q), 0.9, rtol=1e-6)


def test_groups_have_their_own_options():
    p, q = parameter(np.zeros(2)), parameter(np.zeros(2))
    optimizer = SGD([{"params": [p]}, {"params": q, "lr": 1.0}], lr=0.5)
    p.grad = q.grad = from_numpy(np.ones(2))
    optimizer.step()
    assert values(p).tolist() == [-0.5, -0.5]
    assert values(q).tolist() == [-1.0, -1.0]
    optimizer.param_groups[1]["lr"] = 0.25
    optimizer.step()
    assert values(q).tolist() == [-1.25, -1.25]
    r = parameter(np.zeros(2))
    optimizer.add_param_group({"params": [r], "momentum": 0.9})
    assert optimizer.param_groups[2]["momentum"] == 0.9
    assert optimizer.param_groups[2]["lr"] == 0.5


def test_step_counts_a_version():
    p = parameter(np.zeros(2))
    p.grad = from_numpy(np.ones(2))
    before = p._version
    SGD([p]).step()
    assert p._version == before + 1


def test_closure():
    p = parameter(np.zeros(2))

    def closure():
        p.grad = from_numpy(np.ones(2))
        return 7.0

    assert SGD([p], lr=1.0).step(closure) == 7.0
    assert values(p).tolist() == [-1.0, -1.0]
    assert SGD([p]).step() is None


def test_without_momentum_there_is_no_state():
    p = parameter(np.zeros(2))
    p.grad = from_numpy(np.ones(2))
    optimizer = SGD([p])
    optimizer.step()
    assert not optimizer.state


def test_zero_grad():
    p = parameter(np.zeros(2))
    p.grad = from_numpy(np.ones(2))
    optimizer = SGD([p])
    optimizer.zero_grad(set_to_none=False)
    assert values(p.grad).tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("make", MAKERS)
def test_state_dict_resumes(make):
    start, gradients = problem(np.float32, steps=6)
    expected = run(make, start, gradients)

    params = [parameter(x) for x in start]
    optimizer = make(params)
    for step in range(6):
        if step == 3:
            saved = optimizer.state_dict()
            params = [parameter(values(p)) for p in params]
            optimizer = type(optimizer)(params, lr=99.0)
            optimizer.load_state_dict(saved)
        for p, gradient in zip(params, gradients, strict=True):
            p.grad = from_numpy(gradient[step].copy())
        optimizer.step()
    for p, value in zip(params, expected, strict=True):
        assert np.array_equal(values(p), value)


def test_load_state_dict_errors():
    p, q = parameter(np.zeros(2)), parameter(np.zeros(3))
    with pytest.raises(ValueError, match="different number of parameter groups: 2, not 1"):
        SGD([p]).load_state_dict(SGD([{"params": [p]}, {"params": [q]}]).state_dict())
    with pytest.raises(ValueError, match="2 parameters in group 0, the optimizer 1"):
        SGD([p]).load_state_dict(SGD([p, q]).state_dict())
    other = SGD([q], momentum=0.9)
    q.grad = from_numpy(np.ones(3))
    other.step()
    with pytest.raises(ValueError, match=r"momentum_buffer has shape \(3,\), its parameter \(2,\)"):
        SGD([p]).load_state_dict(other.state_dict())


def test_bad_arguments():
    p = parameter(np.zeros(2))
    with pytest.raises(ValueError, match="empty parameter list"):
        SGD([])
    with pytest.raises(TypeError, match="single Tensor"):
        SGD(p)
    with pytest.raises(TypeError, match="only optimize Tensors, got float"):
        SGD([1.0])
    with pytest.raises(ValueError, match="more than once"):
        SGD([{"params": [p]}, {"params": [p]}])
    for options in ({"lr": -1}, {"momentum": -0.1}, {"weight_decay": -1}, {"lr": float("nan")}):
        with pytest.raises(ValueError, match=f"Invalid {next(iter(options))}"):
            SGD([p], **options)
    with pytest.raises(ValueError, match="Nesterov"):
        SGD([p], nesterov=True)
    with pytest.raises(ValueError, match="index 1"):
        Adam([p], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="Invalid eps"):
        AdamW([p], eps=-1)
    with pytest.raises(NotImplementedError, match="differentiable"):
        SGD([p], differentiable=True)
    with pytest.raises(NotImplementedError):
        Optimizer([p], {}).step()


def test_changed_shapes_are_refused():
    p = parameter(np.zeros(2))
    p.grad = from_numpy(np.ones(2))
    optimizer = SGD([p], momentum=0.9)
    optimizer.step()
    p.data = from_numpy(np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(3,\).*gradient of shape \(2,\)"):
        optimizer.step()
    p.grad = from_numpy(np.ones(3))
    with pytest.raises(ValueError, match=r"momentum_buffer has shape \(2,\)"):
        optimizer.step()


def test_repr():
    text = repr(SGD([parameter(np.zeros(2))], lr=0.5))
    assert text.splitlines()[:3] == ["SGD (", "Parameter Group 0", "    dampening: 0"]
