#!/bin/sh
#
# What it takes to set a column of all rows of a table with three indexes:
#
#     sh test/bench_online.sh
#
# by one UPDATE, by batches of keys, by a loop with SKIP LOCKED, and by CALL
# migrate.backfill(), each of them alone and beside clients that write single
# rows: rows a second, how much the table grows, WAL, and how long the clients
# wait.  Clients that write as fast as they can leave the CPU to nobody, and wait
# for each other: the way "nothing" tells how long; and the log of the server, how
# long a client waited for a lock.  And what the trigger of a change costs an UPDATE
# of all rows: one that writes none of its columns, and one that writes one.  The
# ways take turns, so that what else the machine does hits all.
#
# It takes some 20 GB of disk, most of it WAL.
#
# Exits with 1 if a target is missed for sure: by the whole interval, which with
# fewer than six rounds is that from the smallest to the largest.
#
# From the environment, beside what lib.sh knows:
#     BENCH_ROWS="1000000 5000000"
#     BENCH_ROUNDS=6
#     BENCH_WRITERS="0 8@2000 8"       clients, and how many rows they write a second
#     BENCH_WAYS="single backfill"     beside these two, others may be left out
#     BENCH_PARTS="backfill trigger"
#     BENCH_FSYNC=on                   off: waits without those for the disk

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/bench/report.sh
. "$(dirname -- "$0")/bench/report.sh"

ROUNDS=${BENCH_ROUNDS:-6}
WRITERS=${BENCH_WRITERS:-0 8@2000 8}

# What is asked for
SPEED_TARGET=1.0	# time of ours, by that of one UPDATE
GROWTH_TARGET=10	# percent of the table, beyond the new data
WAIT_TARGET_MS=15
TRIGGER_TARGET=1.15	# time of an UPDATE with the trigger, by that without

PARTS=${BENCH_PARTS:-backfill trigger}

# Of a table, that are set with the trigger and without in turns
PARTS_OF_TABLE=200

WAYS=${BENCH_WAYS:-nothing single keyset1000 keyset10000 skip1000 backfill}

# statement_of WAY ROWS.  Nothing takes about as long as the others, for the worst of a
# longer time is worse.
statement_of()
{
	case $1 in
		nothing) echo "SELECT pg_sleep($2 / 60000.0)" ;;
		single) echo 'UPDATE bench_rows SET name2 = lower(name)' ;;
		keyset*) echo "CALL bench_keyset(${1#keyset})" ;;
		skip*) echo "CALL bench_skip_locked(${1#skip})" ;;
		backfill) echo "CALL migrate.backfill('bench_rows', 'name2 = lower(name)')" ;;
	esac
}

# A line of a series.
measured()
{
	printf '%s\n' "$(calculate "$1")"
}

value()
{
	sm_psql -At -c "$1"
}

# measure WAY ROWS WRITERS: one more line of each of its series.
measure()
{
	unjudged sm_psql -q -c 'SET safe_migrate.restore_points = off' -c 'DROP TABLE IF EXISTS bench_rows'
	unjudged sm_psql -q -v "rows=$2" -f "$BENCH/restore_rows.sql" -c 'ALTER TABLE bench_rows ADD name2 text' -c CHECKPOINT
	before=$(value "SELECT pg_relation_size('bench_rows')")
	lsn=$(value 'SELECT pg_current_wal_lsn()')
	rm -rf "$SM_WORK/log"
	mkdir "$SM_WORK/log"
	bench=
	if [ "$3" != 0 ]
	then
		write "$2" "${3%@*}" "${3#"${3%@*}"}" &
		bench=$!
		sleep 2
	fi
	log_lines=$(wc -l <"$SM_LOG")
	started=$(date +%s.%N)
	unjudged sm_psql -q -c "$(statement_of "$1" "$2")" >/dev/null 2>&1
	ended=$(date +%s.%N)
	if [ -n "$bench" ]
	then
		unjudged sm_psql -q -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE application_name = 'pgbench'" >/dev/null
		wait "$bench"
	fi
	series=$SM_WORK/series/$1-$2-$3
	measured "1000 * ($ended - $started)" >>"$series-ms"
	measured "$2 / ($ended - $started)" >>"$series-rate"
	value "SELECT 100.0 * (pg_relation_size('bench_rows') - $before
		- (SELECT sum(pg_column_size(name2)) FROM bench_rows)) / $before" >>"$series-growth"
	value "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '$lsn') / 1e6" >>"$series-wal"
	[ "$3" = 0 ] || waits "$started" "$ended" "$series" "$log_lines"
}

