# whitecross: the shipping build (PGXS), and one word for each thing a developer does.  `make help` lists them.
#
# `make` and `make install` are ordinary PGXS: they use the pg_config on the PATH, or the one PG_CONFIG names.
# The other targets (test, demo, ...) leave the machine's PostgreSQL alone: they work on a copy of it in build/pg.

EXTENSION = whitecross
MODULE_big = whitecross
PGFILEDESC = "whitecross - managed objects of a school-health database"
EXTENSION_VERSION = 1.4.0

# The installation script of this version is these parts in this order; a part may use what an earlier one made.
SQL_PARTS = \
	sql/tables.sql \
	sql/site_views.sql \
	sql/refresh_tables.sql \
	sql/change_tables.sql \
	sql/functions/schema.sql \
	sql/functions/site_views.sql \
	sql/functions/base_tables.sql \
	sql/functions/refresh.sql \
	sql/functions/capture.sql \
	sql/functions/live.sql \
	sql/functions/schedule.sql \
	sql/functions/observe.sql \
	sql/functions/queries.sql \
	sql/functions/slow_queries.sql \
	sql/functions/query_history.sql \
	sql/functions/violations.sql \
	sql/functions/index_health.sql \
	sql/functions/index_suggestions.sql \
	sql/functions/privacy.sql \
	sql/functions/connections.sql \
	sql/functions/pooler.sql \
	sql/functions/pool_profiles.sql \
	sql/functions/monitored_health.sql \
	sql/functions/alerts.sql \
	sql/functions/cache.sql \
	sql/functions/cache_stats.sql \
	sql/functions/server_health.sql \
	sql/functions/health.sql \
	sql/functions/database_metrics.sql \
	sql/functions/server_metrics.sql \
	sql/functions/cache_metrics.sql \
	sql/functions/metrics.sql \
	sql/objects/columns.sql \
	sql/objects/constraints.sql \
	sql/objects/covering_indexes.sql \
	sql/objects/partial_indexes.sql \
	sql/objects/composite_indexes.sql \
	sql/objects/mv_student_health_summary.sql \
	sql/objects/mv_compliance_status.sql \
	sql/objects/mv_medication_schedule.sql \
	sql/objects/mv_allergy_summary.sql \
	sql/objects/mv_appointment_statistics.sql \
	sql/objects/view_sources.sql \
	sql/objects/view_indexes.sql \
	sql/objects/refresh_indexes.sql \
	sql/replicated.sql \
	sql/install.sql

SCRIPT = sql/$(EXTENSION)--$(EXTENSION_VERSION).sql
DATA_built = $(SCRIPT)
# Kept in the tree: the scripts of earlier versions, and the updates from one to the next, which are written by hand.
DATA = $(filter-out $(SCRIPT), $(sort $(wildcard sql/$(EXTENSION)--*.sql)))

MONITORING = $(sort $(wildcard monitoring/*))

# The result cache's second tier, Redis: built where the libraries are that it needs (WITH_REDIS=no does without).
SECOND_TIER = src/cache/key_file.cpp src/cache/redis_link.cpp src/cache/seal.cpp src/cache/second_tier.cpp src/cache/tier_keys.cpp
NO_SECOND_TIER = src/cache/no_second_tier.cpp
ifndef WITH_REDIS
WITH_REDIS := $(shell printf '%s\n' '\#include <hiredis/hiredis.h>' '\#include <openssl/evp.h>' | $(CXX) -E -x c++ - > /dev/null 2>&1 && echo yes || echo no)
endif

SOURCES := $(filter-out $(if $(filter yes,$(WITH_REDIS)),$(NO_SECOND_TIER),$(SECOND_TIER)),$(sort $(wildcard src/*.cpp src/*/*.cpp)))
OBJS = $(SOURCES:.cpp=.o)

# The server's condition names by SQLSTATE: it knows them only by its macros' names, so they are taken from its own list.
CONDITION_NAMES = build/condition_names.inc

# Server regression tests (test/sql), run in this order in one database.
REGRESS = wall managed_objects capture refresh schedule health
REGRESS_OPTS = --inputdir=test --dlpath=test/modules/wall

