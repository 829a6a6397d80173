# What each target does is told in docs/settings.md and by `make help`.
PYTHON ?= python3
VENV := .venv/bin
LOCAL := $(VENV)/python -m deploy.local

.DEFAULT_GOAL := help
.PHONY: help venv up down reset test check lint types imports migrations smoke chaos kills mtas tls-scan manage tamper lock

help: ## List the targets.
	@sed -n 's/^\([a-z%-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

venv: ## Create .venv and install the hashed lock, when either has changed.
	@$(PYTHON) -m deploy.local.bootstrap

up: venv ## Start everything, send one real message, stay until Ctrl-C.
	@$(LOCAL) up

down: ## Stop a running `make up` from another terminal.
	@$(PYTHON) -m deploy.local.down

reset: ## Remove every piece of local data (var/).
	@$(PYTHON) -m deploy.local.reset

test: venv ## Run the whole suite, or a part: make test ARGS="tests/deploy -x".
	@$(LOCAL) tools $(ARGS)
	@$(LOCAL) run $(VENV)/python -m pytest $(ARGS)

check: lint types imports migrations test smoke kills ## What CI runs.

lint: venv ## Format and rules.
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .

types: venv ## mypy, strict.
	@$(LOCAL) run $(VENV)/mypy
	@cd sdks/python && ../../$(VENV)/mypy
	@cd sdks/verify && ../../$(VENV)/mypy

imports: venv ## Imports go down the list of apps only.
	@$(LOCAL) run $(VENV)/lint-imports

migrations: venv ## Whether a migration is missing.
	@QUEENSMTP_PROCESS=owner $(LOCAL) run $(VENV)/python manage.py makemigrations --check --dry-run

smoke: venv ## `make up` from a clean clone of HEAD, looked at from outside.
	@$(VENV)/python -m deploy.smoke $(SMOKE)

chaos: venv ## Kill processes with -9 while 10,000 messages are accepted; nothing may be lost.
	@$(VENV)/python -m deploy.chaos $(CHAOS)

kills: venv ## The same with 400 messages.
	@$(VENV)/python -m deploy.chaos --messages 400 --per-second 20 --kills 5 --seconds-between-kills 3

mtas: venv ## Postfix, Exim and OpenSMTPD relay for us, report to us and submit to us.
	@$(LOCAL) run $(VENV)/python -m pytest $(ARGS) tests/mtas/check_*.py

tls-scan: venv ## testssl.sh in front of every TLS port of a clean clone of HEAD.
	@$(VENV)/python -m deploy.tls_scan

manage: venv ## A manage.py command: make manage ARGS="check".
	@$(LOCAL) run $(VENV)/python manage.py $(ARGS)

tamper: venv ## Flip 10,000 random bits of a log of 100,000 entries, and find every one.
	@TAMPER_ENTRIES=100000 TAMPER_CHANGES=10000 TAMPER_EXPORTED=10000 $(LOCAL) run $(VENV)/python -m pytest -q -s tests/auditlog/test_tampering.py tests/sdk_verify/test_tampered_export.py

bench-%: venv ## Measure ours beside a peer, such as bench-send (benchmarks/README.md).
	@$(LOCAL) run $(VENV)/python -m benchmarks.$(subst -,_,$*) $(ARGS)

lock: venv ## Compile requirements*.in to requirements*.txt with hashes.
	$(VENV)/uv pip compile --quiet --universal --python-version 3.11.0 --generate-hashes $(UPGRADE) requirements.in -o requirements.txt
	$(VENV)/uv pip compile --quiet --universal --python-version 3.11.0 --generate-hashes $(UPGRADE) -c requirements.txt requirements-dev.in -o requirements-dev.txt
