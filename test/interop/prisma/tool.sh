# shellcheck shell=sh disable=SC2034
#
# Prisma: the schema engine that comes as WebAssembly, with its own driver; the
# command line would download another build.  It sends each statement of a file
# by itself, without a transaction, and marks the migration before and after.

SCENARIOS="normal rewritten refused block"

install_tool()
{
	with_npm
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(substr(migration_name, 14, 1), ',' ORDER BY migration_name)
		FROM _prisma_migrations
		WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
}

scenario_normal()
{
	judge_everything
	run node engine.mjs deploy
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	run node engine.mjs deploy
	succeeds "runs a second time"
	says "has nothing to do then" '"appliedMigrationNames": []'
	run node engine.mjs status
	succeeds "compares the files with the ledger"
	says "and finds them alike" '"history": null'
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# What has a safe way is done so at once.
scenario_rewritten()
{
	run node engine.mjs deploy
	fill_orders
	add_file prisma/migrations/20260101000004_index_orders/migration.sql <<'SQL'
-- AlterTable
ALTER TABLE "orders" ADD COLUMN     "status" TEXT;

-- CreateIndex
CREATE INDEX "orders_customer_idx" ON "orders"("customer");

-- AlterTable
ALTER TABLE "orders" ALTER COLUMN "customer" SET NOT NULL;
SQL
	run node engine.mjs deploy
	succeeds "goes through, as it is"
	ledger_is "is in the ledger" 1,2,3,4
	index_is "the index is there" valid orders_customer_idx
	sql_is "what needed it was done the safe way" "create_index,set_not_null" \
		"SELECT string_agg(rule, ',' ORDER BY rule) FROM migrate.decisions
			WHERE outcome = 'rewritten'"
	nothing_is_refused "nothing of it is refused"
}

# Two statements, of which the second has no safe way.
scenario_refused()
{
	run node engine.mjs deploy
	fill_orders
	add_file prisma/migrations/20260101000004_wider_customer/migration.sql <<'SQL'
-- AlterTable
ALTER TABLE "orders" ADD COLUMN     "status" TEXT;

-- AlterTable
ALTER TABLE "orders" ALTER COLUMN "customer" SET DATA TYPE BIGINT;
SQL
	run node engine.mjs deploy
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "alter_column_type: ALTER COLUMN TYPE of customer"
	is_refused "the decision is on record" alter_column_type public.orders
	ledger_is "the migration does not count as applied" 1,2,3
	sql_is "it counts as failed, and the message is kept with it" t \
		"SELECT logs LIKE '%alter_column_type: %' FROM _prisma_migrations
			WHERE finished_at IS NULL AND rolled_back_at IS NULL"
	column_is "what came before it in the file stays" yes orders status
	run node engine.mjs deploy
	fails "the next deploy fails before it begins"
	says "with P3009" P3009
	run node engine.mjs status
	says "status says so, too" 20260101000004_wider_customer

	# What docs/tools.md tells to do: take back by hand what has run, resolve, and
	# deploy another text.
	sql "SET safe_migrate.override = 'rolling back'; ALTER TABLE orders DROP COLUMN status"
	run node engine.mjs rolled-back 20260101000004_wider_customer
	succeeds "it is marked as rolled back"
	add_file prisma/migrations/20260101000004_wider_customer/migration.sql <<'SQL'
-- AlterTable
ALTER TABLE "orders" ADD COLUMN     "status" TEXT;
SQL
	run node engine.mjs deploy
	succeeds "and another text of it goes through"
	ledger_is "and is in the ledger" 1,2,3,4
}

# A file with a transaction of its own.
scenario_block()
{
	run node engine.mjs deploy
	fill_orders
	add_file prisma/migrations/20260101000004_index_orders/migration.sql <<'SQL'
BEGIN;

ALTER TABLE "orders" ADD COLUMN     "status" TEXT;

CREATE INDEX "orders_customer_idx" ON "orders"("customer");

COMMIT;
SQL
	run node engine.mjs deploy
	fails "an index in a transaction is refused"
	says "which it tells" "create_index: CREATE INDEX orders_customer_idx"
	is_refused "the decision is on record" create_index public.orders
	column_is "nothing of it is in the schema" no orders status
	run node engine.mjs rolled-back 20260101000004_index_orders
	succeeds "it is marked as rolled back"
	defer_in_transactions
	run node engine.mjs deploy
	succeeds "deferred, it goes through"
	ledger_is "is in the ledger" 1,2,3,4
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer_idx
}
