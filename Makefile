# trainer: every command that the README, CI and a person use.
#
#   make train                                      train the MNIST CNN, export a SavedModel
#   make train MNIST_DIR=data/mnist MODEL=fast      another model, on files that are here
#   make test ARGS='tests/unit -k export'           some of the tests
#   make test-gpu DEVICE=gpu                        with the TensorFlow for GPUs
#
# Needs make and Python 3.11 to 3.13 with venv (Debian, Ubuntu: python3-venv); no root.

.DELETE_ON_ERROR:
.PHONY: help setup horovod train data test test-processes test-engine check test-gpu lint format screenshot figures bench lock wheel release docs clean

# Which TensorFlow: cpu or gpu (its CUDA libraries come as wheels).
DEVICE ?= cpu
# Which model to train, and further flags of `trainer train`; of `test`, arguments of pytest.
MODEL ?= cnn
ARGS ?=
OUT ?= runs/mnist
# Where a download goes.
DATA ?= data/mnist
# How many tests run at once; of those that wait for servers more than they compute, one more.
JOBS ?= 2
# The folder of the four original MNIST files. Without one they are downloaded, and without a
# network the trainer draws synthetic digits of its own.
MNIST_DIR ?= $(wildcard ../shared/data/mnist)

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& command -v "$$p" && break; done)
BIN := .venv/bin
LOCK := requirements/dev-$(DEVICE).lock
STAMP := .venv/.installed-$(DEVICE)
HOROVOD_STAMP := .venv/.horovod-$(DEVICE)
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# uv installs in seconds what takes pip minutes; it is pinned among the others, by its hash.
UV = awk '/^uv==/ { on = 1 } on { print } on && !/\\$$/ { exit }' $(LOCK) > .venv/uv.lock && \
	$(PIP) --require-hashes -r .venv/uv.lock && \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK)
HAVE_COMPILER = echo '\#include <Python.h>' | cc -E $$($(PYTHON) -c 'import sysconfig; \
	print("-I" + sysconfig.get_path("include"))') - >/dev/null 2>&1
# Its wheel is kept in the user's cache, so that only the first build of it takes minutes.
HOROVOD = docker/horovod/build --no-mpi --python $(BIN)/python $(if $(filter gpu,$(DEVICE)),--gpu)

# Behind each target stands its line of help: `## GROUP: what it does`.
help:  ## Begin: list the targets
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile
	@awk -F ' +## ' '/^[a-z][a-z0-9-]*:.* ## / { split($$1, name, ":"); at = index($$2, ": "); \
	group = substr($$2, 1, at - 1); if (!(group in lines)) groups[++n] = group; \
	lines[group] = lines[group] sprintf("  %-16s %s\n", name[1], substr($$2, at + 2)) } \
	END { for (i = 1; i <= n; i++) printf "\n%s\n%s", groups[i], lines[groups[i]] }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Begin: make .venv with what is pinned for DEVICE=cpu|gpu

# Made anew whenever the pins change, so that nothing unpinned is ever left in it. SageMaker's
# toolkit comes as source with a C file in it: where there is no compiler it is left out.
$(STAMP): $(LOCK) requirements/sagemaker.lock pyproject.toml src/trainer/__init__.py \
		docker/gpu/link-cusolver
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 to 3.13 on PATH" \
		"(Debian, Ubuntu: apt-get install python3 python3-venv), or PYTHON=/path/to/it" >&2; exit 1; }
	rm -rf .venv
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; echo "make: $(PYTHON) cannot make virtual" \
		"environments (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@$(UV) || { echo "make: uv did not install what is pinned; pip does it" >&2; \
	$(PIP) --require-hashes -r $(LOCK); }
	docker/gpu/link-cusolver "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	$(PIP) --no-deps --no-build-isolation -e .
	@if [ -n "$(CI)" ] || $(HAVE_COMPILER); then set -x; \
	$(PIP) --no-deps --no-build-isolation --require-hashes -r requirements/sagemaker.lock; \
	else echo "make: no C compiler with Python's headers (Debian, Ubuntu: apt-get install gcc" \
		"python3-dev): the sagemaker-training toolkit is left out, and its tests are skipped"; fi
	touch $@

horovod: setup  ## Begin: build Horovod and install it into .venv
	wheel=$$($(HOROVOD)) && $(PIP) --no-deps --force-reinstall "$$wheel"
	touch $(HOROVOD_STAMP)

