# shellcheck shell=sh disable=SC2034
#
# node-pg-migrate: SQL files and JavaScript; all pending migrations inside one
# transaction, unless one of them says noTransaction().

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_npm
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(substr(name, 13, 1), ',' ORDER BY name)
		FROM pgmigrations"
}

scenario_normal()
{
	judge_everything
	run node-pg-migrate up
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	run node-pg-migrate up
	succeeds "runs a second time"
	says "has nothing to do then" "No migrations to run!"
	run node-pg-migrate down
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	run node-pg-migrate redo
	succeeds "takes one back and applies it again"
	run node-pg-migrate up
	ledger_is "and all are there" 1,2,3
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# Migrations that are harmless on an empty table, and not on a large one.
add_index_migrations()
{
	add_file migrations/1767225600004_order-status.js <<'JS'
exports.up = (pgm) => pgm.addColumns('orders', { status: 'text' });
JS
	add_file migrations/1767225600005_index-orders.js <<'JS'
exports.up = (pgm) => {
	pgm.createIndex('orders', 'customer', { name: 'orders_customer' });
};
JS
}

scenario_refused()
{
	run node-pg-migrate up
	fill_orders
	add_index_migrations
	run node-pg-migrate up
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	says "its SQLSTATE" "code: 'SM001'"
	says "the DETAIL" "detail: 'public.orders (orders_customer)"
	says "the HINT" \
		"hint: 'CREATE INDEX CONCURRENTLY orders_customer ON public.orders ("
	is_refused "the decision is on record" create_index public.orders
	ledger_is "no migration of the run is in the ledger" 1,2,3
	column_is "nor in the schema" no orders status

	# What docs/tools.md tells to do: without a transaction.
	add_file migrations/1767225600005_index-orders.js <<'JS'
exports.up = (pgm) => {
	pgm.noTransaction();
	pgm.createIndex('orders', 'customer', { name: 'orders_customer' });
};
JS
	run node-pg-migrate up
	succeeds "without a transaction they go through"
	ledger_is "both are in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	sql_is "which was built the safe way" "rewritten|create_index" \
		"SELECT outcome, rule FROM migrate.decisions ORDER BY decided_at DESC LIMIT 1"
	run node-pg-migrate down
	succeeds "and dropped so"
	index_is "and is gone" no orders_customer
	run node-pg-migrate down
	fails "a column with data is not dropped"
	is_refused "which is on record" drop_column public.orders
	ledger_is "and the ledger has the migration still" 1,2,3,4
}

scenario_deferred()
{
	run node-pg-migrate up
	fill_orders
	defer_in_transactions
	add_index_migrations
	run node-pg-migrate up
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4,5
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	run node-pg-migrate up
	fill_orders
	add_file migrations/1767225600004_index-orders.js <<'JS'
exports.up = (pgm) => {
	pgm.createIndex('orders', 'customer', { name: 'orders_customer', concurrently: true });
};
JS
	run node-pg-migrate up
	fails "in the transaction it is PostgreSQL's own error"
	says "which is shown" "cannot run inside a transaction block"
	ledger_is "and the migration is not in the ledger" 1,2,3
	sed -i '1a\	pgm.noTransaction();' migrations/1767225600004_index-orders.js
	run node-pg-migrate up
	succeeds "without a transaction the index is built"
	index_is "and valid" valid orders_customer
	nothing_is_refused "nothing is refused"
}
