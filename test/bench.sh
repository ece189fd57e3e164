#!/bin/sh
#
# What the library costs, and how fast the ledger is, as ratios of what was
# measured side by side in one run:
#
#     sh test/bench.sh                  everything, some eleven minutes
#     sh test/bench.sh select           pgbench select-only
#     sh test/bench.sh add-column       ALTER TABLE ... ADD COLUMN
#     sh test/bench.sh judge            judging alone, and squawk beside it
#     sh test/bench.sh drift            the record of DDL, and the fingerprint
#     sh test/bench.sh apply            1,000 migrations, and none
#
# Two throw-away clusters, alike but for one thing: one preloads the library and
# has the extension, the other has neither.  The first two parts measure both at
# the same time and on the same processor, in turns of a statement or of what
# the scheduler gives, so that whatever else the machine does slows both.  A
# ratio is the median of the ratios of such pairs, with a 95 % confidence
# interval (see bench/stats.pl).
#
# Exits with 1 if a target is missed for sure: by the whole interval.
#
# From the environment, beside what lib.sh knows:
#     BENCH_PAIRS=31            pairs in the first two parts, and statements
#                               of a kind on 1,000 partitions
#     BENCH_TRANSACTIONS=25000  transactions of pgbench in each of them
#     BENCH_ROUNDS=7            times that the 1,000 migrations are applied
#     BENCH_NULL=1              first two parts only, the library in neither
#                               cluster: what chance makes of a ratio of 1

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/bench/report.sh
. "$(dirname -- "$0")/bench/report.sh"

PAIRS=${BENCH_PAIRS:-31}
TRANSACTIONS=${BENCH_TRANSACTIONS:-25000}
ROUNDS=${BENCH_ROUNDS:-7}
STATEMENTS=50
SCALE=1
CALLS=11
DBMATE_VERSION=2.36.0
SQUAWK_VERSION=2.66.0
SQUAWK_STATEMENTS=10000
JUDGE_ROUNDS=10
JUDGE_PAIRS=100

# What is asked for
SELECT_TARGET=1.01
ADD_COLUMN_TARGET=1.1
JUDGE_TARGET_US=40
JUDGE_TREE_TARGET_MS=10
NOTHING_TARGET_MS=100

if [ $# -eq 0 ]
then
	set -- select add-column judge drift apply
	[ -z "${BENCH_NULL:-}" ] || set -- select add-column
fi
for part in "$@"
do
	case $part in
		select | add-column | judge | drift | apply) ;;
		*) sm_die "usage: sh test/bench.sh [select] [add-column] [judge] [drift] [apply]" ;;
	esac
done
parts=" $* "

wanted()
{
	case $parts in
		*" $1 "*) return 0 ;;
		*) return 1 ;;
	esac
}


# ---- the two clusters

# Quiet ones: nothing of their own runs beside what is measured.  fsync stays
# on, as it is where migrations matter.
start_clusters()
{
	set -- "shared_buffers = '256MB'" "max_wal_size = '8GB'" \
		"checkpoint_timeout = '1h'" "autovacuum = off" "fsync = on"
	sm_start without "$@" "shared_preload_libraries = ''"
	port_without=$PGPORT
	if [ -n "${BENCH_NULL:-}" ]
	then
		sm_start with "$@" "shared_preload_libraries = ''"
	else
		sm_start with "$@"
		sm_psql -q -c 'CREATE EXTENSION safe_migrate' \
			-c 'CREATE TABLE bench_judged AS SELECT 1 AS one'
		! sm_psql -c 'TRUNCATE bench_judged' >/dev/null 2>&1 ||
			sm_die "the library refuses nothing: what would be measured?"
	fi
	port_with=$PGPORT
}

# on with|without COMMAND...: with that cluster as the one to talk to.
on()
{
	case $1 in
		with) PGPORT=$port_with ;;
		without) PGPORT=$port_without ;;
	esac
	shift
	"$@"
}

