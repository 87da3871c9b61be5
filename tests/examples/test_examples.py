"""Every example runs with --quick, and the figures it claims hold."""

import importlib

import pytest

from examples import common
from examples.run import chosen, main, names


@pytest.mark.parametrize("name", names())
def test_figures_hold(name, tmp_path):
    module = importlib.import_module(f"examples.{name}")
    try:
        results = module.main(["--quick", "--output", str(tmp_path)])
    except (FileNotFoundError, ModuleNotFoundError) as error:
        pytest.skip(str(error))
    assert results
    for result in results:
        assert result.holds, result


@pytest.mark.parametrize("name", names())
def test_help(name, capsys):
    module = importlib.import_module(f"examples.{name}")
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert module.__doc__.splitlines()[0] in printed
    assert all(option in printed for option in ("--seed", "--quick", "--output"))


def test_examples_are_chosen_by_name_and_folder():
    known = ["systems.a", "systems.b", "claims.c"]
    assert chosen([], known) == known
    assert chosen(["systems"], known) == ["systems.a", "systems.b"]
    assert chosen(["c", "a"], known) == ["systems.a", "claims.c"]
    with pytest.raises(SystemExit, match="no example 'd'"):
        chosen(["d"], known)


def test_one_that_fails_is_a_row_and_no_end(monkeypatch, capsys):
    module = importlib.import_module("examples.systems.neuron")
    for error, code, word in (
        (ValueError("three is no gate"), 1, "three is no gate"),
        (FileNotFoundError("install gates"), 0, "not installed"),
    ):

        def fails(arguments, error=error):
            raise error

        monkeypatch.setattr(module, "main", fails)
        assert main(["neuron"]) == code
        assert word in capsys.readouterr().out


def test_options_reach_each_example(monkeypatch, capsys):
    module, seen = importlib.import_module("examples.systems.neuron"), []
    monkeypatch.setattr(module, "main", lambda arguments: seen.append(arguments) or [])
    assert main(["neuron", "--quick", "--output", "there", "--threads", "1"]) == 0
    options = common.parser("").parse_args(seen[0])
    assert (options.quick, str(options.output), options.threads) == (True, "there", 1)


def test_table_lines_up():
    rows = [common.Result("a", "digits", "99 %", "98 %", True, 1.25)]
    head, line, row = common.table(rows).splitlines()
    assert head.index("figure") == row.index("99 %") and set(line) == {"-", " "}
    assert row.endswith("1.2")
