"""The benchmark tells the truth: what is wrong, impossible or missing is said, and not timed."""

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from fastnn._kernels import peak
from fastnn.bench import (
    cases,
    check,
    command,
    compare,
    conv,
    deepbench,
    page,
    plot,
    results,
    runner,
    startup,
    table,
    threads,
)
from fastnn.bench.case import Case
from fastnn.bench.library import split_mode
from fastnn.bench.limits import SIZES, Limits

LIMITS = {"fma_single": 50e9, "fma": 100e9, "bandwidth": [100e9] * len(SIZES), "copy": 10e9}


@pytest.fixture
def limits(monkeypatch):
    """Of a machine that is measured in no time and that nothing exceeds."""
    huge = {"fma": 1e18, "bandwidth": [1e18] * len(SIZES), "copy": 1e18}
    monkeypatch.setattr(Limits, "measure", lambda self: vars(self).update(huge))
    return Limits(2, **huge)


@pytest.fixture
def fixed_limits(monkeypatch):
    """Of a machine that is the same whenever it is measured."""
    monkeypatch.setattr(Limits, "measure", lambda self: None)
    return Limits(2, **LIMITS)


def by_key(*keys):
    found = {case.key: case for case in cases.all_cases()}
    return [found[key] for key in keys]


def measure(chosen, libraries, limits):
    entrants = [runner.Entrant(name, name, 1) for name in libraries]
    return runner.measure(chosen, entrants, limits, 1, 1e-4, lambda row: None)