# Both clusters in the order of pair $1.
sides()
{
	if [ $(($1 % 2)) -eq 1 ]
	then
		echo with without
	else
		echo without with
	fi
}

# Sets $pin, which makes a command run on one processor, the last that we may
# use; where that cannot be had, on any.
pin_to_one_processor()
{
	processor=$(taskset -cp $$ 2>/dev/null | sed 's/.*[^0-9]//')
	pin="taskset -c $processor"
	if [ -z "$processor" ] || ! $pin true 2>/dev/null
	then
		sm_say "Cannot pin anything to one processor: expect wide intervals."
		pin=
	fi
}

# Where its memory happens to lie makes a server some percent faster or slower
# for as long as it runs: a new one for each pair makes chance of that.
restart()
{
	# shellcheck disable=SC2086  # $pin is a list of words, or nothing
	sm_quietly sm_user $pin "$SM_BIN/pg_ctl" restart -s -w -m fast -t 60 \
		-D "$SM_WORK/cluster/$1" -l "$SM_WORK/cluster/$1.log"
}


# ---- results

table=

# ratio LABEL SERIES UNIT DIVISOR PAIRS [TARGET [A B]]: report the ratio of both
# columns of a series, with/without or A/B, the medians of which are told in
# this unit.
ratio()
{
	analyse ratio "$2"
	numbers=$(printf '%.3f [%.3f, %.3f]' "$median" "$low" "$high")
	sm_say "$1: ${7:-with}/${8:-without} = $numbers ($count $5)"
	row "$1" "$(calculate "$first / $4")" "$(calculate "$second / $4")" \
		"$3" "$numbers" "$count" "$(verdict "${6:-}")"
	[ -z "${6:-}" ] || surely_below "$1" "$6"
}

row()
{
	line=$(printf '%-31s %9s %9s %-3s %-22s %3s  %s' "$@" | sed 's/ *$//')
	table="$table$line
"
}

# The median decides.
verdict()
{
	[ -n "$1" ] || return 0
	if is_true "$median <= $1"
	then
		echo "<= $1: yes"
	else
		echo "<= $1: NO"
	fi
}


# ---- pgbench select-only

prepare_select()
{
	unjudged sm_quietly "$SM_BIN/pgbench" -i -q -s "$SCALE" postgres
	sm_psql -q -c 'CREATE UNLOGGED TABLE bench_cpu (ns bigint)'
}

# select_only PROTOCOL BLOCK: nanoseconds that the backend spent on a processor
# in one run, without the first tenth of its transactions.
select_only()
{
	warmup=$((TRANSACTIONS / 10))
	sm_psql -q -c 'DELETE FROM bench_cpu'
	# shellcheck disable=SC2086  # $pin is a list of words, or nothing
	sm_quietly $pin "$SM_BIN/pgbench" -n -c 1 -M "$1" \
		-t $((warmup + TRANSACTIONS)) -D n=0 -D "first=$((warmup + 1))" \
		-D "last=$((warmup + TRANSACTIONS))" -D "scale=$SCALE" -D "block=$2" \
		-f "$BENCH/select.pgbench" postgres
	sm_psql -At \
		-c 'SELECT max(ns) - min(ns) FROM bench_cpu HAVING count(*) = 2'
}

# Both clusters at the same time.
select_pair()
{
	pids=
	for side in $(sides "$1")
	do
		on "$side" select_only "$2" "$3" >"$SM_WORK/$side.ns" &
		pids="$pids $!"
	done
	for pid in $pids
	do
		wait "$pid"
	done
	paste -d ' ' "$SM_WORK/with.ns" "$SM_WORK/without.ns" \
		>>"$SM_WORK/series/select-$2-$3"
}