# write ROWS CLIENTS [@RATE]: until they are terminated, so pgbench ends by itself,
# and writes all that it has logged.
write()
{
	"$SM_BIN/pgbench" -n -M prepared -c "$2" -j 2 -T 100000 ${3:+-R "${3#@}"} \
		-f "$SM_WORK/writer.sql" -D "rows=$1" -l \
		--log-prefix="$SM_WORK/log/wait" >/dev/null 2>&1 </dev/null || return 0
}

# waits STARTED ENDED SERIES LINES: of clients that were at it between the two, and
# for locks, of which the log tells behind so many lines.  With a rate a client that
# is late begins the next write late: that is told by itself.
waits()
{
	cat "$SM_WORK"/log/wait* |
		awk -v s="$1" -v e="$2" '{ t = $5 + $6 / 1e6; if (t >= s && t - $3 / 1e6 <= e) print ($3 - $7) / 1000, $3 / 1000 }' |
		sort -n >"$SM_WORK/waits"
	awk '{ a[NR] = $1 } END { print a[int(NR * 0.99)] + 0 }' "$SM_WORK/waits" >>"$3-p99"
	awk 'END { print $1 + 0 }' "$SM_WORK/waits" >>"$3-worst"
	awk '$2 > worst { worst = $2 } END { print worst + 0 }' "$SM_WORK/waits" >>"$3-late"
	tail -n "+$(($4 + 1))" "$SM_LOG" |
		sed -n 's/.* acquired [A-Za-z]* on .* after \([0-9.]*\) ms.*/\1/p' |
		sort -n | awk '{ worst = $1 } END { print worst + 0 }' >>"$3-lock"
}

# figure LABEL SERIES UNIT [TARGET]: the median of it.
figure()
{
	analyse median "$2"
	note "$(printf '%-36s %10s [%s, %s] %s (%s)' "$1" "$(calculate "$median")" \
		"$(calculate "$low")" "$(calculate "$high")" "$3" "$count")"
	[ -z "${4:-}" ] || surely_below "$1" "$4"
}

report()	# ROWS WRITERS
{
	note ''
	note "$1 rows, $2 clients that write beside it:"
	for way in $WAYS
	do
		[ "$way-$2" != nothing-0 ] || continue
		target=
		[ "$way" != backfill ] || target=yes
		if [ "$way" != nothing ]
		then
			figure "$way: rows a second" "$way-$1-$2-rate" ''
			figure "$way: growth beyond the new data" "$way-$1-$2-growth" % "${target:+$GROWTH_TARGET}"
			figure "$way: WAL" "$way-$1-$2-wal" MB
		fi
		if [ "$2" != 0 ]
		then
			figure "$way: 99 % of the waits" "$way-$1-$2-p99" ms
			figure "$way: worst wait for a lock" "$way-$1-$2-lock" ms
			figure "$way: worst wait" "$way-$1-$2-worst" ms "${target:+$WAIT_TARGET_MS}"
			[ "${2#*@}" = "$2" ] ||
				figure "$way: worst delay, waits before it too" "$way-$1-$2-late" ms
		fi
	done
	paste -d ' ' "$SM_WORK/series/backfill-$1-$2-ms" "$SM_WORK/series/single-$1-$2-ms" \
		>"$SM_WORK/series/pair-$1-$2"
	analyse ratio "pair-$1-$2"
	note "$(printf '%-36s %10s [%s, %s] (%s)' 'time: backfill / one UPDATE' \
		"$(calculate "$median")" "$(calculate "$low")" "$(calculate "$high")" "$count")"
	[ "$2" != 0 ] || surely_below 'time: backfill / one UPDATE' "$SPEED_TARGET"
}

# chunks SET: statements that set all rows, part of the pages by part, with the
# trigger and without in turns: plain dual dual plain, as long as there are parts.
# So a machine that becomes slower, or faster, tells nothing.
chunks()
{
	pages=$(value "SELECT pg_relation_size('bench_rows') / current_setting('block_size')::int")
	part=0
	while [ "$part" -lt "$PARTS_OF_TABLE" ]
	do
		case $((part % 4)) in
			0 | 3) way=DISABLE ;;
			1 | 2) way=ENABLE ;;
		esac
		cat <<SQL
