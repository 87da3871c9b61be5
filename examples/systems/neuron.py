"""The first neurons: logic gates, and the one gate that a single neuron cannot learn.

    python -m examples.systems.neuron

McCulloch and Pitts (1943) chose weights and thresholds by hand: AND, OR and NOT are one neuron
each. Rosenblatt's perceptron (1958) finds them from examples, for each of the 14 gates of two
inputs that a line parts; XOR and its negation are the two that none does (Minsky and Papert,
1969). Two layers compute XOR, chosen by hand, and found by gradient descent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import fastnn
from examples import common
from fastnn import Tensor, nn
from fastnn.models import MLP, McCullochPittsNeuron, Perceptron, fit

INPUTS = fastnn.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = (0, 1, 1, 0)


def by_hand() -> dict[str, tuple]:
    """Gates of McCulloch-Pitts neurons, and what each should give for the four inputs."""
    both = McCullochPittsNeuron([1, 1], 2)
    either = McCullochPittsNeuron([1, 1], 1)
    neither = McCullochPittsNeuron([-1, -1], 0)
    not_both = McCullochPittsNeuron([-1, -1], -1)
    layer = fastnn.stack([either(INPUTS), not_both(INPUTS)], 1)
    return {
        "AND": (both(INPUTS), (0, 0, 0, 1)),
        "OR": (either(INPUTS), (0, 1, 1, 1)),
        "NOR": (neither(INPUTS), (1, 0, 0, 0)),
        "XOR of two layers": (both(layer), XOR),
    }


def learned_gates(epochs: int = 100) -> dict[tuple[int, ...], int]:
    """For each of the 16 gates, after how many epochs a perceptron makes no error; 0: never."""
    found = {}
    for gate in product((0, 1), repeat=4):
        errors = Perceptron(2).learn(INPUTS, fastnn.tensor(gate), epochs)
        found[gate] = len(errors) if errors[-1] == 0 else 0
    return found


def learned_xor(epochs: int) -> MLP:
    """Two layers that learned XOR by gradient descent."""
    net = MLP([2, 8, 1], nn.Tanh)
    target = fastnn.tensor([[float(y)] for y in XOR])
    loss = nn.functional.binary_cross_entropy_with_logits
    fit(net, (INPUTS, target), loss, epochs=epochs, batch_size=4, lr=0.05)
    return net


def draw(axes, decide, title: str) -> None:
    """The four inputs and where in the plane a net says 1."""
    steps = fastnn.arange(101) / 100 * 2 - 0.5
    x, y = steps.repeat(101), steps.unsqueeze(1).repeat(1, 101).flatten()
    with fastnn.no_grad():
        plane = decide(fastnn.stack([x, y], 1)).reshape(101, 101)
    axes.imshow(plane.numpy(), origin="lower", extent=(-0.5, 1.5, -0.5, 1.5), cmap="Blues",
                vmin=0, vmax=1.5)  # fmt: skip
    for (a, b), label in zip(INPUTS.tolist(), XOR, strict=True):
        axes.plot(a, b, "o", ms=10, mfc="black" if label else "white", mec="black")
    axes.set(title=title, xticks=(0, 1), yticks=(0, 1))


def draw_all(options, single: Perceptron, net: MLP) -> None:
    with common.picture(options, "neuron", 8, 4) as figure:
        if figure:
            left, right = figure.subplots(1, 2)
            draw(left, single, "XOR: one perceptron, a line")
            draw(right, lambda x: net(x).sigmoid().squeeze(1), "XOR: two layers")


def gives(found: Tensor, wanted: Sequence[int]) -> bool:
    return [int(v) for v in found.tolist()] == list(wanted)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    chosen = by_hand()
    for name, (found, wanted) in chosen.items():
        print(f"{name}: {[int(v) for v in found.tolist()]}, should be {list(wanted)}")
    learned = learned_gates()
    not_learned = [gate for gate, epochs in learned.items() if not epochs]
    print(f"perceptrons learned {16 - len(not_learned)} of 16 gates; not {not_learned}")
    single = Perceptron(2)
    single.learn(INPUTS, fastnn.tensor(XOR))
    net = learned_xor(300)
    with fastnn.no_grad():
        right = gives((net(INPUTS) > 0).squeeze(1), XOR)
    print(f"two layers learned XOR: {'yes' if right else 'no'}")
    draw_all(options, single, net)
    hand = sum(gives(found, wanted) for found, wanted in chosen.values())
    return [
        common.Result("McCulloch-Pitts neuron", "logic gates", f"{hand} of 4 gates right",
                      "4 (1943)", hand == 4),
        common.Result("perceptron", "16 gates of two inputs", f"{16 - len(not_learned)} learned",
                      "14, not XOR and XNOR", set(not_learned) == {XOR, (1, 0, 0, 1)}),
        common.Result("two layers", "XOR", "learned" if right else "not learned", "learned", right),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
