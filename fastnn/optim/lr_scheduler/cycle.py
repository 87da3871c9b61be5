"""Schedules that go up and down: warm restarts, cycles, and a single cycle."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastnn.optim.lr_scheduler.scheduler import (
    LRScheduler,
    check_choice,
    check_optimizer,
    check_positive,
    check_positive_integer,
    check_share,
    numbers_per_group,
    state_of_function,
)
from fastnn.optim.optimizer import Optimizer, check_not_negative

PHASE = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr_t = eta_min + (base_lr - eta_min) (1 + cos(pi T_cur / T_i)) / 2

    SGDR (Loshchilov and Hutter, 2017): T_cur steps after the last restart, of a cycle of T_i
    steps. The first cycle has T_0 steps, each further one T_mult times as many.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=20)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        check_positive_integer(T_0=T_0, T_mult=T_mult)
        check_not_negative(eta_min=eta_min)
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        share = (1.0 + math.cos(math.pi * self.T_cur / self.T_i)) / 2.0
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to `epoch`, which may have a fraction."""
        if epoch is None:
            epoch = self.last_epoch + 1 + self.T_cur % 1
        check_not_negative(epoch=epoch)
        self._locate(epoch)
        super().step(math.floor(epoch))

    def _locate(self, epoch: float) -> None:
        self.T_cur, self.T_i = epoch, self.T_0
        if self.T_mult == 1:
            self.T_cur %= self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult


class MomentumLR(LRScheduler):
    """What CyclicLR and OneCycleLR share: momentum goes against the learning rate.

    That is the momentum of each group, or its first beta.
    """

    def get_momentum(self) -> list[float]:
        """The momentum of each group at step `last_epoch`."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Go to the next step, or to step `epoch`."""
        super().step(epoch)
        if self.cycle_momentum:
            for group, momentum in zip(
                self.optimizer.param_groups, self.get_momentum(), strict=True
            ):
                if self.use_beta1:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum

    def _init_momentum(
        self, base_momentum: float | list[float], max_momentum: float | list[float], resumed: bool
    ) -> tuple[list[float], list[float]]:
        """Both bounds for each group, noted in the groups too."""
        defaults = self.optimizer.defaults
        self.use_beta1 = "betas" in defaults
        if not self.use_beta1 and "momentum" not in defaults:
            raise ValueError(
                f"cycle_momentum=True, but {type(self.optimizer).__name__} has neither "
                "momentum nor betas"
            )
        bases = numbers_per_group("base_momentum", base_momentum, self.optimizer)
        tops = numbers_per_group("max_momentum", max_momentum, self.optimizer)
        if not resumed:
            for group, base, top in zip(self.optimizer.param_groups, bases, tops, strict=True):
                group["max_momentum"] = top
                group["base_momentum"] = base
        return bases, tops


