"""Claim: a ReLU net is piecewise linear, and depth multiplies its pieces.

    python -m examples.claims.piecewise_linear

Where no unit changes between off and on, each ReLU multiplies by 0 or by 1, and the net is one
affine map. A net of two inputs learns to tell two moons apart; its pieces are the regions in
which the pattern of units that are on stays the same. Inside a piece the output must follow the
gradient at any of its points to rounding; that of a sigmoid net bends. n units in one layer cut a
plane into at most 1 + n + n (n - 1) / 2 pieces (Zaslavsky, 1975). Deep nets can have more, as each
layer folds what the layers before made of the plane (Montufar et al., 2014): L layers of four units
chosen by hand make 4^L pieces. Learned nets come nowhere near: more layers of the same width have
more pieces, but the same units in more layers do not (Hanin and Rolnick, 2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import fastnn
from examples import common
from fastnn import Tensor, nn
from fastnn.models import MLP, accuracy, fit, predict, track
from fastnn.nn.functional import cross_entropy

REACH = (-1.5, 2.5, -1.0, 1.5)  # x from, x to, y from, y to


def moons(n: int, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """Two half circles of n points each that reach into one another: (2n, 2), (2n) of 0 and 1."""
    angles = (fastnn.rand(n) * math.pi).tolist()
    upper = [[math.cos(a), math.sin(a)] for a in angles]
    lower = [[1 - math.cos(a), 0.5 - math.sin(a)] for a in angles]
    points = fastnn.tensor(upper + lower)
    return points + noise * fastnn.randn(2 * n, 2), fastnn.tensor([0] * n + [1] * n)


def grid(side: int, reach: tuple[float, float, float, float] = REACH) -> Tensor:
    """(side * side, 2) points in float64, row by row, that avoid the borders."""
    steps = (fastnn.arange(side).double() + 0.5) / side
    x, y = reach[0] + (reach[1] - reach[0]) * steps, reach[2] + (reach[3] - reach[2]) * steps
    return fastnn.stack([x.repeat(side), y.unsqueeze(1).repeat(1, side).flatten()], 1)


def trained(hidden: Sequence[int], activation, seed: int, epochs: int) -> MLP:
    """A net of two inputs, two classes and these hidden layers that has learned the moons."""
    fastnn.manual_seed(seed)
    data, net = moons(300), MLP([2, *hidden, 2], activation)
    fit(net, data, cross_entropy, epochs=epochs, lr=1e-2)
    print(f"{activation.__name__} net of {list(hidden)} hidden units, seed {seed}: "
          f"{100 * accuracy(net, *data):.1f} % of the moons right")  # fmt: skip
    return net.double()


def folding_net(depth: int) -> MLP:
    """Each layer folds the unit square along both its middles and stretches it to its size:
    t -> 2 relu(t) - 4 relu(t - 1/2), for x and y."""
    net = MLP([2, *[4] * depth, 2]).double()
    spread = fastnn.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]).double()
    fold = fastnn.tensor([[2.0, -4.0, 0.0, 0.0], [0.0, 0.0, 2.0, -4.0]]).double()
    first, *middle, last = net.linear_layers()
    with fastnn.no_grad():
        first.weight.copy_(spread)
        last.weight.copy_(fold)
        last.bias.zero_()
        for layer in middle:
            layer.weight.copy_(spread @ fold)
        for layer in (first, *middle):
            layer.bias.copy_(fastnn.tensor([0.0, -0.5, 0.0, -0.5]))
    return net


@fastnn.no_grad()
def patterns(net: MLP, points: Tensor) -> Tensor:
    """Which units are on, as one binary number for each point, exact up to 53 units."""
    code = fastnn.zeros(len(points)).double()
    for layer in net.layers:
        points = layer(points)
        if isinstance(layer, nn.ReLU):
            for k in range(points.shape[1]):
                code = 2 * code + (points[:, k] > 0).double()
    return code


@dataclass
class Pieces:
    """number: of each point's piece, in the order in which they were met; first: the number of
    the first point of each piece."""

    number: list[int]
    first: list[int]


def pieces(net: MLP, points: Tensor) -> Pieces:
    known: dict[float, int] = {}
    found = Pieces([], [])
    for k, code in enumerate(patterns(net, points).tolist()):
        if code not in known:
            known[code] = len(known)
            found.first.append(k)
        found.number.append(known[code])
    return found


def bend(net: MLP, points: Tensor, parts: Pieces) -> float:
    """How far the output departs from the affine map that the gradient at the first point of each
    piece gives, at most, in multiples of the output's largest value."""
    points = points.clone().requires_grad_()
    output = net(points)[:, 0]
    output.sum().backward()
    first = fastnn.tensor(parts.first)[fastnn.tensor(parts.number)]
    with fastnn.no_grad():
        affine = output[first] + (points.grad[first] * (points - points[first])).sum(1)
        return ((output - affine).abs().max() / output.abs().max()).item()


