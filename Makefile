# Everything a person does here. Each target sets up first: slow once, then a stamp file says it is done.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# What root needs of the system a user's set-up has not installed.
STAMP := $(VENV)/.set-up$(if $(filter 0,$(shell id -u)),-root)
# What only tests use.
TOOLS := $(VENV)/tools
MEMBERS := kernel $(sort $(dir $(wildcard plugins/*/pyproject.toml admission/*/pyproject.toml cni/*/pyproject.toml)))
SOURCES := $(addsuffix /src,$(patsubst %/,%,$(MEMBERS)))
ARGS ?=

# Compiled bytecode halves the time a cluster takes to start.
unexport PYTHONDONTWRITEBYTECODE
export UV_LINK_MODE := copy
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

.PHONY: setup up test check bench soak new lock

setup: $(STAMP)

$(STAMP): requirements.lock Makefile .ci/system $(addsuffix /pyproject.toml,$(patsubst %/,%,$(MEMBERS)))
	@PYTHON=$(PYTHON) .ci/system
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --requirements requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps $(addprefix --editable ./,$(MEMBERS))
	@$(BIN)/python -m compileall -q $(SOURCES)
	@touch $@

up: setup  ## run a cluster: make up ARGS="--profile hollow --nodes 3"
	@$(BIN)/kubrick up $(ARGS)

$(TOOLS): .ci/system | setup
	@.ci/system tests $@ || echo "the tests that need these tools will be skipped" >&2
	@mkdir -p $@ && touch $@

test: setup $(TOOLS)  ## every test: make test ARGS="plugins/api -k quantity"
	$(BIN)/pytest $(ARGS)

check: setup  ## style, types, layers, house rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/pytest tests/house

bench: setup  ## figures, beside those of Kubernetes: make bench ARGS=cluster_start
	$(BIN)/python tests/bench $(ARGS)

soak: setup  ## the property tests with a hundred times the examples, and everything that takes long
	$(BIN)/pytest --hypothesis-profile=soak $(ARGS) kernel plugins
	@set -e; for script in tests/*/soak_*.py; do echo "== $$script"; $(BIN)/python $$script; done

new: setup  ## a new plugin package: make new KIND=controller NAME=acme-labeller
	$(BIN)/kubrick new $(KIND) $(NAME)

lock: setup  ## resolve the dependencies anew
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --quiet --frozen --all-packages --no-emit-workspace --no-hashes --no-annotate --no-header --output-file requirements.lock
