# shellcheck shell=sh disable=SC2034
#
# Kysely: a library; one query per call of the builder, all pending migrations
# inside one transaction, behind an advisory lock.

SCENARIOS="normal refused deferred two_at_once two_without"

install_tool()
{
	with_npm
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(left(name, 1), ',' ORDER BY name)
		FROM kysely_migration"
}

scenario_normal()
{
	judge_everything
	run node migrate.mjs latest
	succeeds "applies three migrations"
	says "and says so" "3_order_note: Up Success"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	run node migrate.mjs latest
	succeeds "runs a second time"
	says_nothing_of "has nothing to do then" Success
	run node migrate.mjs down
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	run node migrate.mjs latest
	ledger_is "and applies it again" 1,2,3
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# Migrations that are harmless on an empty table, and not on a large one.
add_index_migrations()
{
	add_file migrations/4_order_status.mjs <<'JS'
export const up = (db) =>
	db.schema.alterTable('orders').addColumn('status', 'text').execute();
export const down = (db) =>
	db.schema.alterTable('orders').dropColumn('status').execute();
JS
	add_file migrations/5_index_orders.mjs <<'JS'
export const up = (db) =>
	db.schema.createIndex('orders_customer').on('orders').column('customer').execute();
export const down = (db) => db.schema.dropIndex('orders_customer').execute();
JS
}

scenario_refused()
{
	run node migrate.mjs latest
	fill_orders
	add_index_migrations
	run node migrate.mjs latest
	fails "ends with an error"
	says "tells which migration" "5_index_orders: Up Error"
	says "although it calls the one before it successful" "4_order_status: Up Success"
	says "the error has what is wrong, and the remedy" \
		"create_index: CREATE INDEX orders_customer"
	says "its SQLSTATE" "code: 'SM001'"
	says "the DETAIL" "detail: 'public.orders (orders_customer)"
	says "the HINT" \
		"hint: 'CREATE INDEX CONCURRENTLY orders_customer ON public.orders ("
	is_refused "the decision is on record" create_index public.orders
	ledger_is "no migration of the run is in the ledger" 1,2,3
	column_is "nor in the schema" no orders status

	# What docs/tools.md tells to do.
	run node migrate.mjs latest --no-transactions
	succeeds "without transactions they go through"
	ledger_is "both are in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	sql_is "which was built the safe way" "rewritten|create_index" \
		"SELECT outcome, rule FROM migrate.decisions ORDER BY decided_at DESC LIMIT 1"
	run node migrate.mjs down --no-transactions
	succeeds "and dropped so"
	index_is "and is gone" no orders_customer
	run node migrate.mjs down
	fails "a column with data is not dropped"
	is_refused "which is on record" drop_column public.orders
	ledger_is "and the ledger has the migration still" 1,2,3,4
}

scenario_deferred()
{
	run node migrate.mjs latest
	fill_orders
	defer_in_transactions
	add_index_migrations
	run node migrate.mjs latest
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4,5
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

# The migration before the index ends when the second run waits for the lock.
add_meeting_migrations()
{
	make_runs
	add_file migrations/4_meeting.mjs <<'JS'
import { sql } from 'kysely';

export const up = (db) =>
	sql`INSERT INTO runs SELECT 'kysely 4', meet()`.execute(db);
JS
	add_file migrations/5_index_orders.mjs <<'JS'
export const up = (db) =>
	db.schema.createIndex('orders_customer').on('orders').column('customer').execute();
JS
}

scenario_two_at_once()
{
	run node migrate.mjs latest
	add_meeting_migrations
	start node migrate.mjs latest
	waits_inside "one is at work"
	run node migrate.mjs latest
	succeeds "the second one waits, and ends well"
	says_nothing_of "it has nothing to do" Success
	finish
	succeeds "the first one ends well"
	says "and has done all" "5_index_orders: Up Success"
	runs_are "each migration was run once" "kysely 4"
	ledger_is "and is in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	no_deadlock
	nothing_is_refused "nothing is refused"
}

# The second one waits for the lock inside a query, so CREATE INDEX CONCURRENTLY of
# the first one would wait for it.
scenario_two_without()
{
	run node migrate.mjs latest
	fill_orders
	add_meeting_migrations
	start node migrate.mjs latest --no-transactions
	waits_inside "one is at work"
	run node migrate.mjs latest --no-transactions
	succeeds "the second one ends well"
	says "having built the index" "5_index_orders: Up Success"
	says_nothing_of "and not done what was done" "4_meeting"
	finish
	fails "the first one ends with an error"
	says "which tells what it would have waited for" \
		"lock_deadline: CREATE INDEX CONCURRENTLY would wait forever for process"
	says "its SQLSTATE" "code: 'SM002'"
	runs_are "each migration was run once" "kysely 4"
	ledger_is "and is in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	no_deadlock
}
