"""What a user meets first: import, configuration, threads, forks, memory."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn._kernels.runtime import openmp


def python(code, **environment):
    """Run code in a fresh interpreter; its standard output."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_import_needs_numpy_alone():
    code = (
        "import sys, fastnn; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('torch', 'matplotlib', 'tqdm', 'mlxtend', 'scipy', 'pandas')])"
    )
    assert python(code) == "[]"


def test_show_config_names_level_and_threads(capsys):
    fastnn.show_config()
    text = capsys.readouterr().out
    for word in (
        "version",
        "compiler",
        "avx2" if "avx2" in text else "scalar",
        "threads",
        "OpenMP",
    ):
        assert word in text


def test_environment_chooses_level_and_threads():
    code = "import fastnn; from fastnn.testing import isa; print(isa(), fastnn.get_num_threads())"
    assert python(code, FASTNN_ISA="scalar", OMP_NUM_THREADS="1") == "scalar 1"


def test_unknown_level_in_the_environment_is_an_import_error():
    code = "\ntry:\n import fastnn\nexcept ImportError as e: print(e)"
    assert "mmx" in python(code, FASTNN_ISA="mmx")


WORK = "x = fastnn.ones(1 << 20); y = (x + x).sum().item()"


@pytest.mark.skipif(not openmp(), reason="this build has no OpenMP")
def test_a_thread_limit_of_one_gives_the_same_result():
    code = f"import fastnn; fastnn.set_num_threads(2); {WORK}; print(y)"
    assert python(code, OMP_THREAD_LIMIT="1") == str(float(2 << 20))


@pytest.mark.skipif(not openmp(), reason="this build has no OpenMP")
def test_a_forked_child_works_on_one_thread():
    code = f"""
import os, warnings, fastnn
fastnn.set_num_threads(2)
{WORK}
pid = os.fork()
if pid == 0:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fastnn.set_num_threads(2)
    {WORK}
    os._exit(0 if y == 2 << 20 and fastnn.get_num_threads() == 1 and len(caught) == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.stdout.strip() == "0", result.stderr


def test_threads_of_python_work_side_by_side():
    code = """
import threading, fastnn
found = []
def work():
    x = fastnn.ones(1 << 18)
    for _ in range(20):
        x = x * 1.0 + 0.0
    found.append(x.sum().item())
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(found == [float(1 << 18)] * 4)
"""
    assert python(code) == "True"


def test_the_callers_floating_point_mode_is_kept():
    tiny = np.float32(1e-40)  # subnormal: zero if anything set flush-to-zero
    x = fastnn.full((1 << 20,), 1e-20)
    y = (x * 1e-20).numpy()
    assert tiny * np.float32(1.0) == tiny
    assert y.min() == y.max() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux")
def test_a_steady_training_step_meets_no_page_faults():
    code = """
import resource, fastnn
from fastnn import nn
fastnn.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                    nn.Linear(8 * 14 * 14, 10))
optimizer = fastnn.optim.Adam(net.parameters())
x, target = fastnn.randn(64, 1, 28, 28), fastnn.randint(0, 10, (64,))
def step():
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), target).backward()
    optimizer.step()
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
blocks = fastnn.memory_stats()["system_blocks"]
for _ in range(20):
    step()
after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print((after - before) / 20 < 10, fastnn.memory_stats()["system_blocks"] == blocks)
"""
    assert python(code) == "True True"
