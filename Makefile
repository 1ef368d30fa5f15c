# Two commands matter: `make demo` and `make test`. Both make .venv first when it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: demo demo-train test test-scale check browser
.DELETE_ON_ERROR:

# Threads that wait sleep instead of spinning: on a busy machine training would nearly stop otherwise.
demo: $(READY)
	@OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m passerby demo

# The same with a model that is trained first.
demo-train: $(READY)
	@OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m passerby demo --train

# One thread a worker: torch's own threads would only fight over the cores.
test: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 $(ARGS)

# Ray, PostgreSQL and Milvus with real servers, from packages in .venv-scale; what cannot be installed is skipped.
test-scale: $(READY)
	@scripts/test_scale $(ARGS)

# The report in Chromium (apt-get install chromium), with axe-core from npm; without them these tests are skipped.
browser: $(READY)
	@npm ci --prefix tests/browser --no-audit --no-fund --loglevel=error
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs tests/report/test_browser.py $(ARGS)

check: $(READY)
	@scripts/check

$(READY): pyproject.toml constraints.txt
	@echo "Installing passerby into $(VENV) (minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit("passerby needs Python 3.10 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 10) else 0)'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[onnx]" || \
		echo "The packages of passerby[onnx] cannot be installed here: tests of export are left out."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[video]" || \
		echo "The packages of passerby[video] cannot be installed here: tests of videos are left out."
	@touch $@
