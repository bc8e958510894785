# The front door: `make help` lists what can be done. Each target installs what it needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

BUILD := build
VENV := $(BUILD)/venv
PY := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH):/usr/sbin:/sbin

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# $(call QUIETLY,NAME,COMMAND): say nothing unless the command fails, then all that it said.
QUIETLY = $(2) >$(BUILD)/$(1).log 2>&1 || { cat $(BUILD)/$(1).log; exit 1; }

# --- set-up -------------------------------------------------------------------------------------

system-%:
	@setup/system $(subst +, ,$*)

$(VENV)/.done: requirements/dev.txt pyproject.toml | system-build
	@mkdir -p $(BUILD)
	@echo "setup: Python environment in $(VENV)"
	@python3 -m venv --clear $(VENV)
	@$(call QUIETLY,venv,$(PY) -m pip install --require-hashes -r requirements/dev.txt)
	@$(call QUIETLY,venv,$(PY) -m pip install --no-deps --no-build-isolation --editable .)
	@touch $@

# --- building -----------------------------------------------------------------------------------

# $(call COMPILE,FOLDER,OPTIONS): configure once, then build what changed.
COMPILE = test -f $(BUILD)/$(1)/build.ninja || \
	{ $(call QUIETLY,$(1),meson setup $(BUILD)/$(1) capture_core $(2)); }; \
	$(call QUIETLY,$(1),ninja -C $(BUILD)/$(1))

.PHONY: engine
engine: | system-build
	@mkdir -p $(BUILD)/bin
	@$(call COMPILE,engine,--buildtype=release -Dtests=disabled)
	@mkdir -p $(BUILD)/man/man1
	@for program in ft-capture ft-extract ft-generate ft-reflect; do \
		ln -sf ../engine/$$program $(BUILD)/bin/$$program; \
		$(BUILD)/bin/$$program --man >$(BUILD)/man/man1/$$program.1; \
	done

# click-man's own command looks for commands where the entry point is, which imports none.
define MAN_PAGES
import sys
from importlib.metadata import version
from click_man.core import write_man_pages
from fieldtap.cli import commands
write_man_pages("fieldtap", commands, version=version("fieldtap"), target_dir=sys.argv[1])
endef
export MAN_PAGES

.PHONY: build
build: engine $(VENV)/.done ## build every program into build/bin/
	@ln -sf ../venv/bin/fieldtap $(BUILD)/bin/fieldtap
	@mkdir -p $(BUILD)/man/man1
	@$(PY) -c "$$MAN_PAGES" $(BUILD)/man/man1

.PHONY: freeze
freeze: $(VENV)/.done | system-build ## freeze the console into one folder, build/frozen/fieldtap/
	@$(PY) -m fieldtap_image.freeze $(BUILD)/frozen

.PHONY: run
run: build ## open the console on the lab link
	@tui/run-on-lab

# --- checking -----------------------------------------------------------------------------------

C_FILES = $(shell git ls-files 'capture_core/*.c' 'capture_core/*.h' 'capture_core/*.cc' 'tests/*.c')
SHELL_FILES = $(shell git ls-files 'setup/*' '.ci/*' 'tui/run-on-lab' '*.sh' | grep -v packages)

.PHONY: lint
lint: build | system-build+test ## check style, types, imports and scripts
	@echo "lint: ruff, mypy, import-linter"
	@ruff check --quiet .
	@ruff format --quiet --check .
	@mypy --no-error-summary capture_core/python capture_core/bench hardware tui image provision tests
	@lint-imports --no-cache >$(BUILD)/lint-imports.log || { cat $(BUILD)/lint-imports.log; exit 1; }
	@echo "lint: clang-format, shellcheck"
	@clang-format --dry-run --Werror $(C_FILES)
	@shellcheck $(SHELL_FILES)
	@echo "lint: yamllint, ansible-lint"
	@yamllint --strict .
	@cd provision && ansible-lint -q

.PHONY: sanitize
sanitize: | system-build+test
	@mkdir -p $(BUILD)
	@$(call COMPILE,sanitize,--buildtype=debug -Db_sanitize=address$(,)undefined -Db_lundef=false)

, := ,

.PHONY: test-unit
test-unit: sanitize build ## run the unit tests of the engine, under sanitizers
	@meson test -C $(BUILD)/sanitize --print-errorlogs

.PHONY: test
test: test-unit $(if $(filter 0,$(shell id -u)),image) | system-build+test+image ## run every test
	@$(PY) -m pytest

.PHONY: bench
bench: build | system-build+bench ## compare with the peers, in one run (ONLY="synth disk ..." for some)
	@PYTHONPATH=tests $(PY) -m capture_core.bench $(ONLY)

# --- campaigns: hundreds of runs that try to break a promise ------------------------------------

# Options for one go in OPTIONS, as in: make crash OPTIONS='--turns 20 --seed 1'
CAMPAIGN = cd tests && $(CURDIR)/$(PY) -m campaigns.$@ $(OPTIONS)

.PHONY: overload edges crash rotation measuring soak powercut
overload: build | system-build+test ## overload each stage 200 times: all is counted
	@$(CAMPAIGN)
edges: build | system-build+test ## start and stop 100 captures inside a running stream
	@$(CAMPAIGN)
crash: build | system-build+test ## kill 200 captures, repair their files and judge them
	@$(CAMPAIGN)
rotation: build | system-build+test ## rotate 500 times inside a numbered stream
	@$(CAMPAIGN)
measuring: build | system-build+test ## measure 40 devices that impair frames at random: all is counted
	@$(CAMPAIGN)
soak: build | system-build+test ## capture for an hour (DURATION_S=3600): memory flat, nothing lost
	@$(CAMPAIGN)
powercut: image | system-build+test+image ## cut the power of a capturing guest 10 times
	@$(CAMPAIGN)

# --- the image ----------------------------------------------------------------------------------

.PHONY: image
image: build freeze | system-build+image ## build the bootable image into build/image/
	@$(PY) -m fieldtap_image build

.PHONY: image-test
image-test: image | system-build+test+image ## boot the image in QEMU and capture real traffic in it
	@$(PY) -m fieldtap_image test

.PHONY: flash
flash: ## write the image to a stick: make flash DEVICE=/dev/sdX
	@$(PY) -m fieldtap_image flash "$(DEVICE)"

.PHONY: provision-local
provision-local: build freeze ## install the appliance's roles on this machine
	@cd provision && ansible-playbook --inventory inventories/local.yml site.yml

.PHONY: clean
clean: ## remove what was built (caches of the image stay in ~/.cache/fieldtap)
	@rm -rf $(BUILD)
