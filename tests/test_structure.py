"""The shape of the house: imports run downwards, NumPy stays at the borders."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fastnn"
SOURCES = [
    path
    for suffix in ("py", "pyx", "pxd")
    for path in sorted(PACKAGE.rglob(f"*.{suffix}"))
    if "__pycache__" not in path.parts
]
# lowest first; a folder may import from its own row and those above it in this list
LAYERS = [
    {"_version", "_kernels"},
    {"_core", "_config"},
    {"ops"},
    {"nn", "optim", "data", "testing"},
    {"models"},
    {"bench", "demo"},
]
RANK = {folder: rank for rank, folders in enumerate(LAYERS) for folder in folders}
# where NumPy may be imported, and what for; ARCHITECTURE.md has the same list
NUMPY_ALLOWED = {
    "_core/interop.pyx": "arrays in and out",
    "_core/printing.py": "the text of a tensor",
    "ops/creation.pyx": "data of all kinds in",
    "ops/index.pyx": "index arrays in",
    "testing/__init__.py": "references",
    "testing/arguments.py": "references",
    "testing/cases.py": "references",
    "testing/images.py": "references",
    "testing/losses.py": "references",
    "testing/moves.py": "references",
}


def folder_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(text):
    pattern = r"^\s*(?:from\s+fastnn\.(\w+)|c?import\s+fastnn\.(\w+))"
    return {a or b for a, b in re.findall(pattern, text, re.MULTILINE)}


def test_imports_run_downwards():
    wrong = []
    for path in SOURCES:
        rank = RANK.get(folder_of(path))
        if rank is None:  # fastnn/__init__.py and __main__.py see everything
            continue
        for name in imported(path.read_text()):
            if RANK.get(name, 99) > rank:
                wrong.append(f"{path.relative_to(ROOT)} imports fastnn.{name}")
    assert not wrong


def test_csrc_knows_no_python_and_no_threads():
    for path in (ROOT / "csrc").rglob("*.[ch]"):
        text = path.read_text()
        assert not re.search(r"Python\.h|#pragma omp|<omp\.h>|malloc\(", text), path


def test_intrinsics_stand_in_isa_headers_only():
    for path in (ROOT / "csrc").rglob("*.[ch]"):
        if path.parent.name != "isa":
            assert not re.search(r"\b_mm\d*_|immintrin|arm_neon", path.read_text()), path


def test_openmp_stands_in_one_file():
    for path in SOURCES:
        if path.name not in ("runtime.pyx", "runtime.pxd"):
            assert not re.search(r"\bprange\b|cython\.parallel|omp_", path.read_text()), path


def test_numpy_stays_at_the_borders():
    for path in SOURCES:
        relative = path.relative_to(PACKAGE).as_posix()
        if relative.split("/")[0] in ("data", "bench", "demo") or relative in NUMPY_ALLOWED:
            continue
        assert not re.search(r"^\s*(c?import|from)\s+numpy\b", path.read_text(), re.MULTILINE), (
            f"{relative} uses NumPy"
        )


def test_files_can_be_read_in_one_sitting():
    long = {
        str(path.relative_to(ROOT)): count
        for path in [*SOURCES, *(ROOT / "csrc").rglob("*.[ch]")]
        if (count := path.read_text().count("\n")) > 650
    }
    assert not long
