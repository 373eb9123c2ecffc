# make demo    the demonstration, with everything that it needs (root, for network namespaces)
# make test    lint and all tests that can run here; what is skipped says why
.PHONY: demo test lint format setup p4 bench clean
BIN := .venv/bin
# Under sudo no files of root's are left among the sources. Without sudo, umbra itself says what it needs.
ROOT := $(shell [ "$$(id -u)" = 0 ] || ! command -v sudo >/dev/null || echo sudo env PYTHONDONTWRITEBYTECODE=1)
DEMO_ARGS ?=
PYTEST_ARGS ?=

demo: setup
	$(ROOT) $(BIN)/umbra demo $(DEMO_ARGS)

test: setup-test lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup:
	@tools/setup.sh

.PHONY: setup-test
setup-test:
	@tools/setup.sh test

p4:
	p4src/compile.sh

# InfluxDB 2.7 for the tests and `umbra bench store`; needs Go, cargo and a C compiler, and takes minutes
.PHONY: influxd
influxd:
	tools/influxd.sh

# Neo4j Community for the tests and `umbra bench destinations`; needs Java 17 and Maven, and fetches 128 MB
.PHONY: neo4j
neo4j:
	tools/neo4j.sh

# One JSON object per benchmark in reports/bench/
bench: setup
	mkdir -p reports/bench
	for name in switch cycle replication failover addresses destinations resources forecast store; do \
	  $(ROOT) $(BIN)/umbra bench $$name --json > reports/bench/$$name.json || exit 1; \
	done

clean:
	rm -rf .venv .venv-p4runtime-sh reports .mypy_cache .ruff_cache .pytest_cache