# Isolation tests (test/isolation/specs).
ISOLATION = refresh_readers refresh_callers incremental_writers incremental_refreshes incremental_commands incremental_triggers
ISOLATION_OPTS = --inputdir=test/isolation

PG_CPPFLAGS = -Isrc -Ibuild -I$(libpq_srcdir)
# -fvisibility=hidden: the library exports what is declared so, and nothing else.  -Wno-register: the server's headers.
PG_CXXFLAGS = -std=c++20 -fvisibility=hidden -fvisibility-inlines-hidden -Wno-register -MMD -MP
# libpq: the monitor asks PgBouncer.
SHLIB_LINK = -lstdc++ $(libpq)
ifeq ($(WITH_REDIS),yes)
PG_CPPFLAGS += -DWC_REDIS
SHLIB_LINK += -lhiredis -lcrypto
endif
ifeq ($(SANITIZE),ON)
PG_CXXFLAGS += -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SHLIB_LINK += -lasan -lubsan
endif
EXTRA_CLEAN = $(OBJS:.o=.d) build/objects-of $(CONDITION_NAMES) $(WALL) $(WALL:whitecross_wall.so=wall.o) $(WALL:whitecross_wall.so=wall.d) \
	$(CELLS) $(CELLS:whitecross_cells.so=cells.o) $(CELLS:whitecross_cells.so=cells.d) \
	$(STORE) $(STORE:whitecross_store.so=store.o) $(STORE:whitecross_store.so=store.d)

# What the tests of src/pg load (test/sql/wall.sql): built with those objects, found by pg_regress where it is, never installed.
WALL = test/modules/wall/whitecross_wall.so
# What tests of the result cache's store have their server load in the extension's stead.
STORE = test/modules/store/whitecross_store.so

# What the tests of the result cache look into its shared memory with (test/t/17*.pl): built with that code, never installed.
CELLS = test/modules/cells/whitecross_cells.so

# Targets that do without the server's make rules: they must work, or say what is missing, where nothing is installed yet.
PLAIN_TARGETS = help setup private-postgres demo demo-stop test unit regress pgtap isolation tap test-asan test-asan-tap test-valgrind \
	bench lint format dist show-%

ifneq ($(filter-out $(PLAIN_TARGETS),$(or $(MAKECMDGOALS),all)),)
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error $(PG_CONFIG) gives no PGXS makefile: install the server's development package, or run `make setup`)
endif
ifeq ($(WERROR),1)
# The server's headers as system headers, so that only our own code is held to these warnings.
PG_CXXFLAGS += -Wall -Wextra -Werror -isystem $(shell $(PG_CONFIG) --includedir-server)
endif
# PGXS's rule for bitcode ignores PG_CXXFLAGS, and this code gains nothing by being inlined into queries.
override with_llvm = no
include $(PGXS)

# Objects built for another server version, or with other flags, are not used again.
BUILT_FOR := $(shell $(PG_CONFIG) --version) $(filter-out -I% -isystem /%,$(CXXFLAGS) $(CPPFLAGS))
$(OBJS) test/modules/wall/wall.o test/modules/cells/cells.o test/modules/store/store.o: build/objects-of | $(CONDITION_NAMES)
build/objects-of: FORCE
	@mkdir -p build; printf '%s\n' '$(BUILT_FOR)' | cmp -s - $@ || printf '%s\n' '$(BUILT_FOR)' > $@

$(CONDITION_NAMES): $(shell $(PG_CONFIG) --sharedir)/errcodes.txt build/objects-of
	@mkdir -p build
	awk '/^[0-9A-Z][0-9A-Z][0-9A-Z][0-9A-Z][0-9A-Z][ \t]/ && NF == 4 && !seen[$$1]++ { printf "{%s, \"%s\"},\n", $$3, $$4 }' $< > $@.new
	mv $@.new $@

$(SCRIPT): $(SQL_PARTS) Makefile
	@{ printf '%s\n' '-- Built by make from the parts listed in the Makefile (SQL_PARTS): change those.' \
	      '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit'; \
	   for part in $(SQL_PARTS); do printf '\n-- %s\n\n' "$$part"; cat "$$part" || exit 1; done; } > $@.new
	mv $@.new $@

