"""Compiles the micro-kernels once per variant and every .pyx under fastnn/.

Environment:
    FASTNN_REQUIRE_ISA=avx2,avx512   fail the build when one of these levels is missing
    FASTNN_DEBUG=1                   assertions, symbols, and an end at undefined behaviour
    FASTNN_NO_OPENMP=1               a serial build
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
DEBUG = os.environ.get("FASTNN_DEBUG") == "1"
JOBS = os.cpu_count() or 1

# best first; "scalar", the specification of the others, is made small rather than fast; the
# machine is the one built for, which need not be the one built on
MACHINE = sysconfig.get_platform().rsplit("-", 1)[-1]
LEVELS = {
    "x86_64": {
        "avx512": "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mbmi -mbmi2"
        " -mprefer-vector-width=512",
        "avx2": "-mavx2 -mfma -mbmi -mbmi2",
        "scalar": "-Os",
    },
    "aarch64": {"neon": "", "scalar": "-fno-tree-vectorize"},
    "arm64": {"neon": "", "scalar": "-fno-tree-vectorize"},
}.get(MACHINE, {"scalar": ""})

COMMON = ["-fvisibility=hidden", "-ffp-contract=fast"]
# every kernel takes numbers that start anywhere: alignment is no matter of definition here
SANITIZE = ["-fsanitize=undefined", "-fno-sanitize=alignment", "-fno-sanitize-recover=undefined"]
# no C++ exception passes through C: the tables to unwind it by are 5 % of the wheel
RELEASE = ["-g0", "-DNDEBUG", "-fno-asynchronous-unwind-tables"]
COMMON += ["-g", "-UNDEBUG", "-O1", *SANITIZE] if DEBUG else RELEASE
KERNEL_FLAGS = [*COMMON, "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-Wall"]
KERNEL_FLAGS += [] if DEBUG else ["-O3"]
# float64 is there for checks more than for speed: 40 KB less wheel for each level
SIZE_FLAGS = {32: [], 64: [] if DEBUG else ["-O2"]}
# operations that are called seldom, or once for much work: 85 KB less wheel, and a call of them
# takes 10 % longer than it would
SELDOM = {
    "creation", "deviation", "embedding_bag", "extreme", "gather", "index", "join", "pad",
    "random", "rnn_shape", "unpool",
}  # fmt: skip
CYTHON_FLAGS = [*COMMON, "-Wno-unused-function"] + ([] if DEBUG else ["-O2"])
LINK_FLAGS = SANITIZE if DEBUG else [] if sys.platform == "darwin" else ["-Wl,-s"]

TABLE_OWNER = "fastnn._kernels.runtime"  # the one extension that links the variants
# Cython's types and helpers, once instead of in each extension: 210 KB less wheel
SHARED = "fastnn._core.cython_shared"


def extensions():
    yield Extension(
        SHARED,
        [f"{SHARED.replace('.', '/')}.c"],  # written by Cython
        extra_compile_args=list(CYTHON_FLAGS),
        extra_link_args=list(LINK_FLAGS),
    )
    for source in sorted((ROOT / "fastnn").rglob("*.pyx")):
        relative = source.relative_to(ROOT)
        yield Extension(
            ".".join(relative.with_suffix("").parts),
            [str(relative)],
            include_dirs=["csrc", *numpy_include(source)],
            extra_compile_args=[*CYTHON_FLAGS, *(["-Os"] if is_seldom(relative) else [])],
            extra_link_args=list(LINK_FLAGS),
            depends=[str(path) for path in CSRC]
            if is_table_owner(relative)
            else ["csrc/kernels.h", "csrc/kernels/pointwise_list.h"],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        )


CSRC = sorted((ROOT / "csrc").rglob("*.[ch]"))


def is_table_owner(relative):
    return ".".join(relative.with_suffix("").parts) == TABLE_OWNER


def is_seldom(relative):
    return not DEBUG and relative.parent.name == "ops" and relative.stem in SELDOM


def numpy_include(source):
    if "cimport numpy" not in source.read_text():
        return []
    import numpy

    return [numpy.get_include()]


class BuildKernels(build_ext):
    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or JOBS

    def build_extensions(self):
        openmp = self.openmp_flags()
        levels = self.usable_levels()
        missing = set(os.environ.get("FASTNN_REQUIRE_ISA", "").replace(",", " ").split()) - set(
            levels
        )
        if missing:
            raise SystemExit(f"FASTNN_REQUIRE_ISA: this build lacks {', '.join(sorted(missing))}")
        for ext in self.extensions:
            ext.extra_compile_args += openmp
            ext.extra_link_args += openmp
            if ext.name == TABLE_OWNER:
                compiler = subprocess.run(
                    [self.compiler.compiler_so[0], "--version"], capture_output=True, text=True
                ).stdout.splitlines()[0]
                ext.define_macros.append(("FASTNN_COMPILER", f'"{compiler}"'))
                ext.extra_objects += self.compile_variants(levels)
        super().build_extensions()

    def compile_variants(self, levels):
        """One object per level and precision, in parallel; unchanged ones are kept."""
        base = Path(self.build_temp) / "csrc"
        newest = max(path.stat().st_mtime for path in [*CSRC, ROOT / "setup.py"])

        def compile_one(source, folder, flags):
            target = base / folder / Path(source).with_suffix(".o")
            if self.force or not target.exists() or target.stat().st_mtime < newest:
                self.compiler.compile(
                    [source],
                    output_dir=str(base / folder),
                    include_dirs=["csrc"],
                    extra_postargs=KERNEL_FLAGS + flags,
                )
            return str(target)

        jobs = [
            (
                "csrc/variant.c",
                f"{level}_f{bits}",
                [
                    f"-DREAL_BITS={bits}",
                    f'-DISA_HEADER="isa/{level}.h"',
                    f"-DTABLE=fastnn_{level}_f{bits}",
                    *SIZE_FLAGS[bits],
                    *LEVELS[level].split(),
                ],
            )
            for level in levels
            for bits in (32, 64)
        ]
        declared = " ".join(f"LEVEL({level})" for level in levels)
        jobs += [(source, "any", []) for source in ("csrc/convert.c", "csrc/integer.c")]
        jobs.append(("csrc/dispatch.c", "_".join(levels), [f"-DFASTNN_LEVELS={declared}"]))
        with ThreadPoolExecutor(JOBS) as pool:
            return list(pool.map(lambda job: compile_one(*job), jobs))

    def usable_levels(self):
        levels = []
        for level, flags in LEVELS.items():
            ok = self.compiles(
                f'#include "{ROOT}/csrc/simd.h"\n',
                [
                    *flags.split(),
                    "-DREAL_BITS=32",
                    f'-DISA_HEADER="isa/{level}.h"',
                    f"-I{ROOT}/csrc",
                ],
            )
            print(f"fastnn: level {level}: {'yes' if ok else 'the compiler cannot build it'}")
            levels += [level] if ok else []
        return levels

    def openmp_flags(self):
        if os.environ.get("FASTNN_NO_OPENMP") != "1" and self.compiles(
            "#include <omp.h>\nint team(void) { return omp_get_max_threads(); }\n", ["-fopenmp"]
        ):
            return ["-fopenmp"]
        print("fastnn: no OpenMP: this build is serial", file=sys.stderr)
        return []

    def compiles(self, code, flags):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            source.write_text(code)
            result = subprocess.run(
                [
                    self.compiler.compiler_so[0],
                    *flags,
                    "-c",
                    str(source),
                    "-o",
                    f"{folder}/probe.o",
                ],
                capture_output=True,
            )
        return result.returncode == 0


setup(
    ext_modules=cythonize(
        list(extensions()),
        nthreads=JOBS,
        shared_utility_qualified_name=SHARED,
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "embedsignature": True,
            "embedsignature.format": "python",
            "freethreading_compatible": False,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
