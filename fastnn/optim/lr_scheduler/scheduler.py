"""What all schedules share, schedules made of schedules, and the one that follows a metric."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, SupportsFloat

from fastnn.optim.optimizer import Optimizer, check_not_negative


def check_positive(**options: float) -> None:
    """ValueError where an option is not above 0."""
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"Invalid {name}: {value}: it must be greater than 0")


def check_positive_integer(**options: object) -> None:
    """ValueError where an option is not an integer above 0."""
    for name, value in options.items():
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"Invalid {name}: {value!r}: it must be a positive integer")


def check_share(**options: float) -> None:
    """ValueError where an option is not within [0, 1]."""
    for name, value in options.items():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"Invalid {name}: {value}: it must be at least 0 and at most 1")


def check_choice(choices: Sequence[str], **options: object) -> None:
    """ValueError where an option is none of the choices."""
    for name, value in options.items():
        if value not in choices:
            raise ValueError(f"Invalid {name}: {value!r}: it must be one of {', '.join(choices)}")


def check_optimizer(optimizer: object) -> None:
    """TypeError where it is no Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an Optimizer, got {type(optimizer).__name__}")


def per_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """A value for each parameter group: those of a list, or the same for all."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(f"{name} has {len(value)} values, the optimizer {groups} parameter groups")
    return list(value)


def numbers_per_group(name: str, value: Any, optimizer: Optimizer) -> list[float]:
    """A number for each parameter group, none of them negative."""
    numbers = per_group(name, value, optimizer)
    for number in numbers:
        check_not_negative(**{name: number})
    return numbers


def state_of_function(function: Callable[..., float] | None) -> dict[str, Any] | None:
    """The attributes of a callable object; a plain function has no state to save."""
    if function is None or isinstance(function, FunctionType):
        return None
    return dict(getattr(function, "__dict__", {}))


class LRScheduler:
    """Base class of schedules: step() computes the learning rate of every parameter group anew.

    A schedule is made at step 0, or after step `last_epoch` to resume, and sets group["lr"] at
    once. `base_lrs` are the learning rates that it starts from, group["initial_lr"]; the first
    schedule of an optimizer takes them from group["lr"]. A class of its own needs get_lr().

    >>> import fastnn
    >>> class Halving(fastnn.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [lr / 2**self.last_epoch for lr in self.base_lrs]
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        for k, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"last_epoch={last_epoch} resumes a schedule, but parameter group {k} "
                    "has no 'initial_lr'; load the optimizer's state first"
                )
        self.optimizer = optimizer
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def get_lr(self) -> list[float]:
        """The learning rate of each group at step `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr()")

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group that the last step left."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go to the next step, or to step `epoch` straight from `base_lrs`."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise ValueError(
                f"{type(self).__name__} was made for {len(self.base_lrs)} parameter groups, "
                f"the optimizer has {len(groups)}"
            )
        if epoch is None:
            self.last_epoch += 1
            lrs = self.get_lr()
        else:
            self.last_epoch = epoch
            lrs = self._get_closed_form_lr()
        for group, lr in zip(groups, lrs, strict=True):
            group["lr"] = lr
        self._note_lr()

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer, whose state is to be saved beside it."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what another schedule's state_dict() returned, PyTorch's too."""
        self.__dict__.update(state_dict)

    def _get_closed_form_lr(self) -> list[float]:
        return self.get_lr()

    def _note_lr(self) -> None:
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _initial_step(self) -> None:
        """The step that the constructor makes."""
        self.step()

    def _rewind(self) -> None:
        """Forget the initial step, lest it count when a SequentialLR begins."""
        self.last_epoch -= 1

    def _restart(self) -> None:
        """Begin at step 0, when a SequentialLR comes to its milestone."""
        self.step(0)


class CompositeLR(LRScheduler):
    """What SequentialLR and ChainedScheduler share: a list of schedules of one optimizer."""

    def __init__(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        if len(schedulers) == 0:
            raise ValueError(f"{name} needs at least one scheduler, got none")
        for k, scheduler in enumerate(schedulers):
            which = f"{type(scheduler).__name__} at index {k}"
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"schedulers must be LRSchedulers, got {which}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{name} has no metric for {which}; step it by itself")
            optimizer = scheduler.optimizer if optimizer is None else optimizer
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{name} got {which}, of another optimizer")
        self.optimizer = optimizer
        self._schedulers = list(schedulers)

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer, with the states of the schedules."""
        states = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "_schedulers": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what another such schedule's state_dict() returned, PyTorch's too."""
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            raise ValueError(
                f"loaded state dict has {len(states)} schedulers, not {len(self._schedulers)}"
            )
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)

    def _reset_lr(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]

    def _restart(self) -> None:
        self._reset_lr()
        self._initial_step()


