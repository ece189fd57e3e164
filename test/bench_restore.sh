#!/bin/sh
#
# What restore points cost, and how fast the way back is:
#
#     sh test/bench_restore.sh                     tables of 1 and of 5 million rows
#     sh test/bench_restore.sh 1000000             of these sizes
#     BENCH_PARTS="undo keep" sh test/bench_restore.sh     only some parts
#
# The parts: "create", a restore point at 500 tables; "undo", mode as_of of DROP,
# TRUNCATE, DROP COLUMN and a rewriting ALTER TYPE; "keep", the latter with later
# writes, beside the scan and the join that finding them takes; "rows", a bulk UPDATE
# in a migration with and without a restore point, and its rollback beside an UPDATE
# ... FROM of the same rows; "others", pgbench while there is a restore point and
# while there is none; "peers", the same table by CREATE TABLE AS, by pg_dump and
# pg_restore, and the same UPDATE under E-Maj, where it can be had.
#
# What is compared is measured in turns, in one run.  How long others wait is told
# twice: by a session that reads the table all the time, with all that the machine
# does to it, and by the server, which logs waits for a lock from 1 ms on.
#
# Exits with 1 if a target is missed for sure: by the whole interval, which with
# fewer than six rounds is that from the smallest to the largest.
#
# From the environment, beside what lib.sh knows:
#     BENCH_ROUNDS=6
#     BENCH_SECONDS=10     of pgbench, each time
#     BENCH_EMAJ=/var/cache/safe_migrate/emaj    its source, fetched with git if
#                          there is nothing

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/bench/report.sh
. "$(dirname -- "$0")/bench/report.sh"

ROUNDS=${BENCH_ROUNDS:-6}
SECONDS_EACH=${BENCH_SECONDS:-10}
PARTS=${BENCH_PARTS:-create undo keep rows others peers}
EMAJ=${BENCH_EMAJ:-/var/cache/safe_migrate/emaj}

# What is asked for
CREATE_TARGET_MS=250
UNDO_LOCK_TARGET_MS=50
KEEP_LOCK_TARGET_MS=1000
KEEP_TARGET=1.5
RESTORED_TARGET=1.111	# the inverse of 0.9 times the speed
CAPTURE_TARGET=1.25

[ $# -gt 0 ] || set -- 1000000 5000000


# ---- measuring

# One part of restore.pl; its lines become series named by the size.
measure()	# PART ROWS
{
	perl "$BENCH/restore.pl" "$SM_BIN/psql" "$1" "$ROUNDS" "$2" "$SM_LOG" \
		>"$SM_WORK/output"
	cut -d ' ' -f 1 "$SM_WORK/output" | sort -u >"$SM_WORK/names"
	while read -r name
	do
		grep "^$name " "$SM_WORK/output" | cut -d ' ' -f 2- \
			>"$SM_WORK/series/$name-$2"
	done <"$SM_WORK/names"
}

# figure LABEL SERIES UNIT [TARGET]: the median of it.
figure()
{
	analyse median "$2"
	note "$(printf '%-52s %10s [%s, %s] %s (%s)%s' "$1" "$(calculate "$median")" \
		"$(calculate "$low")" "$(calculate "$high")" "$3" "$count" "$(verdict "${4:-}")")"
	[ -z "${4:-}" ] || surely_below "$1" "$4"
}

# pair LABEL SERIES UNIT [TARGET]: the ratio of its two columns.
pair()
{
	analyse ratio "$2"
	note "$(printf '%-52s %10s [%s, %s], %s to %s %s (%s)%s' "$1" "$(calculate "$median")" \
		"$(calculate "$low")" "$(calculate "$high")" "$(calculate "$first")" \
		"$(calculate "$second")" "$3" "$count" "$(verdict "${4:-}")")"
	[ -z "${4:-}" ] || surely_below "$1" "$4"
}

verdict()
{
	[ -n "$1" ] || return 0
	if is_true "$median <= $1"
	then
		echo ", <= $1: yes"
	else
		echo ", <= $1: NO"
	fi
}

wanted()
{
	case " $PARTS " in
		*" $1 "*) return 0 ;;
		*) return 1 ;;
	esac
}


