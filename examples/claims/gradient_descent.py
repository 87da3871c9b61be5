"""Claim: what gradient descent reaches depends on the landscape, the start and the step size.

    python -m examples.claims.gradient_descent

Going downhill in small steps (Cauchy, 1847) reaches the one minimum of a convex bowl from
everywhere, some minimum of a landscape that has several, where the best of many starts helps, and
none where there is none: there a bound on the steps ends the descent. A step that is too small
crawls. One that is larger than 2/L, L being the largest curvature, diverges, as each step then
lands higher on the other side. In a ravine, steep across and flat along, no step size suits both
directions; momentum (Polyak, 1964) adds up what the gradients have in common. All gradients are
autograd's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import fastnn
from examples import common
from fastnn import Tensor

Landscape = Callable[[Tensor], Tensor]

STEEP, FLAT = 4.0, 1.0  # curvatures of the bowl
RAVINE = 100.0  # curvature across; 1 along


def bowl(p: Tensor) -> Tensor:
    """Points (N, 2) -> heights (N): one minimum, 0 at the origin."""
    return (STEEP * p[:, 0] ** 2 + FLAT * p[:, 1] ** 2) / 2


def ravine(p: Tensor) -> Tensor:
    return (RAVINE * p[:, 0] ** 2 + p[:, 1] ** 2) / 2


def hills(p: Tensor) -> Tensor:
    """Himmelblau's function, tilted: four minima of different depth."""
    x, y = p[:, 0], p[:, 1]
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2 + 5 * (x + y)


def slope(p: Tensor) -> Tensor:
    """Falls for ever, ever less steeply, to 0 at infinity: no minimum."""
    return (-p[:, 0]).exp() + p[:, 1] ** 2 / 2


@dataclass
class Descent:
    """The points (N, 2) of each step, the first where it began; why it ended."""

    path: list[Tensor]
    ended: str

    @property
    def steps(self) -> int:
        return len(self.path) - 1

    @property
    def last(self) -> Tensor:
        return self.path[-1]


def descend(
    height: Landscape,
    starts: Sequence[Sequence[float]],
    lr: float,
    momentum: float = 0.0,
    most: int = 1000,
    flat: float = 1e-6,
) -> Descent:
    """Gradient descent from all starts at once, until each gradient is shorter than `flat`, a
    point has left every bound, or `most` steps are done."""
    p = fastnn.tensor(starts, dtype=fastnn.float64, requires_grad=True)
    optimizer = fastnn.optim.SGD([p], lr=lr, momentum=momentum)
    path = [p.detach().clone()]
    while len(path) <= most:
        optimizer.zero_grad()
        height(p).sum().backward()
        if p.grad.norm(2, 1).max().item() < flat:
            return Descent(path, "its gradient is 0")
        optimizer.step()
        path.append(p.detach().clone())
        if not p.detach().abs().max().item() < 1e6:
            return Descent(path, "it diverged")
    return Descent(path, f"{most} steps were done")


def critical_rate(height: Landscape, low: float, high: float) -> float:
    """The step size above which descent diverges, by halving an interval that holds it."""
    while high - low > 1e-3 * low:
        lr = (low + high) / 2
        descent = descend(height, [[1.0, 1.0]], lr, most=20_000)
        low, high = (low, lr) if descent.ended == "it diverged" else (lr, high)
    return (low + high) / 2


def random_starts(count: int, reach: float) -> list[list[float]]:
    return ((fastnn.rand(count, 2) * 2 - 1) * reach).tolist()


def best_of(heights: Sequence[float], count: int, lowest: float) -> float:
    """The share of groups of `count` starts of which one came to the lowest minimum."""
    groups = [heights[k : k + count] for k in range(0, len(heights) - count + 1, count)]
    return sum(min(group) < lowest + 1e-3 for group in groups) / len(groups)


def contours(axes, height: Landscape, reach: tuple[float, float, float, float]) -> None:
    """Lines of equal height over x from reach[0] to reach[1] and y from reach[2] to reach[3]."""
    x, y = fastnn.linspace(*reach[:2], 101), fastnn.linspace(*reach[2:], 101)
    plane = fastnn.stack([x.repeat(101), y.unsqueeze(1).repeat(1, 101).flatten()], 1)
    levels = (height(plane) - height(plane).min() + 1).log().reshape(101, 101)
    axes.contour(x.numpy(), y.numpy(), levels.numpy(), 15, colors="lightgrey", linewidths=0.8)
    axes.set(xlim=reach[:2], ylim=reach[2:])


