"""The results of a run as a JSON file: written, and read back with care."""

from __future__ import annotations

import json
import math
from pathlib import Path

FORMAT = 1


class BadResults(Exception):
    """The file is no results of this benchmark."""


def save(path: str, result: dict) -> None:
    Path(path).write_text(json.dumps({"format": FORMAT, **result}, indent=1) + "\n")


def load(path: str) -> dict:
    """What save() wrote. BadResults: the file cannot be read, or lacks what a report needs."""
    try:
        result = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise BadResults(f"{path} cannot be read: {error}") from error
    wrong = complaint(result)
    if wrong:
        raise BadResults(f"{path} is not written by this benchmark: {wrong}")
    return result


def number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


ROW = {"case": str, "group": str, "unit": str, "train": bool, "libraries": dict}
TOP = {"machine": dict, "limits": dict, "versions": dict, "missing": dict, "rows": list}
MACHINE = {"cpu": str, "cores": int, "threads": int, "level": str, "levels": list, "system": str,
           "python": str, "date": str, "command": str}  # fmt: skip


COUNTS = ("flops", "bytes", "gain", "items")


def fields(what: str, value, kinds: dict) -> str:
    if not isinstance(value, dict):
        return f"{what} is no object"
    for key, kind in kinds.items():
        if not isinstance(value.get(key), kind):
            return f"{what} has no {key}, or one that is no {kind.__name__}"
    return ""


def complaint(result) -> str:
    """What is wrong with the structure; "" nothing."""
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        return f"its format is not {FORMAT}"
    wrong = fields("the file", result, TOP) or fields("machine", result["machine"], MACHINE)
    if wrong:
        return wrong
    limits = result["limits"]
    lists = [limits.get(key) for key in ("sizes", "bandwidth")]
    if not all(isinstance(v, list) and v and all(map(number, v)) for v in lists) or not all(
        number(limits.get(key)) for key in ("fma_peak", "fma_peak_1", "copy")
    ):
        return "limits are no numbers"
    for n, row in enumerate(result["rows"]):
        wrong = fields(f"row {n}", row, ROW) or row_complaint(n, row)
        if wrong:
            return wrong
    return ""


def row_complaint(n: int, row: dict) -> str:
    if "/" not in row["case"] or not all(number(row.get(k)) for k in COUNTS):
        return f"row {n} has no name or no count of work"
    for name, entry in row["libraries"].items():
        if not isinstance(entry, dict) or not isinstance(entry.get("times"), list):
            return f"row {n} has no times of {name}"
        if not all(map(number, entry["times"])):
            return f"a time of {name} in row {n} is no number"
        for key in ("median", "first", "memory"):
            if key in entry and not (number(entry[key]) and (entry[key] > 0 or key == "memory")):
                return f"{key} of {name} in row {n} is no positive number"
    return ""
