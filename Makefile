# `make` alone lists the targets. On Windows see the README: each target is one or two plain commands.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 3
STAMP := $(VENV)/.installed

export DAGSTER_HOME ?= $(CURDIR)/data/dagster
export DAGSTER_DISABLE_TELEMETRY ?= 1
export DO_NOT_TRACK ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo dev up sandbox test chaos check bench-overhead bench-verification bench-overlap bench-upload bench-publish clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create the environment in .venv from constraints.txt
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	touch $@

demo: $(STAMP) ## Run the main job on a real retailer's year, into the local sandbox
	$(BIN)/mds-tableau demo

# the UI goes on with the data that the demo put in place, if it did
dev: export MDS_RAW_DIR ?= $(if $(wildcard data/full/*.parquet),$(CURDIR)/data/full,$(CURDIR)/data/raw)
dev: $(STAMP) ## Open the Dagster UI on port 3000 of this machine
	$(BIN)/dagster dev -w workspace.yaml

# as for dev, what the demo put in place
up: export MDS_RAW_DIR ?= $(if $(wildcard data/full/*.parquet),$(CURDIR)/data/full,$(CURDIR)/data/raw)
up: $(STAMP) ## Serve the UI and run what is due, until Ctrl-C: docs/running.md
	$(BIN)/mds-tableau up

sandbox: $(STAMP) ## Serve the sandbox, with what was published, on port 8850 of this machine
	$(BIN)/mds-tableau sandbox

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest -n $(WORKERS)

chaos: $(STAMP) ## Kill runs at random moments, and look at what is left of each
	$(BIN)/python -m tests.chaos --append

check: $(STAMP) ## Check format, style, types, definitions and the dbt project
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/dg check defs
	$(BIN)/dagster definitions validate -w workspace.yaml

bench-overhead: $(STAMP) ## Compare the whole job with a bare script and with Dagster's default executor
	$(BIN)/python -m benchmarks.overhead

bench-verification: $(STAMP) ## Compare export and convert with exact verification and without
	$(BIN)/python -m benchmarks.verification

bench-overlap: $(STAMP) ## Compare uploading while converting with one extract after the other
	$(BIN)/python -m benchmarks.overlap

bench-upload: $(STAMP) ## Upload 1 GB while every tenth chunk fails; memory, repeats and seconds
	$(BIN)/python -m benchmarks.upload

bench-publish: $(STAMP) ## Compare the publish command with pandas, pantab and row by row
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.one_shot

clean: ## Remove everything that was derived, and the environment
	rm -rf $(VENV) dbt_project/target dbt_project/logs
	git clean -fdXq data
