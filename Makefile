# What people and CI both call. Each target does its own set-up: `make help` lists them.
PYTHON ?= python3
export CARGO_TARGET_DIR ?= $(CURDIR)/target
BIN := .venv/bin
NATIVE := pyproject.toml Cargo.toml Cargo.lock $(shell find rust -type f)
HOUSE := tests/unit/test_layers.py tests/unit/test_package.py tests/unit/test_import_budget.py tests/unit/test_house.py tests/unit/test_prose.py
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet --upgrade \
	--custom-compile-command "make lock"

.PHONY: help demo test test-rust test-python test-oldest test-newest test-frameworks check check-python check-types check-rust mutants bench bench-compare load docs wheel wheel-test build format lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/built ## A small agent learns an unknown database: without advice, then with it
	$(BIN)/tacit demo

test: test-rust test-python ## Every test, Rust and Python

test-rust:
	cargo test --workspace --locked

test-python: .venv/built .venv/installed-dev
	$(BIN)/pytest

# Every test on the wheel in an environment of its own: $(1) is its folder, $(2) says how dependencies are chosen.
define test_in
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(1)
	$(BIN)/uv pip install --quiet --python $(1)/bin/python hypothesis mypy 'pyright[nodejs]' pytest pytest-timeout xxhash
	$(BIN)/uv pip install --quiet --python $(1)/bin/python $(2) "$$(echo dist/tacit-*.whl)[eval,otel,prometheus]"
	$(1)/bin/python -m pytest
endef

test-oldest: wheel .venv/installed-dev ## Every test with the oldest dependencies that pyproject.toml allows, in .venv-oldest
	$(call test_in,.venv-oldest,--resolution lowest-direct)

test-newest: wheel .venv/installed-dev ## Every test with the newest dependencies there are, in .venv-newest
	$(call test_in,.venv-newest,--upgrade)

test-frameworks: wheel .venv/installed-dev requirements/frameworks.in ## Agents of real frameworks with their fake models record themselves, in .venv-frameworks
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .venv-frameworks
	$(BIN)/uv pip install --quiet --python .venv-frameworks/bin/python --requirement requirements/frameworks.in "$$(echo dist/tacit-*.whl)"
	.venv-frameworks/bin/python -m pytest -W default tests/frameworks

check: check-rust check-python check-types ## Formatting, lints, types, and the shape of the house

check-rust:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

check-python: .venv/built .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pytest -q $(HOUSE)

check-types: .venv/built .venv/installed-dev
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest tacit._native --allowlist tests/typing/stubtest-allow.txt
	$(BIN)/pyright --warnings
	PYTHONPATH=tests/typing/stubs PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes tacit --ignoreexternal

bench: .venv/built .venv/installed-dev .venv/installed-bench ## Each operation beside its yardstick; BENCH="-k top_ten" chooses
	env -u OPENBLAS_CORETYPE $(BIN)/pytest benchmarks --timeout=0 $(BENCH)

bench-compare: .venv/built ## This build beside that of a commit, in one run; BASE=origin/main FACTOR=1.2 ONLY=kernels JSON=FILE
	$(BIN)/python -m benchmarks.comparing --base '$(BASE)' --factor $(or $(FACTOR),1.2) --only '$(ONLY)' $(if $(JSON),--json '$(JSON)')

load: .venv/built .venv/installed-dev ## A memory of a million episodes, asked while it is written to; EPISODES=100000 PLOT=load.svg JSON=load.json
	$(BIN)/python -m benchmarks.load --episodes $(or $(EPISODES),1000000) $(if $(PLOT),--plot '$(PLOT)') $(if $(JSON),--json '$(JSON)')

mutants: .venv/built .venv/installed-dev ## Small faults that the tests must notice; MODULES="memory.py credit" SAMPLE=200 SEED=1
	$(BIN)/python -m tests.mutants $(MODULES) --sample $(or $(SAMPLE),200) --seed $(or $(SEED),1)

docs: .venv/built .venv/installed-docs ## The documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: .venv/installed-build ## A portable wheel, in dist/
	rm -rf dist
	$(BIN)/maturin build --release --locked --out dist

wheel-test: wheel ## That wheel does the main job in an empty environment that has no compiler
	$(PYTHON) -m venv --clear .venv/empty
	.venv/empty/bin/python -m pip install --quiet --disable-pip-version-check dist/tacit-*.whl
	cd .venv/empty && env -i PATH="$(CURDIR)/.venv/empty/bin" tacit demo

build: .venv/built ## The environment in .venv with tacit in it, editable, as a release build

format: .venv/installed-dev ## Rewrites the sources as `make check` wants them
	cargo fmt --all
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

lock: .venv/installed-dev ## Moves every pinned package to its newest version that fits
	$(LOCK) pyproject.toml requirements/build.in --output-file requirements/build.txt
	for name in dev bench docs; do $(LOCK) requirements/$$name.in --output-file requirements/$$name.txt; done

clean: ## Removes what the other targets made
	rm -rf .venv .venv-oldest .venv-newest .venv-frameworks dist site target .asv .bench .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find python tests benchmarks -name '__pycache__' -prune -exec rm -rf {} + -o -name '*.so' -delete

# The stamps below say what .venv holds; each is older than nothing it was made from.
.venv/installed-build: requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit("tacit needs Python 3.11 or newer: make PYTHON=/path/to/python3" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.venv/installed-%: requirements/%.txt .venv/installed-build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.venv/built: .venv/installed-build $(NATIVE)
	PIP_QUIET=1 $(BIN)/maturin develop --release --locked
	@touch $@
