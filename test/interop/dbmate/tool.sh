# shellcheck shell=sh disable=SC2034
#
# dbmate: SQL files, each sent as one message inside a transaction with its row in
# the ledger; "transaction:false" sends it bare, and then it may hold one statement.

SCENARIOS="normal refused deferred concurrently beside_deploy"

install_tool()
{
	with_npm
}

dbmate()
{
	run dbmate --no-dump-schema "$@"
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(right(version, 1), ',' ORDER BY version)
		FROM schema_migrations"
}

scenario_normal()
{
	dbmate migrate
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	sql_is "has made the tables" "orders,payments" \
		"SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class
			WHERE relname IN ('orders', 'payments')"
	dbmate migrate
	succeeds "has nothing to do the second time"
	says_nothing_of "and applies nothing" "Applying"
	dbmate status --exit-code
	succeeds "says that nothing is pending"
	dbmate rollback
	succeeds "rolls the last one back"
	ledger_is "and takes it out of the ledger" 1,2
	sql_is "and out of the schema" 0 "SELECT count(*) FROM pg_attribute
		WHERE attrelid = 'orders'::regclass AND attname = 'note'"
	dbmate migrate
	ledger_is "and applies it again" 1,2,3
	nothing_is_refused "nothing of it is refused"
}

# A migration that is harmless on an empty table, and not on a large one.
add_index_migration()
{
	add_file db/migrations/20260101000004_index_orders.sql <<'SQL'
-- migrate:up
ALTER TABLE orders ADD COLUMN status text;
CREATE INDEX orders_customer ON orders (customer);

-- migrate:down
DROP INDEX orders_customer;
ALTER TABLE orders DROP COLUMN status;
SQL
}

scenario_refused()
{
	dbmate migrate
	fill_orders
	add_index_migration
	dbmate migrate
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	is_refused "the decision is on record" create_index public.orders
	ledger_is "the migration is not in the ledger" 1,2,3
	column_is "and nothing of it in the schema" no orders status

	# What docs/tools.md tells to do: an index of its own, without a transaction.
	rm db/migrations/*_index_orders.sql
	add_file db/migrations/20260101000004_order_status.sql <<'SQL'
-- migrate:up
ALTER TABLE orders ADD COLUMN status text;

-- migrate:down
ALTER TABLE orders DROP COLUMN status;
SQL
	add_file db/migrations/20260101000005_index_orders.sql <<'SQL'
-- migrate:up transaction:false
CREATE INDEX orders_customer ON orders (customer);

-- migrate:down transaction:false
DROP INDEX orders_customer;
SQL
	dbmate migrate
	succeeds "divided into two migrations, it goes through"
	ledger_is "and both are in the ledger" 1,2,3,4,5
	index_is "and the index is there" valid orders_customer
	sql_is "which was built the safe way" "rewritten|create_index" \
		"SELECT outcome, rule FROM migrate.decisions ORDER BY decided_at DESC LIMIT 1"
	dbmate rollback
	succeeds "the index is dropped the safe way"
	index_is "and gone" no orders_customer
	dbmate rollback
	fails "a column with data is not dropped"
	is_refused "which is on record" drop_column public.orders
	ledger_is "and the ledger says so" 1,2,3,4
}

scenario_deferred()
{
	dbmate migrate
	fill_orders
	defer_in_transactions
	add_index_migration
	dbmate migrate
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	dbmate migrate
	fill_orders
	add_file db/migrations/20260101000004_index_orders.sql <<'SQL'
-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY orders_customer ON orders (customer);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY orders_customer;
SQL
	dbmate migrate
	succeeds "an index CONCURRENTLY without a transaction is built"
	index_is "and valid" valid orders_customer

	add_file db/migrations/20260101000005_index_again.sql <<'SQL'
-- migrate:up
CREATE INDEX CONCURRENTLY orders_amount ON orders (amount);

-- migrate:down
SQL
	dbmate migrate
	fails "in a transaction it is PostgreSQL's own error"
	says "which is shown" "cannot run inside a transaction block"
	ledger_is "and the migration is not in the ledger" 1,2,3,4
}

# Two that migrate the same tables at once, dbmate and CALL migrate.deploy(), each
# with blocks and with indexes.  "runs" tells how often each was run.
scenario_beside_deploy()
{
	dbmate migrate
	fill_orders
	sm_psql -q -c "CREATE TABLE runs (name text)"
	add_file db/migrations/20260101000004_block.sql <<'SQL'
-- migrate:up
ALTER TABLE orders ADD COLUMN m1 int;
SELECT pg_sleep(1);
INSERT INTO runs VALUES ('dbmate 4');
-- migrate:down
SQL
	add_file db/migrations/20260101000005_index.sql <<'SQL'
-- migrate:up transaction:false
CREATE INDEX orders_customer ON orders (customer);
-- migrate:down
SQL
	add_file db/migrations/20260101000006_blocks.sql <<'SQL'
-- migrate:up
ALTER TABLE orders ADD COLUMN m2 int;
SELECT pg_sleep(0.5);
ALTER TABLE payments ADD COLUMN m3 int;
INSERT INTO runs VALUES ('dbmate 6');
-- migrate:down
SQL
	sql "SELECT migrate.register('1', 'block', 'ALTER TABLE orders ADD COLUMN d1 int;
			SELECT pg_sleep(3); INSERT INTO runs VALUES (''deploy 1'')'),
		migrate.register('2', 'index',
			'CREATE INDEX CONCURRENTLY orders_amount ON orders (amount)'),
		migrate.register('3', 'blocks', 'ALTER TABLE orders ADD COLUMN d2 int;
			SELECT pg_sleep(0.5); ALTER TABLE payments ADD COLUMN d3 int;
			INSERT INTO runs VALUES (''deploy 3'')')" >/dev/null

	sql "CALL migrate.deploy()" >"$PROJECT.deploy" 2>&1 &
	interop_deploy=$!
	until [ "$(sql "SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event = 'PgSleep'")" -gt 0 ]
	do
		kill -0 "$interop_deploy"
		sleep 0.1
	done
	dbmate migrate
	succeeds "dbmate migrates beside a running deploy"
	STATUS=0
	wait "$interop_deploy" || STATUS=$?
	cp "$PROJECT.deploy" "$OUTPUT"
	succeeds "the deploy ends well, too"
	ledger_is "dbmate's ledger is whole" 1,2,3,4,5,6
	sql_is "the other one as well" "applied 3" \
		"SELECT state || ' ' || count(*) FROM migrate.status GROUP BY state"
	sql_is "each was run once" "dbmate 4,dbmate 6,deploy 1,deploy 3" \
		"SELECT string_agg(name, ',' ORDER BY name) FROM runs"
	index_is "the index of dbmate is there" valid orders_customer
	index_is "that of the deploy, too" valid orders_amount
	check "there was no deadlock" no_deadlock
	dbmate migrate
	says_nothing_of "afterwards dbmate has nothing to do" Applying
	nothing_is_refused "nothing is refused"
}

no_deadlock()
{
	! grep -a "deadlock detected" "$SM_LOG"
}
