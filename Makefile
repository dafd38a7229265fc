# Every target does its own set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
C := $(wildcard tailorbird/prepare/*.[ch] tailorbird/learn/models/*.c)
ARGS ?=

.PHONY: setup demo test check format bench docs constraints clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh hatch_build.py $(C)
	PYTHON=$(PYTHON) VENV=$(VENV) sh scripts/setup.sh
	touch $@

demo: $(STAMP)
	$(BIN)/tailorbird demo $(ARGS)

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python -m bench $(ARGS)

docs: $(STAMP)
	$(BIN)/python -m tailorbird.gateway.catalogue > docs/operations.md
	$(BIN)/python -m scripts.settings_page > docs/settings.md

constraints: $(STAMP)
	$(BIN)/python -m scripts.constraints > constraints.txt

clean:
	rm -rf $(VENV) build dist tailorbird/prepare/scan.so tailorbird/learn/models/adding.so
