# make run          the demo application with its dashboard
# make test         every check: format, lint, types, layers, tests
# make bench        bgjobs beside other job systems and the limits of this machine (QUICK=1: two minutes)
# make faults       how long recovery takes, with real processes and signals
# make assets       the stylesheet and the scripts, from assets/ (needs npm)
# make screenshots  pictures of the dashboard (needs a browser)
# make clean        away with everything that can be made again; the demo's jobs and logs stay

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BROWSER := $(VENV)/.browser
CACHES := .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
# An environment works where it was made: that of a clone that was moved or copied would run the code of the other.
MOVED := $(shell test "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" || echo moved)

.PHONY: run test lint bench faults assets screenshots clean moved

run: $(STAMP)
	@$(BIN)/python -m flask --app app bgjobs upgrade
	@$(BIN)/python app.py

test: $(STAMP) lint $(BROWSER)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Beside other job systems, in an environment of its own; make bench QUICK=1 takes two minutes.
bench: $(STAMP)
	$(PYTHON) -m bench $(if $(QUICK),--quick)
	$(BIN)/python -m bench.dashboard

# Each fault again and again; the table goes into docs/reliability.md. What follows are tests that the normal run has
# with smaller numbers.
faults: $(STAMP)
	PYTHONPATH=tests $(BIN)/python tests/processes/measure_faults.py $(ROUNDS)
	PYTHONPATH=tests $(BIN)/python tests/processes/measure_memory.py
	BGJOBS_EXAMPLES=500 BGJOBS_RACES=1000 BGJOBS_LINES=10000 BGJOBS_DISPATCHES=10000 $(BIN)/python -m pytest -q -n0 \
		tests/unit/test_state_machine.py tests/unit/test_store.py tests/unit/test_log_files.py \
		tests/unit/test_many_threads.py

assets: node_modules
	npm run css
	npm run js

screenshots: $(STAMP) $(BROWSER)
	$(BIN)/python tests/browser/screenshots.py

clean:
	rm -rf $(VENV) $(CACHES) node_modules build dist screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once; again only when what is to be installed has changed. So both commands work offline after that.
$(STAMP): pyproject.toml requirements.txt $(MOVED)
	test -z "$(MOVED)" || rm -rf $(VENV)
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	echo "$(CURDIR)" > $(STAMP)

# Tried once, because it can be impossible: without a browser its tests are left out, and one line says so.
$(BROWSER): $(STAMP)
	@$(BIN)/python tests/browser/bring.py
	@touch $(BROWSER)

node_modules: package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	touch node_modules
