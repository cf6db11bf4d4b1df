# `make sweep` and `make test` are all a fresh machine needs: each makes .venv and installs by itself.
# The first of these that is of 3.11 to 3.13, as pyproject.toml says; make PYTHON=/path/to/python names another.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
NAMES := python3 python3.13 python3.12 python3.11
PYTHON ?= $(shell for name in $(NAMES); do $$name -c "$(FITS)" 2>/dev/null && echo $$name && break; done)
# Pinned versions; /dev/null takes the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
BIN := .venv/bin
STAMP := .venv/.installed

# A test goes to whichever worker is free; tests of one group (@pytest.mark.xdist_group) to the same.
PYTEST := $(BIN)/python -m pytest --durations=10
BESIDE := -n auto --dist loadgroup

.PHONY: sweep test test-fast test-cluster test-slurm test-long check docs examples clean

sweep: $(STAMP)
	$(BIN)/python -m learner_ray.sweep lus

test: $(STAMP)
	$(PYTEST) $(BESIDE) -m "not cluster and not slurm and not long"

# For every save: what takes no second.
test-fast: $(STAMP)
	$(PYTEST) $(BESIDE) -m "not cluster and not slurm and not long and not ray and not slow"

# Four virtual hosts on this machine: root, network namespaces, sshd.
test-cluster: $(STAMP)
	$(PYTEST) -m "cluster"

# A Slurm of two nodes on this machine: root, slurm-wlm, munge, iproute2. CI leaves it out: it takes minutes.
test-slurm: $(STAMP)
	$(PYTEST) -m "slurm and not cluster"

test-long: $(STAMP)
	$(PYTEST) -m "long and not cluster and not slurm"

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

# Works offline: nothing is loaded from elsewhere, neither here nor by the pages.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo build/docs/index.html
# The notebook is made from the script; a test holds both equal.
examples: $(STAMP)
	$(BIN)/jupytext --to ipynb examples/quickstart.py

$(STAMP): pyproject.toml constraints.txt
	@if $(or $(PYTHON),false) -c "$(FITS)"; then \
	  $(PYTHON) -m venv .venv; \
	elif [ -n "$(PYTHON)" ] || ! uv venv --quiet --seed --allow-existing --python '>=3.11,<3.14' .venv 2>/dev/null; then \
	  echo "learner_ray needs Python 3.11, 3.12 or 3.13, and $(or $(PYTHON),python3) here is" \
	    "$$($(or $(PYTHON),python3) --version 2>&1): install one of them, or uv, or name one with" \
	    "make PYTHON=/path/to/python3.12" >&2; exit 2; \
	fi
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[test,docs]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
