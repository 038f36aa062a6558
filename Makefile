# Everything that is done with this project; CI does the same (.ci/run).

PYTHON ?= python3
STAGE ?= dev
N ?= 20000
SENDERS ?= 2
MOMENTS ?= 20
SIZES ?= 1000 10000 100000
VENV := .venv
BIN := $(VENV)/bin
CHECKOV := .venv-checkov
LOCALSTACK := .venv-localstack
LOCALEMU := .venv-localemu
FUNCTIONS := .venv-functions
PEER_VENV := .venv-peer
STAMP := $(VENV)/.requirements
GENERATED := tests/generated
NPM := $(GENERATED)/node_modules
LOCK_FLAGS := --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-index-url --no-emit-find-links
SOURCES := app.py chalicelib infra tests benchmarks

# Some images tell Python to keep no bytecode: then each process of the tests compiles all that it imports, which takes
# 4 s of CPU instead of 1.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup programs run demo import history report test simulate kills mutants scale bench cpu cost pages cold screenshots openapi lint types imports check format package template deploy rollback destroy lock audit secrets localstack proof clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with the locked packages (the other targets do it themselves)

# The stamp is a copy of the lock, so a checkout that only touches the file's time installs nothing again.
$(STAMP): requirements-dev.txt
	@cmp -s $< $@ && touch $@ || { \
	  command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) found: install Python 3.11 or newer, or give it: make PYTHON=/path/to/python" >&2; exit 1; }; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); give another: make PYTHON=/path/to/python" >&2; exit 1; }; \
	  echo "Setting up $(VENV) (half a minute) ..."; \
	  $(PYTHON) -m venv --clear $(VENV) || { echo "python3-venv is missing: on Debian or Ubuntu, apt install python3-venv" >&2; exit 1; }; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $< && cp $< $@; }

# Each program and its package: only what is missing is installed, as somebody else's Node.js excludes Debian's npm. Their
# packages would start a service of their own, which nobody asked for.
PROGRAMS := prometheus:prometheus promtool:prometheus nginx:nginx-light docker-compose:docker-compose chromium:chromium node:nodejs npm:npm
programs: ## Install the programs that some tests start (Debian, Ubuntu; as root)
	@missing="$$(for one in $(PROGRAMS); do command -v "$${one%:*}" >/dev/null || echo "$${one#*:}"; done)"; test -z "$$missing" || { \
	  apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; }

# What makes and checks TypeScript's types of the API. Without npm only those tests are not run, and in CI they fail.
$(NPM)/.package-lock.json: $(GENERATED)/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix $(GENERATED) --ignore-scripts --no-audit --no-fund --loglevel error && touch $@; fi

run: $(STAMP) ## Run the whole service on this machine (PORT, DATA_DIR, GATEWAY_URL ...: see README)
	@exec $(BIN)/python -m infra.local

demo: $(STAMP) ## Send a mailing to 1,000 clients of a running `make run`
	@exec $(BIN)/python -m infra.local.demo

import: $(STAMP) ## Import the clients of FILE (CSV) into a running `make run`
	@test -n "$(FILE)" || { echo "Say which file: make import FILE=clients.csv" >&2; exit 2; }
	@exec $(BIN)/python -m infra.local.import_clients "$(FILE)"

history: $(STAMP) ## Print everything about a mailing, a message or a client (ID=…) of a running `make run`
	@test -n "$(ID)" || { echo "Say whose history: make history ID=… (of a mailing, a message or a client)" >&2; exit 2; }
	@exec $(BIN)/python -m infra.local.history "$(ID)"

report: $(STAMP) ## Send the daily report of a running `make run` now (DAY=2026-03-02; today so far by default)
	@exec $(BIN)/python -m infra.local.report $(DAY)

# Two tiers (tests/conftest.py): what is marked `proof`, and what is not. Three processes for two cores, since one of them
# has what mostly waits.
TESTS := tests/simulation tests/e2e tests/browser tests/integration tests/contract tests/unit

test: $(STAMP) $(NPM)/.package-lock.json ## Run the tests that everyone needs: unit, contract, integration, end to end (about eight minutes on two cores)
	$(BIN)/pytest -n 3 --dist loadgroup -m "not proof" $(TESTS)