class CyclicLR(MomentumLR):
    """lr_t = base_lr + (max_lr - base_lr) h(t) s, with h going from 0 to 1 and back to 0 forever.

    Cyclical learning rates (Smith, 2015): h takes step_size_up steps up and step_size_down
    down, both linear. In cycle c = 1, 2, ..., s is 1 ("triangular"), 1 / 2^(c-1)
    ("triangular2") or gamma^t ("exp_range"); or scale_fn, of c or of t as scale_mode says
    ("cycle", "iterations"). Momentum is max_momentum - (max_momentum - base_momentum) h(t) s.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1, momentum=0.9)
    >>> scheduler = fastnn.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.01, max_lr=0.1)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        step_size_down = step_size_up if step_size_down is None else step_size_down
        check_positive(step_size_up=step_size_up)
        check_not_negative(step_size_down=step_size_down, gamma=gamma)
        check_choice(("cycle", "iterations"), scale_mode=scale_mode)
        if scale_fn is None:
            check_choice(("triangular", "triangular2", "exp_range"), mode=mode)
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.optimizer = optimizer
        self.max_lrs = numbers_per_group("max_lr", max_lr, optimizer)
        self.total_size = float(step_size_up + step_size_down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        base_lrs = numbers_per_group("base_lr", base_lr, optimizer)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = lr
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._init_momentum(
                base_momentum, max_momentum, resumed=last_epoch != -1
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """s, of the cycle or of the step."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            return self.gamma**x
        return 1.0 if self.mode == "triangular" else 0.5 ** (x - 1)

    def get_lr(self) -> list[float]:
        height = self._height()
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [base + (top - base) * height for base, top in pairs]

    def get_momentum(self) -> list[float]:
        height = self._height()
        pairs = zip(self.base_momentums, self.max_momentums, strict=True)
        return [top - (top - base) * height for base, top in pairs]

    def _height(self) -> float:
        """h(t) s"""
        cycles = self.last_epoch / self.total_size
        whole = math.floor(cycles)
        x = cycles - whole
        up = self.step_ratio
        height = x / up if x <= up else (1.0 - x) / (1.0 - up)
        return height * self.scale_fn(whole + 1 if self.scale_mode == "cycle" else self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer; of scale_fn, those of a callable object."""
        return {
            **super().state_dict(),
            "_scale_fn_custom": state_of_function(self._scale_fn_custom),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what another CyclicLR's state_dict() returned, PyTorch's too."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        if state_dict["_scale_fn_custom"]:
            vars(self._scale_fn_custom).update(state_dict["_scale_fn_custom"])


class OneCycleLR(MomentumLR):
    """From max_lr / div_factor up to max_lr, then down to that start / final_div_factor.

    Super-convergence (Smith and Topin, 2018), in total_steps steps, or epochs times
    steps_per_epoch, of which the share pct_start goes up. A phase from a to b is
    b + (a - b) (1 + cos(pi x)) / 2 ("cos") or b + (a - b) (1 - x) ("linear"), for x from 0
    to 1. three_phase: down to the start in as many steps, and from there to the end. Momentum
    goes from max_momentum to base_momentum and back.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1, momentum=0.9)
    >>> scheduler = fastnn.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=100)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        check_share(pct_start=pct_start)
        check_choice(("cos", "linear"), anneal_strategy=anneal_strategy)
        check_positive(div_factor=div_factor, final_div_factor=final_div_factor)
        self.optimizer = optimizer
        self.total_steps = count_steps(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type = anneal_strategy
        max_lrs = numbers_per_group("max_lr", max_lr, optimizer)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._init_momentum(base_momentum, max_momentum, resumed=last_epoch != -1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self._anneal("lr")

    def get_momentum(self) -> list[float]:
        return self._anneal("momentum")

    def _anneal(self, what: str) -> list[float]:
        phase, x = self._locate()
        rest = (1.0 + math.cos(math.pi * x)) / 2.0 if self._anneal_func_type == "cos" else 1.0 - x
        start, end = phase[f"start_{what}"], phase[f"end_{what}"]
        return [g[end] + (g[start] - g[end]) * rest for g in self.optimizer.param_groups]

    def _locate(self) -> tuple[dict[str, Any], float]:
        """The phase of this step, and the share of it that is over."""
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(f"step {t} of a schedule of total_steps={self.total_steps}")
        start = 0.0
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if t <= end or phase is self._schedule_phases[-1]:
                break
            start = end
        return phase, (t - start) / (end - start) if end != start else 1.0


def count_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """total_steps, or else epochs * steps_per_epoch."""
    if total_steps is not None:
        check_positive_integer(total_steps=total_steps)
        return total_steps
    if epochs is None or steps_per_epoch is None:
        raise ValueError(
            "OneCycleLR needs total_steps, or both epochs and steps_per_epoch, "
            f"got epochs={epochs}, steps_per_epoch={steps_per_epoch}"
        )
    check_positive_integer(epochs=epochs, steps_per_epoch=steps_per_epoch)
    return epochs * steps_per_epoch


def phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """Of each phase, its last step, and the entries of a group that it leads from and to."""
    peak = pct_start * total_steps - 1.0
    up = (peak, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    last = total_steps - 1
    if three_phase:
        rest = [
            (2.0 * peak, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
            (last, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]
    else:
        rest = [(last, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    return [dict(zip(PHASE, row, strict=True)) for row in (up, *rest)]
