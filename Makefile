# The two commands of a newcomer are `make demo` and `make test`; `make help` lists all.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CACHE = $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/alnair
export PATH := $(CURDIR)/.venv/bin:$(CACHE)/lab/tools:$(PATH)
LAB = cd lab && ansible-playbook

.DEFAULT_GOAL := help
export MOLECULE_GLOB := molecule/*/molecule.yml
# Two roles need the lab with data sets.
SCENARIOS = $(filter-out $(if $(LAB_DATASETS),,datasets loading_bench),$(notdir $(patsubst %/molecule.yml,%,$(wildcard $(MOLECULE_GLOB)))))
.PHONY: help setup lint docs pictures unit e2e molecule sanity galaxy matrix test test-all bench demo lab lab-build lab-down

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

setup: ## prepare the virtual environment (seconds when nothing changed)
	@./setup.sh

lab-build: setup ## build what the lab is made of into the cache
	@python lab/build.py

lab: lab-build ## raise a real Kubernetes on this machine; changes nothing when it is up
	$(LAB) up.yml $(LAB_ARGS)

lab-down: setup ## remove the lab: nodes, volumes, network, keys and inventory
	$(LAB) down.yml $(LAB_ARGS)

lint: lab-build ## the linters of .pre-commit-config.yaml
	pre-commit run --all-files --hook-stage manual

docs: setup ## build the pages of docs/ into build/docs; a warning, such as a dead link, is an error
	mkdir -p docs/reference/collection
	antsibull-docs collection --use-current --squash-hierarchy --cleanup similar-files --no-add-antsibull-docs-version --fail-on-error --dest-dir docs/reference/collection alnair.alluxio
	sphinx-build --quiet --fresh-env --jobs auto --fail-on-warning --keep-going docs build/docs

pictures: lab ## make the terminal pictures of the README on the lab
	python docs/pictures.py

unit: lab-build ## unit tests
	pytest -m 'not long' tests/unit

e2e: lab ## the whole chain on the lab
	pytest -m 'not long' tests/e2e

molecule: lab ## each role alone, on hosts of its own or on the lab
	for scenario in $(SCENARIOS); do molecule test --scenario-name "$$scenario"; done

demo: lab ## raise the lab, run site.yml on it, read a data set through the cache
	python alnair_runner.py deploy
	python lab/demo.py

test: lint unit e2e molecule ## everything set up, all tests

# Data sets are tested, measured and drawn with their operator and an S3 server.
test-all bench pictures: export LAB_DATASETS := 1

sanity: setup ## all of ansible-test sanity, with each ansible-core
	nox --session sanity

galaxy: setup ## what Galaxy looks at before it takes the collection in
	nox --session galaxy

matrix: lab-build ## each ansible-core on each Python that it supports, and helm 4
	nox --session matrix helm

test-all: test sanity galaxy matrix ## and what takes longer: the controller killed a hundred times, the roles on hosts of Debian 13
	command -v chromium > /dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends chromium; }
	pytest -m long tests/unit tests/e2e
	HOST_SUITE=trixie $(MAKE) molecule

bench: lab ## host roles and release beside what else could do their work, the controller with thousands of hosts, reading with and without the cache
	python -m tests.bench.convergence run
	python -m tests.bench.convergence faulty
	python tests/bench/scale/run.py
	python -m tests.bench.release run
	python -m tests.bench.loading run
