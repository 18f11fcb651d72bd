# The images, their tests, and what brings them to a registry. Included by the Makefile.

.PHONY: engine image image-gpu test-unit test-container sbom push-aws push-google setup-sdk prepare lock-tools data

IMAGE ?= trainer
# Passed on where somebody says so; else the scripts look for one that can build.
export DOCKER BASE_IMAGE

engine:  ## Images: install a Docker engine, Compose and the base image on bare Debian
	docker/engine

image:  ## Images: build IMAGE:cpu
	docker/build-image cpu $(IMAGE):cpu

image-gpu:  ## Images: build IMAGE:gpu
	docker/build-image gpu $(IMAGE):gpu

# The real MNIST, for the tests of a machine that has none: then MNIST_DIR=data/mnist.
data: setup  ## Run: download MNIST to DATA
	$(BIN)/trainer data mnist --out $(DATA)

test-unit: $(HOROVOD_STAMP)  ## Test: run the unit tests
	$(BIN)/python -m pytest tests/unit $(ARGS)

test-container: $(HOROVOD_STAMP) setup-sdk image  ## Test: build the image, and run the tests that need a Docker engine
	TRAINER_IMAGE=$(IMAGE):cpu $(BIN)/python -m pytest tests/container $(ARGS)

# Of those that are here.
sbom: .venv-audit/.installed  ## Images: list the packages of the images, and known vulnerabilities, in dist/
	docker=$${DOCKER:-$$(docker/engine client)} && \
	here=$$("$$docker" image ls --format '{{.Repository}}:{{.Tag}}' $(IMAGE) | grep -E ':(cpu|gpu)$$') || \
	{ echo "make: no image $(IMAGE):cpu or $(IMAGE):gpu is here: run make image" >&2; exit 1; }; \
	.venv-audit/bin/python docker/sbom.py "$$docker" $$here

.venv-audit/.installed: requirements/audit.lock
	rm -rf .venv-audit
	"$(PYTHON)" -m venv .venv-audit
	.venv-audit/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

push-aws:  ## Images: push the images to REPOSITORY=HOST/PATH of Amazon's registry
	docker/push aws "$(REPOSITORY)" $(IMAGE):cpu $(IMAGE):gpu

push-google:  ## Images: push the images to REPOSITORY=HOST/PATH of Google's registry
	docker/push google "$(REPOSITORY)" $(IMAGE):cpu $(IMAGE):gpu

# SageMaker's two SDKs and Vertex AI's, which no environment holds together, for tests only.
setup-sdk: .venv-sdk2/.installed .venv-sdk3/.installed .venv-vertex/.installed  ## Measure and maintain: make .venv-sdk2, .venv-sdk3 and .venv-vertex, the clouds' SDKs for tests
.venv-sdk%/.installed: requirements/sdk-v%.lock
	$(MAKE_SDK)
.venv-vertex/.installed: requirements/sdk-vertex.lock
	$(MAKE_SDK)

define MAKE_SDK
rm -rf $(@D)
"$(PYTHON)" -m venv $(@D)
$(BIN)/uv pip install --quiet --python $(@D)/bin/python --require-hashes -r $< || \
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
touch $@
endef

# What make test and the container tests would make themselves.
prepare: setup-sdk image  ## Test: make what tests need besides .venv: the SDKs and the image

lock-tools: setup  ## Measure and maintain: pin the newest versions of the SDKs and of the audit
	echo 'pip-audit>=2.9' | $(COMPILE) --no-annotate --upgrade - -o requirements/audit.lock
	echo 'sagemaker>=2.257,<3' | $(COMPILE) --no-annotate --upgrade - -o requirements/sdk-v2.lock
	echo 'sagemaker-train>=1.27,<2' | $(COMPILE) --no-annotate --upgrade - -o requirements/sdk-v3.lock
	echo 'google-cloud-aiplatform>=2.7,<3' | $(COMPILE) --no-annotate --upgrade - -o requirements/sdk-vertex.lock
