# `make sweep` and `make test` are all a fresh machine needs: each makes .venv and installs by itself.
PYTHON ?= python3
# Pinned versions, for Python 3.11 or newer; /dev/null takes the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
BIN := .venv/bin
STAMP := .venv/.installed

# A test goes to whichever worker is free; tests of one group (@pytest.mark.xdist_group) to the same.
PYTEST := $(BIN)/python -m pytest --durations=10
BESIDE := -n auto --dist loadgroup

.PHONY: sweep test test-fast test-cluster test-long check docs examples clean

sweep: $(STAMP)
	$(BIN)/python -m learner_ray.sweep lus

test: $(STAMP)
	$(PYTEST) $(BESIDE) -m "not cluster and not long"

# For every save: what takes no second.
test-fast: $(STAMP)
	$(PYTEST) $(BESIDE) -m "not cluster and not long and not ray and not slow"

# Three virtual hosts on this machine: root, network namespaces, sshd.
test-cluster: $(STAMP)
	$(PYTEST) -m "cluster"

test-long: $(STAMP)
	$(PYTEST) -m "long and not cluster"

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

# Works offline: nothing is loaded from elsewhere, neither here nor by the pages.
docs: $(STAMP)
	$(BIN)/python docs/build.py build/docs
# The notebook is made from the script; a test holds both equal.
examples: $(STAMP)
	$(BIN)/jupytext --to ipynb examples/quickstart.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[test,docs]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
