"""Schedules beside torch's: whole trajectories of learning rates and momenta."""

import copy
import math

import numpy as np
import pytest

from fastnn import optim
from fastnn._core.interop import from_numpy

torch = pytest.importorskip("torch")

STEPS = 60

DECAYS = [
    ("LambdaLR", {"lr_lambda": lambda t: 0.95**t}),
    ("LambdaLR", {"lr_lambda": [lambda t: 1 / (1 + t), lambda t: t // 5]}),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 0.9 + 0.01 * (t % 7)}),
    ("MultiplicativeLR", {"lr_lambda": [lambda t: 0.9, lambda t: 1.02]}),
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [3, 10, 10, 31]}),
    ("MultiStepLR", {"milestones": [0, 12, 5], "gamma": 0.3}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.7, "total_iters": 20}),
    ("ConstantLR", {"total_iters": 0}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.01, "end_factor": 0.8, "total_iters": 33}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 30}),
    ("LinearLR", {"total_iters": 0}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("ExponentialLR", {"gamma": 1.05}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 40, "power": 2.5}),
    ("PolynomialLR", {"total_iters": 0}),
    ("CosineAnnealingLR", {"T_max": 60}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 1}),
]
CYCLES = [
    ("CosineAnnealingWarmRestarts", {"T_0": 7}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.001}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1, "T_mult": 3}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 9}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": [0.2, 0.5], "step_size_up": 4, "step_size_down": 9}),
    ("CyclicLR", {"base_lr": 0.0, "max_lr": 0.2, "step_size_up": 7, "mode": "triangular2"}),
    (
        "CyclicLR",
        {
            "base_lr": [0.01, 0.02],
            "max_lr": 0.2,
            "step_size_up": 5,
            "mode": "exp_range",
            "gamma": 0.97,
            "base_momentum": [0.3, 0.4],
            "max_momentum": 0.99,
        },
    ),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.2,
            "step_size_up": 6,
            "scale_fn": lambda x: 1 / x,
            "cycle_momentum": False,
        },
    ),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.2,
            "step_size_up": 6,
            "step_size_down": 3,
            "scale_fn": lambda x: math.cos(x),
            "scale_mode": "iterations",
        },
    ),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "epochs": 7, "steps_per_epoch": 9}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 61, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 64, "three_phase": True, "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 80, "pct_start": 0.0, "div_factor": 10.0}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 70, "pct_start": 1.0, "final_div_factor": 3.0}),
    (
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 70, "base_momentum": [0.5, 0.6], "max_momentum": 0.9},
    ),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 70, "cycle_momentum": False}),
]
ALL = DECAYS + CYCLES


def momentum_of(group):
    return group["betas"][0] if "betas" in group else group["momentum"]


class Side:
    """An optimizer of two groups with its schedule: fastnn's or torch's."""

    def __init__(self, package, make, kind="SGD", last=None):
        ones = [np.ones(2), np.ones(3)]
        if package is optim:
            params = [from_numpy(x).requires_grad_() for x in ones]
        else:
            params = [torch.from_numpy(x).requires_grad_() for x in ones]
        options = {"momentum": 0.9} if kind == "SGD" else {}
        groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.03}]
        self.optimizer = getattr(package, kind)(groups, lr=0.1, **options)
        if last is not None:
            self.optimizer.load_state_dict(last)
        self.scheduler = make(package.lr_scheduler, self.optimizer)

    def now(self):
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        assert self.scheduler.get_last_lr() == lrs
        return lrs + [momentum_of(group) for group in self.optimizer.param_groups]

    def walk(self, steps=STEPS, change=None):
        """The learning rates and momenta of all steps; change(optimizer, step) comes between."""
        rows = [self.now()]
        for step in range(steps):
            self.optimizer.step()
            if change:
                change(self.optimizer, step)
            self.scheduler.step()
            rows.append(self.now())
        return np.array(rows)

    def save(self):
        return copy.deepcopy((self.optimizer.state_dict(), self.scheduler.state_dict()))

    def load(self, saved):
        for part, state in zip((self.optimizer, self.scheduler), saved, strict=True):
            part.load_state_dict(copy.deepcopy(state))


def pair(make, kind="SGD", last=None):
    return Side(optim, make, kind, last), Side(torch.optim, make, kind, last)


def maker(name, options, **more):
    return lambda schedulers, optimizer: getattr(schedulers, name)(optimizer, **options, **more)


def assert_same(ours, theirs, rtol=1e-10):
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-14)


@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
@pytest.mark.parametrize(("name", "options"), ALL)
def test_trajectory(name, options, kind):
    ours, theirs = pair(maker(name, options), kind)
    assert_same(ours.walk(), theirs.walk())
    assert ours.scheduler.base_lrs == theirs.scheduler.base_lrs
    assert ours.scheduler.last_epoch == theirs.scheduler.last_epoch == STEPS
    for a, b in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups, strict=True):
        for key in ("initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum"):
            assert a.get(key) == b.get(key)


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, o) for name, o in DECAYS if name in ("StepLR", "MultiStepLR", "ExponentialLR")],
)
def test_decays_by_gamma_have_the_same_bits(name, options):
    ours, theirs = pair(maker(name, options))
    assert np.array_equal(ours.walk(), theirs.walk())


