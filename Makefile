# safe_migrate: schema changes judged, made safe, run, recorded and undone by
# the server itself.
#
#     make && make install        for the server of PG_CONFIG
#     make installcheck           against a running server that preloads us
#
#     make demo                   the main job, on a throw-away server
#     make check                  all tests, on a throw-away server
#     make bench                  what it costs
#     make bench-locks            how long others wait for a schema change
#     make bench-restore          what restore points cost, and the way back
#     make bench-online           what a backfill costs, and whom it lets wait
#     make rules                  the page of all rules, rules.md
#     make format                 indent the C code as PostgreSQL does
#     make lint                   what a reviewer should not have to say

PG_CONFIG ?= pg_config

HOUSE_GOALS = demo check bench bench-locks bench-restore bench-online rules format lint

# These need neither pg_config nor a build, and PGXS has a "check" of its own
# that only says that it cannot: leave PGXS out when nothing else is asked for.
ifeq (,$(filter-out $(HOUSE_GOALS),$(or $(MAKECMDGOALS),all)))

.PHONY: $(HOUSE_GOALS)

demo:
	sh test/demo.sh

check:
	sh test/check.sh

bench:
	sh test/bench.sh

bench-locks:
	sh test/bench_locks.sh

bench-restore:
	sh test/bench_restore.sh

bench-online:
	sh test/bench_online.sh

rules:
	sh test/rules.sh

format:
	sh test/lint/format.sh

lint:
	sh test/lint/lint.sh

else

EXTENSION = safe_migrate
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" safe_migrate.control)

# The library

MODULE_big = safe_migrate
SOURCES = $(sort $(wildcard src/*.c src/*/*.c src/*/*/*.c))
OBJS = $(SOURCES:.c=.o)

PG_CPPFLAGS = -I$(srcdir)/src

# FAULT_POINTS=1 is for tests: places at which a process can be made to fail.
ifdef FAULT_POINTS
PG_CPPFLAGS += -DSAFE_MIGRATE_FAULT_POINTS
endif

# Warnings are errors, but for those that PostgreSQL's own headers and idioms
# give with -Wextra; for -Wclobbered see the comment in utils/elog.h.
PG_CFLAGS = -Wall -Wextra -Werror -Werror=switch \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-clobbered

# Debian builds its servers with LLVM; without clang there is no bitcode, and
# nothing here would gain from being inlined into a query.
override with_llvm = no

# The install script: the parts, in this order

SQL_PARTS = \
	src/common/preamble.sql \
	src/policy/policy.sql \
	src/record/record.sql \
	src/rates/rates.sql \
	src/task/task.sql \
	src/lock/lock.sql \
	src/run/run.sql \
	src/check/check.sql \
	src/check/indexes.sql \
	src/preserve/preserve.sql \
	src/ledger/adopt/adopt.sql \
	src/ledger/ledger.sql \
	src/ledger/deploy.sql \
	src/check/verify.sql \
	src/drift/schema_relations.sql \
	src/drift/schema_others.sql \
	src/drift/drift.sql \
	src/preserve/carry.sql \
	src/preserve/points.sql \
	src/target/target.sql \
	src/restore/rollback.sql \
	src/online/backfill.sql \
	src/online/dual_write.sql \
	src/online/online.sql \
	src/online/versions.sql

DATA_built = $(EXTENSION)--$(EXTVERSION).sql

# The client

CLIENT_PARTS = $(patsubst %,src/client/%.sh, usage output options psql files \
	apply look mend new main)

SCRIPTS_built = pg_safe_migrate

# The tests; test/check.sh prepares a server for them

REGRESS = $(filter setup,$(SQL_TESTS)) $(filter-out setup,$(SQL_TESTS))
SQL_TESTS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))

ISOLATION = $(filter setup,$(SPECS)) $(filter-out setup,$(SPECS))
SPECS = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=output_iso \
	--load-extension=$(EXTENSION)

ifneq (,$(wildcard test/tap/*.pl))
TAP_TESTS = 1
PROVE_TESTS ?= test/tap/*.pl
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Modules of the TAP tests lie beside them.
PG_PROVE_FLAGS += -I $(srcdir)/test/tap

# A header may reach any object; the whole library builds in seconds.
$(OBJS): $(wildcard src/*.h src/*/*.h src/*/*/*.h)

$(DATA_built): $(SQL_PARTS) Makefile
	cat $(SQL_PARTS) >$@.tmp && mv $@.tmp $@

$(SCRIPTS_built): $(CLIENT_PARTS) Makefile
	awk 'FNR == 1 && NR > 1 { print "\n" } { print }' $(CLIENT_PARTS) >$@.tmp
	chmod 755 $@.tmp && mv $@.tmp $@

endif
