PYTHON ?= .venv/bin/python
ARGS ?=

build:
	$(PYTHON) setup.py -q build_ext --inplace

.PHONY: build
