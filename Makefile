# Two commands do everything: `make quickstart` and `make test`. The environment lives in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: quickstart test test-slow bench codecs validation lint clean

quickstart: $(STAMP)
	$(BIN)/netsim run quickstart -o results/quickstart
	@echo "The page: results/quickstart/report.html"

test: $(STAMP) lint
	$(BIN)/python -m pytest -q --doctest-modules netsim algorithms channels
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

bench: $(STAMP)
	$(BIN)/python -m benchmarks.speed

codecs: $(STAMP)
	$(BIN)/python -m benchmarks.codecs

validation: $(STAMP)
	$(BIN)/python -m benchmarks.validation

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict netsim algorithms channels
	$(BIN)/lint-imports --no-cache --no-logo

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[test]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) results .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
