# shellcheck shell=sh disable=SC2034
#
# knex: JavaScript; one query per call of the builder, the whole batch inside one
# transaction unless a migration of it says otherwise.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_npm
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(substr(name, 14, 1), ',' ORDER BY name)
		FROM knex_migrations"
}

is_unlocked()	# WHAT
{
	sql_is "$1" 0 "SELECT is_locked FROM knex_migrations_lock"
}

scenario_normal()
{
	run knex migrate:latest
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	is_unlocked "has unlocked its ledger"
	column_is "has altered its table" yes orders note
	run knex migrate:latest
	succeeds "runs a second time"
	says "has nothing to do then" "Already up to date"
	run knex migrate:down
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	run knex migrate:up
	ledger_is "applies it again" 1,2,3
	run knex migrate:rollback --all
	succeeds "rolls all back"
	sql_is "nothing is left" 0 "SELECT (SELECT count(*) FROM knex_migrations)
		+ (SELECT count(*) FROM pg_class WHERE relname = 'orders')"
	nothing_is_refused "nothing of it is refused"
}

# A migration that is harmless on an empty table, and not on a large one.
add_index_migration()
{
	add_file migrations/20260101000004_index_orders.js <<'JS'
exports.up = (knex) =>
	knex.schema.alterTable('orders', (table) => {
		table.text('status');
		table.index('customer', 'orders_customer');
	});

exports.down = (knex) =>
	knex.schema.alterTable('orders', (table) => {
		table.dropIndex('customer', 'orders_customer');
		table.dropColumn('status');
	});
JS
}

scenario_refused()
{
	run knex migrate:latest
	fill_orders
	add_index_migration
	run knex migrate:latest
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	is_refused "the decision is on record" create_index public.orders
	ledger_is "the migration is not in the ledger" 1,2,3
	column_is "nothing of it is in the schema" no orders status
	is_unlocked "the ledger is not locked"

	# What docs/tools.md tells to do: without a transaction.
	sed -i '$a\\nexports.config = { transaction: false };' \
		migrations/20260101000004_index_orders.js
	run knex migrate:latest
	succeeds "without a transaction it goes through"
	ledger_is "it is in the ledger" 1,2,3,4
	index_is "the index is there" valid orders_customer
	sql_is "which was built the safe way" "rewritten|create_index" \
		"SELECT outcome, rule FROM migrate.decisions ORDER BY decided_at DESC LIMIT 1"
	run knex migrate:down
	fails "a column with data is not dropped"
	is_refused "which is on record" drop_column public.orders
	index_is "what came before it, without a transaction, stays done" no orders_customer
	ledger_is "and the ledger has the migration still" 1,2,3,4
	is_unlocked "but is not locked"
}

scenario_deferred()
{
	run knex migrate:latest
	fill_orders
	defer_in_transactions
	add_index_migration
	run knex migrate:latest
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	run knex migrate:latest
	fill_orders
	add_file migrations/20260101000004_index_orders.js <<'JS'
exports.up = (knex) =>
	knex.raw('CREATE INDEX CONCURRENTLY orders_customer ON orders (customer)');
exports.down = (knex) => knex.raw('DROP INDEX CONCURRENTLY orders_customer');
JS
	run knex migrate:latest
	fails "in the transaction it is PostgreSQL's own error"
	says "which is shown" "cannot run inside a transaction block"
	is_unlocked "the ledger is not locked"
	echo 'exports.config = { transaction: false };' \
		>>migrations/20260101000004_index_orders.js
	run knex migrate:latest
	succeeds "without a transaction the index is built"
	index_is "and valid" valid orders_customer
	run knex migrate:down
	succeeds "and dropped"
	index_is "and gone" no orders_customer
	nothing_is_refused "nothing is refused"
}
