#!/bin/sh
#
# What safe_migrate does, shown on a throw-away server:
#
#     sh test/demo.sh              a story, on data that it makes
#     sh test/demo.sh DIRECTORY    applies your own migrations to an empty database
#
# Exits with 0 if everything went as told.

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"

[ $# -le 1 ] || sm_die "usage: sh test/demo.sh [DIRECTORY]"
if [ $# -eq 1 ]
then
	[ -d "$1" ] || sm_die "$1 is not a directory"
	directory=$(CDPATH='' cd -- "$1" && pwd)
fi

if [ -t 1 ]
then
	bold=$(printf '\033[1m')
	dim=$(printf '\033[2m')
	plain=$(printf '\033[0m')
else
	bold='' dim='' plain=''
fi

# A heading, and a paragraph.
chapter()
{
	printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

tell()
{
	printf '%s\n' "$*" | fold -s -w 78
}

# Show a statement as psql would, run it, and show what comes.  The first
# argument says how it must end: with "ok", or with a SQLSTATE.
sql()
{
	wanted=$1
	printf '\n%sdemo=#%s %s\n' "$dim" "$plain" "$2"
	status=0
	sm_psql -d demo -q -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -c "$2" \
		>"$SM_WORK/shown" 2>&1 </dev/null || status=$?
	sqlstate=$(sed -n 's/^ERROR:  \([0-9A-Z]\{5\}\): .*/\1/p' "$SM_WORK/shown" | head -n 1)
	sed -e 's/^\(ERROR\|NOTICE\|WARNING\):  [0-9A-Z]\{5\}: /\1:  /' \
		-e '/^LOCATION: /d' "$SM_WORK/shown"
	if [ "$status" -eq 0 ] && [ "$wanted" = ok ]
	then
		return 0
	fi
	[ "$sqlstate" = "$wanted" ] ||
		sm_die "that should have ended with $wanted, not ${sqlstate:-ok}"
	printf '%s(SQLSTATE %s)%s\n' "$dim" "$sqlstate" "$plain"
}

# pgbench beside it all: reads and writes on the table, of clients that know the
# column by that name, with this protocol.
start_traffic()
{
	cat >"$SM_WORK/traffic_$1.sql" <<SQL
\\set id random(1, 1000000)
UPDATE orders SET $1 = 'paid' WHERE id = :id;
SELECT amount, $1 FROM orders WHERE id = :id;
SQL
	"$SM_BIN/pgbench" -n -c 2 -M "$2" -T 300 -P 1 \
		-f "$SM_WORK/traffic_$1.sql" demo \
		>"$SM_WORK/traffic_$1.log" 2>&1 </dev/null &
	traffic=$!
}

stop_traffic()
{
	sleep 1
	kill "$1" 2>/dev/null ||
		sm_die "pgbench gave up: $(tail -n 3 "$SM_WORK"/traffic_*.log)"
	wait "$1" 2>/dev/null || true
	if grep -qi 'error' "$SM_WORK"/traffic_*.log
	then
		sm_die "a client met an error: $(grep -ih error "$SM_WORK"/traffic_*.log | head -n 3)"
	fi
}

# How it did, from the lines "progress: 3.0 s, 1234.5 tps, lat 1.2 ms ...".
traffic_so_far()
{
	sed -n 's/^progress: .* s, \([0-9.]*\) tps, lat \([0-9.]*\) ms.*/\1 \2/p' \
		"$SM_WORK"/traffic_*.log | awk '
		{ n++; sum += $1; if ($2 > worst) worst = $2 }
		END { printf "%d seconds of traffic, %.0f transactions a second; in the worst second one of them took %.1f ms on average", n, n ? sum / n : 0, worst }'
}

# What a migration will corrupt, in two figures.
names_and_notes()
{
	sm_psql -d demo -Atq \
		-c "SELECT md5(string_agg(name, ',' ORDER BY id)) FROM customers WHERE id <= 9000" \
		-c "SELECT count(*), sum(id) FROM orders WHERE note = 'a gift'"
}

story()
{
	chapter "1. A table of a million rows, and clients that use it"
	sm_psql -d demo -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO customers SELECT g, 'customer ' || g FROM generate_series(1, 10000) g;
CREATE TABLE orders (
	id int PRIMARY KEY,
	customer int NOT NULL,
	amount numeric(10,2) NOT NULL,
	status varchar(10) DEFAULT 'new');
INSERT INTO orders
SELECT g, 1 + g % 10000, g % 500, 'new' FROM generate_series(1, 1000000) g;
VACUUM ANALYZE customers, orders;
SQL
	start_traffic status simple
	sql ok "SELECT pg_size_pretty(pg_table_size('orders')) AS orders"
	tell "pgbench reads and writes it from now on."
	sleep 2

	chapter "2. A statement that would stop everybody is done another way"
	tell "It is sent as ever, and the client gets the answer that it expects."
	sql ok "CREATE INDEX orders_customer ON orders (customer)"
	sql ok "ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers"
	sql ok "SELECT statement, executed, duration_ms, lock_wait_ms FROM migrate.decisions WHERE outcome = 'rewritten'"
	tell "Where there is no other way, it is refused, and the message says why:"
	sql SM001 "ALTER TABLE orders ALTER amount TYPE numeric(12,4)"
	sql SM001 "DROP TABLE customers CASCADE"
	tell "What only looks dangerous passes:"
	sql ok "ALTER TABLE orders ADD COLUMN placed timestamptz NOT NULL DEFAULT now()"
	sql ok "ALTER TABLE orders ALTER status TYPE varchar(20)"
	tell "$(traffic_so_far)."

	chapter "3. Inside a transaction, the slow part can wait for its end"
	sql SM001 "BEGIN; ALTER TABLE orders ADD CHECK (amount >= 0); COMMIT"
	sm_psql -q -c "ALTER DATABASE demo SET safe_migrate.in_transaction = defer"
	tell "After ALTER DATABASE demo SET safe_migrate.in_transaction = defer:"
	sql ok "BEGIN; ALTER TABLE orders ADD CHECK (amount >= 0); COMMIT"
	task=$(sm_psql -d demo -Atq -c "SELECT max(id) FROM migrate.tasks")
	sql ok "CALL migrate.wait($task)"
	sql ok "SELECT state, steps_done, steps, role FROM migrate.tasks WHERE id = $task"
	sql ok "SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype = 'c'"

	chapter "4. A lock that nobody has to wait behind"
	tell "A report reads the table for three seconds. An ALTER TABLE has to wait for it; the readers behind do not wait for either."
	sm_psql -d demo -q -c "BEGIN; SELECT count(*) FROM orders WHERE id < 10; SELECT pg_sleep(3); COMMIT" \
		>/dev/null 2>&1 </dev/null &
	report=$!
	sleep 0.5
	(
		sleep 1
		sm_psql -d demo -q -c "SELECT relation, lock_mode, blockers FROM migrate.lock_waits" </dev/null
	) >"$SM_WORK/lock_waits" 2>&1 &
	watcher=$!
	sql ok "ALTER TABLE orders ADD COLUMN note text"
	wait "$watcher" "$report"
	tell "Meanwhile, from another session: SELECT relation, lock_mode, blockers FROM migrate.lock_waits"
	cat "$SM_WORK/lock_waits"
	tell "$(traffic_so_far)."

	chapter "5. A file, checked before anything runs"
	cat >"$SM_WORK/proposal.sql" <<'SQL'
ALTER TABLE orders RENAME TO purchases;
ALTER TABLE purchases ALTER status SET NOT NULL;
CREATE TABLE refunds (id int PRIMARY KEY, purchase int REFERENCES purchases);
CREATE INDEX ON refunds (purchase);
DROP TABLE customers CASCADE;
SQL
	sed 's/^/    /' "$SM_WORK/proposal.sql"
	sm_psql -d demo -q -v ON_ERROR_STOP=1 -v "file=$SM_WORK/proposal.sql" <<'SQL'
\set script `cat :'file'`
SELECT statement, relation, work, rule, action FROM migrate.check(:'script');
SQL
	tell "The second statement is judged by the new name that the first would give."

	chapter "6. A directory of migrations"
	mkdir "$SM_WORK/migrations"
	cat >"$SM_WORK/migrations/1_invoices.sql" <<'SQL'
CREATE TABLE invoices (id int PRIMARY KEY, order_id int REFERENCES orders);
SQL
	cat >"$SM_WORK/migrations/2_invoice_number.sql" <<'SQL'
ALTER TABLE invoices ADD COLUMN number serial;
CREATE INDEX ON invoices (order_id);
SQL
	cat >"$SM_WORK/migrations/10_paid_orders.sql" <<'SQL'
CREATE INDEX CONCURRENTLY orders_paid ON orders (id) WHERE status = 'paid';
SQL
	chmod -R a+rX "$SM_WORK/migrations"
	sql ok "SELECT * FROM migrate.load('$SM_WORK/migrations')"
	sql ok "CALL migrate.deploy()"
	sql ok "SELECT version, name, state, applied_at IS NOT NULL AS applied FROM migrate.status"
	tell "Applied again, there is nothing to do:"
	sql ok "CALL migrate.deploy()"

	chapter "7. A migration that corrupts data, and the way back"
	sm_psql -d demo -q -c "UPDATE orders SET note = 'a gift' WHERE id <= 1000"
	cat >"$SM_WORK/migrations/11_tidy_up.sql" <<'SQL'
UPDATE customers SET name = 'customer ' || id / 2 WHERE id <= 9000;
ALTER TABLE orders DROP COLUMN note;
SQL
	sed 's/^/    /' "$SM_WORK/migrations/11_tidy_up.sql"
	sm_psql -d demo -q -c "ALTER DATABASE demo SET safe_migrate.rules = 'drop_column:allow'"
	sm_psql -d demo -q -c "SELECT migrate.load('$SM_WORK/migrations')" >/dev/null
	was=$(names_and_notes)
	sql ok "CALL migrate.deploy()"
	tell "The names of 9,000 customers are wrong and the notes are gone. Clients go on meanwhile: pgbench, a new customer, an order, a name that is mended."
	sql ok "INSERT INTO customers VALUES (10001, 'a new one'); INSERT INTO orders VALUES (1000001, 10001, 12.50)"
	sql ok "UPDATE customers SET name = 'renamed' WHERE id = 9999"
	tell "Before the migration a restore point was made. It copied no data; only what the migration changed has been kept since:"
	label="'before 11_tidy_up'"
	sql ok "SELECT label, rows_kept, pg_size_pretty(size_bytes) AS size FROM migrate.restore_points WHERE label = $label"
	sql ok "SELECT action, object, rows, later_writes, conflicts, unrepresentable FROM migrate.rollback_plan($label)"
	sql ok "CALL migrate.rollback_to($label)"
	sql ok "SELECT c.id, c.name, o.amount FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.id > 1000000 WHERE c.id IN (1, 9999, 10001)"
	[ "$(names_and_notes)" = "$was" ] ||
		sm_die "names or notes are not what they were"
	tell "All names and notes are what they were, and what the clients wrote is there. A rollback can be taken back, too: it has made a restore point of its own."
	rm "$SM_WORK/migrations/11_tidy_up.sql"
	sm_psql -d demo -q -c "SELECT migrate.unregister('11')" >/dev/null

	chapter "8. A column is renamed while old and new clients run"
	tell "All those clients write the column \"status\". Their next version calls it \"state\"."
	sql SM001 "ALTER TABLE orders RENAME COLUMN status TO state"
	sql ok "SELECT migrate.rename_column('orders', 'status', 'state')"
	change=$(sm_psql -d demo -Atq -c "SELECT max(id) FROM migrate.changes")
	sql ok "CALL migrate.wait($change)"
	sql ok "SELECT kind, phase, next_step FROM migrate.changes WHERE id = $change"
	tell "A million rows were filled and an index was built, in small steps. From now on clients of both versions run:"
	old_traffic=$traffic
	start_traffic state prepared
	sleep 3
	sql ok "SELECT count(*) AS orders, count(*) FILTER (WHERE state IS DISTINCT FROM status) AS differ FROM orders"
	sql SM005 "SELECT migrate.contract($change)"
	tell "The last client of the old version is stopped."
	stop_traffic "$old_traffic"
	sql ok "SELECT migrate.contract($change, force := true)"
	sql ok "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped"
	tell "$(traffic_so_far)."

	chapter "9. A file that was edited after it ran"
	echo "CREATE TABLE invoices (id bigint PRIMARY KEY);" \
		>"$SM_WORK/migrations/1_invoices.sql"
	sql ok "SELECT * FROM migrate.load('$SM_WORK/migrations') WHERE state <> 'unchanged'"
	sql SM003 "CALL migrate.deploy()"

	chapter "10. The ledger, and what was decided"
	sql ok "SELECT version, state, role, started_at::time(0) AS started, duration_ms, statements FROM migrate.history"
	sql ok "SELECT decided_at::time(0) AS at, outcome, rule, relation FROM migrate.decisions ORDER BY decided_at"

	chapter "And the clients?"
	stop_traffic "$traffic"
	tell "$(traffic_so_far). No transaction failed."
}

own_directory()
{
	chapter "Your migrations: $directory"
	tell "They are applied to an empty database of a throw-away server, with every rule in force."
	PATH=$SM_BIN:$PATH "$SM_BIN/pg_safe_migrate" deploy -d demo "$directory" ||
		failed=1
	sql ok "SELECT state, count(*) FROM migrate.status GROUP BY state ORDER BY state"
	sql ok "SELECT outcome, rule, relation, message FROM migrate.decisions WHERE outcome IN ('rejected', 'warned') ORDER BY decided_at LIMIT 20"
	sql ok "SELECT n.nspname AS schema, count(*) FILTER (WHERE relkind IN ('r', 'p')) AS tables, count(*) FILTER (WHERE relkind IN ('i', 'I')) AS indexes, count(*) FILTER (WHERE relkind IN ('v', 'm')) AS views FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^pg_|^information_schema|^migrate' GROUP BY 1"
	[ -z "${failed:-}" ] ||
		sm_die "a migration failed; the message above says which, and why"
}

sm_packages --optional postgresql-contrib
sm_workdir
sm_build
sm_start demo "fsync = off" "shared_buffers = 256MB" "max_wal_size = 4GB"
sm_psql -q -c "CREATE DATABASE demo"
sm_psql -q -d demo -c "CREATE EXTENSION safe_migrate"

if [ -n "${directory:-}" ]
then
	own_directory
else
	story
fi
printf '\nThe server is stopped and removed.\n'
