# One target for each task of a contributor or an operator. `make` alone lists them.
#
# PYTHON  the interpreter the environment is made with   (make PYTHON=python3.12 run)
# ARGS    passed on to the tool behind a target          (make test ARGS="-k inbox -x")

SHELL := /bin/bash
.DEFAULT_GOAL := help
# If a failed install left its stamp behind, the next run would not see the failure.
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

# The stamps live inside the environment, so that removing it removes them too.
RUN_READY := $(VENV)/.ready-to-run
DEV_READY := $(VENV)/.ready-to-develop

.PHONY: help run test slow faults bench coverage lint format types imports docs rooms catalogue lock sbom new-adapter wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' \
		| while IFS=$$'\t' read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

# --- the environment -------------------------------------------------------------------------------------------------

# pip, not python: venv installs pip last, so an interrupted venv is made again.
$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null \
		|| { echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is $$($(PYTHON) -V); the gateway needs 3.11 or newer. Name another: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The project goes in by itself: pip cannot hash a folder, and refuses to mix one with hashed requirements. Its build
# tools are in the lock, so nothing is fetched unhashed. A second --quiet: setuptools lectures about editable installs.
EDITABLE = $(PIP) --quiet install --no-deps --no-build-isolation --editable .

$(RUN_READY): requirements.lock setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing the packages of the gateway into $(VENV): about a minute, once."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(EDITABLE)
	@touch $@

$(DEV_READY): requirements-dev.lock setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing the packages of the tests and checks into $(VENV): about a minute, once."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(EDITABLE)
	@touch $@ $(RUN_READY)

# --- use -------------------------------------------------------------------------------------------------------------

# In a terminal's foreground the server gets a process group of its own (set -m): Ctrl-C then reaches the server, which
# ends in good order, and not make, which would report a failure. Anywhere else signals arrive as they always do.
FOREGROUND = $(BIN)/python -c 'import os, sys; sys.exit(os.getpgrp() != os.tcgetpgrp(0))' 2>/dev/null

run: $(RUN_READY)  ## start the gateway with simulated providers; Ctrl-C ends it
	@$(BIN)/python run_gateway.py init
	@if $(FOREGROUND); then set -m; fi; \
		$(BIN)/python run_gateway.py serve --simulate $(ARGS) || { code=$$?; [ $$code -eq 130 ] || exit $$code; }

# --- checks ----------------------------------------------------------------------------------------------------------

test: $(DEV_READY)  ## run the tests (without the slow ones and the faults)
	@$(BIN)/python -m pytest $(ARGS)

slow: $(DEV_READY)  ## run the tests that take longer
	@$(BIN)/python -m pytest -m "slow and not fault" $(ARGS)

faults: $(DEV_READY)  ## kill processes and databases under load: nothing lost, nothing doubled
	@$(BIN)/python -m pytest -m fault $(ARGS)

bench: $(DEV_READY)  ## measure throughput and latency on this machine
	@$(BIN)/python bench/run.py $(ARGS)

coverage: $(DEV_READY)  ## run the tests and show the lines they miss
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: $(DEV_READY)  ## look for mistakes and untidy formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(DEV_READY)  ## tidy the formatting, and make the repairs that are safe
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(DEV_READY)  ## check the types (mypy, strict)
	@$(BIN)/mypy $(ARGS)

imports: $(DEV_READY)  ## check who imports whom
	@$(BIN)/lint-imports $(ARGS)

docs: $(DEV_READY)  ## write the reference pages anew, and check that everything is documented
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m pytest tests/test_docs.py $(ARGS)

# Texts for people are English patterns in calls of text(); the catalogue has their Indonesian. No line numbers in it: they
# would change with every commit.
CATALOGUE := gateway/i18n/locale

catalogue: $(DEV_READY)  ## collect the users' texts; then translate the new ones in gateway/i18n/locale
	@mkdir -p $(CATALOGUE)/id/LC_MESSAGES
	@$(BIN)/pybabel --quiet extract --no-default-keywords --keywords=text --keywords=plural:1,2 --no-location --sort-output --ignore-dirs="migrations .* _*" \
		--project=lapor-gateway --version=$(VERSION) --output=$(CATALOGUE)/lapor.pot gateway adapters run_gateway.py
	@[ -e $(CATALOGUE)/id/LC_MESSAGES/lapor.po ] || $(BIN)/pybabel --quiet init --domain=lapor --locale=id \
		--input-file=$(CATALOGUE)/lapor.pot --output-dir=$(CATALOGUE)
	@$(BIN)/pybabel --quiet update --domain=lapor --no-fuzzy-matching \
		--input-file=$(CATALOGUE)/lapor.pot --output-dir=$(CATALOGUE)
	@$(BIN)/pybabel --quiet compile --domain=lapor --directory=$(CATALOGUE)

rooms: $(DEV_READY)  ## draw the rooms into docs/architecture.md, from the imports
	@$(BIN)/python docs/rooms.py $(ARGS)

# --- upkeep ----------------------------------------------------------------------------------------------------------

# The gateway's own name is "unsafe" to pip-tools so that it stays out of the locks: the extras refer to it.
# --no-build-isolation and --build-deps-for: the tool that builds the gateway is locked like everything else.
COMPILE = $(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-build-isolation --build-deps-for editable \
	--unsafe-package lapor-gateway --no-allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

# pip-compile ends a lock with a warning about the package that was left out, and names it twice among the reasons for a
# pin. Both are removed.
TRIM = sed -i.bak -e '/^$$/,$$d' -e '/^    \#   lapor-gateway$$/d'

# A lock is for every machine, so the pip settings of this one (extra indexes, local wheels) must not influence it.
# Pins are kept while they still fit; ARGS=--upgrade renews them all.
lock: export PIP_CONFIG_FILE := /dev/null
lock: export CUSTOM_COMPILE_COMMAND := make lock
lock: export PIP_EXTRA_INDEX_URL :=
lock: export PIP_FIND_LINKS :=
lock: $(DEV_READY)  ## renew both lock files after a change of setup.cfg
	@echo "Up to a few minutes. pip-tools will warn that lapor-gateway itself is not pinned: it is not meant to be."
	@$(COMPILE) --extra all --output-file requirements.lock $(ARGS) setup.cfg
	@$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock $(ARGS) setup.cfg
	@$(TRIM) requirements.lock requirements-dev.lock
	@rm requirements.lock.bak requirements-dev.lock.bak

new-adapter: $(RUN_READY)  ## make the folder of an adapter: make new-adapter NAME=whatsapp.cloud
	@[ -n "$(NAME)" ] || { echo "Name it, for example: make new-adapter NAME=whatsapp.cloud" >&2; exit 2; }
	@$(BIN)/python -m gateway.testing.new_adapter "$(NAME)"

# Through an sdist: if MANIFEST.in lacks a file, the wheel fails here, and not at the first installation.
wheel: $(DEV_READY)  ## build the sdist and the wheel into dist/
	@rm -rf build dist
	@$(BIN)/python -m build --no-isolation

# The packages of an installation with their hashes, for scanners of known vulnerabilities. The lock does not say which
# package needs which, and the tool warns about that; the warning is switched off, because scanners need only the list.
SBOM := dist/lapor-gateway.cdx.json
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' gateway/__init__.py)

sbom: $(DEV_READY)  ## write the list of all packages (CycloneDX) from requirements.lock into dist/
	@mkdir -p $(dir $(SBOM))
	@printf '[project]\nname = "lapor-gateway"\nversion = "%s"\nlicense = "Apache-2.0"\n' "$(VERSION)" > $(SBOM).toml
	@PYTHONWARNINGS=ignore::UserWarning $(BIN)/cyclonedx-py requirements --output-reproducible --pyproject $(SBOM).toml --output-file $(SBOM) requirements.lock
	@rm $(SBOM).toml
	@echo "$(SBOM)"

clean:  ## remove the files that tools leave behind (not .venv, not var)
	@rm -rf build dist *.egg-info htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
