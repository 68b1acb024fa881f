# Every target does its own set-up: one virtual environment, .venv, with a stamp file for each of the two locks.

MAKEFLAGS += --no-builtin-rules
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

LOCK_VENV := .venv-lock
LOCK_TOOLS := pip==26.3 pip-tools==7.6.2
# Pins that still fit are kept; UPGRADE=1 takes the newest of everything.
COMPILE := env -u PIP_FIND_LINKS -u PIP_NO_INDEX -u PIP_EXTRA_INDEX_URL CUSTOM_COMPILE_COMMAND="make lock" \
	$(LOCK_VENV)/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
	$(if $(UPGRADE),--upgrade)

# Tests start Python a thousand times: each module is to be compiled once, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

# Tests go to several workers one by one, in their order; those of one group to one worker.
SPREAD := -n auto --dist loadgroup --no-loadscope-reorder

# Shell lines that set $$python to a Python that is new enough, or stop.
FIND_PYTHON := python=; \
	for name in python3.11 python3; do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "OnTrack needs Python 3.11 or newer. Install it (on Debian or Ubuntu: python3.11 and python3.11-venv) and try again." >&2; \
		exit 1; \
	fi

# Shell lines that make the environment $(1), unless one that works is there.
define MAKE_VENV
if ! $(1)/bin/python -m pip --version >/dev/null 2>&1; then \
	$(FIND_PYTHON); \
	if ! "$$python" -m venv --clear $(1) >/dev/null 2>&1; then \
		rm -rf $(1); \
		echo "$$python cannot make a virtual environment. Install its venv module (on Debian or Ubuntu: python3-venv or python3.11-venv) and try again." >&2; \
		exit 1; \
	fi; \
fi
endef

.PHONY: help demo test lint format benchmark torture lock schemas clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.runtime ## Run the demonstration.
	@$(BIN)/ontrack demo

test: lint ## Check everything that must hold, then run the tests.
	$(BIN)/python -m contracts.schemas --check
	$(BIN)/python -m services.ingest.http.openapi --check
	$(BIN)/pytest $(SPREAD)

lint: .venv/.dev ## Check style, layout and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev ## Lay out the code and mend what ruff can mend.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

benchmark: .venv/.dev ## Measure the speed.
	$(BIN)/pytest -m benchmark -s tests/benchmarks

torture: .venv/.dev ## Run the tests that repeat themselves very often.
	$(BIN)/pytest -m torture $(SPREAD)

schemas: .venv/.runtime ## Write the JSON Schemas and AsyncAPI of the contracts again.
	$(BIN)/python -m contracts.schemas
	$(BIN)/python -m services.ingest.http.openapi

lock: ## Pin the dependencies again; UPGRADE=1 takes the newest ones.
	@echo "Setting up $(LOCK_VENV) …"
	@$(call MAKE_VENV,$(LOCK_VENV))
	@$(LOCK_VENV)/bin/python -m pip --quiet --disable-pip-version-check install $(LOCK_TOOLS)
	@echo "Pinning the dependencies …"
	@$(COMPILE) --build-deps-for editable --output-file requirements.lock pyproject.toml
	@$(COMPILE) --extra dev --build-deps-for editable --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	@rm -rf $(LOCK_VENV)

clean: ## Remove everything that the targets made.
	rm -rf .venv $(LOCK_VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find contracts services tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.runtime: requirements.lock pyproject.toml
	@echo "Setting up .venv to run OnTrack …"
	@$(call MAKE_VENV,.venv)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "Setting up .venv to check OnTrack …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
