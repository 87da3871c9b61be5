"""Independent NumPy float64 references of every operation, family by family."""

import importlib
import pkgutil

REFERENCES = {}
for _module in pkgutil.iter_modules(__path__):
    REFERENCES.update(importlib.import_module(f"{__name__}.{_module.name}").REFERENCES)