def row_of(times, flops=0.0, nbytes=0.0, gain=1.0, key="gemm/a"):
    """A row with these times of each library."""
    entries = {n: {"times": list(t), "median": sorted(t)[len(t) // 2]} for n, t in times.items()}
    return {
        "case": key, "group": key.split("/")[0], "train": False, "flops": flops, "bytes": nbytes,
        "gain": gain, "items": 0, "unit": "s", "libraries": entries,
    }  # fmt: skip


def result_of(rows, tmp_path=None, name="run.json", versions=("fastnn", "torch")):
    result = {
        "machine": {
            "cpu": "a <b> & c", "cores": 2, "threads": 2, "level": "scalar", "levels": ["scalar"],
            "system": "Linux", "python": "3.11.0", "date": "2026-01-01 00:00", "command": "bench",
        },
        "limits": Limits(2, **LIMITS).as_dict(),
        "rounds": 1, "interrupted": False, "missing": {"jax": "No module named 'jax'"},
        "versions": dict.fromkeys(versions, "1.0"), "rows": rows,
    }  # fmt: skip
    if tmp_path is not None:
        results.save(tmp_path / name, result)
    return result


class TestCheck:
    def test_the_same_numbers_agree_up_to_rounding(self):
        x = np.random.default_rng(0).standard_normal((100, 999)).astype(np.float32)
        noise = 1e-6 * np.random.default_rng(1).standard_normal(x.shape)
        assert check.difference(check.digest({"y": x}), check.digest({"y": x + noise})) is None

    @pytest.mark.parametrize("place", [0, 5, -1])
    def test_one_number_left_out_of_many_is_seen(self, place):
        x = np.random.default_rng(0).standard_normal(10_000) + 3
        y = x.copy()
        y[place] = 0
        assert "sum" in check.difference(check.digest({"y": x}), check.digest({"y": y}))

    def test_a_small_error_everywhere_is_seen(self):
        x = np.random.default_rng(0).standard_normal(1000)
        assert "value" in check.difference(check.digest({"y": x}), check.digest({"y": 1.01 * x}))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_no_number_is_no_result(self, bad):
        x = np.ones(10)
        y = x.copy()
        y[3] = bad
        assert check.difference(check.digest({"y": x}), check.digest({"y": y}))

    def test_shapes_are_compared(self):
        a, b = check.digest({"y": np.ones((2, 3))}), check.digest({"y": np.ones((3, 2))})
        assert "(2, 3) against (3, 2)" in check.difference(a, b)

    def test_random_results_agree_in_size(self):
        draw = np.random.default_rng(0)
        a, b = (check.digest({"y": draw.standard_normal(100_000)}) for _ in range(2))
        assert check.difference(a, b) and check.difference(a, b, random=True) is None
        twice = check.digest({"y": 2 * draw.standard_normal(100_000)})
        assert check.difference(a, twice, random=True)

    def test_rounding_of_what_should_be_zero_is_no_difference(self):
        a = check.digest({"y": np.ones(9), "gradient": np.full(9, 1e-10)})
        b = check.digest({"y": np.ones(9), "gradient": np.full(9, -3e-10)})
        assert check.difference(a, b) is None

    def test_empty_results(self):
        a = check.digest({"y": np.ones((0, 3))})
        assert check.difference(a, a) is None


class TestJudge:
    def digests(self, **values):
        return {k: check.digest({"y": np.full(100, v)}) for k, v in values.items()}

    def judge(self, **values):
        row = row_of({name: [1.0] for name in values})
        case = Case("gemm", "a", None)
        runner.judge_results(row, self.digests(**values), "fastnn", case)
        return {name for name, entry in row["libraries"].items() if "error" in entry}

    def test_who_differs_has_no_time(self):
        assert self.judge(fastnn=1, torch=1, jax=1) == set()
        assert self.judge(fastnn=1, torch=2, jax=1) == {"torch"}

    def test_none_that_agrees_is_needed_for_all_to_be_wrong(self):
        assert self.judge(fastnn=2, torch=1, jax=1) == {"fastnn", "torch", "jax"}
        assert self.judge(fastnn=2, torch=1) == {"fastnn", "torch"}

    def test_a_time_below_the_least_is_an_error(self, fixed_limits):
        row = row_of({"fastnn": [0.9e-3], "torch": [1.1e-3]}, flops=1e8)
        runner.judge_times(row, fixed_limits)
        assert "less than the 0.001 s" in row["libraries"]["fastnn"]["error"]
        assert "median" not in row["libraries"]["fastnn"]
        assert "error" not in row["libraries"]["torch"]

    def test_fewer_multiplications_are_allowed_where_they_are_known(self, fixed_limits):
        row = row_of({"fastnn": [0.5e-3]}, flops=1e8, gain=4.0)
        runner.judge_times(row, fixed_limits)
        assert "error" not in row["libraries"]["fastnn"]

    def test_traffic_counts_too(self, fixed_limits):
        row = row_of({"fastnn": [1e-3]}, nbytes=1e9)
        runner.judge_times(row, fixed_limits)
        assert "error" in row["libraries"]["fastnn"]


CHEATS = {
    "skips": """
        def cheat(x, w, b):
            y = linear(x, w, b)
            y[-1] = 0.0
            return y""",
    "remembers": """
        kept = {}
        def cheat(x, w, b):
            if x.shape not in kept:
                kept[x.shape] = linear(x, w, b)
            return kept[x.shape]""",
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_is_caught(cheat, tmp_path, monkeypatch, limits):
    """A kernel that leaves work out, and one that answers from memory, in fastnn's own process."""
    body = "\n".join(line[8:] for line in CHEATS[cheat].split("\n"))
    (tmp_path / "sitecustomize.py").write_text(
        "import fastnn.nn.functional as F\nlinear = F.linear\n" + body + "\nF.linear = cheat\n"
    )
    (case,) = by_key("gemm/linear 64 x 64->32")
    row = measure([case], ["fastnn", "numpy"], limits)["rows"][0]
    assert "median" in row["libraries"]["fastnn"]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    row = measure([case], ["fastnn", "numpy"], limits)["rows"][0]
    assert "other results than numpy" in row["libraries"]["fastnn"]["error"]
    assert "median" not in row["libraries"]["fastnn"]


def test_numpy_computes_the_same(limits):
    """One case of each function that a peer of another style has: NumPy's agree."""
    keys = [
        "gemm/64x64 @ 64x64", "conv/64x6x14x14 -> 16 5x5", "pool/max 2x2 /2 of 32x64x32x32",
        "pool/avg 2x2 /2 of 32x64x32x32", "pointwise/relu 16,384", "pointwise/log_softmax 128x1000",
        "pointwise/add 1,048,576", "norm/batch_norm 256x128", "norm/layer_norm 64x128",
        "norm/group_norm 32x64x32x32", "rnn/LSTM T50 N1 128->128 inference",
        "rnn/GRU T63 N1 24->32 both ways inference", "rnn/RNN T50 N1 128->128 inference",
        "overhead/4x4 multiply, no graph", "models/ResNet-8 inference, batch 1",
        "models/autoencoder inference, batch 1", "models/DeepFM inference, batch 1",
        "models/LSTM inference, batch 1", "deepbench/512x512 @ 512x16 T",
    ]  # fmt: skip
    rows = measure(by_key(*keys), ["fastnn", "numpy"], limits)["rows"]
    timed = [r for r in rows if set(r["libraries"]) == {"fastnn", "numpy"}]
    assert len(timed) == len(keys)
    assert not [text for text in table.errors(rows) if "other results" in text]
    for row in rows:
        entry = row["libraries"]["fastnn"]
        assert entry["first"] > 0 and entry.get("memory", 0) >= 0


def test_what_a_peer_does_not_do_is_no_error(limits):
    rows = measure(by_key("gemm/linear 64 x 64->32 train"), ["fastnn", "numpy"], limits)["rows"]
    assert rows[0]["libraries"]["numpy"]["unsupported"] == "has no gradients"
    assert not table.errors(rows)


def test_a_process_that_ends_is_an_error_and_begun_again():
    worker = runner.Worker(runner.Entrant("fastnn", "fastnn", 1))
    try:
        os.kill(worker.process.pid, signal.SIGKILL)
        assert "ended" in worker.ask("prepare", key="gemm/16x16 @ 16x16")["error"]
        assert worker.ask("prepare", key="gemm/16x16 @ 16x16")["first"] > 0
        assert "KeyError" in worker.ask("prepare", key="gemm/none")["error"]
    finally:
        worker.close()


def test_what_fails_on_the_way_has_no_time():
    class Fails:
        name = "fastnn"

        def ask(self, do, **arguments):
            answers = {"prepare": {"first": 1.0}, "time": {"seconds": 1.0}}
            return answers.get(do, {"error": "the process ended, with code -9"})

    row = runner.time_case(Case("gemm", "a", None), [Fails()], 2, 0.1)
    entry = row["libraries"]["fastnn"]
    assert entry["times"] == [1.0, 1.0] and "median" not in entry and "ended" in entry["error"]


def test_an_interrupt_keeps_the_rows_before_it(limits):
    def interrupt(row):
        raise KeyboardInterrupt

    chosen = by_key("gemm/16x16 @ 16x16", "gemm/32x32 @ 32x32")
    entrants = [runner.Entrant("fastnn", "fastnn", 1)]
    result = runner.measure(chosen, entrants, limits, 1, 1e-4, interrupt)
    assert result["interrupted"] and len(result["rows"]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for it")
def test_processes_end_with_the_runner_even_if_it_is_killed():
    code = (
        "import os, signal; from fastnn.bench.runner import Entrant, Worker;"
        "print(Worker(Entrant('a', 'numpy', 1)).process.pid, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pid = int(done.stdout)
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state in "ZX":
            return
        time.sleep(0.05)
    raise AssertionError(f"the process is still there, in state {state}")


class TestCases:
    def test_names_are_unique_and_every_group_has_quick_ones(self):
        everything = cases.all_cases()
        assert len({case.key for case in everything}) == len(everything)
        for group in cases.EVERYDAY:
            assert any(case.quick for case in cases.all_cases((group,)))

    def test_deepbench_is_whole(self):
        """The shapes that the sets share are one case."""
        parts = deepbench.gemm_cases(), deepbench.conv_cases(), deepbench.rnn_cases()
        counts = [len(deepbench.once(part)) for part in parts]
        assert counts == [243, 193, 124]
        assert len(list(deepbench.lines(deepbench.GEMM))) == 248

    def test_time_and_memory_leave_the_dearest_out(self):
        limits = Limits(2, **LIMITS)
        small, large = (Case("gemm", n, None, flops=f, nbytes=b)
                        for n, f, b in (("small", 1e6, 1e6), ("large", 1e12, 1e10)))  # fmt: skip

        def kept(minutes=None, memory=1e12):
            chosen = cases.affordable([large, small], limits, 2, 5, 0.1, minutes, memory)
            return [case.name for case in chosen]

        assert kept() == ["large", "small"]
        assert kept(memory=1e10) == ["small"]
        assert kept(minutes=0.5) == ["small"]
        assert kept(minutes=0.001) == []

    def test_work_is_counted_by_definition(self):
        case = conv.conv(2, 16, 8, 4, kernel=3, stride=2, padding=1)
        assert case.flops == 2 * 2 * 4 * 4 * 4 * 16 * 9
        assert case.gain == pytest.approx((4 * 3 / 11) ** 2)  # a row and a column of zeros
        assert conv.conv(1, 16, 8, 4, kernel=1).gain == 1.0
        assert conv.conv(1, 16, 8, 4, padding=0).gain == pytest.approx((6 * 3 / 8) ** 2)

    def test_known_libraries(self):
        assert split_mode("torch.compile") == ("torch", "compile")
        for name in ("tensorflow", "torch.fast", "numpy.compile", ""):
            with pytest.raises(ValueError, match="unknown library"):
                split_mode(name)


def test_limits_take_the_best_and_the_cache_that_fits():
    limits = Limits(1, 1e9, 1e9, [8e9, 7e9, 6e9, 5e9, 4e9, 3e9, 2e9, 1e9], 1e9)
    assert len(limits.bandwidth) == len(SIZES)
    assert limits.bandwidth_of(100) == 8e9
    assert limits.bandwidth_of(2 * SIZES[3]) == 5e9
    assert limits.bandwidth_of(1e12) == 1e9
    row = row_of({}, flops=4e9, nbytes=1e9, gain=4.0)
    assert limits.times(row) == (4.0, 1.0)
    assert limits.least(row) == 1.0
    assert Limits.of(1, limits.as_dict()) == limits


def test_streams_are_measured():
    for kind in ("read", "copy", "add"):
        assert peak.stream_bandwidth(kind, 1, 1 << 16, 1, 1e-4) > 1e6
    assert peak.fma_peak(1, repeats=1, seconds=1e-4) > 1e6
    with pytest.raises(ValueError, match="read, copy, add, not 'write'"):
        peak.stream_bandwidth("write", 1, 1 << 16)
    for team, nbytes in ((1, 100), (64, 1 << 12), (0, 1 << 16), (1, -8)):
        with pytest.raises(ValueError, match="too few"):
            peak.stream_bandwidth("add", team, nbytes)


class TestFiles:
    def test_what_is_saved_is_loaded(self, tmp_path):
        result = result_of([row_of({"fastnn": [1.0, 2.0, 3.0]})], tmp_path)
        assert results.load(tmp_path / "run.json")["rows"] == result["rows"]

    @pytest.mark.parametrize("change", [
        lambda r: r.pop("rows"), lambda r: r.update(format=9), lambda r: r.update(machine=[]),
        lambda r: r["limits"].update(sizes="many"), lambda r: r["rows"].append(7),
        lambda r: r["rows"][0].update(libraries={"fastnn": {"times": ["1"]}}),
        lambda r: r["rows"][0].update(flops=None),
        lambda r: r["rows"][0]["libraries"]["fastnn"].update(median=-1.0),
        lambda r: r["rows"][0]["libraries"]["fastnn"].update(median=float("nan")),
    ])  # fmt: skip
    def test_other_files_are_refused_in_words(self, change, tmp_path):
        result = {"format": results.FORMAT, **result_of([row_of({"fastnn": [1.0]})])}
        change(result)
        path = tmp_path / "run.json"
        path.write_text(json.dumps(result))
        with pytest.raises(results.BadResults, match="not written by this benchmark"):
            results.load(path)

    @pytest.mark.parametrize("text", ["", "[1", "\x00"])
    def test_no_json(self, text, tmp_path, capsys):
        (tmp_path / "run.json").write_text(text)
        path = str(tmp_path / "run.json")
        assert command.main(["compare", path, path]) == 2
        assert "cannot be read" in capsys.readouterr().err
        assert command.main(["report", path, str(tmp_path / "page.html")]) == 2
        assert command.main(["compare", str(tmp_path / "none.json"), path]) == 2


class TestCompare:
    def runs(self, tmp_path):
        before = [row_of({"fastnn": [1.0, 1.0, 1.01]}, key=f"gemm/{k}") for k in "ab"]
        after = [
            row_of({"fastnn": [2.0, 2.0, 2.02]}, key="gemm/a"),
            row_of({"fastnn": [1.0, 1.005, 1.01]}, key="gemm/b"),
            row_of({"fastnn": [1.0]}, key="gemm/new"),
        ]
        result_of(before, tmp_path, "a.json")
        result_of(after, tmp_path, "b.json")
        return [str(tmp_path / name) for name in ("a.json", "b.json")]

    def test_a_change_beyond_the_spread_is_shown(self, tmp_path, capsys):
        assert compare.main(self.runs(tmp_path)) == 0
        text = capsys.readouterr().out
        assert " 2.000 x" in text and "gemm/a" in text and "gemm/b" not in text
        assert "beyond the spread 1 of 2" in text

    def test_it_can_fail(self, tmp_path):
        runs = self.runs(tmp_path)
        assert compare.main([*runs, "--fail-above", "1.5"]) == 1
        assert compare.main([*reversed(runs), "--fail-above", "1.5"]) == 0

    def test_nothing_in_common(self, tmp_path, capsys):
        assert compare.main([*self.runs(tmp_path), "--library", "torch"]) == 2
        assert "no case" in capsys.readouterr().err


class TestReport:
    rows = [  # noqa: RUF012
        row_of({"fastnn": [1e-3, 2e-3], "torch": [4e-3]}, 1e7, 1e6, key="conv/<b> & \"q\""),
        row_of({"fastnn": [1e-3], "torch": [5e-4]}, 0.0, 1e6, key="pool/max"),
        {**row_of({"fastnn": [1e7]}, key="startup/size"), "unit": "B"},
        {**row_of({}, key="gemm/wrong"), "libraries": {
            "fastnn": {"times": [], "error": "wrong <i>"},
            "torch": {"times": [], "unsupported": "has no gradients"}}},
    ]  # fmt: skip

    def test_the_picture_is_a_picture(self):
        svg = plot.picture(result_of(self.rows))
        root = ElementTree.fromstring(svg)
        texts = "".join(root.itertext())
        assert "a <b> & c" in texts and "FMA peak: 100 GFLOP/s" in texts
        assert 'conv/<b> & "q": 5.0 GFLOP/s' in texts

    def test_a_picture_of_nothing(self):
        ElementTree.fromstring(plot.picture(result_of([], versions=["fastnn"])))

    def test_the_page_stands_alone_and_escapes(self):
        html = page.page(result_of(self.rows))
        assert "<b>" not in html and "<i>" not in html and "http://www.w3.org/2000/svg" in html
        assert "src=" not in html and "href=" not in html
        for text in (
            "jax is not installed",
            "wrong &lt;i&gt;",
            "has no gradients",
            "10 MB",
            "0.50",
        ):
            assert text in html

    def test_the_means(self):
        found = table.summary(self.rows, "fastnn", ["torch"])
        assert [(s["group"], round(s["mean"], 3)) for s in found] == [("conv", 2.0), ("pool", 0.5)]
        assert table.worst(self.rows, "fastnn", ["torch"])[0].endswith("pool/max")

    def test_quantities(self):
        assert table.duration(1.5e-3) == "1.5 ms" and table.duration(2e-10) == "0.2 ns"
        assert table.amount(0) == "0 B" and table.amount(7_699_000) == "7.699 MB"


class TestCommand:
    def test_a_run_from_the_command_line(self, tmp_path, capsys, limits):
        names = {k: str(tmp_path / f"run.{k}") for k in ("json", "html", "svg")}
        code = command.main([
            "overhead", "gemm", "--match", "4", "--quick", "--peers", "numpy", "--rounds", "1",
            "--seconds", "0.001", "--threads", "1", "--save", names["json"], "--report",
            names["html"], "--picture", names["svg"],
        ])  # fmt: skip
        text = capsys.readouterr().out
        assert code == 0, text
        assert "64x64 @ 64x64" in text and "mean" in text and "numpy" in text
        loaded = results.load(names["json"])
        assert loaded["machine"]["command"].startswith("python -m fastnn bench overhead gemm")
        assert all(os.path.getsize(path) > 1000 for path in names.values())

    @pytest.mark.parametrize("arguments", [
        ["nothing"], ["--peers", "tensorflow"], ["--rounds", "0"], ["--seconds", "-1"],
        ["threads", "nothing"], ["threads", "--most", "0"], ["threads", "--library", "x"],
        ["compare"], ["--minutes", "0"],
    ])  # fmt: skip
    def test_bad_arguments(self, arguments, limits, capsys):
        with pytest.raises(SystemExit) as caught:
            command.main(arguments)
        assert caught.value.code == 2
        assert capsys.readouterr().err

    def test_a_peer_that_is_not_there_is_named(self, limits, capsys, monkeypatch, tmp_path):
        (tmp_path / "onnx").mkdir()
        (tmp_path / "onnx" / "__init__.py").write_text("raise ImportError('No module named onnx')")
        monkeypatch.setenv(
            "PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        )
        arguments = ["overhead", "--quick", "--rounds", "1", "--seconds", "0.001"]
        assert command.main([*arguments, "--peers", "onnxruntime"]) == 0
        assert "onnxruntime: not installed, and so not timed" in capsys.readouterr().out

    def test_threads(self, limits, capsys, tmp_path):
        path = str(tmp_path / "threads.json")
        arguments = ["overhead", "--most", "2", "--rounds", "1", "--seconds", "0.001"]
        assert command.main(["threads", *arguments, "--save", path]) == 0
        assert "2 threads:" in capsys.readouterr().out
        assert set(results.load(path)["versions"]) == {"fastnn, threads: 1", "fastnn, threads: 2"}

    def test_numbers_of_threads(self):
        assert threads.counts(1) == [1]
        assert threads.counts(2) == [1, 2]
        assert threads.counts(6) == [1, 2, 4, 6]


def test_startup_counts_what_is_installed():
    entrants = [runner.Entrant(name, name, 1) for name in ("fastnn", "numpy")]
    found = {row["case"]: row for row in startup.rows(entrants, 1)}
    assert len(found) == len(startup.NAMES)
    medians = {
        key: [row["libraries"][e.name]["median"] for e in entrants] for key, row in found.items()
    }
    size, whole, packed = (medians[f"startup/{startup.NAMES[k]}"]
                           for k in ("installed", "dependencies", "wheel"))  # fmt: skip
    assert size[0] > 1e6 and whole[0] == size[0] + whole[1]  # fastnn needs NumPy alone
    assert packed[0] < whole[0]