@pytest.mark.parametrize(("name", "options"), ALL)
def test_other_changes_of_the_learning_rate(name, options):
    def change(optimizer, step):
        if step == 4:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5

    ours, theirs = pair(maker(name, options))
    assert_same(ours.walk(30, change), theirs.walk(30, change))


@pytest.mark.parametrize("done", [0, 4, 6, 9, 11])
@pytest.mark.parametrize(("name", "options"), ALL)
def test_resuming_by_last_epoch(name, options, done):
    """As PyTorch does it, some schedules going on to the next step at once."""
    if options.get("T_mult", 1) > 1 and done >= options["T_0"] - 1:
        pytest.skip("torch takes the first cycle for the present one")
    first = Side(torch.optim, maker(name, options))
    first.walk(done)
    last = first.save()[0]
    ours, theirs = pair(maker(name, options, last_epoch=done), last=last)
    assert_same(ours.walk(25), theirs.walk(25))


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize(("name", "options"), [c for c in ALL if c[1].get("total_iters", 1) > 0])
def test_jumps_to_an_epoch(name, options):
    ours, theirs = pair(maker(name, options))
    for epoch in (None, 5, None, 2, 17, None, None, 0, None):
        for side in (ours, theirs):
            side.optimizer.step()
            side.scheduler.step(*() if epoch is None else (epoch,))
        assert_same(ours.now(), theirs.now())


def test_fractions_of_epochs():
    options = {"T_0": 3, "T_mult": 2, "eta_min": 0.01}
    ours, theirs = pair(maker("CosineAnnealingWarmRestarts", options))
    for epoch in (0.25, 0.5, 2.75, None, None, 8.5, None, 9.5, 40.125, None):
        for side in (ours, theirs):
            side.optimizer.step()
            side.scheduler.step(epoch)
        assert_same(ours.now(), theirs.now())
        for name in ("T_cur", "T_i", "last_epoch"):
            assert getattr(ours.scheduler, name) == getattr(theirs.scheduler, name)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), ALL)
def test_state_moves_both_ways(name, options, kind):
    ours, theirs = pair(maker(name, options), kind)
    assert_same(ours.walk(13), theirs.walk(13))
    mine, other = pair(maker(name, options), kind)
    mine.load(theirs.save())
    other.load(ours.save())
    expected = theirs.walk(25)
    assert_same(mine.walk(25), expected)
    assert_same(other.walk(25), expected)


@pytest.mark.parametrize(
    ("name", "options", "others"),
    [
        ("StepLR", {"step_size": 4}, {"step_size": 9, "gamma": 0.7}),
        ("MultiStepLR", {"milestones": [3, 9, 17]}, {"milestones": [1]}),
        ("LinearLR", {"total_iters": 30}, {"start_factor": 0.9}),
        ("CosineAnnealingLR", {"T_max": 21, "eta_min": 0.01}, {"T_max": 3}),
        (
            "CyclicLR",
            {
                "base_lr": 0.01,
                "max_lr": 0.3,
                "step_size_up": 5,
                "mode": "exp_range",
                "gamma": 0.9,
            },
            {"base_lr": 0.1, "max_lr": 0.2},
        ),
        (
            "OneCycleLR",
            {"max_lr": 0.5, "total_steps": 70, "anneal_strategy": "linear", "three_phase": True},
            {"max_lr": 0.1, "total_steps": 20},
        ),
    ],
)
def test_state_holds_the_settings(name, options, others):
    """Also where the schedule that loads it was made with others."""
    theirs = Side(torch.optim, maker(name, options))
    theirs.walk(8)
    mine, other = pair(maker(name, others))
    mine.load(theirs.save())
    other.load(theirs.save())
    expected = theirs.walk(20)
    assert_same(mine.walk(20), expected)
    assert_same(other.walk(20), expected)


def sequence(*parts, milestones):
    def make(schedulers, optimizer):
        members = [maker(name, options)(schedulers, optimizer) for name, options in parts]
        return schedulers.SequentialLR(optimizer, members, milestones)

    return make


def chain(*parts):
    def make(schedulers, optimizer):
        members = [
            part(schedulers, optimizer) if callable(part) else maker(*part)(schedulers, optimizer)
            for part in parts
        ]
        return schedulers.ChainedScheduler(members, optimizer)

    return make


