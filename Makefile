# `make run` and `make test` are all that is needed; README says the same without make.
PYTHON ?= python3
BIN := .venv/bin
FIND := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS))
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python $(FIND) --constraint constraints.txt

PLAIN := tests/backtest/test_candle_tables.py tests/features/test_indicators.py tests/contracts/test_strategies_contract.py

# many processes start in the tests and under `up`: with this set, each would compile every library's source anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-all chaos check clean

run: .venv/run.ok
	$(BIN)/alpha-arena up $(ARGS)

test: .venv/test.ok check
	rm -f .coverage*
	# coverage does not see into compiled code: what is compiled runs once as plain Python
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n 2 $(PLAIN) -m "not slow and not chaos" --cov --cov-report=
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not chaos" --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=90

# the suites that take longer
test-all: .venv/test.ok
	$(BIN)/python -m pytest -q -n 2 -m slow

# every fault at every point; how long it takes is in docs/numbers.md
chaos: .venv/test.ok
	$(BIN)/python -m pytest -q -n 2 -m chaos tests tests/chaos

check: .venv/test.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/uv.ok: constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	touch $@

.venv/run.ok: .venv/uv.ok pyproject.toml
	$(INSTALL) --editable .
	touch $@

.venv/test.ok: .venv/uv.ok pyproject.toml
	$(INSTALL) --editable ".[dev,rl,llm,sweep]"
	touch $@ .venv/run.ok

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis build
