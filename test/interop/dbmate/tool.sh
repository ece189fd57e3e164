# shellcheck shell=sh disable=SC2034
#
# dbmate: SQL files, each sent as one message inside a transaction with its row in
# the ledger; "transaction:false" sends it bare, and then it may hold one statement.

SCENARIOS="normal refused deferred concurrently beside_deploy two_at_once"

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
	judge_everything
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
	nothing_is_judged "nothing of it is refused, nor done another way"
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
	says "and where" "line: 3, column: 1"
	says "its SQLSTATE" "(SM001)"
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
# with transactions and with indexes.  In "runs" each transaction is once, and says
# whether it has made another session wait: the first one of the deploy ends when
# dbmate waits for it, and that of dbmate when the deploy does.
scenario_beside_deploy()
{
	dbmate migrate
	fill_orders
	make_runs
	add_file db/migrations/20260101000004_block.sql <<'SQL'
-- migrate:up
ALTER TABLE orders ADD COLUMN m1 int;
INSERT INTO runs SELECT 'dbmate 4', meet();
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
ALTER TABLE payments ADD COLUMN m3 int;
INSERT INTO runs VALUES ('dbmate 6', true);
-- migrate:down
SQL
	sql "SELECT migrate.register('1', 'block', 'ALTER TABLE orders ADD COLUMN d1 int;
			INSERT INTO runs SELECT ''deploy 1'', meet()'),
		migrate.register('2', 'index',
			'CREATE INDEX CONCURRENTLY orders_amount ON orders (amount)'),
		migrate.register('3', 'blocks', 'SELECT others_are_in(''dbmate 4'');
			ALTER TABLE orders ADD COLUMN d2 int;
			ALTER TABLE payments ADD COLUMN d3 int;
			INSERT INTO runs VALUES (''deploy 3'', true)')" >/dev/null

	start env PGHOST="$SM_SUPERUSER_HOST" PGUSER=postgres \
		"$SM_BIN/psql" -X -q -v ON_ERROR_STOP=1 -c "CALL migrate.deploy()"
	waits_inside "one is at work"
	dbmate migrate
	succeeds "dbmate migrates beside a running deploy"
	finish
	succeeds "the deploy ends well, too"
	ledger_is "dbmate's ledger is whole" 1,2,3,4,5,6
	sql_is "the other one as well" "applied 3" \
		"SELECT state || ' ' || count(*) FROM migrate.status GROUP BY state"
	runs_are "each was run once, and they have waited for each other" \
		"dbmate 4,dbmate 6,deploy 1,deploy 3"
	index_is "the index of dbmate is there" valid orders_customer
	index_is "that of the deploy, too" valid orders_amount
	no_deadlock
	dbmate migrate
	says_nothing_of "afterwards dbmate has nothing to do" Applying
	nothing_is_refused "nothing is refused"
}

# It takes no lock: the second one runs what the first one has not committed.
scenario_two_at_once()
{
	dbmate migrate
	fill_orders
	make_runs
	add_file db/migrations/20260101000004_block.sql <<'SQL'
-- migrate:up
ALTER TABLE orders ADD COLUMN m1 int;
INSERT INTO runs SELECT 'dbmate 4', meet();
-- migrate:down
SQL
	add_file db/migrations/20260101000005_index.sql <<'SQL'
-- migrate:up transaction:false
CREATE INDEX orders_customer ON orders (customer);
-- migrate:down
SQL
	start dbmate --no-dump-schema migrate
	waits_inside "one is at work"
	dbmate migrate
	fails "the second one ends with an error"
	says "since the first one has done it" 'column "m1" of relation "orders" already exists'
	finish
	succeeds "the first one ends well"
	runs_are "the migration counts once" "dbmate 4"
	ledger_is "the ledger is whole" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	no_deadlock
	dbmate migrate
	succeeds "another one"
	says_nothing_of "has nothing to do" Applying
	nothing_is_refused "nothing is refused"
}
