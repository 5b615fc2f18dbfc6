# The two commands of a newcomer are `make demo` and `make test`; `make help` lists all.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup lint unit test

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: ## prepare the virtual environment (seconds when nothing changed)
	@./setup.sh

lint: setup ## ansible-lint, yamllint, ruff, mypy
	ruff check .
	yamllint --strict .
	ansible-lint --offline --strict

unit: setup ## unit tests
	pytest tests/unit

test: lint unit ## everything set up, all tests