# First on this machine and on MiniStack, which waits more than it works, so that all else runs beside it. Then, a process
# for each, on two real LocalStacks, one of which gets other code, and on LocalEmu with IAM enforced; all without Docker.
PROOFS := tests/simulation tests/e2e tests/browser tests/integration/storage $(wildcard tests/integration/test_*.py)
proof: $(STAMP) $(LOCALSTACK)/.requirements $(LOCALEMU)/.requirements $(FUNCTIONS)/.requirements ## Run the rest: simulation, crashes, hours of trouble, browser, deployed stacks
	$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder -o timeout=600 -m proof $(PROOFS)
	$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder -o timeout=600 -m proof --on localstack --on localemu -k "localstack or localemu" tests/e2e

localstack: $(STAMP) $(LOCALSTACK)/.requirements $(FUNCTIONS)/.requirements ## Run a LocalStack without Docker, to deploy into (PORT=4566)
	@exec $(BIN)/python -m infra.localstack

# $(call environment,PYTHON,DIRECTORY,WHAT): an environment of its own, of a Python that is found on this machine.
define environment
	@cmp -s $< $@ && touch $@ || { \
	  python="$$($(BIN)/python -m infra.pythons $(1))" || exit 1; \
	  echo "Setting up $(2) ($(3)) ..."; \
	  "$$python" -m venv --clear $(2) && \
	  $(2)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $< && cp $< $@; }
endef

$(LOCALSTACK)/.requirements: requirements-localstack.txt | $(STAMP)
	$(call environment,3.13,$(LOCALSTACK),a minute)

$(LOCALEMU)/.requirements: requirements-localemu.txt | $(STAMP)
	$(call environment,3.13,$(LOCALEMU),a minute)

$(FUNCTIONS)/.requirements: requirements-functions.txt | $(STAMP)
	$(call environment,3.12,$(FUNCTIONS),some seconds)

simulate: $(STAMP) ## Search for broken promises in N simulated steps (SENDERS=40: as many senders, and more clients)
	SENDERS=$(SENDERS) SIMULATION_STEPS=$(N) $(BIN)/pytest -s -o timeout=0 -m proof tests/simulation/test_simulation.py

kills: $(STAMP) ## Kill -9 each process of `make run`, and all, at MOMENTS random moments, and compare ledger and gateway (ten minutes)
	$(BIN)/python -m tests.support.kills --moments $(MOMENTS) $(if $(SEED),--seed $(SEED))

mutants: $(STAMP) ## Break the code on purpose, piece by piece, and see that the tests notice
	@$(BIN)/python -m tests.mutants

scale: $(STAMP) ## Show how the work grows with a mailing's size (SIZES="1000 100000")
	$(BIN)/python -m tests.simulation.scale $(SIZES)

# With PEER=path the same job on Celery, Redis and PostgreSQL beside it (benchmarks/peer.py), with API_PEER=path the API on
# Django and PostgreSQL behind gunicorn (benchmarks/api_peer.py).
bench: $(STAMP) $(if $(PEER)$(API_PEER),$(PEER_VENV)/.requirements) ## Measure what docs/performance.md says (PARTS="job cpu" FLAGS=--short PEER=path API_PEER=path)
	@PEER="$(PEER)" API_PEER="$(API_PEER)" PEER_PYTHON="$(if $(PEER)$(API_PEER),$(PEER_VENV)/bin/python)" $(BIN)/python -m benchmarks.bench $(PARTS) $(FLAGS)

