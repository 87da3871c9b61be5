"""Files of data that installed packages carry, found without importing the package."""

from __future__ import annotations

import os
from importlib.util import find_spec


def package_file(package: str, *parts: str, what: str, install: str) -> str:
    """The path of the file `parts` below the folder of an installed package.

    package: the name to import it by. what: the data, in the plural, and install: the command
    that brings them, both for the FileNotFoundError where package or file is missing.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"{what} come with the package {package}, which is not installed: {install}"
        )
    path = os.path.join(spec.submodule_search_locations[0], *parts)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no {path}, where {what} should be: {install}")
    return path
