# Everything here runs from a private virtual environment that the first call makes.
#
#   make demo ARGS="--json demo.json"      ARGS is handed on to the command behind the target
#   make test VENV=DIR          another place for the virtual environment
#   make demo PYTHON=python3.12

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13,$(shell command -v $(name))))
UV ?= uv
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
LOCKED := $(PIP) install --require-hashes --no-deps
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header

.PHONY: help
help:  ## List what can be made
	@awk 'BEGIN { FS = ":.*##" } \
	     /^[a-z-]+:.*##/ { printf "  \033[1mmake %-8s\033[0m%s\n", $$1, $$2 }' Makefile
	@echo "  ARGS=\"…\" is handed on to the command; VENV=… and PYTHON=… choose the environment."

.PHONY: demo
demo: $(VENV)/.demo  ## Tell the whole loop on real solar-cell photos (two minutes or so)
	@$(BIN)/python -m burnish demo $(ARGS)

.PHONY: test
test: lint  ## Check everything: format, lint, types, imports, tests
	@$(BIN)/python -m pytest -n 2 -m "not soak" $(ARGS)

.PHONY: lint
lint: $(VENV)/.test  ## Check format, lint, types and imports only
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

.PHONY: bench
bench: $(VENV)/.test  ## Measure: one file a question, each prints ratios
	@shopt -s nullglob; files=(benchmarks/*.py); \
	if [ $${#files[@]} -eq 0 ]; then echo "There is no benchmark yet: benchmarks/ is empty."; fi; \
	for file in "$${files[@]}"; do echo "== $$file"; $(BIN)/python "$$file" $(ARGS); done

.PHONY: soak
soak: $(VENV)/.test  ## Run the tests that take longer than a minute each
	@status=0; $(BIN)/python -m pytest -m soak $(ARGS) || status=$$?; \
	if [ $$status -eq 5 ]; then echo "There is no soak test yet: no test carries the mark."; \
	else exit $$status; fi

# An extra's file holds only what it adds, at versions that agree with core's.
.PHONY: lock
lock:  ## Pin every requirement anew, with hashes (needs uv)
	@mkdir -p requirements
	$(LOCK) --upgrade --group build -o requirements/build.txt
	$(LOCK) --upgrade pyproject.toml -o requirements/core.txt
	@for extra in bench croissant demo rabbitmq ray test; do \
		echo "Locking the extra $$extra"; \
		$(LOCK) --upgrade --extra $$extra pyproject.toml --constraint requirements/core.txt \
			-o requirements/$$extra.txt \
			$$(sed -nE 's/^([a-z0-9_.-]+)==.*/--no-emit-package \1/p' requirements/core.txt); \
	done

# --- the virtual environment, in layers; each stamp is newer than what it was made from

$(VENV)/.python:
	@if [ -z "$(PYTHON)" ]; then echo "Burnish needs Python 3.11 or newer: apt-get install python3"; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Burnish needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { echo "$(PYTHON) cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.python requirements/build.txt requirements/core.txt pyproject.toml
	@echo "Installing the pinned requirements (no torch among them)"
	@$(LOCKED) -r requirements/build.txt -r requirements/core.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.demo: $(VENV)/.core requirements/demo.txt
	@echo "Installing the demo's photos"
	@$(LOCKED) -r requirements/demo.txt
	@touch $@

# RUNLEVEL=1: what is installed for the tests is not started; they start servers of their own.
$(VENV)/.test: $(VENV)/.demo requirements/rabbitmq.txt requirements/ray.txt requirements/test.txt \
	requirements/debian-test.txt
	@echo "Installing the test tools"
	@$(LOCKED) -r requirements/rabbitmq.txt -r requirements/ray.txt -r requirements/test.txt
	@wanted=$$(sed -E 's/#.*//' requirements/debian-test.txt | xargs); missing=""; \
	for package in $$wanted; do \
		dpkg-query -W -f '$${db:Status-Status}' "$$package" 2>/dev/null | grep -qx installed \
		|| missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Debian packages for the tests:$$missing"; \
		{ apt-get -qq update \
		  && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
			-o DPkg::Lock::Timeout=120 $$missing; } >/dev/null \
		|| echo "apt-get could not install them: tests that need them skip."; \
	else echo "Tests that need these Debian packages skip:$$missing"; \
	fi
	@touch $@