def draw(options, drawn: Sequence[tuple[str, Landscape, tuple, dict[str, Descent]]]) -> None:
    """A panel for each (title, landscape, reach, descents by label)."""
    with common.picture(options, "gradient_descent", 12, 7) as figure:
        if not figure:
            return
        for axes, (title, height, reach, descents) in zip(
            figure.subplots(2, 3).flat, drawn, strict=True
        ):
            contours(axes, height, reach)
            for j, (label, descent) in enumerate(descents.items()):
                points = fastnn.stack(descent.path, 1)
                for k, path in enumerate(points):
                    axes.plot(path[:, 0].numpy(), path[:, 1].numpy(), ".-", color=f"C{j}", ms=3,
                              lw=0.8, label=label if k == 0 else None)  # fmt: skip
            axes.set_title(title)
            if len(descents) > 1:
                axes.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    convex = descend(bowl, random_starts(20, 2), 0.2)
    apart = convex.last.norm(2, 1).max().item()
    print(f"bowl: from 20 starts to within {apart:.1g} of its minimum, {convex.steps} steps")

    several = descend(hills, random_starts(500 if options.quick else 5000, 5), 0.01)
    heights = hills(several.last).tolist()
    lowest = min(heights)
    minima = sorted({round(h, 2) for h in heights})
    shares = {count: best_of(heights, count, lowest) for count in (1, 3, 10)}
    print(f"hills: {len(minima)} minima, {', '.join(map(str, minima))}; the lowest is found by")
    for count, share in shares.items():
        print(f"  {100 * share:.0f} % of the best of {count}")

    endless = descend(slope, [[0.0, 1.0]], 0.5, most=500)
    below = descend(slope, [[0.0, 1.0]], 0.5, most=500, flat=0.01)
    print(f"no minimum: stopped as {endless.ended}, at x = {endless.last[0, 0].item():.1f} and "
          f"still going; with a bound on the gradient of 0.01 after {below.steps} steps, at "
          f"x = {below.last[0, 0].item():.1f}, which is no minimum either")  # fmt: skip

    theory, found = 2 / STEEP, critical_rate(bowl, 0.01, 2.0)
    rates = {f"{f:g} of 2/L": f * theory for f in (0.02, 0.5, 0.96, 1.04)}
    bowls = {name: descend(bowl, [[1.0, 1.5]], lr, most=5000) for name, lr in rates.items()}
    for name, descent in bowls.items():
        print(f"bowl, step size {name}: ended after {descent.steps} steps as {descent.ended}")
    print(f"critical step size of the bowl: {found:.4f}, theory {theory:.4f}")

    start, root = [[1.0, 1.5]], math.sqrt(RAVINE)
    plain = descend(ravine, start, 2 / (RAVINE + 1), most=5000)
    heavy = descend(ravine, start, 4 / (root + 1) ** 2, ((root - 1) / (root + 1)) ** 2, most=5000)
    print(f"ravine: {plain.steps} steps, with momentum {heavy.steps}")

    crawl, good, swing, off = bowls.values()
    few = descend(hills, random_starts(30, 5), 0.01)
    wide = (-2, 2, -2, 2)
    draw(options, [
        ("bowl: one minimum", bowl, wide, {"": convex}),
        ("hills: four minima", hills, (-5, 5, -5, 5), {"": few}),
        ("no minimum", slope, (-1, 7, -2, 2), {"": endless}),
        ("step too small, good", bowl, wide, {"0.02 of 2/L": Descent(crawl.path[:30], ""),
                                              "0.5 of 2/L": good}),
        ("step nearly, and too large", bowl, wide, {"0.96 of 2/L": Descent(swing.path[:30], ""),
                                                    "1.04 of 2/L": Descent(off.path[:9], "")}),
        ("ravine", ravine, wide, {"plain": Descent(plain.path[:40], ""),
                                  "momentum": Descent(heavy.path[:40], "")}),
    ])  # fmt: skip
    return [
        common.Result("one minimum from everywhere", "bowl, 20 starts", f"within {apart:.1g}",
                      "0.00001", apart < 1e-5),
        common.Result("restarts", f"hills of {len(minima)} minima",
                      f"lowest by {100 * shares[1]:.0f} % of 1 start, {100 * shares[10]:.0f} % "
                      "of the best of 10",
                      f"1 - (1 - p)^10 = {100 - 100 * (1 - shares[1]) ** 10:.0f} %",
                      len(minima) == 4 and shares[10] > 2 * shares[1]),
        common.Result("no minimum", "falling for ever", f"stopped as {endless.ended}",
                      "a bound must stop it", endless.ended == "500 steps were done"),
        common.Result("critical step size", "bowl", f"{found:.4f}", f"2/L = {theory:.4f}",
                      abs(found / theory - 1) < 0.005),
        common.Result("step too small, good, too large", "bowl",
                      f"{crawl.steps}, {good.steps} steps, {off.ended}", "crawls, good, diverges",
                      crawl.steps > 10 * good.steps and off.ended == "it diverged"),
        common.Result("momentum in a ravine", f"curvatures 1 and {RAVINE:.0f}",
                      f"{heavy.steps} steps, not {plain.steps}",
                      f"up to {root:.0f} times fewer (Polyak 1964)", 3 * heavy.steps < plain.steps),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