bench_select()
{
	for side in with without
	do
		on "$side" prepare_select
	done
	for pair in $(seq "$PAIRS")
	do
		for side in $(sides "$pair")
		do
			on "$side" restart "$side"
			on "$side" sm_psql -c 'SELECT count(aid) FROM pgbench_accounts' \
				>/dev/null
		done
		select_pair "$pair" simple 0
		select_pair "$pair" prepared 0
		select_pair "$pair" simple 1
	done

	# nanoseconds of all but the first transaction, to microseconds of one
	divisor=$((1000 * (TRANSACTIONS - 1)))
	ratio 'select-only simple' select-simple-0 us "$divisor" pairs "$SELECT_TARGET"
	ratio 'select-only prepared' select-prepared-0 us "$divisor" pairs "$SELECT_TARGET"
	ratio 'select-only in BEGIN ... COMMIT' select-simple-1 us "$divisor" pairs
}


# ---- ADD COLUMN

# A table without the columns of the pair before, and a quiet disk.
prepare_add_column()
{
	unjudged sm_psql -q -v ON_ERROR_STOP=1 -v name=bench_wide \
		-c 'DROP TABLE IF EXISTS bench_wide' -f "$BENCH/wide_table.sql" \
		-c 'VACUUM pg_attribute, pg_class' -c CHECKPOINT
}

# add_column_pair PAIR HOW: both clusters in turn; which begins changes from
# pair to pair.
add_column_pair()
{
	case $(sides "$1") in
		'with without') set -- "$2" "$port_with" "$port_without" ;;
		*) set -- "$2" "$port_without" "$port_with" ;;
	esac
	# shellcheck disable=SC2086  # $pin is a list of words, or nothing
	$pin perl "$BENCH/add_column.pl" "$SM_BIN/psql" "$2" "$3" "$1" \
		"$STATEMENTS" >"$SM_WORK/output"
	while read -r what one other
	do
		if [ "$2" = "$port_with" ]
		then
			echo "$one $other" >>"$SM_WORK/series/$1-$what"
		else
			echo "$other $one" >>"$SM_WORK/series/$1-$what"
		fi
	done <"$SM_WORK/output"
}

# Of the first statements of two sessions, the one that goes first is slower:
# add the pairs up two by two, so that each was first once.
both_orders()
{
	awk 'NR % 2 { a = $1; b = $2; next } { print (a + $1) / 2, (b + $2) / 2 }' \
		"$SM_WORK/series/$1" >"$SM_WORK/series/$1-both"
}

bench_add_column()
{
	on with restart with
	on without restart without
	for pair in $(seq "$PAIRS")
	do
		on with prepare_add_column
		on without prepare_add_column
		add_column_pair "$pair" block
		add_column_pair "$pair" autocommit
	done

	ratio 'ADD COLUMN, autocommit' autocommit-median us 1 pairs "$ADD_COLUMN_TARGET"
	if [ "$PAIRS" -gt 1 ]
	then
		both_orders autocommit-first
		ratio 'first of a session, autocommit' autocommit-first-both us 1 'double pairs'
	fi
	ratio 'ADD COLUMN in a block, CPU' block-cpu us 1 pairs
	for how in autocommit block
	do
		analyse difference "$how-cpu"
		note "$(printf 'ADD COLUMN, %s: %+.1f [%+.1f, %+.1f] us of CPU a statement, to %.1f without (%d pairs)' \
			"$how" "$median" "$low" "$high" "$second" "$count")"
	done
}


# ---- programs of others

# get_program NAME SCOPE VERSION: sets $program to one that a package of npm
# has, or to nothing, and says why.
get_program()
{
	program=
	case $(uname -m) in
		x86_64) package=@$2/linux-x64 ;;
		aarch64) package=@$2/linux-arm64 ;;
		*) package=@$2/linux-$(uname -m) ;;
	esac
	if ! command -v npm >/dev/null 2>&1
	then
		note "SKIPPED: $1, for there is no npm here."
	elif ! timeout 120 npm install --silent --prefix "$SM_WORK/npm" \
		--cache "$SM_WORK/npm/cache" --ignore-scripts --no-audit --no-fund \
		"$package@$3" >/dev/null 2>&1
	then
		note "SKIPPED: $1, for npm cannot install $package@$3."
	else
		program=$SM_WORK/npm/node_modules/$package/bin/$1
		sm_quietly "$program" --version
	fi
}


# ---- judging alone

bench_judge()
{
	on with restart with
	get_program squawk squawk-cli "$SQUAWK_VERSION"
	bench_judge_column
	bench_judge_tree
}

# ADD COLUMN that is allowed, and one that goes into the record of decisions,
# as whatever is warned of or refused; but in observe mode, so that it runs.
bench_judge_column()
{
	seq "$SQUAWK_STATEMENTS" |
		sed 's/.*/ALTER TABLE bench_wide ADD COLUMN extra_& int;/' \
			>"$SM_WORK/squawk.sql"
	squawk_cost
	judged_column allowed ''
	judged_column recorded \
		'-c safe_migrate.mode=observe -c safe_migrate.rules=missing_if_exists:warn'
	on with some_are_recorded
}

some_are_recorded()
{
	[ "$(sm_psql -At -c "SELECT count(*) >= $JUDGE_ROUNDS * $JUDGE_PAIRS
		FROM migrate.decisions WHERE rule = 'missing_if_exists'")" = t ] ||
		sm_die "decisions are missing: what was measured?"
}

# judged_column LABEL OPTIONS: what judging adds to the statement.
judged_column()
{
	for _ in $(seq "$JUDGE_ROUNDS")
	do
		on with prepare_add_column
		(
			PGOPTIONS=$2
			export PGOPTIONS
			# shellcheck disable=SC2086  # $pin is a list of words, or nothing
			on with $pin perl "$BENCH/judge_column.pl" "$SM_BIN/psql" \
				"$JUDGE_PAIRS" >>"$SM_WORK/output.$1"
		)
	done
	awk '{ print $1, $2 }' "$SM_WORK/output.$1" >"$SM_WORK/series/judged-cpu"
	awk '{ print $3, $4 }' "$SM_WORK/output.$1" >"$SM_WORK/series/judged-elapsed"
	analyse difference judged-elapsed
	elapsed=$(printf '%+.1f [%+.1f, %+.1f]' "$median" "$low" "$high")
	analyse difference judged-cpu
	note "$(printf 'judging ADD COLUMN, %s: %+.1f [%+.1f, %+.1f] us of CPU, to %.0f without (%d pairs)%s, %s; %s us elapsed' \
		"$1" "$median" "$low" "$high" "$second" "$count" "$(beside_squawk)" \
		"$(verdict "$JUDGE_TARGET_US")" "$elapsed")"
	surely_below "judging ADD COLUMN, $1" "$JUDGE_TARGET_US"
}

# Statements on 1,000 partitions, each by itself.
bench_judge_tree()
{
	on with unjudged sm_psql -q -v ON_ERROR_STOP=1 \
		-f "$BENCH/partition_tree.sql" >/dev/null
	# shellcheck disable=SC2086  # $pin is a list of words, or nothing
	on with $pin perl "$BENCH/judge.pl" "$SM_BIN/psql" "$PAIRS" \
		"$BENCH/partition_tree.statements" >"$SM_WORK/output" \
		2>"$SM_WORK/refusals" ||
		sm_die "$(tail -n 1 "$SM_WORK/refusals")"

	yes "$(sed 's/^check //; s/$/;/' "$BENCH/partition_tree.statements")" |
		head -n "$SQUAWK_STATEMENTS" >"$SM_WORK/squawk.sql"
	squawk_cost
	n=0
	while read -r statement
	do
		awk -v n="$n" '$1 == n { print $2 / 1000 }' "$SM_WORK/output" \
			>"$SM_WORK/series/tree-cpu"
		awk -v n="$n" '$1 == n { print $3 / 1000 }' "$SM_WORK/output" \
			>"$SM_WORK/series/tree-elapsed"
		judged_tree "${statement#check }"
		n=$((n + 1))
	done <"$BENCH/partition_tree.statements"
}

judged_tree()
{
	analyse median tree-elapsed
	elapsed=$(calculate "$median")
	analyse median tree-cpu
	note "$(printf 'judging %s: %.2f [%.2f, %.2f] ms of CPU (%d times)%s, %s; %s ms elapsed' \
		"$1" "$median" "$low" "$high" "$count" "$(beside_squawk 1000)" \
		"$(verdict "$JUDGE_TREE_TARGET_MS")" "$elapsed")"
	surely_below "judging $1" "$JUDGE_TREE_TARGET_MS"
}

# Sets $squawk_us, or leaves it empty: what squawk takes for a statement of
# squawk.sql.  It has no server to ask: the text is all it knows.
squawk_cost()
{
	squawk_us=
	[ -n "$program" ] || return 0
	perl "$BENCH/cost.pl" "$CALLS" "$program" --reporter gcc \
		"$SM_WORK/squawk.sql" |
		awk -v n="$SQUAWK_STATEMENTS" '{ print $1 / n }' >"$SM_WORK/series/squawk"
	head -n 1 "$SM_WORK/squawk.sql" >"$SM_WORK/one.sql"
	perl "$BENCH/cost.pl" "$CALLS" "$program" --reporter gcc "$SM_WORK/one.sql" |
		awk '{ print $2 / 1000 }' >"$SM_WORK/series/squawk-call"
	analyse median squawk-call
	call=$(calculate "$median")
	analyse median squawk
	squawk_us=$median
	note "$(printf 'squawk %s, the same statements: %.1f [%.1f, %.1f] us of CPU each (%d runs of %d); %s ms elapsed for one alone' \
		"$SQUAWK_VERSION" "$median" "$low" "$high" "$count" \
		"$SQUAWK_STATEMENTS" "$call")"
}

# beside_squawk [FACTOR]: the ratio of the median, in units of so many us.
beside_squawk()
{
	[ -z "$squawk_us" ] ||
		printf ', ours/squawk = %s' "$(calculate "$median * ${1:-1} / $squawk_us")"
}


# ---- the record of schema changes, and the fingerprint

bench_drift()
{
	on with restart with
	# shellcheck disable=SC2086  # $pin is a list of words, or nothing
	on with $pin perl "$BENCH/record.pl" "$SM_BIN/psql" \
		"$JUDGE_PAIRS" >"$SM_WORK/output"
	cut -d ' ' -f 1 "$SM_WORK/output" | sort -u >"$SM_WORK/kinds"
	while read -r kind
	do
		grep "^$kind " "$SM_WORK/output" | cut -d ' ' -f 2,3 \
			>"$SM_WORK/series/record-cpu"
		grep "^$kind " "$SM_WORK/output" | cut -d ' ' -f 4,5 \
			>"$SM_WORK/series/record-elapsed"
		analyse difference record-elapsed
		elapsed=$(printf '%+.0f [%+.0f, %+.0f]' "$median" "$low" "$high")
		analyse difference record-cpu
		note "$(printf 'record of %s: %+.0f [%+.0f, %+.0f] us of CPU, to %.0f without (%d pairs); %s us elapsed' \
			"$kind" "$median" "$low" "$high" "$second" "$count" "$elapsed")"
	done <"$SM_WORK/kinds"
	bench_fingerprint few
	on with unjudged sm_quietly sm_psql -q -v ON_ERROR_STOP=1 \
		-f "$BENCH/many_tables.sql"
	on with sm_psql -q -c 'VACUUM ANALYZE'
	bench_fingerprint 500
}

