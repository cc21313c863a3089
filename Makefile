# Everything lives in .venv, which `make setup` makes with uv or with a Python from 3.12 on.
PYTHON := .venv/bin/python
ARGS ?=
# All tests at once use every core; a few that are named do not wait for workers to start.
TEST_ARGS = $(if $(ARGS),$(ARGS),-n auto)

# Without it each worker would rewrite the assertions of all tests anew at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-fast test-clients lint bench packs screenshots lock clean

help:
	@echo 'make setup       make .venv or bring it up to date'
	@echo 'make demo        set up, then record and replay with no key and no network'
	@echo 'make test        set up, then run all tests; make test ARGS="-k sse" hands ARGS to pytest'
	@echo 'make test-fast   the same without the slow tests'
	@echo 'make test-clients  install agents and client libraries from npm and PyPI and drive them; ARGS="codex" these alone'
	@echo 'make lint        ruff check, ruff format --check, mypy'
	@echo 'make bench       measure recording and replaying against mitmdump, aiohttp, nginx and aimock'
	@echo 'make packs       write what is shipped anew: packs, prices, defaults, the texts of --help'
	@echo 'make screenshots  take those of docs/ui anew (needs a chromium on PATH)'
	@echo 'make lock        write requirements.lock anew from pyproject.toml (needs uv; ARGS=--upgrade for newer ones)'
	@echo 'make clean       remove .venv, caches and builds; recordings stay'

setup:
	@.ci/setup

demo: setup
	.venv/bin/wiretape demo $(ARGS)

test: setup
	$(PYTHON) -m pytest $(TEST_ARGS)

test-fast: setup
	$(PYTHON) -m pytest -m "not slow" $(TEST_ARGS)

test-clients: setup
	$(PYTHON) -m tests.clients.results $(ARGS)

lint: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/wiretape scan recordings

bench: setup
	$(PYTHON) -m benchmarks $(ARGS)

packs: setup
	$(PYTHON) -m wiretape.config.write_shipped
	$(PYTHON) -m wiretape.cli.write_help

screenshots: setup
	$(PYTHON) -m tests.support.screenshots

lock:
	@uv --version >/dev/null 2>&1 || { echo 'make lock needs a uv that runs on PATH' >&2; exit 1; }
	uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate pyproject.toml --group dev -o requirements.lock $(ARGS)

clean:
	rm -rf .venv .venv-* .cache build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find proxy addons tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
