"""Schedules of the learning rate against their formulas, written anew."""

import copy
import math
import pickle
from functools import partial

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.optim import SGD, Adam, lr_scheduler
from fastnn.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

BASES = (0.1, 0.03)
STEPS = 50


def optimizer_of(kind=SGD, bases=BASES, **options):
    groups = [{"params": [fastnn.zeros(2, requires_grad=True)], "lr": lr} for lr in bases]
    if kind is SGD:
        options = {"momentum": 0.9, **options}
    return kind(groups, **options)


def lrs(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def momenta(optimizer):
    return [g["betas"][0] if "betas" in g else g["momentum"] for g in optimizer.param_groups]


def walk(scheduler, steps=STEPS, read=lrs):
    """One row for each step, the present one first."""
    rows = [read(scheduler.optimizer)]
    for _ in range(steps):
        scheduler.step()
        assert scheduler.get_last_lr() == lrs(scheduler.optimizer)
        rows.append(read(scheduler.optimizer))
    return np.array(rows)


def linear(t):
    return 0.2 + 0.5 * t / 20 if t < 20 else 0.7


def restarts(t):
    """Cycles of 3, 6, 12, ... steps."""
    length = 3
    while t >= length:
        t, length = t - length, 2 * length
    return (1 + math.cos(math.pi * t / length)) / 2


FACTORS = {
    "lambda": (lambda o: LambdaLR(o, lambda t: 1 / (t + 1)), lambda t: 1 / (t + 1)),
    "multiplicative": (
        lambda o: MultiplicativeLR(o, lambda t: 1 + 1 / t),
        lambda t: float(t + 1),
    ),
    "step": (lambda o: StepLR(o, 7, gamma=0.5), lambda t: 0.5 ** (t // 7)),
    "multistep": (
        lambda o: MultiStepLR(o, [30, 5, 30], gamma=0.5),
        lambda t: 0.5 ** ((t >= 5) + 2 * (t >= 30)),
    ),
    "constant": (lambda o: ConstantLR(o, 0.25, 9), lambda t: 0.25 if t < 9 else 1.0),
    "constant from 0": (lambda o: ConstantLR(o, 0.0, 9), lambda t: float(t >= 9)),
    "linear": (lambda o: LinearLR(o, 0.2, 0.7, 20), linear),
    "exponential": (lambda o: ExponentialLR(o, 0.9), lambda t: math.exp(t * math.log(0.9))),
    "polynomial": (
        lambda o: PolynomialLR(o, 40, power=2.0),
        lambda t: (1 - t / 40) ** 2 if t < 40 else 0.0,
    ),
    "cosine": (lambda o: CosineAnnealingLR(o, 13), lambda t: math.cos(math.pi * t / 26) ** 2),
    "restarts": (lambda o: CosineAnnealingWarmRestarts(o, 3, T_mult=2), restarts),
}


@pytest.mark.parametrize("name", FACTORS)
def test_formula(name):
    make, factor = FACTORS[name]
    optimizer = optimizer_of()
    scheduler = make(optimizer)
    assert scheduler.base_lrs == list(BASES)
    expected = [[base * factor(t) for base in BASES] for t in range(STEPS + 1)]
    np.testing.assert_allclose(walk(scheduler), expected, rtol=1e-12, atol=1e-16)
    assert scheduler.last_epoch == STEPS
    assert [group["initial_lr"] for group in optimizer.param_groups] == list(BASES)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: CosineAnnealingLR(o, 10, 0.02),
        lambda o: CosineAnnealingWarmRestarts(o, 10, 1, 0.02),
    ],
)
def test_annealing_to_a_minimum(make):
    found = walk(make(optimizer_of()), 9)
    share = np.cos(np.pi * np.arange(10) / 20)[:, None] ** 2
    np.testing.assert_allclose(found, 0.02 + share * (np.array(BASES) - 0.02), rtol=1e-12)


def triangle(up, down):
    """Heights of the steps of one cycle."""
    return np.concatenate([np.arange(up) / up, 1 - np.arange(down) / down])


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({}, lambda t: 1.0),
        ({"mode": "triangular2"}, lambda t: 0.5 ** (t // 12)),
        ({"mode": "exp_range", "gamma": 0.97}, lambda t: 0.97**t),
        ({"scale_fn": lambda cycle: 1 / cycle}, lambda t: 1 / (1 + t // 12)),
        (
            {"scale_fn": lambda t: 1 / (1 + t), "scale_mode": "iterations"},
            lambda t: 1 / (1 + t),
        ),
    ],
)
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_cyclic(kind, options, scale):
    make = partial(
        CyclicLR,
        base_lr=0.02,
        max_lr=[0.5, 0.1],
        step_size_up=4,
        step_size_down=8,
        base_momentum=0.6,
        max_momentum=[0.9, 0.8],
        **options,
    )
    height = np.tile(triangle(4, 8), 5)[: STEPS + 1]
    height = (height * [scale(t) for t in range(STEPS + 1)])[:, None]
    tops = np.array([0.5, 0.1])
    np.testing.assert_allclose(
        walk(make(optimizer_of(kind))), 0.02 + (tops - 0.02) * height, rtol=1e-12
    )
    tops = np.array([0.9, 0.8])
    expected = tops - (tops - 0.6) * height
    np.testing.assert_allclose(walk(make(optimizer_of(kind)), read=momenta), expected, rtol=1e-12)


def bend(values, strategy):
    """Between knots (step, value), straight lines or halves of a cosine."""
    steps, knots = np.array(values).T
    if strategy == "linear":
        return np.interp(np.arange(steps[-1] + 1), steps, knots)
    result = []
    for t in np.arange(steps[-1] + 1):
        k = max(np.searchsorted(steps, t) - 1, 0)
        x = (t - steps[k]) / (steps[k + 1] - steps[k])
        result.append((knots[k] + knots[k + 1] + (knots[k] - knots[k + 1]) * np.cos(np.pi * x)) / 2)
    return result


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle(three_phase, strategy, kind):
    make = partial(
        OneCycleLR,
        max_lr=[1.0, 2.0],
        epochs=4,
        steps_per_epoch=10,
        pct_start=0.25,
        anneal_strategy=strategy,
        div_factor=10.0,
        final_div_factor=100.0,
        three_phase=three_phase,
    )
    middle = [(18, 0.1, 0.95)] if three_phase else []
    knots = [(0, 0.1, 0.95), (9, 1.0, 0.85), *middle, (39, 0.001, 0.95)]
    expected = bend([(t, lr) for t, lr, _ in knots], strategy)
    np.testing.assert_allclose(
        walk(make(optimizer_of(kind)), 39), np.outer(expected, [1, 2]), rtol=1e-11
    )
    expected = bend([(t, momentum) for t, _, momentum in knots], strategy)
    np.testing.assert_allclose(
        walk(make(optimizer_of(kind)), 39, momenta), np.outer(expected, [1, 1]), rtol=1e-11
    )


def test_one_cycle_has_an_end():
    scheduler = OneCycleLR(optimizer_of(), 0.5, total_steps=10, pct_start=0.1)
    assert lrs(scheduler.optimizer) == [0.5, 0.5]
    walk(scheduler, 10)
    with pytest.raises(ValueError, match="step 11 of a schedule of total_steps=10"):
        scheduler.step()


def test_only_the_first_beta_is_cycled():
    optimizer = optimizer_of(Adam, betas=(0.5, 0.777))
    scheduler = OneCycleLR(optimizer, 0.5, total_steps=10)
    scheduler.step()
    assert [group["betas"][1] for group in optimizer.param_groups] == [0.777] * 2
    optimizer = optimizer_of(Adam, betas=(0.5, 0.777))
    CyclicLR(optimizer, 0.1, 0.5, cycle_momentum=False).step()
    assert momenta(optimizer) == [0.5, 0.5]


def test_plateau():
    optimizer = optimizer_of()
    scheduler = ReduceLROnPlateau(
        optimizer, factor=0.1, patience=1, cooldown=2, min_lr=[0.0, 0.003], threshold=0.1
    )
    # better; 2 failures: reduced; 2 of cooldown; 2 failures: reduced; better
    metrics = [1.0, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.5]
    found = []
    for metric in metrics:
        scheduler.step(fastnn.tensor(metric))
        found.append(scheduler.get_last_lr())
    expected = [0.1] * 2 + [0.01] * 4 + [0.001] * 2
    np.testing.assert_allclose([row[0] for row in found], expected, rtol=1e-12)
    np.testing.assert_allclose([row[1] for row in found], [0.03] * 2 + [0.003] * 6, rtol=1e-12)
    assert scheduler.best == 0.5
    assert scheduler.in_cooldown


@pytest.mark.parametrize(
    ("options", "better", "worse"),
    [
        ({}, 1.799, 1.801),
        ({"mode": "max"}, 2.201, 2.199),
        ({"threshold_mode": "abs"}, 1.899, 1.901),
        ({"mode": "max", "threshold_mode": "abs"}, 2.101, 2.099),
    ],
)
def test_plateau_measures_improvement(options, better, worse):
    for value, improved in ((better, True), (worse, False)):
        scheduler = ReduceLROnPlateau(optimizer_of(), patience=0, threshold=0.1, **options)
        scheduler.step(2.0)
        scheduler.step(value)
        assert (scheduler.get_last_lr() == list(BASES)) is improved
        assert scheduler.best == (value if improved else 2.0)


def test_plateau_leaves_out_what_is_too_small():
    scheduler = ReduceLROnPlateau(optimizer_of(), factor=0.5, patience=0, eps=0.02)
    scheduler.step(1.0)
    scheduler.step(1.0)
    assert scheduler.get_last_lr() == [0.05, 0.03]


def test_sequence():
    optimizer = optimizer_of()
    scheduler = SequentialLR(
        optimizer,
        [LinearLR(optimizer, 0.1, total_iters=5), StepLR(optimizer, 3), ConstantLR(optimizer, 0.5)],
        milestones=[5, 15],
    )
    factors = [0.1 + 0.18 * t for t in range(5)]
    factors += [0.1 ** (t // 3) for t in range(10)] + [0.5] * 5 + [1.0] * 5
    np.testing.assert_allclose(walk(scheduler, 24), np.outer(factors, BASES), rtol=1e-12)
    assert scheduler.last_epoch == 24


def test_chain():
    optimizer = optimizer_of()
    parts = [
        ConstantLR(optimizer, 0.1, 4),
        CosineAnnealingLR(optimizer, 10),
        ExponentialLR(optimizer, 0.9),
    ]
    factors = [
        (0.1 if t < 4 else 1.0) * math.cos(math.pi * t / 20) ** 2 * 0.9**t for t in range(11)
    ]
    found = walk(ChainedScheduler(parts), 10)
    np.testing.assert_allclose(found, np.outer(factors, BASES), rtol=1e-12, atol=1e-16)


def test_compositions_within_a_sequence():
    """A chain, and a sequence within the sequence: each begins at its own step 0."""
    optimizer = optimizer_of()
    chain = ChainedScheduler([ExponentialLR(optimizer, 0.9), ConstantLR(optimizer, 0.5, 3)])
    inner = SequentialLR(
        optimizer, [LinearLR(optimizer, 0.2, total_iters=4), StepLR(optimizer, 2)], [4]
    )
    last = ChainedScheduler([ExponentialLR(optimizer, 0.5), ConstantLR(optimizer, 0.5, 2)])
    scheduler = SequentialLR(optimizer, [chain, inner, last], milestones=[6, 14])
    factors = [0.9**t * (0.5 if t < 3 else 1.0) for t in range(6)]
    factors += [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 0.1, 0.1]
    factors += [0.5**t * (0.5 if t < 2 else 1.0) for t in range(5)]
    np.testing.assert_allclose(walk(scheduler, 18), np.outer(factors, BASES), rtol=1e-12)

    optimizer = optimizer_of()
    inner = SequentialLR(
        optimizer, [LinearLR(optimizer, 0.2, total_iters=4), StepLR(optimizer, 2)], [4]
    )
    scheduler = SequentialLR(optimizer, [inner, ExponentialLR(optimizer, 0.5)], milestones=[6])
    factors = [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 0.5, 0.25]
    np.testing.assert_allclose(walk(scheduler, 8), np.outer(factors, BASES), rtol=1e-12)


class Times:
    """A function with a state."""

    def __init__(self, k):
        self.k = k

    def __call__(self, t):
        return self.k / (t + 1)


def composed(optimizer):
    return ChainedScheduler(
        [
            SequentialLR(
                optimizer, [LinearLR(optimizer, 0.1), CosineAnnealingLR(optimizer, 20)], [5]
            ),
            StepLR(optimizer, 4, gamma=0.9),
        ]
    )


STATEFUL = {
    **{name: make for name, (make, _) in FACTORS.items()},
    "cyclic": lambda o: CyclicLR(o, 0.01, 0.3, 4, mode="exp_range", gamma=0.9),
    "one cycle": lambda o: OneCycleLR(o, 0.3, total_steps=60, three_phase=True),
    "callable": lambda o: LambdaLR(o, [Times(2), Times(3)]),
    "composed": composed,
}


@pytest.mark.parametrize("name", STATEFUL)
def test_state_dict_resumes(name):
    scheduler = STATEFUL[name](optimizer_of())
    walk(scheduler, 7)
    states = pickle.loads(pickle.dumps((scheduler.optimizer.state_dict(), scheduler.state_dict())))
    before = copy.deepcopy(states[1])
    resumed = STATEFUL[name](optimizer_of(bases=(7.0, 9.0)))
    resumed.optimizer.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    assert states[1] == before
    assert resumed.get_last_lr() == scheduler.get_last_lr()
    assert np.array_equal(walk(resumed, 20), walk(scheduler, 20))


def test_state_of_callable_objects():
    state = LambdaLR(optimizer_of(), [Times(2), lambda t: 1.0]).state_dict()
    assert state["lr_lambdas"] == [{"k": 2}, None]
    functions = [Times(5), lambda t: 1.0]
    LambdaLR(optimizer_of(), functions).load_state_dict(state)
    assert functions[0].k == 2
    state = CyclicLR(optimizer_of(), 0.1, 0.2, scale_fn=Times(2)).state_dict()
    assert state["_scale_fn_custom"] == {"k": 2}
    function = Times(5)
    CyclicLR(optimizer_of(), 0.1, 0.2, scale_fn=function).load_state_dict(state)
    assert function.k == 2


@pytest.mark.parametrize("name", sorted(set(STATEFUL) - {"composed", "multiplicative"}))
def test_a_jump_is_as_going_there(name):
    scheduler, jumping = (STATEFUL[name](optimizer_of()) for _ in range(2))
    for epoch in (3, 11, 5):
        jumping.step(epoch)
        steps = epoch - scheduler.last_epoch
        if steps < 0:
            scheduler, steps = STATEFUL[name](optimizer_of()), epoch
        expected = walk(scheduler, steps)[-1]
        np.testing.assert_allclose(jumping.get_last_lr(), expected, rtol=1e-12)


@pytest.mark.parametrize("T_0", [1, 5, 10])
@pytest.mark.parametrize("T_mult", [1, 2, 5, 10])
def test_restarts_are_exact(T_0, T_mult):
    """Where a logarithm of the epoch would miss some."""
    scheduler = CosineAnnealingWarmRestarts(optimizer_of(), T_0, T_mult)
    start, length = 0, T_0
    for _ in range(7):
        scheduler.step(start)
        assert (scheduler.T_cur, scheduler.T_i) == (0, length)
        scheduler.step()
        expected = (0, length * T_mult) if length == 1 else (1, length)
        assert (scheduler.T_cur, scheduler.T_i) == expected
        start, length = start + length, length * T_mult


def test_resuming_by_last_epoch():
    scheduler = CosineAnnealingWarmRestarts(optimizer_of(), 3, T_mult=2)
    walk(scheduler, 12)
    state = scheduler.optimizer.state_dict()
    expected = walk(scheduler, 20)[1:]
    optimizer = optimizer_of()
    optimizer.load_state_dict(state)
    resumed = CosineAnnealingWarmRestarts(optimizer, 3, T_mult=2, last_epoch=12)
    np.testing.assert_allclose(walk(resumed, 19), expected, rtol=1e-12)


def test_other_changes_of_the_learning_rate_keep_their_effect():
    optimizer = optimizer_of()
    scheduler = LinearLR(optimizer, 0.2, total_iters=8)
    walk(scheduler, 3)
    for group in optimizer.param_groups:
        group["lr"] *= 10
    np.testing.assert_allclose(walk(scheduler, 10)[-1], 10 * np.array(BASES), rtol=1e-12)


def test_a_schedule_of_ones_own():
    class Halving(LRScheduler):
        def get_lr(self):
            return [base / 2**self.last_epoch for base in self.base_lrs]

    optimizer = optimizer_of()
    found = walk(SequentialLR(optimizer, [Halving(optimizer), Halving(optimizer)], [3]), 5)
    np.testing.assert_allclose(found, np.outer([1, 0.5, 0.25, 1, 0.5, 0.25], BASES), rtol=1e-15)
    with pytest.raises(NotImplementedError, match="LRScheduler has no get_lr"):
        LRScheduler(optimizer_of())


def test_initial_lr_stays():
    """A second schedule starts from the first one's base_lrs."""
    optimizer = optimizer_of()
    walk(ExponentialLR(optimizer, 0.5), 3)
    scheduler = LambdaLR(optimizer, lambda t: 1.0)
    assert scheduler.base_lrs == lrs(optimizer) == list(BASES)


def test_new_groups_are_an_error():
    for make in (STATEFUL["step"], STATEFUL["cosine"], STATEFUL["lambda"], STATEFUL["cyclic"]):
        scheduler = make(optimizer_of())
        scheduler.optimizer.add_param_group({"params": fastnn.zeros(1, requires_grad=True)})
        with pytest.raises(ValueError, match="made for 2 parameter groups, the optimizer has 3"):
            scheduler.step()


def test_new_groups_on_a_plateau():
    for options in ({"min_lr": 0.02}, {"min_lr": [0.02, 0.02]}):
        scheduler = ReduceLROnPlateau(optimizer_of(), patience=0, **options)
        scheduler.optimizer.add_param_group(
            {"params": fastnn.zeros(1, requires_grad=True), "lr": 1.0}
        )
        scheduler.step(1.0)
        if isinstance(options["min_lr"], list):
            with pytest.raises(RuntimeError, match=r"min_lrs has 2 values.*3 parameter groups"):
                scheduler.step(1.0)
        else:
            scheduler.step(1.0)
            assert scheduler.get_last_lr() == [0.02, 0.02, 0.1]


BAD = [
    (lambda o: StepLR(o, 0), "Invalid step_size: 0"),
    (lambda o: StepLR(o, 3, gamma=-0.5), "Invalid gamma: -0.5"),
    (lambda o: MultiStepLR(o, [3], gamma=float("nan")), "Invalid gamma: nan"),
    (lambda o: ExponentialLR(o, -1), "Invalid gamma: -1"),
    (lambda o: ConstantLR(o, 1.5), "Invalid factor: 1.5"),
    (lambda o: ConstantLR(o, total_iters=-1), "Invalid total_iters: -1"),
    (lambda o: LinearLR(o, 0.0), "Invalid start_factor: 0.0"),
    (lambda o: LinearLR(o, 1.5), "Invalid start_factor: 1.5"),
    (lambda o: LinearLR(o, end_factor=-0.1), "Invalid end_factor: -0.1"),
    (lambda o: PolynomialLR(o, power=-2), "Invalid power: -2"),
    (lambda o: CosineAnnealingLR(o, 0), "Invalid T_max: 0"),
    (lambda o: CosineAnnealingLR(o, 5, eta_min=-1), "Invalid eta_min: -1"),
    (lambda o: CosineAnnealingWarmRestarts(o, 2.5), "Invalid T_0: 2.5"),
    (lambda o: CosineAnnealingWarmRestarts(o, 2, 0), "Invalid T_mult: 0"),
    (lambda o: CosineAnnealingWarmRestarts(o, 2).step(-1), "Invalid epoch: -1"),
    (lambda o: LambdaLR(o, [abs]), "lr_lambda has 1 values, the optimizer 2 parameter groups"),
    (lambda o: CyclicLR(o, 0.1, [1, 2, 3]), "max_lr has 3 values"),
    (lambda o: CyclicLR(o, -0.1, 0.5), "Invalid base_lr: -0.1"),
    (lambda o: CyclicLR(o, 0.1, 0.5, step_size_up=0), "Invalid step_size_up: 0"),
    (lambda o: CyclicLR(o, 0.1, 0.5, mode="square"), "Invalid mode: 'square': .* triangular"),
    (lambda o: CyclicLR(o, 0.1, 0.5, scale_mode="step"), "Invalid scale_mode: 'step'"),
    (lambda o: OneCycleLR(o, 0.5), "total_steps, or both epochs and steps_per_epoch"),
    (lambda o: OneCycleLR(o, 0.5, epochs=3), "epochs=3, steps_per_epoch=None"),
    (lambda o: OneCycleLR(o, 0.5, total_steps=0), "Invalid total_steps: 0"),
    (lambda o: OneCycleLR(o, 0.5, epochs=1.5, steps_per_epoch=2), "Invalid epochs: 1.5"),
    (lambda o: OneCycleLR(o, 0.5, 10, pct_start=1.2), "Invalid pct_start: 1.2"),
    (lambda o: OneCycleLR(o, 0.5, 10, anneal_strategy="exp"), "Invalid anneal_strategy: 'exp'"),
    (lambda o: OneCycleLR(o, 0.5, 10, div_factor=0), "Invalid div_factor: 0"),
    (lambda o: OneCycleLR(o, 0.5, 10, max_momentum=[0.9]), "max_momentum has 1 values"),
    (lambda o: ReduceLROnPlateau(o, mode="least"), "Invalid mode: 'least'"),
    (lambda o: ReduceLROnPlateau(o, factor=1.0), "Invalid factor: 1.0"),
    (lambda o: ReduceLROnPlateau(o, patience=-1), "Invalid patience: -1"),
    (lambda o: ReduceLROnPlateau(o, threshold_mode="x"), "Invalid threshold_mode: 'x'"),
    (lambda o: ReduceLROnPlateau(o, min_lr=[1, 2, 3]), "min_lr has 3 values"),
    (lambda o: ChainedScheduler([]), "ChainedScheduler needs at least one scheduler"),
    (lambda o: SequentialLR(o, [], []), "SequentialLR needs at least one scheduler"),
    (lambda o: SequentialLR(o, [StepLR(o, 1)], [3]), "1 schedulers need 0 milestones, got 1"),
    (lambda o: SequentialLR(o, [StepLR(o, 1)] * 3, [5, 3]), "milestones must not fall"),
    (
        lambda o: ChainedScheduler([StepLR(o, 1), ReduceLROnPlateau(o)]),
        "no metric for ReduceLROnPlateau at index 1",
    ),
    (
        lambda o: SequentialLR(optimizer_of(), [StepLR(o, 1)], []),
        "StepLR at index 0, of another optimizer",
    ),
    (
        lambda o: composed(o).load_state_dict({"_schedulers": []}),
        "loaded state dict has 0 schedulers, not 2",
    ),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_values(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizer_of())


def test_bad_types():
    for kind, arguments in [
        (LambdaLR, [abs]),
        (StepLR, [3]),
        (CyclicLR, [0.1, 0.5]),
        (OneCycleLR, [0.5, 10]),
        (ReduceLROnPlateau, []),
        (SequentialLR, [[], []]),
    ]:
        with pytest.raises(TypeError, match="optimizer must be an Optimizer, got list"):
            kind([], *arguments)
    with pytest.raises(TypeError, match="lr_lambda must be callable, got float"):
        MultiplicativeLR(optimizer_of(), 0.9)
    with pytest.raises(TypeError, match="must be LRSchedulers, got float at index 0"):
        ChainedScheduler([0.9], optimizer_of())
    with pytest.raises(KeyError, match=r"parameter group 0 has no 'initial_lr'"):
        StepLR(optimizer_of(), 3, last_epoch=5)


@pytest.mark.parametrize("make", [STATEFUL["cyclic"], STATEFUL["one cycle"]])
def test_no_momentum_to_cycle(make):
    optimizer = fastnn.optim.Adagrad([fastnn.zeros(2, requires_grad=True)])
    with pytest.raises(ValueError, match="Adagrad has neither momentum nor betas"):
        make(optimizer)


def test_every_schedule_is_exported():
    assert fastnn.optim.lr_scheduler is lr_scheduler
    for name in lr_scheduler.__all__:
        assert issubclass(getattr(lr_scheduler, name), LRScheduler)


def excess(make, steps=200):
    """Linear regression from small batches: how far its loss stays above the least squares'."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 8))
    y = x @ rng.standard_normal((8, 1)) + rng.standard_normal((256, 1))
    least = np.linalg.lstsq(x, y, rcond=None)[1].item() / len(x)
    fastnn.manual_seed(0)
    model, loss = nn.Linear(8, 1, bias=False).double(), nn.MSELoss()
    x, y = fastnn.from_numpy(x), fastnn.from_numpy(y)
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9)
    scheduler = make(optimizer)
    for _ in range(steps):
        rows = fastnn.from_numpy(rng.integers(0, 256, 16))
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
        scheduler.step()
    return loss(model(x), y).item() - least


def warmup_and_cosine(optimizer):
    parts = [LinearLR(optimizer, 0.1, total_iters=20), CosineAnnealingLR(optimizer, 180)]
    return SequentialLR(optimizer, parts, milestones=[20])


@pytest.mark.parametrize(
    "make",
    [
        warmup_and_cosine,
        lambda o: OneCycleLR(o, 0.04, total_steps=200),
        lambda o: MultiStepLR(o, [100, 150]),
    ],
)
def test_annealing_comes_nearer_than_a_constant_rate(make):
    """At a constant rate the noise of the batches keeps the weights moving."""
    constant = excess(lambda o: LambdaLR(o, lambda t: 1.0))
    assert 0 < excess(make) < constant / 3