ALTER TABLE bench_rows $way TRIGGER "~~~safe_migrate_change_0";
\\timing on
UPDATE bench_rows SET $1 WHERE ctid >= '($((pages * part / PARTS_OF_TABLE)),0)'
	AND ctid < '($((pages * (part + 1) / PARTS_OF_TABLE)),0)';
\\timing off
SQL
		part=$((part + 1))
	done
}

# trigger LABEL ROWS SET: with the trigger of a change or, for the way "plain",
# without.  The new column has its values by then.
trigger()
{
	unjudged sm_psql -q -c 'SET safe_migrate.restore_points = off' -c 'DROP TABLE IF EXISTS bench_rows CASCADE'
	unjudged sm_psql -q -v "rows=$2" -f "$BENCH/restore_rows.sql" -c 'ALTER TABLE bench_rows ADD name2 text'
	unjudged sm_psql -q -c 'UPDATE bench_rows SET name2 = lower(name)' -c 'VACUUM FULL ANALYZE bench_rows'
	unjudged sm_psql -q -c "CREATE TRIGGER \"~~~safe_migrate_change_0\"
		BEFORE INSERT OR UPDATE ON bench_rows FOR EACH ROW
		EXECUTE FUNCTION migrate.dual_write('sync', 'error', '{name}', '{name2}', '{lower(name)}', '{}')"
	unjudged sm_psql -q -c CHECKPOINT
	chunks "$3" >"$SM_WORK/chunks.sql"
	unjudged sm_psql -q -f "$SM_WORK/chunks.sql" | awk '
		/^Time: / {
			if (part % 2 == 0)
				first = $2
			else if (part % 4 == 1)
				print $2, first
			else
				print first, $2
			part++
		}' >"$SM_WORK/series/trigger-$2"
	analyse ratio "trigger-$2"
	note "$(printf '%-36s %10s [%s, %s] (%s)' "$1" "$(calculate "$median")" \
		"$(calculate "$low")" "$(calculate "$high")" "$count")"
	surely_below "$1" "$TRIGGER_TARGET"
}

# backfill ROWS: all ways, without and with clients.
backfill()
{
	for writers in $WRITERS
	do
		for _ in $(seq "$ROUNDS")
		do
			for way in $WAYS
			do
				[ "$way-$writers" != nothing-0 ] || continue
				measure "$way" "$1" "$writers"
			done
		done
		report "$1" "$writers"
	done
}

sm_packages --optional postgresql-contrib
sm_workdir
sm_build
mkdir "$SM_WORK/series"
sm_start online "shared_buffers = '2GB'" "max_wal_size = '16GB'" "min_wal_size = '8GB'" \
	"deadlock_timeout = '1ms'" "log_lock_waits = on" "checkpoint_timeout = '1h'" "autovacuum = off" "fsync = ${BENCH_FSYNC:-on}" "safe_migrate.mode = observe"
# As on a server that has run for a while, new segments of WAL are old ones: to create
# one takes all that write tens of ms.
for _ in $(seq 520)
do
	echo "SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal();"
done | unjudged sm_psql -q -v ON_ERROR_STOP=1 >/dev/null
unjudged sm_psql -q -c CHECKPOINT
sm_psql -q -c 'CREATE EXTENSION safe_migrate'
unjudged sm_psql -q -v ON_ERROR_STOP=1 -f "$BENCH/online.sql"
cat >"$SM_WORK/writer.sql" <<'SQL'
\set id random(1, :rows)
UPDATE bench_rows SET status = status + 1 WHERE id = :id;
SQL
for rows in ${BENCH_ROWS:-1000000 5000000}
do
	for part in $PARTS
	do
		case $part in
			backfill)
				backfill "$rows"
				;;
			trigger)
				note ''
				note "$rows rows, time of an UPDATE with the trigger / without:"
				trigger 'no column of the change is written' "$rows" 'id = id'
				trigger 'the old column is written' "$rows" "name = name || 'x'"
				;;
			*)
				sm_die "BENCH_PARTS has no part $part"
				;;
		esac
	done
done
printf '\n==== %s\n%s' "$SM_VERSION" "$notes"
end_of_report
