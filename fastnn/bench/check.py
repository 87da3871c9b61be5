"""Do two libraries compute the same? A sample of every result, small enough to send.

Sums with random signs see each number of a result: one that was left out moves them by its own
size, while rounding, with its own random signs, stays far below.
"""

from __future__ import annotations

import numpy as np

SAMPLES = 32
PROJECTIONS = 4
CLOSE = 2e-3  # of the root mean square
SUM_CLOSE = 1e-4  # of the root mean square, for each number, with random signs
NOTHING = 1e-5  # of the largest result: what should be 0 may differ by this much
RANDOM_CLOSE = 0.02  # the same for what two libraries draw at random


def signed_sum(x: np.ndarray, draw: np.random.Generator) -> float:
    """The sum of all numbers, each with a random sign."""
    bits = np.unpackbits(np.frombuffer(draw.bytes(-(-x.size // 8)), np.uint8), count=x.size)
    return float(2 * np.sum(x, where=bits.astype(bool)) - np.sum(x))


def digest(results: dict[str, np.ndarray]) -> dict[str, dict]:
    """What is sent of each array: its shape, its size, some numbers, some sums of all."""
    return {name: digest_array(np.asarray(array)) for name, array in results.items()}


@np.errstate(all="ignore")
def digest_array(array: np.ndarray) -> dict:
    x = np.ascontiguousarray(array).reshape(-1).astype(np.float64)
    draw = np.random.default_rng(x.size)
    places = draw.integers(0, max(x.size, 1), SAMPLES if x.size else 0)
    return {
        "shape": list(array.shape),
        "rms": float(np.sqrt(np.mean(x * x))) if x.size else 0.0,
        "values": x[places].tolist(),
        "sums": [signed_sum(x, draw) for _ in range(PROJECTIONS)],
    }


def difference(
    own: dict[str, dict], other: dict[str, dict], random: bool = False, depth: float = 1.0
) -> str | None:
    """Where the results of two libraries differ, in words; None: nowhere.

    depth: how many times more rounding there may be than in a single operation. Names that only one
    of them has (gradients of a fused training step) are not compared."""
    floor = NOTHING * max((d["rms"] for d in own.values()), default=0.0)
    for name in sorted(set(own) & set(other)):
        found = array_difference(own[name], other[name], random, depth, floor)
        if found:
            return f"{name}: {found}"
    return None


def array_difference(a: dict, b: dict, random: bool, depth: float, floor: float) -> str | None:
    if a["shape"] != b["shape"]:
        return f"shape {tuple(a['shape'])} against {tuple(b['shape'])}"
    rms = max(a["rms"], b["rms"])
    if not np.isfinite(a["rms"]) or not np.isfinite(b["rms"]):
        return f"root mean square {a['rms']:.6g} against {b['rms']:.6g}"
    if random:
        if abs(a["rms"] - b["rms"]) > RANDOM_CLOSE * rms:
            return f"root mean square {a['rms']:.6g} against {b['rms']:.6g}"
        return None
    size = float(np.prod(a["shape"]))
    scale = max(rms, floor)
    skipped = min(0.4, 0.1 * depth)  # far less than one number that was left out
    limits = {
        "value": CLOSE * depth * scale,
        "sum": (skipped + SUM_CLOSE * depth * size**0.5) * scale,
    }
    for kind, limit in limits.items():
        for x, y in zip(a[f"{kind}s"], b[f"{kind}s"], strict=True):
            if abs(x - y) > limit:
                return f"a {kind} of {x:.6g} against {y:.6g}, root mean square {rms:.3g}"
    return None
