# Every target does its own set-up: all it needs is python3 (3.11 or newer), git and make.

PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ok
UV_VERSION := 0.13.9

# Test workers; two keep both cores of a small machine busy without compiling the same kernel many times over.
WORKERS ?= 2
# Tests compile into the project, so a fresh clone starts cold and leaves nothing behind in the home folder.
TEST_CACHE := $(CURDIR)/.cache/edgesmith

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint format bench truth truth-release lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv and install everything from requirements.lock

demo: $(READY) ## simulate (or import DATA=capture.gz), compute, discover, backtest, report
	@$(BIN)/edgesmith demo $(if $(DATA),--data $(DATA))

test: lint ## lint, then every test
	@sh tests/servers/install_chromium.sh
	@EDGESMITH_CACHE_DIR=$(TEST_CACHE) $(BIN)/python tests/warm.py
	@EDGESMITH_CACHE_DIR=$(TEST_CACHE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(READY) ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(READY) ## rewrite the sources in the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## measure speed and memory beside the peers; prints a table and writes JSON
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

truth: $(READY) ## prove the method on worlds whose truth is known, beside other methods; fails when a bar is missed
	@EDGESMITH_CACHE_DIR=$(TEST_CACHE) $(BIN)/python -m benchmarks.truth --workers $(WORKERS)

truth-release: $(READY) ## the same on 1,000 null worlds and more, with seeds kept for this; half an hour, goes on where it stopped
	@EDGESMITH_CACHE_DIR=$(TEST_CACHE) $(BIN)/python -m benchmarks.truth --release --workers $(WORKERS) $(if $(HOURS),--hours $(HOURS))

lock: $(BIN)/uv ## resolve requirements.lock again (UPGRADE=1 moves to the newest versions)
	@$(BIN)/uv pip compile -q --universal -p 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --all-extras --group dev $(if $(UPGRADE),--upgrade) \
	  pyproject.toml -o requirements.lock

clean: ## remove .venv and every cache; keeps data/ and runs/
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml | $(BIN)/uv
	@echo "installing into $(VENV) ..."
	@$(BIN)/uv pip install -q -p $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install -q -p $(BIN)/python --no-deps -e .
	@touch $@

$(BIN)/uv:
	@$(PY) -c 'import sys; sys.exit("python was %d.%d, expected 3.11 or newer; set PY=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PY) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
