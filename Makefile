# make run   the demo application with its dashboard
# make test  every check: format, lint, types, layers, tests
# make bench bgjobs beside other job systems and the limits of this machine

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test lint bench css screenshots clean

run: $(STAMP)
	$(BIN)/python app.py

test: $(STAMP) lint
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Beside other job systems, in an environment of its own; make bench QUICK=1 takes two minutes.
bench:
	$(PYTHON) -m bench $(if $(QUICK),--quick)

# Installed once; again only when what is to be installed has changed. So both commands work offline after that.
$(STAMP): pyproject.toml requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $(STAMP)
