# shellcheck shell=sh disable=SC2034
#
# Postgrator: SQL files, each sent as one message without a transaction of its own;
# the row in the ledger follows as another one.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_npm
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(version::text, ',' ORDER BY version)
		FROM schemaversion WHERE version > 0"
}

scenario_normal()
{
	judge_everything
	run node migrate.mjs
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	run node migrate.mjs
	succeeds "runs a second time"
	says "has nothing to do then" "0 applied"
	run node migrate.mjs 002
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	run node migrate.mjs
	ledger_is "and applies it again" 1,2,3
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# A migration that is harmless on an empty table, and not on a large one.
add_index_migration()
{
	add_file migrations/004.do.index-orders.sql <<'SQL'
ALTER TABLE orders ADD COLUMN status text;
CREATE INDEX orders_customer ON orders (customer);
SQL
}

scenario_refused()
{
	run node migrate.mjs
	fill_orders
	add_index_migration
	run node migrate.mjs
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	says "its SQLSTATE" "code: 'SM001'"
	says "the DETAIL" "detail: 'public.orders (orders_customer)"
	says "the HINT" \
		"hint: 'CREATE INDEX CONCURRENTLY orders_customer ON public.orders ("
	is_refused "the decision is on record" create_index public.orders
	ledger_is "the migration is not in the ledger" 1,2,3
	column_is "nothing of it is in the schema" no orders status

	# What docs/tools.md tells to do: a file of one statement.
	add_file migrations/004.do.order-status.sql <<'SQL'
ALTER TABLE orders ADD COLUMN status text;
SQL
	add_file migrations/005.do.index-orders.sql <<'SQL'
CREATE INDEX orders_customer ON orders (customer);
SQL
	rm migrations/004.do.index-orders.sql
	run node migrate.mjs
	succeeds "divided into two files, it goes through"
	ledger_is "both are in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	sql_is "which was built the safe way" "rewritten|create_index" \
		"SELECT outcome, rule FROM migrate.decisions ORDER BY decided_at DESC LIMIT 1"
}

scenario_deferred()
{
	run node migrate.mjs
	fill_orders
	defer_in_transactions
	add_index_migration
	run node migrate.mjs
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	run node migrate.mjs
	fill_orders
	add_file migrations/004.do.index-orders.sql <<'SQL'
CREATE INDEX CONCURRENTLY orders_customer ON orders (customer);
SQL
	run node migrate.mjs
	succeeds "by itself in a file it is built"
	index_is "and valid" valid orders_customer
	ledger_is "and in the ledger" 1,2,3,4
	nothing_is_refused "nothing is refused"
}
