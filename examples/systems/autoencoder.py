"""Deep autoencoder: digits in 30 numbers, rebuilt better than by as many principal components.

    python -m examples.systems.autoencoder          # pip install scikit-learn, to compare

A net squeezes an image through a layer of few units and rebuilds it. Principal components are the
best that linear layers can do; deep sigmoid layers could do better but were hard to train from
random weights. Hinton and Salakhutdinov (2006) began them with restricted Boltzmann machines,
stacked and then unrolled into an encoder and a decoder. Here the same net from a random start has
twice the epochs of descent for comparison. A code of two numbers is a map of the digits, made
without labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import fastnn
from examples import common
from examples.grey import grey_digits, show
from fastnn import Tensor
from fastnn.models import fit, predict
from fastnn.models.autoencoder import Autoencoder
from fastnn.models.dbn import DBN
from fastnn.nn.functional import binary_cross_entropy_with_logits, mse_loss


def rebuilt(net: Autoencoder, x: Tensor) -> Tensor:
    return predict(net, x).sigmoid()


def fine_tune(
    net: Autoencoder, x: Tensor, epochs: int, lr: float, progress: str | None = None
) -> None:
    loss = binary_cross_entropy_with_logits
    fit(net, (x, x), loss, epochs=epochs, batch_size=20, lr=lr, progress=progress)


def pretrained(sizes: Sequence[int], x: Tensor, epochs: int) -> Autoencoder:
    dbn = DBN(sizes, linear_top=True)
    dbn.pretrain(x, epochs=epochs, lr=0.05, batch_size=20)
    return Autoencoder.unrolled(dbn)


def principal_components(train: Tensor, test: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Codes (N, size) of the test images and what scikit-learn's PCA rebuilds of them."""
    from sklearn.decomposition import PCA

    pca = PCA(size, random_state=0).fit(train.numpy())
    codes = pca.transform(test.numpy())
    return fastnn.tensor(codes), fastnn.tensor(pca.inverse_transform(codes)).float()


def scatter(axes, codes: Tensor, labels: Tensor, title: str) -> None:
    """Codes (N, 2), coloured by digit."""
    points = codes.numpy()
    for digit in range(10):
        chosen = points[(labels == digit).numpy()]
        axes.plot(chosen[:, 0], chosen[:, 1], ".", ms=4, color=f"C{digit}", label=str(digit))
    axes.set(title=title, xticks=(), yticks=())


def draw(options, data: common.Images, rows: dict[str, Tensor], maps: dict[str, Tensor]) -> None:
    """rows: images to show beneath each other; maps: codes of two numbers."""
    with common.picture(options, "autoencoder", 13, 4.5) as figure:
        if not figure:
            return
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.6))
        for axes, (title, images) in zip(left.subplots(len(rows), 1), rows.items(), strict=True):
            show(axes, images[:10], 10, title, vmin=0, vmax=1)
        for axes, (title, codes) in zip(right.subplots(1, len(maps)), maps.items(), strict=True):
            scatter(axes, codes, data.test_labels, title)
        axes.legend(frameon=False, markerscale=3, bbox_to_anchor=(1, 1))


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    data = grey_digits(2000 if options.quick else 4000)
    train, test = data.train_images, data.test_images
    hidden = [784, 128] if options.quick else [784, 400, 200, 100]
    size, epochs, lr = (10, 10, 5e-3) if options.quick else (30, 20, 2e-3)
    results, nets, linear, codes = [], {}, {}, {}
    for k in (size, 2):
        nets[k] = pretrained([*hidden, k], train, epochs)
        fine_tune(nets[k], train, epochs, lr, None if options.quick else f"code of {k}")
        codes[k], linear[k] = principal_components(train, test, k)
        error = mse_loss(rebuilt(nets[k], test), test).item()
        of_pca = mse_loss(linear[k], test).item()
        print(f"code of {k}: mean square error of a test pixel {error:.4f}, by {k} principal "
              f"components {of_pca:.4f}")  # fmt: skip
        results.append(
            common.Result(f"deep autoencoder, code of {k}", data.name, f"test error {error:.4f}",
                          f"PCA {of_pca:.4f} (scikit-learn)", error < of_pca)
        )  # fmt: skip
    random = Autoencoder([*hidden, size])
    fine_tune(random, train, 2 * epochs, lr)
    print(f"code of {size} from a random start, twice the epochs: "
          f"{mse_loss(rebuilt(random, test), test).item():.4f}")  # fmt: skip
    rows = {
        "test digits": test,
        f"autoencoder, {size} numbers": rebuilt(nets[size], test),
        f"{size} principal components": linear[size],
    }
    with fastnn.no_grad():
        maps = {"autoencoder, 2 numbers": nets[2].encode(test), "2 principal components": codes[2]}
    draw(options, data, rows, maps)
    return results


if __name__ == "__main__":
    common.run(main)