# ---- the parts

bench_create()
{
	measure create "$1"
	figure 'a restore point, first of its session' "create-first-$1" ms
	figure 'a restore point, something has changed' "create-changed-$1" ms \
		"$CREATE_TARGET_MS"
	figure 'a restore point, nothing has changed' "create-same-$1" ms \
		"$CREATE_TARGET_MS"
	figure 'its size' "create-size-$1" MB
}

bench_undo()
{
	measure undo "$1"
	for kind in 'drop DROP TABLE' 'truncate TRUNCATE' 'column DROP COLUMN' \
		'type ALTER TYPE, rewriting'
	do
		name=${kind%% *}
		kind=${kind#* }
		figure "$kind: the migration" "undo-$name-migration-$1" ms
		figure "$kind: rollback_to, as_of" "undo-$name-$1" ms
		figure "$kind: the worst reader meanwhile" "undo-$name-reader-$1" ms
		figure "$kind: longest wait for the lock" "undo-$name-lock-$1" ms \
			"$UNDO_LOCK_TARGET_MS"
		figure "$kind: kept" "undo-$name-size-$1" MB
	done
}

bench_keep()
{
	measure keep "$1"
	pair 'ALTER TYPE, rewriting: keep / scan and join' "keep-$1" ms "$KEEP_TARGET"
	figure 'the worst reader meanwhile' "keep-reader-$1" ms
	figure 'longest wait for the lock' "keep-lock-$1" ms "$KEEP_LOCK_TARGET_MS"
}

bench_rows()
{
	measure rows "$1"
	pair 'UPDATE of a fifth, with / without a point' "capture-$1" ms "$CAPTURE_TARGET"
	pair 'its rollback / UPDATE ... FROM of the same rows' "restored-$1" ms \
		"$RESTORED_TARGET"
	figure 'rows kept' "rows-size-$1" MB
}

# pgbench in turns of a restore point and none; a transaction is one row.
bench_others()
{
	cat >"$SM_WORK/others.sql" <<SQL
\\set id random(1, $1)
UPDATE bench_rows SET status = status + 1 WHERE id = :id;
SQL
	: >"$SM_WORK/series/others-$1"
	for round in $(seq "$ROUNDS")
	do
		if [ $((round % 2)) -eq 1 ]
		then
			set -- "$1" point none
		else
			set -- "$1" none point
		fi
		for how in "$2" "$3"
		do
			[ "$how" = none ] ||
				sm_psql -q -c "SELECT migrate.create_restore_point('others')" >/dev/null
			"$SM_BIN/pgbench" -n -M prepared -c 2 -T "$SECONDS_EACH" \
				-f "$SM_WORK/others.sql" 2>/dev/null </dev/null |
				sed -n 's/^latency average = \([0-9.]*\) ms/\1/p' >"$SM_WORK/$how.ms"
			sm_psql -q -c 'SELECT migrate.drop_all_restore_points()' >/dev/null
			sm_psql -q -c 'VACUUM bench_rows'
		done
		paste -d ' ' "$SM_WORK/point.ms" "$SM_WORK/none.ms" >>"$SM_WORK/series/others-$1"
	done
	pair 'pgbench, one row: with a point / with none' "others-$1" ms
}

# Milliseconds of a command, as one more of a series.
timed()	# SERIES COMMAND...
{
	series=$1
	shift
	perl -MTime::HiRes=time -e 'my $started = time; system(@ARGV) == 0 or exit 1;
		printf "%.3f\n", 1000 * (time - $started)' -- "$@" >>"$SM_WORK/series/$series"
}

bench_peers()
{
	for series in ctas indexed dump restore
	do
		: >"$SM_WORK/series/$series-$1"
	done
	for _ in $(seq "$ROUNDS")
	do
		timed "ctas-$1" "$SM_BIN/psql" -X -q -c 'CREATE TABLE bench_copy AS SELECT * FROM bench_rows'
		timed "indexed-$1" "$SM_BIN/psql" -X -q -c 'ALTER TABLE bench_copy ADD PRIMARY KEY (id)' \
			-c 'CREATE UNIQUE INDEX ON bench_copy (email)' -c 'CREATE INDEX ON bench_copy (status, created)'
		copy_size=$(sm_psql -At -c "SELECT pg_total_relation_size('bench_copy') / 1e6")
		unjudged sm_psql -q -c 'SET safe_migrate.restore_points = off' -c 'DROP TABLE bench_copy'
		timed "dump-$1" "$SM_BIN/pg_dump" -Fc -Z0 -t bench_rows -f "$SM_WORK/dump"
		dump_size=$(stat -c %s "$SM_WORK/dump")
		sm_psql -q -c 'CREATE DATABASE bench_restored'
		timed "restore-$1" "$SM_BIN/pg_restore" -d bench_restored "$SM_WORK/dump"
		sm_psql -q -c 'DROP DATABASE bench_restored'
	done
	figure 'CREATE TABLE AS' "ctas-$1" ms
	figure 'the indexes of it' "indexed-$1" ms
	note "its size: $(calculate "$copy_size") MB"
	figure 'pg_dump -Fc -Z0 of the table' "dump-$1" ms
	note "its size: $(calculate "$dump_size / 1e6") MB"
	figure 'pg_restore' "restore-$1" ms
	bench_emaj "$1"
}

# Its scripts go into the private server only.
get_emaj()
{
	[ -e "$EMAJ/emaj.control" ] ||
		timeout 120 git clone -q --depth 1 https://github.com/dalibo/emaj.git "$EMAJ" \
			>/dev/null 2>&1 || return 1
	share=$("$SM_PG_CONFIG" --sharedir)
	cp "$EMAJ/emaj.control" "$share/extension/"
	mkdir -p "$share/emaj"
	cp "$EMAJ"/sql/emaj--*.sql "$share/emaj/"
}

bench_emaj()
{
	if ! get_emaj
	then
		note 'SKIPPED: E-Maj, for its source is not there and cannot be fetched.'
		return
	fi
	PGOPTIONS='-c safe_migrate.mode=off -c safe_migrate.restore_points=off'
	export PGOPTIONS
	measure emaj "$1"
	unset PGOPTIONS
	figure 'E-Maj: a mark' "emaj-mark-$1" ms
	figure 'E-Maj: UPDATE of a fifth' "emaj-update-$1" ms
	figure 'E-Maj: its rollback' "emaj-back-$1" ms
	figure 'E-Maj: its log' "emaj-size-$1" MB
}


# ---- all of it

sm_packages --optional postgresql-contrib
sm_workdir
sm_build
mkdir "$SM_WORK/series"
sm_start restore "shared_buffers = '2GB'" "max_wal_size = '8GB'" \
	"checkpoint_timeout = '1h'" "autovacuum = off" "fsync = on" "work_mem = '64MB'" \
	"log_lock_waits = on" "deadlock_timeout = '1ms'" "safe_migrate.mode = observe"
sm_psql -q -c 'CREATE EXTENSION safe_migrate'
sm_psql -q -v ON_ERROR_STOP=1 -f "$BENCH/many_tables.sql" >/dev/null
sm_psql -q -c 'VACUUM ANALYZE'
for rows in "$@"
do
	note ''
	note "$rows rows, 500 tables beside it:"
	unjudged sm_psql -q -v ON_ERROR_STOP=1 -c 'SET safe_migrate.restore_points = off' \
		-c 'DROP TABLE IF EXISTS bench_rows'
	unjudged sm_psql -q -v ON_ERROR_STOP=1 -v "rows=$rows" -f "$BENCH/restore_rows.sql"
	for part in create undo keep rows others peers
	do
		! wanted "$part" || "bench_$part" "$rows"
	done
done
printf '\n==== %s\n%s' "$SM_VERSION" "$notes"
end_of_report
