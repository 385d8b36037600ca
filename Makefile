# Every task of this repository. `make` lists them; `make run` starts the gateway, `make test` proves it.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Debian packages that `make test` needs beyond Python, e.g. database engines; installed only when missing.
TEST_PACKAGES := postgresql redis-server default-jre-headless maven libmagic1

# Tests wait more than they reckon, so one worker more than there are processors.
WORKERS ?= $(shell expr $$(nproc) + 1)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help venv dev run engines run-full restart status logs stop test check proto proto-breaking bench lock wheel clean test-packages

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@PYTHON="$(PYTHON)" tools/venv $(MAKECMDGOALS)

# The stamps say which lock file is installed. The editable install needs no build isolation: its build
# backend is locked too.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the pinned dependencies (about a minute the first time)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing the pinned development tools"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

venv: $(VENV)/.runtime ## Make .venv with what the gateway needs

dev: $(VENV)/.dev ## Make .venv with what developing and testing need as well

run: $(VENV)/.runtime ## Start the gateway; MODEM=emulated or MODEM=modems.toml on modems; ARGS="..." are passed on
	@echo "Starting Infini Reach; Ctrl-C stops it"
	@exec $(BIN)/infinireach up $(if $(MODEM),--modem '$(MODEM)') $(ARGS)

engines: $(VENV)/.dev test-packages ## Start PostgreSQL, Redis, Kafka and Envoy in the background, data under var/
	@$(BIN)/python -m tools.engines start

run-full: $(VENV)/.dev ## Start two of each process on these engines, behind Envoy with TLS; Ctrl-C stops them
	@exec $(BIN)/python -m tools.full run

restart: $(VENV)/.dev ## Restart the processes of run-full one after the other, unnoticed
	@$(BIN)/python -m tools.full restart

status: $(VENV)/.dev ## Tell what runs: the engines and the processes of run-full
	@$(BIN)/python -m tools.engines status
	@$(BIN)/python -m tools.full status

logs: $(VENV)/.dev ## Follow the logs of run-full, or of one engine or process: NAME=kafka, NAME=core-1
	@exec $(BIN)/python -m $(if $(filter postgresql redis kafka envoy,$(NAME)),tools.engines,tools.full) logs $(NAME)

stop: $(VENV)/.dev ## Stop run-full and the engines; their data stays
	@$(BIN)/python -m tools.full stop || true
	@$(BIN)/python -m tools.engines stop

# Unpacked, not installed: see there.
$(VENV)/smstools/smsd: | $(VENV)/bin/python
	@tools/smstools $(VENV)/smstools

test: $(VENV)/.dev test-packages $(VENV)/smstools/smsd ## Run all tests, files side by side; ARGS="..." are passed to pytest
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-packages:
ifneq ($(strip $(TEST_PACKAGES)),)
	@dpkg -s $(TEST_PACKAGES) >/dev/null 2>&1 || { \
	  echo "Installing with apt-get: $(TEST_PACKAGES)"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(TEST_PACKAGES) >/dev/null; \
	} || { echo "The tests need these packages: sudo apt install $(TEST_PACKAGES)" >&2; exit 1; }
endif

check: $(VENV)/.dev proto-breaking ## Lint, format, types and the protocol's compatibility
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/python proto/generate.py --check

proto-breaking: $(VENV)/.dev
	$(BIN)/python tools/proto_breaking.py

proto: $(VENV)/.dev ## Write the Python code of the protos
	@$(BIN)/buf format --write
	@$(BIN)/python proto/generate.py

bench: $(VENV)/.dev ## Measure the throughput and latency figures; ARGS="..." are passed on
	@$(BIN)/python -m bench $(ARGS)

LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: $(VENV)/.dev ## Pin all dependencies anew; UPGRADE=1 takes the newest versions
	$(LOCK) --extra build --output-file requirements.lock
	$(LOCK) --extra build --extra dev --extra whatsapp-web --constraint requirements.lock --output-file requirements-dev.lock

wheel: $(VENV)/.dev ## Build the wheel into dist/ and try it
	@tools/wheel

clean: ## Remove what the other targets made, but not var/
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
