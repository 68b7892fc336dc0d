# Two commands on a fresh machine: `make demo` and `make test`. Both make their own .venv.
PYTHON ?= python3.11
BIN := .venv/bin
# Each use has an extra of setup.cfg, and a mark that says it is installed.
READY := .venv/ready-dev
READY_ALL := .venv/ready-all

.PHONY: demo test test-all docs android web lint wheel clean

demo: .venv/ready-demo
	$(BIN)/fr-keras demo --force

test: $(READY) lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow"

test-all: $(READY_ALL) lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile
	$(BIN)/python tests/backends.py --numprocesses auto --dist loadfile

# Then open build/docs/index.html; for its search, serve the folder: python -m http.server -d build/docs
docs: .venv/ready-docs
	NO_MKDOCS_2_WARNING=1 PATH=$(abspath $(BIN)):$$PATH $(BIN)/mkdocs build --strict

android: $(READY)
	$(BIN)/python tools/android/jvm.py
	$(BIN)/python tools/android/scheduler.py
	$(BIN)/python tools/android/app.py
	$(BIN)/python tools/android/guide.py
	$(BIN)/python tools/android/apk.py
	$(BIN)/python tools/android/screens.py --if-possible

web: $(READY)
	$(BIN)/python tools/web/reader.py
	$(BIN)/python tools/web/demo.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# What an earlier build left would go into the wheels.
wheel: $(READY)
	rm -rf build fr_archive/build
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist ./fr_archive .

.venv/made: constraints.txt setup.cfg pyproject.toml fr_archive/pyproject.toml
	$(PYTHON) -m venv --clear .venv
	touch $@

.venv/ready-%: .venv/made
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ./fr_archive -e ".[$*]"
	touch $@

clean:
	rm -rf .venv build fr_archive/build dist demo_output *.egg-info fr_archive/*.egg-info .pytest_cache .ruff_cache .hypothesis