# Its first build takes minutes, so that only tests and who asks for it wait for it.
$(HOROVOD_STAMP): $(STAMP) $(wildcard docker/horovod/*)
	@if [ -n "$(CI)" ] || $(HOROVOD) --check; then set -x; \
	wheel=$$($(HOROVOD)) && $(PIP) --no-deps --force-reinstall "$$wheel"; \
	else echo "make: Horovod is left out, and its tests are skipped"; fi
	touch $@

train: setup  ## Run: train MODEL=cnn|fast on MNIST, export a SavedModel to OUT
	@if [ -n "$(MNIST_DIR)" ]; then data="--train $(MNIST_DIR)"; \
	elif $(BIN)/trainer data mnist --out $(DATA) --timeout 10; \
	then data="--train $(DATA)"; \
	else echo "no MNIST_DIR and no network: training on synthetic digits"; data=; fi; \
	set -x; $(BIN)/trainer train --model $(MODEL) $$data --model-dir $(OUT)/model \
	$(if $(filter cpu,$(DEVICE)),--device cpu) $(ARGS)

# Tests of containers wait for the engine most of the time, so that they run beside the others. What
# they print comes at their end. They themselves run one by one, as the engine has the networks and
# ports of pages and SDKs once.
test: $(HOROVOD_STAMP) $(if $(CI),setup-sdk)  ## Test: run every test, or those of ARGS
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(MAKE) --keep-going -j 2 test-processes test-engine
endif

# How much of the package the unit tests run, branch by branch. In CI the share may not fall below the
# floor in pyproject.toml; integration tests run it in other processes, which are not measured. Without
# the clouds' SDKs, tests that run printed code are skipped. Each worker begins with
# its part of the files, so that the tests of one share its servers and trained models, and the first
# that has none left takes from another.
COVERAGE = $(if $(CI),--cov --cov-report=)
test-processes: $(HOROVOD_STAMP)  ## Test: run the tests of units, pages and processes
	@unset MAKEFLAGS MFLAGS; set -x; failed=; \
	$(BIN)/python -m pytest -n $$(( $(JOBS) + 1 )) --dist worksteal $(COVERAGE) \
		tests/unit tests/docs || failed=1; \
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/integration || failed=1; \
	test -z "$$failed"

test-engine: $(HOROVOD_STAMP)  ## Test: run the tests of containers on the image that is here
	@unset MAKEFLAGS MFLAGS; log=$$(mktemp) && trap 'cat "$$log"; rm -f "$$log"' EXIT && \
	trap 'exit 130' INT TERM; set -x; \
	$(BIN)/python -m pytest tests/container >"$$log" 2>&1

# Within a minute, after each change: no TensorFlow, no network, no container.
check: lint  ## Check: lint, and run the unit tests that need no TensorFlow, in a minute
	$(BIN)/python -m pytest -q -n $(JOBS) --hypothesis-profile=quick \
		-m "not tensorflow and not slow" tests/unit

# On a machine with a GPU: make test-gpu DEVICE=gpu; what is found goes into runs/gpu.json.
test-gpu: $(HOROVOD_STAMP)  ## Test: run the tests that need a GPU
	$(BIN)/python -m pytest tests/gpu $(ARGS)

lint: setup  ## Check: check style, types and the layers of packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## Check: fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshot: setup  ## Measure and maintain: make the pictures of README and the tutorial, from real runs
	$(BIN)/python docs/screenshot.py "$(MNIST_DIR)" docs

# All that the pages show of real runs: two minutes of pictures, then half an hour of tables.
# `make figures ARGS='input write'` measures these tables alone.
figures: screenshot  ## Measure and maintain: make the pictures and the measured tables of the pages again
	$(MAKE) bench ARGS='$(ARGS) --save docs/performance.md'

# Side by side with what one would use instead: half an hour. `make bench ARGS='input write'` is
# quicker; `ARGS='--save docs/performance.md'` puts the tables there.
bench: $(HOROVOD_STAMP) .venv-bench/.installed  ## Measure and maintain: measure beside what one would use instead: half an hour
	MNIST_DIR="$(MNIST_DIR)" $(BIN)/python -m benchmarks $(ARGS)

# PyTorch's example is measured in an environment of its own.
.venv-bench/.installed:
	rm -rf .venv-bench
	"$(PYTHON)" -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 'numpy>=2,<3'
	touch $@

# cpu and gpu: what an image holds. dev-*: that and the tools. sagemaker: the toolkit alone, as the
# others have all that it needs.
COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet
lock: setup  ## Measure and maintain: pin the newest versions of all packages
	for target in cpu gpu; do \
	$(COMPILE) pyproject.toml --extra $$target --extra cloud --extra sagemaker --extra serve \
		--extra image --no-emit-package sagemaker-training --upgrade \
		-o requirements/$$target.lock && \
	$(COMPILE) pyproject.toml --extra $$target --extra cloud --extra sagemaker --extra serve \
		--extra image --extra dev --no-emit-package sagemaker-training -c requirements/$$target.lock \
		-o requirements/dev-$$target.lock || exit 1; done
	echo 'sagemaker-training==5.1.4' | $(COMPILE) - --no-deps -o requirements/sagemaker.lock

docs: setup  ## Measure and maintain: build the site of the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo site/index.html

# The package alone, for pip, pipx and uvx; its name there is trainer-anywhere.
wheel: setup  ## Measure and maintain: build the package's wheel into dist/
	rm -rf build dist/*.whl
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	@ls dist/*.whl

# Of a commit alone: what is not committed, or a version without notes, is refused in one line.
release: setup .venv-audit/.installed  ## Measure and maintain: build packages, site, notes and checksums into dist/VERSION; upload nothing
	@$(BIN)/python -m release --docker "$${DOCKER:-$$(docker/engine client 2>/dev/null)}" $(ARGS)

include docker/image.mk

clean:  ## Measure and maintain: remove environments, runs and caches
	rm -rf .venv .venv-bench .venv-sdk2 .venv-sdk3 .venv-vertex .venv-audit runs build dist site src/*.egg-info .mypy_cache \
		.ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
