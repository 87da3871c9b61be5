"""Normalisation layers, forward, and forward with backward."""

from math import prod

from .case import Case, both


def norm(text: str, make, shape: tuple[int, ...], train=False, quick=False) -> Case:
    """A batch norm forward alone is that of evaluation, with the means that it has kept."""

    def build(lib):
        x, layer = lib.randn(*shape), lib.network(make(lib.nn))
        if not train:
            layer.eval()
            return lib.inference(lambda: layer(x))
        return lib.training(lambda: layer(x), [x, *layer.parameters()], lib.randn(*shape))

    return Case(
        "norm",
        f"{text} {'x'.join(map(str, shape))}{' train' if train else ''}",
        build,
        nbytes=(5 if train else 2) * 4.0 * prod(shape),
        train=train,
        quick=quick,
    )


def batch(nn):
    return nn.BatchNorm2d(64)


CASES = [
    *both(norm, "batch_norm", batch, (32, 64, 32, 32), quick=True),
    *both(norm, "batch_norm", batch, (64, 64, 8, 8)),
    *both(norm, "batch_norm", lambda nn: nn.BatchNorm1d(128), (256, 128)),
    *both(norm, "layer_norm", lambda nn: nn.LayerNorm(512), (2048, 512), quick=True),
    *both(norm, "layer_norm", lambda nn: nn.LayerNorm(128), (64, 128)),
    *both(norm, "group_norm", lambda nn: nn.GroupNorm(8, 64), (32, 64, 32, 32)),
]
