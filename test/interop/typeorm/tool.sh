# shellcheck shell=sh disable=SC2034
#
# TypeORM: JavaScript; one query per call, all pending migrations inside one
# transaction unless told otherwise, no lock.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_npm
}

migration()	# run|revert|show [OPTION...]
{
	migration_command=$1
	shift
	run typeorm "migration:$migration_command" -d data-source.js "$@"
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(right(name, 1), ',' ORDER BY name)
		FROM (SELECT timestamp::text AS name FROM migrations) AS m"
}

scenario_normal()
{
	judge_everything
	migration run
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	migration run
	succeeds "runs a second time"
	says "has nothing to do then" "No migrations are pending"
	migration revert
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	migration run --transaction each
	succeeds "applies it again, each in its own transaction"
	ledger_is "and all are there" 1,2,3
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# Migrations that are harmless on an empty table, and not on a large one.
add_index_migrations()	# [LINE_OF_THE_CLASS]
{
	add_file migrations/1767225600004-OrderStatus.js <<'JS'
module.exports = class OrderStatus1767225600004 {
	async up(queryRunner)
	{
		await queryRunner.query('ALTER TABLE "orders" ADD "status" text');
	}

	async down(queryRunner)
	{
		await queryRunner.query('ALTER TABLE "orders" DROP COLUMN "status"');
	}
};
JS
	add_file migrations/1767225600005-IndexOrders.js <<JS
module.exports = class IndexOrders1767225600005 {
	${1:-}
	async up(queryRunner)
	{
		await queryRunner.query('CREATE INDEX "orders_customer" ON "orders" ("customer")');
	}

	async down(queryRunner)
	{
		await queryRunner.query('DROP INDEX "orders_customer"');
	}
};
JS
}

scenario_refused()
{
	migration run
	fill_orders
	add_index_migrations
	migration run
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
	add_index_migrations 'transaction = false;'
	migration run --transaction each
	succeeds "without a transaction they go through"
	ledger_is "both are in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	sql_is "which was built the safe way" "rewritten|create_index" \
		"SELECT outcome, rule FROM migrate.decisions ORDER BY decided_at DESC LIMIT 1"
	migration revert --transaction each
	succeeds "and dropped so"
	index_is "and is gone" no orders_customer
	migration revert
	fails "a column with data is not dropped"
	is_refused "which is on record" drop_column public.orders
	ledger_is "and the ledger has the migration still" 1,2,3,4
}

scenario_deferred()
{
	migration run
	fill_orders
	defer_in_transactions
	add_index_migrations
	migration run
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4,5
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	migration run
	fill_orders
	add_index_migrations
	rm migrations/1767225600004-OrderStatus.js
	sed -i 's/CREATE INDEX/CREATE INDEX CONCURRENTLY/' \
		migrations/1767225600005-IndexOrders.js
	migration run
	fails "in the transaction it is PostgreSQL's own error"
	says "which is shown" "cannot run inside a transaction block"
	ledger_is "and no migration of the run is in the ledger" 1,2,3
	migration run --transaction none
	succeeds "without a transaction the index is built"
	index_is "and valid" valid orders_customer
	nothing_is_refused "nothing is refused"
}
