# `make sweep` and `make test` are all a fresh machine needs: each makes .venv and installs by itself.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

# Tests that start Ray run one after the other, the rest beside them.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadgroup

.PHONY: sweep test test-cluster check clean

sweep: $(STAMP)
	$(BIN)/python -m learner_ray.sweep lus

test: $(STAMP)
	$(PYTEST) -m "not cluster"

# Three virtual hosts on this machine: root, network namespaces, sshd.
test-cluster: $(STAMP)
	$(BIN)/python -m pytest -m cluster

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -m "not cluster"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
