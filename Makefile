# lookalike: every target sets up what it needs in .venv. Needs Python 3.11+ and a C++ compiler.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check -q
CORE := pyproject.toml CMakeLists.txt $(wildcard cpp/*)
CPP := $(wildcard cpp/*.h cpp/*.cpp)
SPREAD := -n auto --maxprocesses 4 --dist worksteal  # tests over the cores

.PHONY: help demo test soak check bench format stub figures clean
help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: $(VENV)/.demo ## set up, and search the handwritten digits (the main job)
	$(VENV)/bin/lookalike demo

test: $(VENV)/.test ## set up, and run all tests
	$(VENV)/bin/python -m pytest $(SPREAD) tests src

soak: $(VENV)/.test ## threads, readers beside a writer, forged files for a minute each; 5,000 kills, 1,000 of syncs; 10 minutes of a server (an hour)
	LOOKALIKE_SOAK_SECONDS=60 LOOKALIKE_SOAK_KILLS=5000 LOOKALIKE_SOAK_ALBUM_KILLS=1000 \
	  $(VENV)/bin/python -m pytest --durations=10 \
	  tests/unit/test_changes.py tests/store tests/hostile/test_store_fuzz.py tests/album/test_sync.py
	bash .ci/sanitize fuzz
	$(VENV)/bin/python benchmarks/web.py --soak 600

check: $(VENV)/.check ## format, lint, types, stub of the core, documents
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/clang-format --dry-run --Werror $(CPP)
	$(VENV)/bin/python -m nanobind.stubgen -q -m lookalike._core -o build/_core.pyi
	diff build/_core.pyi src/lookalike/_core.pyi
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -q tests/house

bench: $(VENV)/.bench $(VENV)/.test ## set up, measure what the documents quote, write docs/benchmarks.md (an hour)
	for data in fashion-mnist fashion-mnist-l1 glove-50; do \
	  $(VENV)/bin/python benchmarks/engine.py --data $$data >/dev/null && \
	  $(VENV)/bin/python benchmarks/engine.py --data $$data --promise >/dev/null || exit 1; done
	@{ cat benchmarks/preface.md && \
	  $(VENV)/bin/python benchmarks/engine.py --data fashion-mnist --table --plot && \
	  $(VENV)/bin/python benchmarks/engine.py --data fashion-mnist --threads 2 && \
	  $(VENV)/bin/python benchmarks/engine.py --data fashion-mnist-l1 --table && \
	  $(VENV)/bin/python benchmarks/engine.py --data glove-50 --table --plot && \
	  $(VENV)/bin/python benchmarks/batches.py && \
	  $(VENV)/bin/python benchmarks/shift.py && \
	  $(VENV)/bin/python benchmarks/guaranteed.py && \
	  $(VENV)/bin/python benchmarks/living.py && \
	  $(VENV)/bin/python benchmarks/exact.py && \
	  $(VENV)/bin/python benchmarks/hamming.py && \
	  $(VENV)/bin/python benchmarks/store.py && \
	  $(VENV)/bin/python benchmarks/album.py && \
	  $(VENV)/bin/python benchmarks/web.py && \
	  $(VENV)/bin/python benchmarks/page.py && \
	  $(VENV)/bin/python benchmarks/lab.py; } | tee build/benchmarks.md
	mv build/benchmarks.md docs/benchmarks.md
	$(VENV)/bin/python benchmarks/encoders.py --out build/encoders.md && mv build/encoders.md docs/encoders.md
	$(VENV)/bin/python benchmarks/growth.py >build/scale.md && mv build/scale.md docs/scale.md

format: $(VENV)/.check ## rewrite all files in the house format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/clang-format -i $(CPP)

stub: $(VENV)/.check ## generate the type stub of the compiled core
	$(VENV)/bin/python -m nanobind.stubgen -q -m lookalike._core -o src/lookalike/_core.pyi

figures: $(VENV)/.test ## draw the pictures of the documents again (those of the page need Chromium)
	$(VENV)/bin/python docs/figures/draw.py
	$(VENV)/bin/python docs/figures/screens.py

clean: ## remove everything that was built
	rm -rf $(VENV) build lookalike-demo

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lookalike needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Use: make PYTHON=python3.13 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.demo: $(VENV)/.python $(CORE)
	$(PIP) install -e '.[all]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PIP) install --group test
	@touch $@

$(VENV)/.check: $(VENV)/.test
	$(PIP) install --group check
	@touch $@

$(VENV)/.bench: $(VENV)/.demo
	$(PIP) install --group bench
	@touch $@
