# `make help` lists what there is. Everything is made under .venv and build; nothing is installed elsewhere,
# but for the Docker Engine where a Debian or Ubuntu machine has none.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# The steps share hosts, and lint is meant to fail before they are made.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)
export PYTHONPATH := $(CURDIR)/build/collections
export MYPYPATH := build/collections
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
TESTBED := python tools/testbed
DEMO_ADDRESSES := inventories/demo/addresses.yml
EDGE_ADDRESSES := tests/edge/inventory/addresses.yml
SINGLE_ADDRESSES := inventories/single_server/addresses.yml
# From nothing to a verified demo; more fails `make journey`.
DEMO_SECONDS := 600
# Runs when the recipe's shell ends, however it does; the status of a step that failed stays.
# A make of its own, so that `make -n test` removes nothing.
CLEAN_AT_END = trap 'status=$$?; trap "" INT TERM; $(MAKE) clean-tests; exit $$status' EXIT

.PHONY: help setup demo deploy destroy test test-all lint unit page sanity integration molecule edge journey single faults bench compat

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-24s %s\n", $$1, $$2}'
	@echo "  one of them:             make molecule SCENARIO=nginx   make faults FAULT=killed_instance   make bench BENCH=site"

setup: $(VENV)/.ready ## the controller: Ansible, its collections, this one linked beside them

$(VENV)/.ready: requirements.txt tests/requirements.txt requirements.yml tools/link_collections.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; give one with PYTHON=..."; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV) || { echo "python3 -m venv does not work here: apt-get install python3-venv"; exit 1; }
	@echo "setup: installing the controller into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
	@$(BIN)/python tools/link_collections.py build/collections
	@touch $@

demo: setup ## six servers, the whole stack on them, and a shop to look at
	@$(TESTBED) up tools/testbed/fleets/demo.yml --inventory $(DEMO_ADDRESSES)
	@python examples/build.py
	@ansible-playbook slipway.stack.site
	@ansible-playbook slipway.stack.verify
	@ansible-playbook slipway.stack.status
	@python tools/demo_summary.py

# Beside the archives that the inventory names, which are of the first releases.
RELEASES := build/artifacts/releases
deploy: setup ## a new release of the demo's shop, while it serves (FAULT=exits: a broken one; RELEASE=...: its name)
	@read -r _ release sha256 path < <(python examples/build.py --output $(RELEASES) --release $(or $(RELEASE),$(shell date +%Y%m%d-%H%M%S)) \
		$(if $(FAULT),--fault $(FAULT)) sample_app); \
	ansible-playbook slipway.stack.deploy -e deploy_application=shop -e deploy_release=$$release -e deploy_artifact=$$path -e deploy_artifact_sha256=$$sha256

destroy: ## remove all that demo made
	@if [ -x $(BIN)/python ]; then $(TESTBED) down demo; \
	else echo "destroy: no controller in $(VENV), so only files are removed; after make setup, hosts too"; fi
	@rm -rf inventories/demo/.secrets reports build/artifacts

test: setup ## what has to pass before a change lands, without the tests that take longest
	@$(CLEAN_AT_END); SLIPWAY_LONG_TESTS=$(or $(SLIPWAY_LONG_TESTS),false) $(MAKE) lint unit page sanity integration molecule edge single journey faults

.PHONY: clean-tests
clean-tests:
	@rm -rf inventories/demo/.secrets inventories/single_server/.secrets tests/edge/inventory/.secrets reports
	@$(TESTBED) down demo single_server integration edges molecule_trixie molecule_bookworm

test-all: setup ## everything: also the other ansible-core, and the benches
	@$(CLEAN_AT_END); SLIPWAY_LONG_TESTS=true $(MAKE) test compat bench

lint: setup ## yamllint, ansible-lint (production), ruff, mypy on the cores, changelog fragments
	@yamllint --strict .
	@ruff check .
	@ruff format --check .
	@mypy build/collections/ansible_collections/slipway/stack/plugins/module_utils
	@ansible-lint --offline --profile production
	@antsibull-changelog lint

unit: setup ## cores: tables and properties
	@pytest -n 2 tests/unit

page: setup ## the report of verify, in a real browser
	@pytest tests/page

sanity: setup ## ansible-test sanity, on a copy of the tree where ansible-test wants it
	@tools/sanity.sh

integration: setup ## each module on a real host
	@$(TESTBED) up tools/testbed/fleets/integration.yml
	@ansible-playbook -i build/testbed/integration/inventory.yml tests/integration/run.yml
	@$(TESTBED) down integration

molecule: setup ## each role on Debian 13 and 12 (SCENARIO=nginx: one)
	@tools/molecule.sh $(SCENARIO)

edge: setup ## two edges, nginx 1.26 and 1.22, under load: members drained and killed, an edge killed
	@$(TESTBED) down edges
	@$(TESTBED) up tools/testbed/fleets/edges.yml --inventory $(EDGE_ADDRESSES)
	@ansible-playbook -i tests/edge/inventory tests/edge/converge.yml
	@pytest -s tests/edge
	@$(TESTBED) down edges

single: setup ## everything on one server, from a fresh one on
	@$(TESTBED) down single_server
	@$(TESTBED) up tools/testbed/fleets/single_server.yml --inventory $(SINGLE_ADDRESSES)
	@python examples/build.py
	@pytest tests/journey/test_single_server.py
	@$(TESTBED) down single_server
	@rm -rf inventories/single_server/.secrets

journey: setup ## the demo from fresh hosts on, as a user goes through it: again, in check mode, with requests, with bad inputs
	@$(TESTBED) down demo
	@SECONDS=0; $(MAKE) demo; echo "demo: up after $$SECONDS s"; \
	[ $$SECONDS -le $(DEMO_SECONDS) ] || { echo "demo: more than the $(DEMO_SECONDS) s that it may take"; exit 1; }
	@pytest tests/journey/test_demo.py tests/journey/test_reports.py tests/journey/test_bad_inputs.py

faults: setup ## kill, cut, fill, on the demo, and see verify name it (FAULT=killed_instance: one)
	@pytest -s $(if $(FAULT),tests/faults/test_$(FAULT).py,tests/faults)

bench: setup ## measure (BENCH=site: one)
	@for bench in $(if $(BENCH),$(BENCH),$(basename $(notdir $(wildcard tests/bench/*.py)))); do python tests/bench/$$bench.py; done

# The interpreter of the other ansible-core: 2.21 needs Python 3.12 or newer.
OTHER_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.1[23]*/bin/python3) $(shell command -v python3.13 python3.12))
compat: ## cores, sanity, modules and the single server with ansible-core 2.21
	@test -n "$(OTHER_PYTHON)" || { echo "no Python 3.12 or newer found; give one with OTHER_PYTHON=..."; exit 1; }
	@$(MAKE) unit sanity integration single PYTHON=$(OTHER_PYTHON) VENV=.venv-other
