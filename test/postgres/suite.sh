#!/bin/sh
#
# sh test/postgres/suite.sh SOURCE: run the regression tests of an unpacked source
# package on the server of PG_CONFIG, without the library and with it.  Called by
# test/postgres.sh, where what is required is told.

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/../lib.sh"

source=$1

# What of the schedule most other tests depend on.
FIRST="test_setup create_function_c create_misc create_operator create_procedure
	create_table create_type create_schema create_index create_view
	create_aggregate"

# Lines of the log of the server that nobody may cause.
CRASHES='was terminated by signal|TRAP:|PANIC:'
LEAKS='WARNING:.*(leak|still referenced|not closed)'
OUR_ERRORS='safe_migrate failed while judging'
MISMATCH='safe_migrate mismatch:'

passed=0
failed=0
closing=

# count STATUS NAME MESSAGE
count()
{
	closing="$closing
$2: $3"
	if [ "$1" -eq 0 ]
	then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}


# ---- the tests

# The module of C functions that the tests call, and others that they load.
build_modules()
{
	modules=$SM_WORK/modules
	mkdir "$modules"
	cp "$SM_WORK/tests/regress.c" "$modules/"
	cat >"$modules/Makefile" <<-'END'
		MODULES = regress
		override with_llvm = no
		PGXS := $(shell $(PG_CONFIG) --pgxs)
		include $(PGXS)
	END
	for module in autoinc refint
	do
		file=$("$SM_PG_CONFIG" --pkglibdir)/$module.so
		[ ! -e "$file" ] || cp "$file" "$modules/"
	done
	sm_own "$modules"
	if ! sm_make -s -C "$modules" >"$SM_WORK/modules.output" 2>&1 </dev/null
	then
		# That of another major version may not fit, and is not needed for most.
		sm_say "regress.c cannot be compiled for this server, so the tests lack it:"
		grep -m 3 'error:' "$SM_WORK/modules.output"
	fi
}

# The tests of another major version, which make do where a server's own are not
# to be had, meet a server and a client they were not made for: queries of
# join_hash, which has no DDL, then run for minutes, and psql_pipeline, which has
# none either, without an end.
choose_tests()
{
	schedule=$SM_WORK/tests/parallel_schedule
	if [ -n "${SAFE_MIGRATE_TESTS:-}" ]
	then
		tests="$FIRST $SAFE_MIGRATE_TESTS"
		return
	fi
	tests="--schedule=$schedule --max-concurrent-tests=20"
	[ -z "${SAFE_MIGRATE_SERIAL:-}" ] ||
		tests="--schedule=$schedule --max-connections=1"
	[ -z "$foreign" ] ||
		sed -i -E 's/^(test:.*) (join_hash|psql_pipeline)\>/\1/' "$schedule"
}

# The tests are run on a cluster NAME with these settings; then $SM_WORK/NAME has
# their results.
run_tests()
{
	name=$1
	shift
	sm_start "$name" 'fsync = off' 'max_prepared_transactions = 2' \
		"log_line_prefix = '%m [%p] %q%a '" "$@"

	# The same place in each run, for it may be seen in results.
	output=$SM_WORK/output
	mkdir "$output"
	sm_own "$output"

	started=$(date +%s)
	# From 16 on it looks for expected results where it stands.
	# shellcheck disable=SC2086,SC2016  # a list of words; the inner shell expands
	sm_user timeout 1800 sh -c 'cd "$0" && exec "$@"' "$SM_WORK/tests" \
		"$("$SM_PG_CONFIG" --pkglibdir)/pgxs/src/test/regress/pg_regress" \
		--bindir="$SM_BIN" --dlpath="$modules" --inputdir="$SM_WORK/tests" \
		--outputdir="$output" $tests \
		>"$SM_WORK/$name.output" 2>&1 </dev/null || true
	seconds=$(($(date +%s) - started))
	mv "$output" "$SM_WORK/$name"

	line=$(sed -n 's/^[# ]*\(All [0-9]* tests passed.*[^ ]\) *$/\1/p
		s/^[# ]*\([0-9]* of [0-9]* tests failed.*[^ ]\) *$/\1/p' \
		"$SM_WORK/$name.output" | tail -n 1)
	[ -n "$line" ] || tail -n 20 "$SM_WORK/$name.output"
	sm_say "$name: ${line:-did not run to its end} ($seconds s)"
	[ -z "$foreign" ] || return 0
	sed -nE 's/^not ok [0-9]+ +[-+] ([^ ]+).*/\1/p
		s/^(test|   ) ([^ ]+) +\.\.\. FAILED.*/\2/p' "$SM_WORK/$name.output" |
		tr '\n' ' ' | sed 's/^./    not as expected: &/; s/ $/\n/' | fold -s -w 78
}

# The tests whose results differ between two runs.
differing()
{
	for file in "$SM_WORK/$1"/results/*.out "$SM_WORK/$2"/results/*.out
	do
		file=${file##*/}
		cmp -s "$SM_WORK/$1/results/$file" "$SM_WORK/$2/results/$file" ||
			sm_say "${file%.out}"
	done | LC_ALL=C sort -u
}


