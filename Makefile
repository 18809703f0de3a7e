# make demo | install | lint | type | test | test-long | format | clean. The environment is .venv; VENV=... and PYTHON=... choose another.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
WORKDIR ?= runs/digits

.PHONY: demo install lint type test test-long format clean

demo: $(VENV)/.experiments
	$(BIN)/python -m experiments.run --workdir=$(WORKDIR)

install: $(VENV)/.test

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

type: $(VENV)/.test
	$(BIN)/mypy

test: $(VENV)/.test
	$(BIN)/python -m pytest

test-long: $(VENV)/.test
	$(BIN)/python -m pytest -m long

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# A stamp per set of extras: installed again when setup.cfg changes, reused otherwise.
$(VENV)/.experiments: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[experiments]'
	touch $@

$(VENV)/.test: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[experiments,tfds,test]'
	touch $@
