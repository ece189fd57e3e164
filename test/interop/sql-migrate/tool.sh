# shellcheck shell=sh disable=SC2034
#
# sql-migrate: SQL files, one query per statement, each file inside a transaction
# with its row in the ledger, unless it says "notransaction".

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_packages sql-migrate
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(left(id, 1), ',' ORDER BY id)
		FROM gorp_migrations"
}

scenario_normal()
{
	judge_everything
	run sql-migrate up
	succeeds "applies three migrations"
	says "and says so" "Applied 3 migrations"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	run sql-migrate up
	says "has nothing to do the second time" "Applied 0 migrations"
	run sql-migrate down
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	run sql-migrate redo
	succeeds "does the one before it again"
	run sql-migrate up
	ledger_is "and applies the last one again" 1,2,3
	run sql-migrate status
	succeeds "tells its status"
	run sql-migrate down -limit=0
	succeeds "takes all back"
	sql_is "nothing is left" 0 "SELECT (SELECT count(*) FROM gorp_migrations)
		+ (SELECT count(*) FROM pg_class WHERE relname = 'orders')"
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# A migration that is harmless on an empty table, and not on a large one.
add_index_migration()	# "" or notransaction
{
	add_file migrations/4_index_orders.sql <<SQL
-- +migrate Up $1
ALTER TABLE orders ADD COLUMN status text;
CREATE INDEX orders_customer ON orders (customer);

-- +migrate Down $1
DROP INDEX orders_customer;
ALTER TABLE orders DROP COLUMN status;
SQL
}

scenario_refused()
{
	run sql-migrate up
	fill_orders
	add_index_migration ""
	run sql-migrate up
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	says_nothing_of "not its SQLSTATE" SM001
	says_nothing_of "nor the hint" "ON public.orders (customer);"
	is_refused "the decision is on record" create_index public.orders
	ledger_is "the migration is not in the ledger" 1,2,3
	column_is "and nothing of it in the schema" no orders status

	# What docs/tools.md tells to do.
	add_index_migration notransaction
	run sql-migrate up
	succeeds "with notransaction it goes through"
	ledger_is "it is in the ledger" 1,2,3,4
	index_is "the index is there" valid orders_customer
	is_rewritten "which was built the safe way" create_index
	run sql-migrate down
	fails "a column of a table with rows is not dropped"
	is_refused "which is on record" drop_column public.orders
	index_is "what came before it, without a transaction, stays done" no orders_customer
	ledger_is "and the ledger has the migration still" 1,2,3,4
}

scenario_deferred()
{
	run sql-migrate up
	fill_orders
	defer_in_transactions
	add_index_migration ""
	run sql-migrate up
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	run sql-migrate up
	fill_orders
	add_index_migration ""
	sed -i 's/INDEX/INDEX CONCURRENTLY/' migrations/4_index_orders.sql
	run sql-migrate up
	fails "in the transaction, behind another statement, it is refused"
	says "and it says where it may be" \
		"use CREATE INDEX CONCURRENTLY, outside a transaction block"
	is_refused "the decision is on record" create_index public.orders
	column_is "nothing is left of the migration" no orders status
	add_index_migration notransaction
	sed -i 's/INDEX/INDEX CONCURRENTLY/' migrations/4_index_orders.sql
	run sql-migrate up
	succeeds "with notransaction the index is built"
	index_is "and valid" valid orders_customer
}