# What a monitoring system needs, in a folder of its own beside the extensions': see docs/operations.md.
install: install-monitoring
install-monitoring:
	$(MKDIR_P) '$(DESTDIR)$(datadir)/$(EXTENSION)'
	$(INSTALL_DATA) $(MONITORING) '$(DESTDIR)$(datadir)/$(EXTENSION)/'
uninstall: uninstall-monitoring
uninstall-monitoring:
	rm -f $(patsubst monitoring/%,'$(DESTDIR)$(datadir)/$(EXTENSION)/%',$(MONITORING))
	-rmdir '$(DESTDIR)$(datadir)/$(EXTENSION)'

wall: $(WALL) $(CELLS) $(STORE)
installcheck: $(WALL)
$(WALL): test/modules/wall/wall.o $(filter src/core/% src/pg/%,$(OBJS))
	$(CC) $(CFLAGS) $(LDFLAGS) $(LDFLAGS_SL) -shared -o $@ $^ $(SHLIB_LINK)
$(CELLS): test/modules/cells/cells.o $(addprefix src/cache/, generations.o prepared.o writers.o) $(filter src/core/% src/pg/%,$(OBJS))
	$(CC) $(CFLAGS) $(LDFLAGS) $(LDFLAGS_SL) -shared -o $@ $^ $(SHLIB_LINK)
$(STORE): test/modules/store/store.o $(filter src/core/% src/pg/% src/cache/%,$(OBJS))
	$(CC) $(CFLAGS) $(LDFLAGS) $(LDFLAGS_SL) -shared -o $@ $^ $(SHLIB_LINK)

-include $(OBJS:.o=.d) $(WALL:whitecross_wall.so=wall.d) $(CELLS:whitecross_cells.so=cells.d) $(STORE:whitecross_store.so=store.d)
.PHONY: FORCE wall install-monitoring uninstall-monitoring
endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "  make                   build for the PostgreSQL of pg_config (PG_CONFIG=... names another)"
	@echo "  make install           install it there;  make installcheck  runs the SQL tests against a running server"

setup: ## install the Debian packages that building and testing need
	scripts/setup

private-postgres: ## a copy of PostgreSQL in build/pg with the extension installed
	scripts/private-postgres

demo: ## a throwaway server with a sample district, refreshed, and its dashboards
	scripts/demo start

demo-stop: ## stop the demo's server and remove its data
	scripts/demo stop

test: ## everything: set-up, build with -Werror, lint, unit, regress, pgTAP, isolation, TAP
	scripts/test

unit: ## only the unit tests of src/core (SANITIZE=ON: under ASan and UBSan)
	scripts/test unit

regress: ## only the SQL regression tests (test/sql), on a server of their own
	scripts/test regress

pgtap: ## only the pgTAP tests (test/pgtap)
	scripts/test pgtap

isolation: ## only the isolation tests (test/isolation)
	scripts/test isolation

tap: ## only the TAP tests (test/t); TESTS='test/t/001_x.pl' picks some
	scripts/test tap

test-asan: ## unit and regression tests under AddressSanitizer and UBSan
	scripts/test asan

test-asan-tap: ## the TAP tests under the same (hours); TESTS='test/t/001_x.pl' picks some
	scripts/test asan-tap

test-valgrind: ## the regression tests under valgrind
	scripts/test valgrind

bench: ## the benchmarks of test/bench (minutes to an hour)
	scripts/bench

lint: ## versions, clang-format and clang-tidy
	scripts/lint all

format: ## clang-format every source file in place
	scripts/lint format

dist: ## a source archive in build/
	mkdir -p build
	git archive --format=tar.gz --prefix=$(EXTENSION)-$(EXTENSION_VERSION)/ -o build/$(EXTENSION)-$(EXTENSION_VERSION).tar.gz HEAD

# `make -s show-REGRESS` prints a variable: how the scripts read the lists above.
show-%:
	@echo $($*)

.PHONY: help setup private-postgres demo demo-stop test unit regress pgtap isolation tap test-asan test-asan-tap test-valgrind bench lint format dist
