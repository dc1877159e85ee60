SHELL := /bin/bash
.DEFAULT_GOAL := help

ROOT ?= build/demo
export PYTEST_ARGS ?=
LOCK_ARGS ?=
QUICK ?=
FRESH ?=
STACK ?=
export STACK
export IMAGE ?=
export BASE_IMAGE ?=
export BUILD_ARGS ?=
export OUT ?=
export FLINK_JOB_SERVER_JAR ?=

BIN := .venv/bin
STAMP := .venv/.setup-done$(if $(STACK),-$(STACK))

MATRIX := tests/e2e/test_quantizer_matrix.py tests/e2e/test_quantized_evaluation.py \
  tests/e2e/test_public_module_files.py tests/pipelines/test_digits.py

.PHONY: setup demo test test-quick debian13 test-tfx121 tools test-tools test-histories e2e-quantizer e2e-efficiency e2e-notebook e2e-kubeflow e2e-flink e2e-serving \
  e2e-cluster e2e-containers image \
  benchmark benchmark-quantizer benchmark-pruner benchmark-distiller benchmark-bucket-pusher benchmark-pull \
  tensorflow-io check docs format lock wheel-check clean help

setup: $(STAMP) ## Make .venv from the newest lock that runs here, or STACK=tfx116|tfx121's; nothing when up to date

$(STAMP): requirements/py310.lock requirements/tfx121.lock setup.py pyproject.toml components/version.py
	@bash scripts/setup.sh

demo: setup ## Run the digits pipeline into ROOT (build/demo)
	$(BIN)/tfx-shrink run digits --root $(ROOT)

test: setup ## Run the tests, two files at a time; PYTEST_ARGS are passed on
	$(BIN)/python -m pytest tests -n 2 --dist loadfile $(PYTEST_ARGS)

test-quick: setup ## Run the tests but those marked slow (10 minutes); PYTEST_ARGS are passed on
	$(BIN)/python -m pytest tests -n 2 --dist loadfile --quick $(PYTEST_ARGS)

debian13: ## Make a Debian 13 in .tools/debian13, where TFX 1.21 runs; needs root on Debian
	@bash scripts/debian13.sh

test-tfx121: debian13 ## Run `make test` on TFX 1.21 in that Debian 13; PYTEST_ARGS are passed on
	@STACK=tfx121 bash scripts/debian13.sh make test

e2e-quantizer: setup ## Run every kind of model by every scheme (25 minutes); PYTEST_ARGS too
	$(BIN)/python -m pytest $(MATRIX) -m '' $(PYTEST_ARGS)

e2e-efficiency: setup ## Tell int8 from float, and no file from itself, in 50 runs (15 minutes)
	TFX_SHRINK_SPEED_RUNS=50 $(BIN)/python -m pytest tests/efficiency_validator/test_speed_is_told.py

e2e-notebook: setup ## Run the example notebook, cell by cell (2 minutes)
	$(BIN)/python -m pytest tests/pipelines/test_notebook.py -m ''

e2e-kubeflow: setup ## Run the compiled digits pipeline as Kubeflow would (5 minutes); PYTEST_ARGS too
	$(BIN)/python -m pytest tests/e2e/test_kubeflow_digits.py -m '' $(PYTEST_ARGS)

e2e-flink: setup ## Run Beam's passes on Flink; FLINK_JOB_SERVER_JAR=… (Beam's, for Flink 1.19)
	bash scripts/e2e_flink.sh

image: ## Build the image IMAGE; BASE_IMAGE=…, OUT=FILE.tar for a cluster without a registry
	bash scripts/image.sh

e2e-serving: setup tools ## Drive every alert to firing and back under Prometheus (10 minutes)
	$(BIN)/python -m pytest tests/e2e/test_serving_watched.py -m tools $(PYTEST_ARGS)

e2e-cluster: setup tools ## Serve on the cluster that KUBECONFIG names, which has the image IMAGE (20 minutes)
	$(BIN)/python -m pytest tests/e2e/test_cluster_*.py -m cluster -s $(PYTEST_ARGS)

e2e-containers: setup tools ## Run the compiled digits pipeline in containers of IMAGE, by podman, docker or KUBECONFIG's pods
	$(BIN)/python -m pytest tests/e2e/test_containers.py -m cluster -s $(PYTEST_ARGS)

tools: ## Fetch, pinned, into .tools what `make test-tools` runs against
	bash scripts/tools.sh

test-tools: setup tools ## Run the tests against servers of S3 and Azure, kubectl and promtool; PYTEST_ARGS too
	$(BIN)/python -m pytest tests/tools -m tools $(PYTEST_ARGS)

test-histories: setup ## Run 10,000 random histories of a bucket (20 minutes)
	TFX_SHRINK_HISTORIES=10000 $(BIN)/python -m pytest tests/bucket_pusher/test_histories.py --timeout 0

check: setup ## Lint, check the format, the types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	bash scripts/in_tree.sh mypy
	bash scripts/in_tree.sh lint-imports

docs: setup ## Build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 bash scripts/in_tree.sh mkdocs build --quiet
	@echo "build/site/index.html"

format: setup ## Format the code and apply safe lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: setup $(if $(QUICK),,tools tensorflow-io) ## Measure every recipe on every model (40 minutes on 2 cores; QUICK=1: 5); goes on where it was but with FRESH=1
	$(BIN)/python benchmarks/table.py $(if $(QUICK),--quick) $(if $(FRESH),--fresh)

benchmark-quantizer: setup ## Measure what every scheme saves and costs (15 minutes)
	$(BIN)/python benchmarks/quantizer.py

benchmark-pruner: setup ## Measure what pruning saves and costs (15 minutes)
	$(BIN)/python benchmarks/pruner.py

benchmark-distiller: setup ## Measure what distilling saves and costs (25 minutes)
	$(BIN)/python benchmarks/distiller.py

# The stock Pusher's way to S3.
tensorflow-io: setup
	uv=$$(bash scripts/uv.sh) && "$$uv" pip install --quiet --python $(BIN)/python --no-deps \
	  --target .tools/tensorflow-io tensorflow-io==0.37.1 tensorflow-io-gcs-filesystem==0.37.1

benchmark-bucket-pusher: setup tools tensorflow-io ## Measure a push beside the stock Pusher's and boto3's
	$(BIN)/python benchmarks/bucket_pusher.py

benchmark-pull: setup tools ## Measure a pull beside boto3's transfer manager, and what zstd saves
	$(BIN)/python benchmarks/pull.py

lock: ## Resolve both locks again; LOCK_ARGS=--upgrade moves every version
	uv=$$(bash scripts/uv.sh) && \
	  lock() { "$$uv" pip compile --quiet --custom-compile-command "make lock" $(LOCK_ARGS) "$$@"; } && \
	  lock --python-version 3.10 --constraints requirements/constraints.in \
	    --output-file requirements/py310.lock requirements/py310.in && \
	  lock --python-version 3.11 --universal --constraints requirements/tfx121-constraints.in \
	    --output-file requirements/tfx121.lock requirements/tfx121.in

wheel-check: setup ## Build the wheel and try it in a new environment
	bash scripts/check_wheel.sh

clean: ## Remove what was built; keeps .venv and .tools
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
