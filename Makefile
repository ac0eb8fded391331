# Needs make and Python 3.11+ with venv (and a C compiler where python-pytun has no wheel).
# Everything else comes, checked by hash, from the locks in requirements/.

SHELL := /bin/sh
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
# After "sudo make demo", "make test" must still be able to add to .venv: it belongs to whom the checkout belongs to.
GIVE_BACK = @[ "$$(id -u)" -ne 0 ] || chown -R --reference=. .venv
PYTHONS := $(PYTHON) python3 python3.13 python3.12 python3.11

.PHONY: help .venv demo test lint format bench interop interop-nightly interop-matrix interop-record interop-bench conformance fuzz soak floods chaos man lock clean \
	install uninstall completion

help:
	@echo 'make demo    show a tunnel between three namespaces (as root)'
	@echo 'make test    run the tests'
	@echo 'make lint    ruff, mypy --strict, import-linter, codespell'
	@echo 'make format  put imports and layout in order'
	@echo 'make bench   measure the parts and whole tunnels (as root); ARGS=--quick for a first look'
	@echo 'make interop run every pair with the real pptpd, pppd and pptp-linux in a guest (as root, on Debian)'
	@echo 'make interop-nightly, interop-matrix, interop-record, interop-bench: the long ones, docs/interop.md, recordings, speed'
	@echo 'make conformance  hold every check of pypptp spec against pypptp and the real ones: docs/conformance.md (as root)'
	@echo 'make fuzz    look for crashes with atheris; SECONDS=900 for each target, TARGETS="gre ipcp" for some'
	@echo 'make soak, make floods, make chaos: thousands of sessions, hostile ones, bad networks (as root)'
	@echo 'make man     write docs/man anew from the commands; make completion: packaging/completion'
	@echo 'make install put pypptp, its units, manual pages and shell completion below PREFIX (as root); make uninstall'
	@echo 'make lock    work out requirements/*.txt anew'
	@echo 'make clean   remove what the targets above made'

# What it takes to run pypptp. A changed lock makes a new .venv: nothing stale can hide a missing dependency.
.venv/run.stamp: requirements/build.txt requirements/run.txt
	@set -e; found=; \
	for candidate in $(PYTHONS); do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	    then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'pypptp needs Python 3.11 or newer with its venv module, and none of these is one: $(strip $(PYTHONS)).' >&2; \
	    exit 1; \
	fi; \
	echo "making .venv with $$found" >&2; \
	"$$found" -m venv --clear .venv
	@$(PIP) install --require-hashes -r requirements/build.txt
	@$(PIP) install --require-hashes --no-build-isolation -r requirements/run.txt
	@touch $@
	$(GIVE_BACK)

# The project itself, editable; again when its metadata change.
.venv/project.stamp: .venv/run.stamp pyproject.toml
	@$(PIP) install --no-build-isolation --no-deps --no-index -e .
	@touch $@
	$(GIVE_BACK)

# And what it takes to work on it.
.venv/dev.stamp: .venv/run.stamp requirements/dev.txt
	@echo 'adding to .venv what the tests need' >&2
	@$(PIP) install --require-hashes --no-build-isolation -r requirements/dev.txt
	@touch $@
	$(GIVE_BACK)

.venv: .venv/project.stamp .venv/dev.stamp

demo: .venv/project.stamp
	@.venv/bin/pypptp demo $(ARGS)

test: .venv
	$(PY) -m pytest -m 'not interop' $(ARGS)

lint: .venv
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/codespell

format: .venv
	$(PY) -m ruff check --select I --fix
	$(PY) -m ruff format

bench: .venv
	$(PY) -m bench $(ARGS)

# The real pptpd, pppd and pptp-linux in a user-mode Linux guest; skips, saying what is missing, elsewhere.
interop: .venv
	$(PY) -m pytest tests/interop -m 'interop and not nightly' $(ARGS)

interop-nightly: .venv
	$(PY) -m pytest tests/interop -m nightly $(ARGS)

interop-matrix: .venv
	$(PY) -m tests.interop.matrix

interop-record: .venv
	$(PY) -m tests.interop.record

# Every check of pypptp spec, against pypptp and against the real ones; ARGS=page writes the page anew without running.
conformance: .venv
	$(PY) -m tests.interop.conformance $(ARGS)

interop-bench: .venv
	$(PY) -m tests.interop.speed

# A fuzzer of its own: seconds for each target, and which ones; what it finds is in build/fuzz.
SECONDS ?= 60
TARGETS ?=
.venv/fuzz.stamp: .venv/dev.stamp requirements/fuzz.txt
	@$(PIP) install --require-hashes -r requirements/fuzz.txt
	@touch $@
	$(GIVE_BACK)

fuzz: .venv .venv/fuzz.stamp
	$(PY) -m tests.fuzz.campaign --seconds $(SECONDS) $(ARGS) $(TARGETS)

# The long runs (as root): an hour, minutes, minutes.
soak: .venv
	$(PY) -m tests.endurance.soak $(ARGS)

floods: .venv
	$(PY) -m tests.endurance.floods $(ARGS)

chaos: .venv
	$(PY) -m tests.endurance.chaos $(ARGS)

man: .venv
	$(PY) docs/render_man.py
	$(PY) docs/render_personas.py

completion: .venv
	$(PY) docs/render_completion.py

PREFIX ?= /usr/local
DESTDIR ?=

# A copy that needs neither this checkout nor .venv any more, only the Python that .venv was made with.
install: .venv/project.stamp
	@$(PY) packaging/install.py --destdir '$(DESTDIR)' --prefix '$(PREFIX)'

uninstall: .venv/project.stamp
	@$(PY) packaging/install.py --destdir '$(DESTDIR)' --prefix '$(PREFIX)' --remove

# uv is the one tool here that resolves for several Python versions at once; it is needed for nothing else.
UV_VERSION := 0.13.9
COMPILE = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

lock: .venv/run.stamp
	$(PY) -m venv build/lock
	build/lock/bin/python -m pip --disable-pip-version-check --quiet install 'uv==$(UV_VERSION)'
	$(COMPILE) $(UPGRADE) requirements/build.in -o requirements/build.txt
	$(COMPILE) $(UPGRADE) -c requirements/build.txt pyproject.toml requirements/build.in -o requirements/run.txt
	$(COMPILE) $(UPGRADE) -c requirements/run.txt --extra dev --extra testing pyproject.toml requirements/build.in \
	    -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt requirements/fuzz.in -o requirements/fuzz.txt

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	rm -rf pypptp.egg-info cli/pypptp_cli.egg-info
	find pypptp cli tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