class SequentialLR(CompositeLR):
    """One schedule after another: schedulers[k + 1] begins, at its step 0, at milestones[k].

    >>> import fastnn
    >>> from fastnn.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> warmup, cosine = LinearLR(optimizer, 0.1, total_iters=5), CosineAnnealingLR(optimizer, 95)
    >>> scheduler = SequentialLR(optimizer, [warmup, cosine], milestones=[5])
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        super().__init__(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"{len(schedulers)} schedulers need {len(schedulers) - 1} milestones, "
                f"got {len(milestones)}"
            )
        if list(milestones) != sorted(milestones):
            raise ValueError(f"milestones must not fall, got {milestones}")
        self._milestones = milestones
        self.last_epoch = last_epoch
        for scheduler in schedulers:
            scheduler._rewind()
        self._reset_lr()
        self._initial_step()

    def step(self) -> None:
        """Go to the next step, of the schedule whose turn it is."""
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[k]
        if k > 0 and self._milestones[k - 1] == self.last_epoch:
            scheduler._restart()
        else:
            scheduler.step()
        self._note_lr()

    @property
    def _first(self) -> LRScheduler:
        return self._schedulers[bisect_right(self._milestones, 0)]

    def _initial_step(self) -> None:
        self.last_epoch += 1
        self._first._initial_step()
        self._note_lr()

    def _rewind(self) -> None:
        self.last_epoch -= 1
        self._first._rewind()


class ChainedScheduler(CompositeLR):
    """Several schedules at a time: each steps on from what the one before it has set.

    >>> import fastnn
    >>> from fastnn.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> warmup, decay = ConstantLR(optimizer, 0.1), ExponentialLR(optimizer, 0.9)
    >>> scheduler = ChainedScheduler([warmup, decay], optimizer)
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        super().__init__(optimizer, schedulers)
        self._note_lr()

    def step(self) -> None:
        """Go to the next step of every schedule."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._note_lr()

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._note_lr()

    def _rewind(self) -> None:
        for scheduler in self._schedulers:
            scheduler._rewind()


class ReduceLROnPlateau(LRScheduler):
    """lr <- max(factor lr, min_lr), once a metric has not improved for more than patience steps.

    To improve is to pass the best value so far by threshold, a share of that value ("rel") or
    an amount ("abs"). The cooldown steps that follow a reduction count no failure; a reduction
    by eps or less is left out.

    >>> import fastnn
    >>> optimizer = fastnn.optim.SGD([fastnn.zeros(2)], lr=0.1)
    >>> scheduler = fastnn.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    >>> for loss in (3.0, 2.0, 2.5):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.010000000000000002]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ) -> None:
        check_optimizer(optimizer)
        check_choice(("min", "max"), mode=mode)
        check_choice(("rel", "abs"), threshold_mode=threshold_mode)
        check_not_negative(factor=factor, patience=patience, cooldown=cooldown, eps=eps)
        if factor >= 1.0:
            raise ValueError(f"Invalid factor: {factor}: it must be less than 1")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = numbers_per_group("min_lr", min_lr, optimizer)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.eps = eps
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._note_lr()

    @property
    def in_cooldown(self) -> bool:
        """Has the learning rate been reduced less than cooldown steps ago?"""
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:
        """Go to the next step, which ended with this value of the metric."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._note_lr()

    def _is_better(self, value: float) -> bool:
        margin = self.threshold if self.mode == "max" else -self.threshold
        relative = self.threshold_mode == "rel"
        bound = self.best * (1.0 + margin) if relative else self.best + margin
        return value > bound if self.mode == "max" else value < bound

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(self.min_lrs) != len(groups):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"min_lrs has {len(self.min_lrs)} values, "
                    f"the optimizer {len(groups)} parameter groups"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, least)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr
