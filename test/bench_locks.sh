#!/bin/sh
#
# How long readers and writers wait for a schema change, as it is and with the
# library:
#
#     sh test/bench_locks.sh            everything, some twenty minutes
#     sh test/bench_locks.sh long       ADD COLUMN behind a reader of 20 seconds
#     sh test/bench_locks.sh short      ADD COLUMN amid short transactions
#     sh test/bench_locks.sh plans      each statement that has a plan
#     BENCH_QUICK=1 sh test/bench_locks.sh     in about seven, of half a million rows
#
# Eight clients of pgbench, four that read and four that write, of a table of
# five million rows.  In the first and the last part they send at a fixed rate,
# and a query's latency counts from when it was due.  What the machine does to
# them by itself is measured in the same run, see "control": an added stall is
# the worst latency with a statement less the worst without, in a time of the
# same length and in the same round.
#
# What the rest of the machine does cannot reach a third figure: the longest wait
# for the lock of a relation, as the server logs it (from 1 ms on).
#
# One throw-away cluster.  It keeps the tables in memory and makes no checkpoint
# of its own, the clients of pgbench do not wait for the disk when they commit
# (synchronous_commit = off); the session that sends the statement does.
#
# Exits with 1 if a target is missed for sure: by the whole interval, which with
# fewer than six rounds is that from the smallest to the largest.
#
# From the environment, beside what lib.sh knows:
#     BENCH_ROWS=5000000        rows of each large table
#     BENCH_ROUNDS=3            rounds of the first part
#     BENCH_PAIRS=20            ALTERs in the second, of each kind
#     BENCH_KEEP_US=3000        microseconds of the transactions there
#     BENCH_PLAN_ROUNDS=1       rounds of the third
#     BENCH_PLANS=NAME          only this one of bench/plans.list
#     BENCH_RATE=400            readers a second, and half as many writers
#     BENCH_NULL=1              safe_migrate.mode = off for all: to see it fail

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/bench/report.sh
. "$(dirname -- "$0")/bench/report.sh"

if [ -n "${BENCH_QUICK:-}" ]
then
	ROWS=${BENCH_ROWS:-500000}
	ROUNDS=${BENCH_ROUNDS:-1}
	PAIRS=${BENCH_PAIRS:-10}
	HOLDER_SECONDS=6
	CONTROL_SECONDS=3
else
	ROWS=${BENCH_ROWS:-5000000}
	ROUNDS=${BENCH_ROUNDS:-3}
	PAIRS=${BENCH_PAIRS:-20}
	HOLDER_SECONDS=20
	CONTROL_SECONDS=10
fi
PLAN_ROUNDS=${BENCH_PLAN_ROUNDS:-1}
RATE=${BENCH_RATE:-400}
KEEP_US=${BENCH_KEEP_US:-3000}

# What is asked for, in milliseconds
MARGIN_MS=10
PLAN_TARGET_MS=100

[ $# -gt 0 ] || set -- long short plans
for part in "$@"
do
	case $part in
		long | short | plans) ;;
		*) sm_die "usage: sh test/bench_locks.sh [long] [short] [plans]" ;;
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

start_cluster()
{
	sm_start locks "shared_buffers = '3GB'" "max_wal_size = '8GB'" \
		"min_wal_size = '8GB'" "wal_buffers = '64MB'" \
		"checkpoint_timeout = '1h'" "autovacuum = off" "fsync = on" \
		"maintenance_work_mem = '512MB'" "log_line_prefix = '%n %a: '" \
		${BENCH_NULL:+"safe_migrate.mode = off"}
	sm_psql -q -c 'CREATE EXTENSION safe_migrate'
	queue_time=$(sm_psql -At -c "SELECT setting FROM pg_settings
		WHERE name = 'safe_migrate.lock_queue_time'")
	stall_target=$((queue_time + MARGIN_MS))
	sm_say "Filling tables of $ROWS rows"
	unjudged sm_psql -q -v ON_ERROR_STOP=1 -v "rows=$ROWS" \
		-f "$BENCH/lock_tables.sql"
}

# line FORMAT VALUE...: one of the report.
line()
{
	# shellcheck disable=SC2059  # the caller's format
	note "$(printf "$@" | sed 's/ *$//')"
}

# largest SERIES COLUMN
largest()
{
	awk -v column="$2" 'NR == 1 || $column > most { most = $column }
		END { printf "%.1f", most }' "$SM_WORK/series/$1"
}

# total SERIES COLUMN
total()
{
	awk -v column="$2" '{ sum += $column } END { printf "%d", sum }' \
		"$SM_WORK/series/$1"
}

# added SERIES: sets $median, $low and $high, and $numbers, to that of the first
# column less the second.
added()
{
	analyse difference "$1"
	numbers=$(printf '%+.1f [%+.1f, %+.1f]' "$median" "$low" "$high")
}

failed_queries()
{
	[ "$2" -eq 0 ] || missed="$missed
$1: $2 clients met an error"
}


# ---- behind a long reader

# One run; its lines are put beside those of the first control of the round.
long_run()
{
	perl "$BENCH/lock_wait.pl" "$SM_WORK/traffic" "${2:-$1}" "$HOLDER_SECONDS" \
		"$ROWS" "$RATE" >"$SM_WORK/output" || sm_die "lock_wait.pl failed"
	head -n 1 "$SM_WORK/output" >>"$SM_WORK/series/long-$1"
	n=1
	for what in held-read held-write after-read after-write
	do
		n=$((n + 1))
		sed -n "${n}p" "$SM_WORK/output" | cut -d ' ' -f 2- >"$SM_WORK/$what"
		[ "$1" != control ] || cp "$SM_WORK/$what" "$SM_WORK/$what.control"
		echo "$(cut -d ' ' -f 1 "$SM_WORK/$what")" \
			"$(cut -d ' ' -f 1 "$SM_WORK/$what.control")" \
			"$(cut -d ' ' -f 2,3 "$SM_WORK/$what")" \
			>>"$SM_WORK/series/long-$1-$what"
	done
}

long_report()
{
	for what in held-read held-write after-read after-write
	do
		added "long-$1-$what"
		line '%-9s %-12s %9s %9s  %-28s %7s %9s  %s' "$1" "$what" \
			"$(largest "long-$1-$what" 1)" "$(largest "long-$1-$what" 2)" \
			"$numbers" "$(total "long-$1-$what" 3)" \
			"$(largest "long-$1-$what" 4)" "$(long_verdict "$1" "$what")"
	done
	failed_queries "$1, long reader" "$(total "long-$1" 3)"
}

# Sets what is the largest that chance makes of a difference.
long_noise()
{
	noise=$(cat "$SM_WORK"/series/long-again-* |
		awk '{ d = $1 > $2 ? $1 - $2 : $2 - $1; if (d > most) most = d }
			END { printf "%.1f", most }')
}

long_target()
{
	case $1 in
		held-*) echo "$noise" ;;
		after-*) echo "$stall_target" ;;
	esac
}

# Nobody has to wait for a lock while the reader holds it.
lock_target()
{
	case $1 in
		held-*) echo 0 ;;
		after-*) echo "$stall_target" ;;
	esac
}

long_verdict()
{
	[ "$1" = patient ] || return 0
	if is_true "$median <= $(long_target "$2")"
	then
		echo "<= $(long_target "$2"): yes"
	else
		echo "<= $(long_target "$2"): NO"
	fi
}

bench_long()
{
	cases="off retry patient again"
	for round in $(seq "$ROUNDS")
	do
		sm_say "Long reader, round $round of $ROUNDS"
		long_run control none
		for case in $cases
		do
			case $case in
				again) long_run again none ;;
				*) long_run "$case" ;;
			esac
		done
		# the next one first
		cases="${cases#* } ${cases%% *}"
	done

	long_noise
	note ''
	line 'One ADD COLUMN behind a reader of %s s, %s rounds, %s readers and %s writers a second' \
		"$HOLDER_SECONDS" "$ROUNDS" "$RATE" "$((RATE / 2))"
	line '%-9s %-12s %9s %9s  %-28s %7s %9s  %s' '' '' 'worst ms' 'control' \
		'added ms' '>100 ms' 'lock ms' 'added'
	for case in again off retry patient
	do
		long_report "$case"
	done
	for case in off retry patient
	do
		line '%s: done %s ms after the reader at the latest, sent %s times in all' \
			"$case" "$(largest "long-$case" 1)" "$(total "long-$case" 2)"
	done
	for what in held-read held-write after-read after-write
	do
		added "long-patient-$what"
		surely_below "patient, long reader, $what" "$(long_target "$what")"
		cut -d ' ' -f 4 "$SM_WORK/series/long-patient-$what" \
			>"$SM_WORK/series/long-locks"
		analyse median long-locks
		surely_below "patient, long reader, $what, wait for the lock" \
			"$(lock_target "$what")"
	done
}


# ---- amid short transactions

short_run()
{
	perl "$BENCH/short_holders.pl" "$SM_WORK/traffic" "$1" "$KEEP_US" "$ROWS" \
		"$PAIRS" >"$SM_WORK/output" || sm_die "short_holders.pl failed"
	head -n 1 "$SM_WORK/output" >"$SM_WORK/series/short-$1"
	sed 1d "$SM_WORK/output" | cut -d ' ' -f 1 >"$SM_WORK/series/short-$1-took"
	sed 1d "$SM_WORK/output" | cut -d ' ' -f 2-5 >"$SM_WORK/series/short-$1-read"
	sed 1d "$SM_WORK/output" | cut -d ' ' -f 6-9 >"$SM_WORK/series/short-$1-write"
}