@dataclass
class Survey:
    """Of nets of one shape, one for each seed: the first, the median number of pieces, and the
    largest bend."""

    net: MLP
    pieces: float
    bend: float


def survey(hidden: Sequence[int], points: Tensor, seeds: Sequence[int], epochs: int) -> Survey:
    label = f"layers of {', '.join(map(str, hidden))}"
    nets = [trained(hidden, nn.ReLU, seed, epochs) for seed in track(seeds, label, "net")]
    parts = [pieces(net, points) for net in nets]
    bends = [bend(net, points, p) for net, p in zip(nets, parts, strict=True)]
    return Survey(nets[0], median(len(p.first) for p in parts), max(bends))


def most_pieces(units: int) -> int:
    """Of a plane cut by so many lines."""
    return 1 + units + units * (units - 1) // 2


def draw(options, side: int, nets: dict[str, tuple[MLP, tuple]]) -> None:
    """The pieces of each net in colours; of those that learned the moons, the border they drew."""
    with common.picture(options, "piecewise_linear", 5 * len(nets), 4) as figure:
        if not figure:
            return
        for axes, (title, (net, reach)) in zip(figure.subplots(1, len(nets)), nets.items(),
                                               strict=True):  # fmt: skip
            points = grid(side, reach)
            parts = pieces(net, points)
            # neighbours come one after the other: numbers far apart take different colours
            colours = fastnn.tensor([number * 7 % 20 for number in parts.number])
            axes.imshow(colours.reshape(side, side).numpy(), origin="lower", extent=reach,
                        cmap="tab20", aspect="auto")  # fmt: skip
            if reach is REACH:
                scores = predict(net, points)
                margin = (scores[:, 0] - scores[:, 1]).reshape(side, side).numpy()
                axes.contour(margin, [0.0], extent=reach, colors="black")
            axes.set_title(f"{title}: {len(parts.first)} pieces")


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    side, epochs, count = (150, 20, 3) if options.quick else (400, 60, 5)
    points, seeds = grid(side), range(options.seed, options.seed + count)
    wide, equal = (
        [survey(hidden, points, seeds, epochs) for hidden in shapes]
        for shapes in ([[16], [16] * 2, [16] * 3], [[24], [12] * 2, [8] * 3])
    )
    largest = max(s.bend for s in (*wide, *equal))
    sigmoid = trained([16] * 2, nn.Sigmoid, options.seed, epochs)
    bent = bend(sigmoid, points, pieces(wide[1].net, points))
    print(f"largest departure from an affine map inside a piece: ReLU {largest:.1g}, sigmoid, "
          f"in the pieces of a ReLU net, {bent:.1g}")  # fmt: skip
    for text, surveys in (("16 units a layer", wide), ("24 units in all", equal)):
        print(f"{text}: {', '.join(f'{s.pieces:.0f}' for s in surveys)} pieces of 1, 2, 3 layers")

    depth, square = 5, (0.0, 1.0, 0.0, 1.0)
    folding = folding_net(depth)
    folded = len(pieces(folding, grid(128, square)).first)
    print(f"folded by hand, {depth} layers of 4: {folded} pieces; one layer of {4 * depth} units "
          f"has {most_pieces(4 * depth)} at most")  # fmt: skip
    titles = ("one layer of 16", "two layers", "three layers")
    drawn = {title: (s.net, REACH) for title, s in zip(titles, wide, strict=True)}
    draw(options, side, {**drawn, "folded by hand": (folding, square)})
    flat, deep, over = equal[0].pieces, equal[-1].pieces, f"1, 2, 3 layers, {count} seeds"
    return [
        common.Result("linear inside a piece", f"{6 * count} nets, moons", f"{largest:.0e}",
                      f"rounding, < 1e-12; sigmoid {bent:.1g}", largest < 1e-12 < 1e-3 < bent),
        common.Result("pieces grow with depth", f"16 units a layer, {over}",
                      ", ".join(f"{s.pieces:.0f}" for s in wide), "rising",
                      wide[0].pieces < wide[1].pieces < wide[2].pieces),
        common.Result("folded by hand", f"{depth} layers of 4 units", f"{folded}",
                      f"4^{depth} = {4**depth}, one layer: {most_pieces(4 * depth)} at most",
                      folded == 4**depth),
        common.Result("learned, units the same", f"24 units in all, {over}",
                      ", ".join(f"{s.pieces:.0f}" for s in equal),
                      "depth adds none (Hanin and Rolnick 2019)", deep < 1.5 * flat),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
