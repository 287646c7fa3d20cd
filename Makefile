# Two commands for newcomers: `make demo` and `make test`. Each does all its own set-up.
# Everything lands in .venv and .cache of this folder; `make clean` removes both.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CACHE := $(CURDIR)/.cache
STAMP := $(VENV)/.installed
export FAULTLINE_HOME ?= $(CACHE)/faultline
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test check lint bench eval fuzz up testbed recordings fixtures lock clean system

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml .ci/build_decoder.py $(wildcard ingest/decoders/_otlp*.p[yx]* ingest/_*.pyx ingest/*/_*.pyx)
	@echo "== Installing into $(VENV) (the first time llama.cpp is compiled: some minutes)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PYTHON) .ci/install.py $(BIN)/python requirements.lock
	@touch $@

demo: $(STAMP) ## Replay a recorded incident and read its analysis
	@$(BIN)/faultline models pull --for demo
	@$(BIN)/faultline replay tests/recordings/demo/slow-dependency --serve-if-terminal

test: $(STAMP) system ## Run every test: real Kafka, PostgreSQL, GGUF, browser
	@$(BIN)/faultline models pull --for test
	@$(BIN)/python -m pytest

system: $(STAMP)
	@$(BIN)/python .ci/system_packages.py

check: lint test ## What a change must pass: ruff, mypy, import-linter, tests

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint docker/Dockerfile docker/Dockerfile.cuda
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml

bench: $(STAMP) system ## Print speed as ratios to raw components, with a broker of its own: JSON=file
	@$(BIN)/python -m tests.support.broker --run $(BIN)/faultline bench --kafka {} $(if $(JSON),--json $(JSON))

eval: $(STAMP) ## Print accuracy on labelled data (FAULTLINE_DATA names the folder)
	@$(BIN)/faultline eval rca

fuzz: $(STAMP) ## Throw mutated records at every decoder: RECORDS=1000000 SECONDS=600 SEED=1
	@$(BIN)/python -m tests.fuzz --records $(or $(RECORDS),1000000) --seconds $(or $(SECONDS),600) --seed $(or $(SEED),1)

up: ## Start Kafka, PostgreSQL, Qdrant and Faultline with docker compose
	@cd docker && docker compose up --build

testbed: $(STAMP) system ## Record an incident of the shop: make testbed FAULT=slow-dependency OUT=folder
	@$(BIN)/python -m tests.testbed run --fault $(or $(FAULT),slow-dependency) --out $(or $(OUT),.cache/recordings)

recordings: $(STAMP) system ## Make all kept recordings again (hours; goes on where it was): STREAMS=3 OUT=folder
	@$(BIN)/python -m tests.testbed suite --streams $(or $(STREAMS),3) --out $(or $(OUT),.cache/recordings/shop) \
		$(if $(filter 0,$(shell id -u)),--realtime)

fixtures: $(STAMP) system ## Run real shippers and keep what they send, in tests/fixtures/wire
	@$(BIN)/python -m tests.shippers all

lock: ## Resolve requirements.lock anew
	@$(BIN)/python -m pip install -q pip-tools
	@$(BIN)/pip-compile -q --extra dev --strip-extras --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml

clean: ## Remove the environment and everything downloaded
	rm -rf $(VENV) .cache