# ---- what is required

# Some results depend on what else runs at that moment, or say where and when they
# were made.  So what differs is not believed before it differed from another
# plain run as well, and each time; and not where plain runs differ.
check_results()
{
	differing plain loaded >"$SM_WORK/differing"
	: >"$SM_WORK/unstable"
	if [ -s "$SM_WORK/differing" ]
	then
		sm_say "Not the same with the library: $(words differing); both once more"
		run_plain plain_again
		run_loaded loaded_again
		differing plain plain_again >"$SM_WORK/unstable"
		for pair in 'plain loaded_again' 'plain_again loaded' \
			'plain_again loaded_again'
		do
			# shellcheck disable=SC2086  # two words
			differing $pair >"$SM_WORK/differing.pair"
			LC_ALL=C comm -12 "$SM_WORK/differing" "$SM_WORK/differing.pair" \
				>"$SM_WORK/differing.both"
			mv "$SM_WORK/differing.both" "$SM_WORK/differing"
		done
		LC_ALL=C comm -23 "$SM_WORK/differing" "$SM_WORK/unstable" \
			>"$SM_WORK/differing.stable"
		mv "$SM_WORK/differing.stable" "$SM_WORK/differing"
	fi
	while read -r test
	do
		printf '\n---- %s: - without the library, + with it\n' "$test"
		diff -U 3 "$SM_WORK/plain/results/$test.out" \
			"$SM_WORK/loaded/results/$test.out" | head -n 60 || true
	done <"$SM_WORK/differing"

	compared=$(find "$SM_WORK/plain/results" -name '*.out' | wc -l)
	line="$compared tests give the same with the library"
	[ ! -s "$SM_WORK/unstable" ] ||
		line="$line, or differ without it as well: $(words unstable)"
	if [ "$compared" -eq 0 ]
	then
		count 1 results "there are none"
	elif [ -s "$SM_WORK/differing" ]
	then
		count 1 results "of $compared tests differ with the library: $(words differing)"
	else
		count 0 results "$line"
	fi
}

# The lines of a file in one.
words()
{
	tr '\n' ' ' <"$SM_WORK/$1" | sed 's/ $//'
}

check_foretold()
{
	mismatches=$SM_WORK/mismatches
	sed -n "s/^.*\($MISMATCH.*\)/\1/p" "$SM_WORK/cluster/loaded.log" |
		sort | uniq -c | sort -rn >"$mismatches"
	if [ -s "$mismatches" ]
	then
		head -n 50 "$mismatches"
		count 1 foretold "$(wc -l <"$mismatches") different mismatches ($counters)"
	else
		count 0 foretold "no mismatch ($counters)"
	fi
}

# With the lines before, where the statement may be seen.
check_server()
{
	found=$(cat "$SM_WORK"/cluster/loaded*.log |
		grep -cE "$CRASHES|$LEAKS|$OUR_ERRORS" || true)
	cat "$SM_WORK"/cluster/loaded*.log |
		grep -E -A 3 "$CRASHES|$LEAKS|$OUR_ERRORS" | head -n 100 || true
	if [ "$found" -eq 0 ]
	then
		count 0 server "no crash, leak or internal error"
	else
		count 1 server "$found crashes, leaks or internal errors in its log"
	fi
}

# What the library says of itself; the server counts for all databases.
read_counters()
{
	sm_psql -q -c 'CREATE DATABASE counters'
	counters=$(sm_psql -q -A -t -F ' ' -d counters -c 'CREATE EXTENSION safe_migrate' \
		-c 'SELECT name, value FROM migrate.counters()' | tr '\n' ',' |
		sed 's/,$//; s/,/, /g')
}


run_plain()
{
	run_tests "$1" "shared_preload_libraries = ''"
	sm_stop "$1"
}

run_loaded()
{
	run_tests "$1" 'safe_migrate.mode = observe' 'safe_migrate.observation = on'
	[ "$1" != loaded ] || read_counters
	sm_stop "$1"
}

sm_workdir
sm_build
major=$(sed -n "s/^PACKAGE_VERSION='\([0-9]*\).*/\1/p" "$source/configure")
case $SM_VERSION in
	"PostgreSQL $major"[!0-9]*) foreign= ;;
	*) foreign=1 ;;
esac
cp -R "$source/src/test/regress" "$SM_WORK/tests"
sm_own "$SM_WORK/tests"
build_modules
choose_tests

run_plain plain
run_loaded loaded
check_results
check_foretold
check_server

printf '\n==== %s%s\n%s passed, %s failed\n' "$SM_VERSION" "$closing" \
	"$passed" "$failed"
[ "$failed" -eq 0 ]
