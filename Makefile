SCALE ?= laptop
SOURCE ?= auto
CONTEXT ?= paper
BACKGROUND ?= white
FORMAT ?= svg,pdf,png
MINUTES ?= 9
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-all stress gpu-check plan figures book lab lint readme archive clean

help: ## Show what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*##/ { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv with the exact versions of requirements.lock

# torch first: resolved alone, the pin takes the build that suits this machine.
$(READY): requirements.lock pyproject.toml
	"$(PYTHON)" -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $$(grep '^torch==' requirements.lock)
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	touch $(READY)

reproduce: $(READY) ## Train what is missing and execute all notebooks (SCALE=laptop, smoke, workstation, gpu, paper)
	$(BIN)/python -m ieee_lib reproduce --scale "$(SCALE)"

test: $(READY) ## Run what a change can break, in minutes: CPU only, no network
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow and not stress"

test-all: $(READY) ## Run all tests: kills, signals, Ray, a browser, whole books too (CI does)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

stress: $(READY) ## Kill, corrupt, fill the disk, write at once (12 minutes); a table to figures/bench/
	$(BIN)/python -m pytest -m stress tests/stress

gpu-check: $(READY) ## Ten minutes of a GPU: agreement, speed, MFU, a piece of the plan (SCALE=gpu MINUTES=9)
	$(BIN)/python -m ieee_lib bench gpu --scale "$(or $(filter-out laptop,$(SCALE)),gpu)" --minutes $(MINUTES)

plan: $(READY) ## Print runs, tokens, FLOPs and hours of a scale; trains nothing
	$(BIN)/python -m ieee_lib plan --scale "$(SCALE)"

figures: $(READY) ## Redraw what was trained here, else the recorded runs (CONTEXT=talk BACKGROUND=dark FORMAT=svg,png ONLY=03,fig01)
	$(BIN)/python -m ieee_lib figures --scale "$(SCALE)" --source $(SOURCE) --only '$(ONLY)' \
		--context $(CONTEXT) --background $(BACKGROUND) --format $(FORMAT)

book: $(READY) ## Build the static site of the recorded book in data/site/ (SOURCE=train: of one's own)
	$(BIN)/python -m ieee_lib book --scale "$(SCALE)" --source $(or $(filter train,$(SOURCE)),archive)

lab: $(READY) ## Open JupyterLab on the notebooks
	$(BIN)/jupyter lab --ip=127.0.0.1 notebooks

lint: $(READY) ## Check style, types, and that notebooks are bare
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/nbstripout --verify --extra-keys "metadata.papermill cell.metadata.papermill" notebooks/*.ipynb

archive: $(READY) ## Pack this machine's records and redraw figures/recorded/ and README.md from them
	$(BIN)/python -m ieee_lib archive pack --scale "$(SCALE)"
	$(BIN)/python -m ieee_lib figures --scale "$(SCALE)" --source archive --format svg,png
	$(BIN)/python -m ieee_lib readme

readme: $(READY) ## Put the recorded numbers and tables into the README files
	$(BIN)/python -m ieee_lib readme

clean: ## Remove .venv, local figures and executed notebooks; records and corpora stay
	rm -rf .venv data/executed $(filter-out figures/recorded figures/bench,$(wildcard figures/*))
