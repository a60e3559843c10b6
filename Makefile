# Two commands do everything: `make quickstart` and `make test`. The environment lives in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The tests start hundreds of processes: without bytecode each would compile every file it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: quickstart test doctest test-slow test-nojit test-oldest test-wheel bench codecs validation mutants lint clean

quickstart: $(STAMP)
	$(BIN)/netsim run quickstart -o results/quickstart
	@echo "The page: results/quickstart/report.html"

test: $(STAMP)
	$(MAKE) --no-print-directory --jobs 2 --output-sync lint doctest
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

doctest: $(STAMP)
	$(BIN)/python -m pytest -q --doctest-modules --doctest-ignore-import-errors netsim algorithms channels

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

# Kernels as plain Python and codecs in numpy: the same bytes. What takes minutes so is left out.
test-nojit: $(STAMP)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal tests/algorithms tests/channels tests/netsim \
		-k "not ns3 and not park and not twenty_nodes"

# The oldest version of every dependency that pyproject.toml allows.
test-oldest:
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python .ci/oldest.py > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install -q --disable-pip-version-check -c .venv-oldest/constraints.txt \
		-e . hypothesis pytest pytest-xdist
	.venv-oldest/bin/python -m pytest -q -n 2 --dist worksteal

test-wheel:
	.ci/wheel $(PYTHON)

bench: $(STAMP)
	$(BIN)/python -m benchmarks.speed

codecs: $(STAMP)
	$(BIN)/python -m benchmarks.codecs

validation: $(STAMP)
	$(BIN)/python -m benchmarks.validation

# Makes about a hundred expressions wrong, one at a time, and sees that the tests notice; `make mutants ONLY=codecs` takes a group or a part of names.
mutants: $(STAMP)
	$(BIN)/python -m tests.mutations $(ONLY)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict netsim algorithms channels
	$(BIN)/lint-imports --no-cache --no-logo

# Python compiles what is imported; compiling every file of every package would take half of the installation.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --no-compile --disable-pip-version-check -e ".[test]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) .venv-oldest dist results .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
