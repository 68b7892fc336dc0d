# Two commands on a fresh machine: `make demo` and `make test`. Both make their own .venv.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test test-all android lint wheel clean

demo: $(READY)
	$(BIN)/fr-keras demo --force

test: $(READY) lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow"

test-all: $(READY) lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

android: $(READY)
	$(BIN)/python tools/android/jvm.py
	$(BIN)/python tools/android/app.py
	$(BIN)/python tools/android/apk.py
	$(BIN)/python tools/android/screens.py --if-possible

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

wheel: $(READY)
	$(BIN)/python -m build --wheel

$(READY): constraints.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv build dist demo_output *.egg-info .pytest_cache .ruff_cache .hypothesis