# bench_fingerprint HOW_MANY: tables there are.
bench_fingerprint()
{
	on with sm_psql -q -c 'DROP TABLE IF EXISTS bench_fingerprint' \
		-c 'DELETE FROM migrate.migrations' -c 'DELETE FROM migrate.attempts'
	# shellcheck disable=SC2086  # $pin is a list of words, or nothing
	on with $pin perl "$BENCH/fingerprint.pl" "$SM_BIN/psql" "$PAIRS" \
		>"$SM_WORK/output"
	sed -n '/^first/!p' "$SM_WORK/output" >"$SM_WORK/applied"
	fingerprint_cost "$1" 'as another'
	sed -n 's/^first //p' "$SM_WORK/output" >"$SM_WORK/applied"
	fingerprint_cost "$1" 'as the first'
}

fingerprint_cost()
{
	awk '{ print $2 / 1000, $1 / 1000 }' "$SM_WORK/applied" \
		>"$SM_WORK/series/fingerprint"
	analyse difference fingerprint
	note "$(printf 'apply() of one column, %s tables, %s of a session: %.1f ms of CPU, where somebody has changed the schema %.1f: %+.1f [%+.1f, %+.1f] (%d pairs)' \
		"$1" "$2" "$second" "$first" "$median" "$low" "$high" "$count")"
}


# ---- 1,000 migrations

# apply_with_RUNNER DATABASE: apply the files to it.

apply_with_ours()
{
	sm_psql -q -v ON_ERROR_STOP=1 -d "$1" \
		-c "SELECT count(*) FROM migrate.load('$SM_WORK/plain')" \
		-c 'CALL migrate.deploy()'
}

