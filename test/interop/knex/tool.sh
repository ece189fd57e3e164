# shellcheck shell=sh disable=SC2034
#
# knex: JavaScript; one query per call of the builder, the whole batch inside one
# transaction unless a migration of it says otherwise.

SCENARIOS="normal refused deferred concurrently two_at_once two_without"

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
	judge_everything
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
	nothing_is_judged "nothing of it is refused, nor done another way"
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
	says_nothing_of "not its SQLSTATE" SM001
	says_nothing_of "nor the hint" "ON public.orders (customer);"
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

# The migration before the index ends when the second run waits for the row that
# is the lock.
scenario_two_at_once()
{
	run knex migrate:latest
	make_runs
	add_file migrations/20260101000004_meeting.js <<'JS'
exports.up = (knex) => knex.raw("INSERT INTO runs SELECT 'knex 4', meet()");
exports.down = async () => {};
JS
	add_file migrations/20260101000005_index_orders.js <<'JS'
exports.up = (knex) =>
	knex.schema.alterTable('orders', (table) => table.index('customer', 'orders_customer'));
exports.down = async () => {};
JS
	start knex migrate:latest
	waits_inside "one is at work"
	run knex migrate:latest
	succeeds "the second one waits, and ends well"
	says "it has nothing to do" "Already up to date"
	finish
	succeeds "the first one ends well"
	runs_are "each migration was run once" "knex 4"
	ledger_is "and is in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	is_unlocked "the ledger is not locked"
	no_deadlock
	nothing_is_refused "nothing is refused"
}

# Without a transaction the row is committed, and the second run refuses to begin.
scenario_two_without()
{
	run knex migrate:latest
	fill_orders
	make_runs
	add_file migrations/20260101000004_index_orders.js <<'JS'
exports.up = async (knex) => {
	await knex.raw("SELECT others_are_in('test')");
	await knex.raw("INSERT INTO runs VALUES ('knex 4', true)");
	await knex.raw('CREATE INDEX orders_customer ON orders (customer)');
};
exports.down = async () => {};
exports.config = { transaction: false };
JS
	start knex migrate:latest
	waits_inside "one is at work"
	run knex migrate:latest
	fails "the second one ends with an error"
	says "which tells that the ledger is locked" "Migration table is already locked"
	sql "INSERT INTO runs VALUES ('test', true)"
	finish
	succeeds "the first one ends well"
	runs_are "its migration was run once" "knex 4,test"
	ledger_is "and is in the ledger" 1,2,3,4
	index_is "the index is there" valid orders_customer
	is_rewritten "which was built the safe way" create_index
	is_unlocked "the ledger is not locked"
	run knex migrate:latest
	succeeds "another one"
	says "has nothing to do" "Already up to date"
	nothing_is_refused "nothing is refused"
}