WARMUP = ("LinearLR", {"start_factor": 0.1, "total_iters": 6})
COSINE = ("CosineAnnealingLR", {"T_max": 8, "eta_min": 0.002})
HALVES = ("ExponentialLR", {"gamma": 0.5})
CYCLIC = ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 9})
ONE = ("OneCycleLR", {"max_lr": 0.5, "total_steps": 60})
COMPOSED = [
    sequence(WARMUP, COSINE, milestones=[6]),
    sequence(WARMUP, COSINE, milestones=[0]),
    sequence(WARMUP, ("LinearLR", {"total_iters": 0}), COSINE, milestones=[4, 4]),
    sequence(HALVES, ("StepLR", {"step_size": 3}), ("PolynomialLR", {}), milestones=[3, 20]),
    sequence(COSINE, ("MultiplicativeLR", {"lr_lambda": lambda t: 0.9}), milestones=[5]),
    sequence(
        ("MultiplicativeLR", {"lr_lambda": lambda t: 0.9}),
        ("LambdaLR", {"lr_lambda": lambda t: 1 / (t + 2)}),
        milestones=[9],
    ),
    sequence(WARMUP, ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}), milestones=[7]),
    sequence(("CosineAnnealingWarmRestarts", {"T_0": 3}), WARMUP, milestones=[11]),
    sequence(("ConstantLR", {}), ("MultiStepLR", {"milestones": [0, 4]}), milestones=[7]),
    sequence(WARMUP, CYCLIC, HALVES, milestones=[6, 40]),
    sequence(CYCLIC, WARMUP, milestones=[20]),
    sequence(WARMUP, ONE, milestones=[6]),
    chain(HALVES),
    chain(WARMUP, HALVES),
    chain(("ConstantLR", {"factor": 0.3, "total_iters": 4}), COSINE),
    chain(COSINE, ("MultiStepLR", {"milestones": [0, 9, 30], "gamma": 0.3})),
    chain(("PolynomialLR", {"total_iters": 20}), ("StepLR", {"step_size": 4}), WARMUP),
    chain(("MultiplicativeLR", {"lr_lambda": lambda t: 1.1}), COSINE),
    chain(("LambdaLR", {"lr_lambda": lambda t: 1 / (t + 1)}), HALVES),
    chain(sequence(WARMUP, COSINE, milestones=[6]), ("StepLR", {"step_size": 9})),
    chain(("StepLR", {"step_size": 9}), chain(WARMUP, HALVES)),
]


@pytest.mark.parametrize("make", COMPOSED)
def test_composed(make):
    ours, theirs = pair(make)
    assert_same(ours.walk(50), theirs.walk(50))


@pytest.mark.parametrize("make", COMPOSED)
def test_state_of_composed_moves_both_ways(make):
    ours, theirs = pair(make)
    ours.walk(5)
    theirs.walk(5)
    mine, other = pair(make)
    mine.load(theirs.save())
    other.load(ours.save())
    expected = theirs.walk(30)
    assert_same(mine.walk(30), expected)
    assert_same(other.walk(30), expected)


PLATEAUS = [
    {},
    {"patience": 0},
    {"patience": 2, "factor": 0.5, "cooldown": 3},
    {"mode": "max", "patience": 1, "threshold": 0.05},
    {"threshold_mode": "abs", "patience": 1, "threshold": 0.1},
    {"mode": "max", "threshold_mode": "abs", "patience": 3, "cooldown": 1},
    {"patience": 0, "factor": 0.3, "min_lr": 1e-3},
    {"patience": 0, "factor": 0.3, "min_lr": [1e-2, 1e-4], "eps": 1e-3},
    {"patience": 0, "factor": 0.0},
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", PLATEAUS)
def test_plateau(options, seed):
    """Falling, then flat with noise, with an infinite value and one that is no number."""
    noise = 0.05 * np.random.default_rng(seed).standard_normal(STEPS)
    metrics = np.maximum(1 - np.arange(STEPS) / 15, 0.2) + noise
    metrics[[30, 50]] = np.nan, np.inf
    ours, theirs = pair(maker("ReduceLROnPlateau", options))
    for step, metric in enumerate(metrics):
        if step == 25:
            saved = ours.save(), theirs.save()
            ours, theirs = pair(maker("ReduceLROnPlateau", {"patience": 7}))
            ours.load(saved[1])
            theirs.load(saved[0])
        ours.scheduler.step(metric)
        theirs.scheduler.step(metric)
        assert_same(ours.now(), theirs.now())
        for name in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "in_cooldown"):
            assert getattr(ours.scheduler, name) == getattr(theirs.scheduler, name)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "NAdam", "RMSprop"])
def test_the_optimizer_takes_what_is_scheduled(kind):
    """Parameters after a cycle of learning rate and momentum."""
    ours, theirs = pair(maker("OneCycleLR", {"max_lr": 0.05, "total_steps": 40}), kind)
    rng = np.random.default_rng(0)
    for _ in range(40):
        for groups in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups, strict=True):
            p, q = (group["params"][0] for group in groups)
            g = q.detach().numpy() + rng.standard_normal(q.shape)
            p.grad, q.grad = from_numpy(g), torch.from_numpy(g)
        for side in (ours, theirs):
            side.optimizer.step()
            side.scheduler.step()
    for groups in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups, strict=True):
        p, q = (group["params"][0].detach().numpy() for group in groups)
        np.testing.assert_allclose(p, q, rtol=1e-9)