apply_with_psql()
{
	for file in "$SM_WORK/plain"/*.sql
	do
		sm_psql -q -1 -v ON_ERROR_STOP=1 -d "$1" -f "$file" || return 1
	done
}

apply_with_dbmate()
{
	"$dbmate" --url "postgres://postgres@/$1?host=$PGHOST&port=$PGPORT&sslmode=disable" \
		--migrations-dir "$SM_WORK/dbmate" --no-dump-schema migrate
}

side_of()
{
	if [ "$1" = ours ]
	then
		echo with
	else
		echo without
	fi
}

# A new database for each run, and none is dropped: ext4 without a journal is
# slow in making files where others have just been removed.
empty_database()
{
	sm_psql -q -c "CREATE DATABASE $1"
	[ "$2" != ours ] || sm_psql -q -d "$1" -c 'CREATE EXTENSION safe_migrate'
	sm_psql -q -c CHECKPOINT
}

# milliseconds COMMAND...: how long it took.
milliseconds()
{
	started=$(date +%s%N)
	sm_quietly "$@"
	echo $((($(date +%s%N) - started) / 1000000))
}

# Milliseconds of CPU that a process's children took which it has seen end.
cpu_of_children()
{
	sed 's/.*) //' "/proc/$1/stat" |
		awk -v hertz="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1000 / hertz }'
}

# The same of this script, which is clients, and of a postmaster.
cpu_of_both()
{
	sleep 0.2
	echo $(($(cpu_of_children $$) + $(cpu_of_children "$1")))
}

# apply RUNNER ROUND: milliseconds that the files took, and the CPU time of
# clients and backends, go to RUNNER.time and RUNNER.cpu.
apply()
{
	side=$(side_of "$1")
	database=bench_$1_$2
	on "$side" empty_database "$database" "$1"
	postmaster=$(head -n 1 "$SM_WORK/cluster/$side/postmaster.pid")
	before=$(cpu_of_both "$postmaster")
	on "$side" milliseconds "apply_with_$1" "$database" >"$SM_WORK/$1.time"
	echo $(($(cpu_of_both "$postmaster") - before)) >"$SM_WORK/$1.cpu"
	[ "$2" -gt 1 ] || on "$side" check_result "$1" "$database"
}

# Whoever ends in another schema, or with other rows, has not done the same.
check_result()
{
	"$SM_BIN/pg_dump" -n public -T schema_migrations "$2" |
		grep -v '^\\\(un\)*restrict ' >"$SM_WORK/dump.$1"
	if [ ! -e "$SM_WORK/dump" ]
	then
		mv "$SM_WORK/dump.$1" "$SM_WORK/dump"
	else
		cmp "$SM_WORK/dump" "$SM_WORK/dump.$1" >&2 ||
			sm_die "$1 did not end in the same database as the others"
	fi
}

bench_apply()
{
	mkdir "$SM_WORK/plain" "$SM_WORK/dbmate"
	perl "$BENCH/migrations.pl" plain "$SM_WORK/plain"
	perl "$BENCH/migrations.pl" dbmate "$SM_WORK/dbmate"
	get_program dbmate dbmate "$DBMATE_VERSION"
	dbmate=$program

	pin=
	on with restart with
	on without restart without
	runners="ours psql${dbmate:+ dbmate}"
	for round in $(seq "$ROUNDS")
	do
		for runner in $runners
		do
			apply "$runner" "$round"
		done
		for runner in psql dbmate
		do
			[ -e "$SM_WORK/$runner.time" ] || continue
			for what in time cpu
			do
				paste -d ' ' "$SM_WORK/ours.$what" "$SM_WORK/$runner.$what" \
					>>"$SM_WORK/series/$runner-$what"
			done
		done

		# the next one first
		runners="${runners#* } ${runners%% *}"
	done

	for runner in psql dbmate
	do
		[ -e "$SM_WORK/$runner.time" ] || continue
		ratio "1,000 files, ours/$runner" "$runner-time" s 1000 rounds '' ours "$runner"
		ratio "1,000 files, ours/$runner, CPU" "$runner-cpu" s 1000 rounds '' ours "$runner"
	done
	on with bench_nothing
}

# What is left to do after that: nothing, and how long that takes.
bench_nothing()
{
	{
		printf '%s\n' '\timing on'
		yes 'CALL migrate.deploy();' | head -n "$CALLS"
	} | sm_psql -q -v ON_ERROR_STOP=1 -d bench_ours_1 -f - 2>/dev/null |
		sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' >"$SM_WORK/series/nothing"
	analyse median nothing
	[ "$count" -eq "$CALLS" ] || sm_die "migrate.deploy() with nothing to do failed"
	note "$(printf 'deploy() with nothing to do: %.2f [%.2f, %.2f] ms (%d calls), %s' \
		"$median" "$low" "$high" "$count" "$(verdict "$NOTHING_TARGET_MS")")"
	surely_below 'deploy() with nothing to do' "$NOTHING_TARGET_MS"

	while [ "$count" -gt 0 ]
	do
		milliseconds apply_with_ours bench_ours_1 >>"$SM_WORK/series/nothing-at-all"
		count=$((count - 1))
	done
	analyse median nothing-at-all
	note "$(printf 'psql, load() and deploy() of 1,000 that are applied: %.0f [%.0f, %.0f] ms (%d runs)' \
		"$median" "$low" "$high" "$count")"
}


# ---- main

[ -r /proc/self/schedstat ] ||
	sm_die "this kernel does not count the CPU time of a process in /proc/PID/schedstat"
sm_packages
sm_workdir
mkdir "$SM_WORK/series"
sm_build
start_clusters
pin_to_one_processor

! wanted select || bench_select
! wanted add-column || bench_add_column
! wanted judge || bench_judge
! wanted drift || bench_drift
! wanted apply || bench_apply

printf '\n==== %s, %s processors%s\n' "$SM_VERSION" "$(nproc)" \
	"${BENCH_NULL:+, the library in NEITHER cluster}"
printf '%-31s %9s %9s %-3s %-22s %3s  %s\n' '' 'with|ours' other '' \
	'ratio and interval' n target
printf '%s\n%s' "$table" "$notes"
end_of_report
