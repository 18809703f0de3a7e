# make demo | install | lint | type | test | test-long | docs | format | clean. The environment is .venv; VENV=... and PYTHON=... choose another.
PYTHONS := python3.14 python3.13 python3.12 python3.11
# The newest that starts and can make an environment: a name on the path may be a shim, or lack its venv package.
PYTHON ?= $(shell for python in $(PYTHONS); do $$python -c 'import ensurepip, venv' >/dev/null 2>&1 && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
WORKDIR ?= runs/digits

.PHONY: demo plan install lint type test test-long docs format clean

demo: plan $(VENV)/.experiments
	$(BIN)/python -m experiments.run --workdir=$(WORKDIR)

plan:
	@echo "1. Makes $(VENV) and installs the library and its launchers there: 1 to 3 minutes, the first time only."
	@echo "2. Trains and prunes 5 networks on handwritten digits, clusters them and shuffled copies, damages their modules:"
	@echo "   half a minute to a minute on 2 cores the first time, a third of it compilation, and 20 to 40 seconds after that."
	@echo "3. Ends with a table and writes $(WORKDIR)/report.html. Ctrl-C saves; the same command goes on."

install: $(VENV)/.test

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

type: $(VENV)/.test
	$(BIN)/mypy

test: $(VENV)/.test
	$(BIN)/python -m pytest

# The slow tests, and those that compare bits as users' programs are compiled.
LONG ?= tests
test-long: $(VENV)/.test
	XLA_FLAGS=--xla_backend_optimization_level=3 $(BIN)/python -m pytest -m "long or bits" $(LONG)

# The site of docs/ and of the docstrings; a warning, such as a link that leads nowhere, is an error.
SITE ?= build/site
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going --quiet docs $(SITE)
	@echo "The site: $(SITE)/index.html"

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info

$(VENV)/bin/python:
	@python='$(PYTHON)'; if test -z "$$python"; then \
	  echo 'error: none of $(PYTHONS) is here and can make an environment; PYTHON=... names another' >&2; exit 1; fi; \
	echo "$(VENV) is made with $$python, $$($$python --version); tried, newest first: $(PYTHONS); PYTHON=... chooses another"; \
	$$python -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# A stamp per set of extras: installed again when setup.cfg changes, reused otherwise.
$(VENV)/.experiments: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[experiments]'
	touch $@

$(VENV)/.test: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[experiments,tfds,test]'
	touch $@

$(VENV)/.docs: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@