bench_short()
{
	note ''
	line '%s times ADD COLUMN amid 8 clients, each in a transaction of %s ms at any time' \
		"$PAIRS" "$(calculate "$KEEP_US / 1000")"
	line '%-9s %-12s %9s %9s  %-28s %9s %9s' '' '' 'worst ms' 'control' 'added ms' \
		'lock ms' 'control'
	for case in off patient
	do
		sm_say "Short transactions, $case"
		short_run "$case"
		for what in read write
		do
			added "short-$case-$what"
			line '%-9s %-12s %9s %9s  %-28s %9s %9s' "$case" "$what" \
				"$(largest "short-$case-$what" 1)" \
				"$(largest "short-$case-$what" 2)" "$numbers" \
				"$(largest "short-$case-$what" 3)" \
				"$(largest "short-$case-$what" 4)"
			[ "$case" = off ] ||
				surely_below "patient, short transactions, $what" "$stall_target"
		done
		analyse median "short-$case-took"
		line '%s: the ALTER took %.1f [%.1f, %.1f] ms, at most %s ms' "$case" \
			"$median" "$low" "$high" "$(largest "short-$case-took" 1)"
		failed_queries "$case, short transactions" "$(total "short-$case" 1)"
		[ "$(total "short-$case" 2)" -eq 0 ] || missed="$missed
$case, short transactions: $(total "short-$case" 2) ALTERs failed"
	done
}


# ---- plans

# plan_run SIDE NAME: adds to the series, or sets $skipped.
plan_run()
{
	skipped=
	perl "$BENCH/plans.pl" run "$SM_WORK/traffic" "$1" "$2" "$CONTROL_SECONDS" \
		"$ROWS" "$RATE" >"$SM_WORK/output" || sm_die "plans.pl failed at $2"
	read -r word reason <"$SM_WORK/output"
	case $word in
		skip)
			skipped=$reason
			return
			;;
		error)
			skipped="failed with $reason"
			missed="$missed
$2, $1: failed with $reason"
			return
			;;
	esac
	# milliseconds, failed clients, leftovers; then six numbers of both times
	paste -s -d ' ' "$SM_WORK/output" >>"$SM_WORK/series/plan-$1"
}

plan_report()
{
	for side in off ours
	do
		[ -e "$SM_WORK/series/plan-$side" ] || continue
		analyse median "plan-$side"
		line '%-26s %-5s %7s %8s %8s %6s %8s %8s %8s %6s %8s' "$1" "$side" \
			"$(calculate "$median / 1000")" \
			"$(largest "plan-$side" 4)" "$(largest "plan-$side" 10)" \
			"$(total "plan-$side" 5)" "$(largest "plan-$side" 6)" \
			"$(largest "plan-$side" 7)" "$(largest "plan-$side" 13)" \
			"$(total "plan-$side" 8)" "$(largest "plan-$side" 9)"
		failed_queries "$1, $side" "$(total "plan-$side" 2)"
		[ "$(total "plan-$side" 3)" -eq 0 ] || missed="$missed
$1, $side: something is left that is not valid"
	done
	[ -e "$SM_WORK/series/plan-ours" ] || return 0
	for column in 4 7
	do
		cut -d ' ' -f "$column" "$SM_WORK/series/plan-ours" \
			>"$SM_WORK/series/plan-stall"
		analyse median plan-stall
		surely_below "$1, worst stall" "$PLAN_TARGET_MS"
	done
}

# One statement: the plain one and ours in turn, and who is first changes.
bench_plan()
{
	rm -f "$SM_WORK"/series/plan-*
	sides='off ours'
	for _ in $(seq "$PLAN_ROUNDS")
	do
		for side in $sides
		do
			plan_run "$side" "$1"
			if [ -n "$skipped" ]
			then
				line '%-26s SKIPPED: %s' "$1" "$skipped"
				return
			fi
		done
		sides="${sides#* } ${sides%% *}"
	done
	plan_report "$1"
}

bench_plans()
{
	note ''
	line '%s rows, %s readers and %s writers a second, %s rounds; control is the worst of %s s before' \
		"$ROWS" "$RATE" "$((RATE / 2))" "$PLAN_ROUNDS" "$CONTROL_SECONDS"
	line '%-26s %-5s %7s %8s %8s %6s %8s %8s %8s %6s %8s' '' '' 'took s' \
		'read ms' 'control' '>100' 'lock ms' 'write ms' 'control' '>100' 'lock ms'
	perl "$BENCH/plans.pl" names >"$SM_WORK/names"
	while read -r name
	do
		case ${BENCH_PLANS:-$name} in
			"$name") bench_plan "$name" </dev/null ;;
		esac
	done <"$SM_WORK/names"
}


# ---- main

sm_packages
sm_workdir
mkdir "$SM_WORK/series" "$SM_WORK/traffic"
sm_build
start_cluster
export SM_BIN SM_LOG

! wanted long || bench_long
! wanted short || bench_short
! wanted plans || bench_plans

printf '\n==== %s, %s processors, %s rows, lock_queue_time %s ms%s\n%s' \
	"$SM_VERSION" "$(nproc)" "$ROWS" "$queue_time" \
	"${BENCH_NULL:+, nothing done by the library}" "$notes"
end_of_report
