"""Schedules that scale the learning rate by a function of the step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from fastnn.optim.lr_scheduler.scheduler import (
    LRScheduler,
    check_optimizer,
    check_positive,
    check_share,
    per_group,
    state_of_function,
)
from fastnn.optim.optimizer import Optimizer, check_not_negative

Function = Callable[[int], float]


class FunctionLR(LRScheduler):
    """What LambdaLR and MultiplicativeLR share: a function of the step for each group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Function | list[Function],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.lr_lambdas = per_group("lr_lambda", lr_lambda, optimizer)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda must be callable, got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer; of the functions, those of callable objects."""
        states = [state_of_function(function) for function in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what another such schedule's state_dict() returned, PyTorch's too."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, state in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if state:
                vars(function).update(state)


class LambdaLR(FunctionLR):
    """lr_t = base_lr f(t), with a function for all groups or a list of one for each.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.95**t)
    """

    def get_lr(self) -> list[float]:
        t = self.last_epoch
        return [base * f(t) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(FunctionLR):
    """lr_t = lr_{t-1} f(t), from t = 1 on.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda t: 0.95)
    """

    def get_lr(self) -> list[float]:
        pairs = zip(self.optimizer.param_groups, self.lr_lambdas, strict=True)
        return [group["lr"] * f(self.last_epoch) for group, f in pairs]

    def _initial_step(self) -> None:
        self.last_epoch += 1
        self._note_lr()


class FactorLR(LRScheduler):
    """lr_t = base_lr scale(t), computed as lr_{t-1} scale(t) / scale(t-1).

    So schedules can be chained, and what else changes the learning rate keeps its effect.
    What is scaled is the part above eta_min.
    """

    eta_min = 0.0
    keeps_lr_on_resuming = True  # PyTorch takes the initial step with some schedules only

    def scale(self, t: int) -> float:
        """The factor of step t."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        t, least = self.last_epoch, self.eta_min
        before, now = self.scale(t - 1) if t > 0 else 1.0, self.scale(t)
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        if before == now:
            return lrs
        if before == 0.0:
            pairs = zip(lrs, self.base_lrs, strict=True)
            return [lr + (base - least) * now for lr, base in pairs]
        return [least + (lr - least) * (now / before) for lr in lrs]

    def _get_closed_form_lr(self) -> list[float]:
        least, now = self.eta_min, self.scale(self.last_epoch)
        return [least + (base - least) * now for base in self.base_lrs]

    def _initial_step(self) -> None:
        if self.last_epoch < 0 or not self.keeps_lr_on_resuming:
            self.step()
        else:
            self.last_epoch += 1
            self._note_lr()


class GammaLR(FactorLR):
    """scale(t) = gamma^decays(t)"""

    def decays(self, t: int) -> int:
        """How many decays there are up to step t."""
        raise NotImplementedError

    def scale(self, t: int) -> float:
        return self.gamma ** self.decays(t)

    def get_lr(self) -> list[float]:
        t = self.last_epoch
        n = self.decays(t) - (self.decays(t - 1) if t > 0 else 0)
        return [group["lr"] * self.gamma**n for group in self.optimizer.param_groups]


class StepLR(GammaLR):
    """lr_t = base_lr gamma^floor(t / step_size)

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.StepLR(optimizer, step_size=30)
    """

    keeps_lr_on_resuming = False

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check_positive(step_size=step_size)
        check_not_negative(gamma=gamma)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def decays(self, t: int) -> int:
        return t // self.step_size


class MultiStepLR(GammaLR):
    """lr_t = base_lr gamma^n, with n of the milestones at t or before.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[30, 80])
    """

    keeps_lr_on_resuming = False

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        check_not_negative(gamma=gamma)
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def decays(self, t: int) -> int:
        return bisect_right(sorted(self.milestones.elements()), t)


class ExponentialLR(GammaLR):
    """lr_t = base_lr gamma^t

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check_not_negative(gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def decays(self, t: int) -> int:
        return t


class ConstantLR(FactorLR):
    """lr_t = base_lr factor before step total_iters, base_lr from it on.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=4)
    """

    keeps_lr_on_resuming = False

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check_share(factor=factor)
        check_not_negative(total_iters=total_iters)
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def scale(self, t: int) -> float:
        return 1.0 if t >= self.total_iters > 0 else self.factor


class LinearLR(FactorLR):
    """lr_t = base_lr (start_factor + (end_factor - start_factor) min(t / total_iters, 1))

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check_positive(start_factor=start_factor)
        check_share(start_factor=start_factor, end_factor=end_factor)
        check_not_negative(total_iters=total_iters)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def scale(self, t: int) -> float:
        done = min(t, self.total_iters) / max(self.total_iters, 1)
        return self.start_factor + (self.end_factor - self.start_factor) * done


class PolynomialLR(FactorLR):
    """lr_t = base_lr (1 - min(t / total_iters, 1))^power

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=100, power=2.0)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        check_not_negative(total_iters=total_iters, power=power)
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def scale(self, t: int) -> float:
        return (1.0 - min(t, self.total_iters) / max(self.total_iters, 1)) ** self.power


class CosineAnnealingLR(FactorLR):
    """lr_t = eta_min + (base_lr - eta_min) (1 + cos(pi t / T_max)) / 2

    The annealing of SGDR (Loshchilov and Hutter, 2017), without its restarts.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        check_positive(T_max=T_max)
        check_not_negative(eta_min=eta_min)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def scale(self, t: int) -> float:
        return (1.0 + math.cos(math.pi * t / self.T_max)) / 2.0
