# make lab     opens the course           make lint    reads the code
# make test    runs every test            make build   writes the notebooks from solutions/*.py
# make browser runs the browser's only    make check   says which notebook is out of date
# make bench   measures speed, memory, how often the diagnosis is right and what papers found; installs rival tools
#
# PYTHON is the Python to use (3.11 or later), a name or a path; TORCH the torch build, as in: make lab TORCH='>=2.6'

PYTHON ?= python3
VENV := .venv/$(if $(filter Windows_NT,$(OS)),Scripts/python.exe,bin/python)

# Many small matrices: threads that wait in a loop cost more than they bring.
export OMP_WAIT_POLICY := passive
export OMP_NUM_THREADS := 1

.PHONY: lab test browser bench lint build check env env-test env-bench

lab: env
	$(VENV) -m vglab lab

test browser: export VGLAB_PROGRESS := off

test: env-test
	$(VENV) -m pytest -n 2 tests
	$(VENV) -m pytest --nbval-lax lessons solutions --nbval-current-env --nbval-cell-timeout=120 -n 2 --dist loadfile

browser: env-test
	$(VENV) -m pytest -m browser tests

bench: env-bench
	$(VENV) tests/benchmarks/run.py
	$(VENV) tests/benchmarks/confusion.py
	$(VENV) tests/papers.py

lint: env-test
	$(VENV) -m ruff check .

build: env-test
	$(VENV) -m vglab build

check: env-test
	$(VENV) -m vglab build --check

env:
	@"$(PYTHON)" vglab/course/bootstrap.py

env-test:
	@"$(PYTHON)" vglab/course/bootstrap.py --extras test

env-bench:
	@"$(PYTHON)" vglab/course/bootstrap.py --extras bench
	@$(VENV) -m pip install --quiet --no-deps "fastai>=2.8"
