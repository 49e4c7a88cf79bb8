# One verb a target; `make help` lists them. A verb sets up what it needs on first use: the stamps in .venv say what is done.
ARCHIVE = medusa/data/agent.sh
STANDALONE = build/agent-standalone.sh
# The relay's optional part in C.
FAST = medusa/protocol/websocket/_fastrelay.c
# The Python files of this repository that the archive is made of.
TRAVELS = scripts/agent_boot.py $(filter-out ptyprocess/%, $(shell cat scripts/agent.manifest))
SCRIPTS = scripts/setup scripts/*.sh deploy/*.sh .ci/run $(ARCHIVE)
PYTEST  = .venv/bin/python -m pytest
# Three test processes for the two cores of the smallest machine: tests wait much. A module is run by one of them, because its
# tests share what takes long to set up; the unit tests, which are many and short, are last. PYTEST_ARGS="-x -k name" runs a part.
WORKERS = -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: session test lint fmt types imports unit interop fuzz chaos bench coverage archive standalone dist clean help
.DEFAULT_GOAL := help
.NOTPARALLEL:

session: .venv/.session $(ARCHIVE) ## a terminal in a local job; ARGS="-c 'uname -a'" goes to mlogin as it stands
	@exec env MEDUSA_CONFIG="$${MEDUSA_CONFIG-/dev/null}" .venv/bin/mlogin $(value ARGS)

test: lint types imports $(ARCHIVE) $(STANDALONE) ## all checks, then all tests from unit to end to end
	$(PYTEST) $(WORKERS) $(PYTEST_ARGS)

lint: .venv/.test $(ARCHIVE) ## style, shell scripts, and that what travels still runs on Python 3.8
	.venv/bin/ruff check --quiet --output-format concise
	.venv/bin/ruff format --quiet --check
	@if command -v shellcheck >/dev/null || [ "$$CI" = true ]; then set -x; shellcheck $(SCRIPTS); \
	else echo 'lint: no shellcheck here; the shell scripts are left out'; fi
	.venv/bin/vermin --quiet --no-tips --target=3.8- --violations $(TRAVELS)

fmt: .venv/.test ## rewrites the sources in the one style that lint accepts
	.venv/bin/ruff check --quiet --fix-only
	.venv/bin/ruff format --quiet

types: .venv/.test ## mypy --strict
	.venv/bin/mypy

imports: .venv/.test ## the floors: who may import whom
	.venv/bin/lint-imports --no-logo

unit: .venv/.test $(ARCHIVE) ## the tests of single modules
	$(PYTEST) tests/unit $(PYTEST_ARGS)

interop: .venv/.test $(ARCHIVE) ## all tests with programs of other projects, the slow ones too
	$(PYTEST) tests/interop -m "slow or not slow" $(PYTEST_ARGS)

fuzz: .venv/.test $(ARCHIVE) ## the long search for input that breaks a parser
	$(PYTEST) tests/fuzz -m "slow or not slow" $(PYTEST_ARGS)

chaos: .venv/.test $(ARCHIVE) ## the long run of sessions whose links are cut; ARGS="--cuts 1000" for a shorter one
	.venv/bin/python -m tests.chaos $(value ARGS)

bench: .venv/.test $(ARCHIVE) ## the figures of docs/benchmark.md; ARGS="--quick --rows echo" for a part
	.venv/bin/python -m bench $(value ARGS)

coverage: .venv/.test $(ARCHIVE) $(STANDALONE) ## which lines the tests reach
	@.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest $(WORKERS) $(PYTEST_ARGS); status=$$?; \
	.venv/bin/coverage combine --quiet && .venv/bin/coverage report && exit $$status

archive: $(ARCHIVE) ## the agent as one self-executing file

standalone: $(STANDALONE) ## the same with a Python in it, for machines like this one

dist: .venv/.test ## sdist and wheel in dist/, checked by twine
	rm -rf dist
	.venv/bin/python -m build >/dev/null
	.venv/bin/twine check --strict dist/*

clean: ## everything that can be made again
	rm -rf .venv build dist *.egg-info $(ARCHIVE) bench/build bench/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

.venv/.session: setup.py scripts/setup $(FAST)
	@scripts/setup session && touch $@

.venv/.test: setup.py scripts/setup $(FAST)
	@scripts/setup test && touch $@ .venv/.session .venv/.standalone

.venv/.standalone: setup.py scripts/setup $(FAST)
	@scripts/setup standalone && touch $@ .venv/.session

$(ARCHIVE): scripts/mkshar.sh scripts/agent.manifest scripts/agent_stub.sh $(wildcard scripts/agent_*.py) $(TRAVELS) | .venv/.session
	@mkdir -p $(@D) && PYTHON=.venv/bin/python sh scripts/mkshar.sh $@ >&2

$(STANDALONE): $(ARCHIVE) scripts/mkstandalone.sh $(wildcard scripts/standalone*) | .venv/.standalone
	@mkdir -p $(@D) && PYTHON=.venv/bin/python sh scripts/mkshar.sh --standalone $@ >&2