$(PEER_VENV)/.requirements: requirements-peer.txt
	@cmp -s $< $@ && touch $@ || { \
	  echo "Setting up $(PEER_VENV) (half a minute) ..."; \
	  $(PYTHON) -m venv --clear $(PEER_VENV) && \
	  $(PEER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $< && cp $< $@; }

cpu: $(STAMP) ## Show how much CPU a message takes in dispatch and in delivery
	@$(BIN)/python -m benchmarks.cpu

cost: $(STAMP) ## Show what a million messages cost on AWS, by line, for mailings of SIZES
	$(BIN)/python -m benchmarks.cost $(SIZES)

pages: $(STAMP) ## Show how long each page of the admin UI takes with 100,000 clients (a few minutes)
	@$(BIN)/python -m benchmarks.pages

cold: $(STAMP) ## Show how long each function takes to import what it needs
	@$(BIN)/python -m benchmarks.cold_start

screenshots: $(STAMP) ## Take the pictures of the admin UI in docs/images (a few minutes)
	@$(BIN)/python -m tests.pictures.admin_ui

openapi: $(STAMP) ## Write docs/openapi.json from the routes
	$(BIN)/python -m infra.openapi

lint: $(STAMP) ## Check style and format
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(STAMP) ## Check types
	$(BIN)/mypy

imports: $(STAMP) ## Check that imports point one way
	$(BIN)/lint-imports

check: lint types imports secrets test proof ## Run everything that CI checks, except the package

format: $(STAMP) ## Rewrite the code in house style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

package: $(STAMP) ## Make dist/deployment.zip and dist/template.json for STAGE
	$(BIN)/python -m infra.package --stage "$(STAGE)" dist

template: package $(CHECKOV)/.requirements ## Check the packaged template with cfn-lint and checkov
	$(BIN)/cfn-lint --config-file .cfnlintrc dist/template.json
	$(CHECKOV)/bin/checkov --config-file .checkov.yaml --file dist/template.json

# Its own environment: checkov pins another boto3.
$(CHECKOV)/.requirements: requirements-checkov.txt
	@cmp -s $< $@ && touch $@ || { \
	  echo "Setting up $(CHECKOV) (a minute) ..."; \
	  $(PYTHON) -m venv --clear $(CHECKOV) && \
	  $(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $< && cp $< $@; }

deploy: $(STAMP) ## Deploy STAGE to the current AWS account, or to the emulator at AWS_ENDPOINT_URL
	@$(BIN)/python -m infra.deploy --stage "$(STAGE)"

rollback: $(STAMP) ## Deploy again what ran before in STAGE, with its parameters (YES=1 asks nothing)
	@$(BIN)/python -m infra.rollback --stage "$(STAGE)"

destroy: $(STAMP) ## Remove the stack of STAGE; tables stay (YES=1 asks nothing, DATA=delete removes all)
	@$(BIN)/python -m infra.destroy --stage "$(STAGE)" $(if $(filter delete,$(DATA)),--data)

# An empty configuration: the lock must not depend on the machine that writes it.
lock: $(STAMP) ## Write requirements*.txt again from requirements*.in (UPGRADE=--upgrade for newer versions)
	PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= $(BIN)/pip-compile $(UPGRADE) $(LOCK_FLAGS) -o requirements.txt requirements.in
	PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= $(BIN)/pip-compile $(UPGRADE) $(LOCK_FLAGS) -o requirements-dev.txt requirements-dev.in
	PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= $(BIN)/pip-compile $(UPGRADE) $(LOCK_FLAGS) -o requirements-checkov.txt requirements-checkov.in
	PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= $(BIN)/pip-compile $(UPGRADE) $(LOCK_FLAGS) -o requirements-peer.txt requirements-peer.in
	$(MAKE) $(LOCALSTACK)/.requirements
	npm install --prefix $(GENERATED) --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
	for name in localstack localemu functions; do \
	  PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= $(LOCALSTACK)/bin/pip-compile $(UPGRADE) $(LOCK_FLAGS) -o requirements-$$name.txt requirements-$$name.in || exit 1; \
	done

# Strict: it fails if it could not look up a single package, as without a network.
audit: $(STAMP) ## Look for known vulnerabilities in the locked packages (asks PyPI)
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-dev.txt || { \
	  echo "Either the packages above are vulnerable, or PyPI could not be asked about all of them." >&2; exit 1; }

# What looks like a key. Passwords written into code are ruff's business (S105 to S107). The two alphabets are those of
# base32 and of ids, and an id of a mailing is no secret; what else only looks like one says so at the end of its line.
ALPHABETS := abcdefghijklmnopqrstuvwxyz|0123456789ABCDEFGHJKMNPQRSTVWXYZ
MAILING_ID := (^|/)[0-7][0-9A-HJKMNP-TV-Z]{25}(/|$$)
secrets: $(STAMP) ## Look for committed secrets
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --no-verify --disable-plugin KeywordDetector --exclude-lines '$(ALPHABETS)' --exclude-secrets '$(MAILING_ID)'

clean: ## Remove generated files; data in .local/ stays
	rm -rf $(VENV) $(NPM) $(CHECKOV) $(PEER_VENV) $(LOCALSTACK) $(LOCALEMU) $(FUNCTIONS) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache htmlcov .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +
