# shellcheck shell=sh disable=SC2034
#
# Drizzle: drizzle-kit compares schema.js with the last migration and writes the next
# one; "drizzle-kit migrate", or migrate() of drizzle-orm, applies what is pending,
# all inside one transaction, without a lock.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_npm
}

ledger_is()	# WHAT COUNT
{
	sql_is "$1" "$2" "SELECT count(*) FROM drizzle.__drizzle_migrations"
}

# The schema, and the migration that leads there.
schema()	# NAME EXTRA_COLUMNS INDEXES
{
	add_file schema.js <<JS
const { bigint, bigserial, index, integer, pgTable, text } = require('drizzle-orm/pg-core');

exports.orders = pgTable('orders', {
	id: bigserial({ mode: 'number' }).primaryKey(),
	customer: integer(),
	amount: integer()$2
}, (table) => [${3:-}]);
exports.payments = pgTable('payments', {
	id: bigserial({ mode: 'number' }).primaryKey(),
	order_id: bigint({ mode: 'number' }).notNull().references(() => exports.orders.id),
}, (table) => [index('payments_order_id').on(table.order_id)]);
JS
	run drizzle-kit generate --name "$1"
	succeeds "generates $1"
}

history()
{
	run drizzle-kit generate --name create_orders
	succeeds "generates create_orders"
	schema create_payments ","
	schema order_note ".notNull(), note: text(),"
}

scenario_normal()
{
	judge_everything
	history
	run drizzle-kit migrate
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 3
	column_is "has altered its table" yes orders note
	run drizzle-kit migrate
	succeeds "runs a second time"
	ledger_is "has nothing to do then" 3
	run node migrate.mjs
	succeeds "as does the application"
	ledger_is "which has nothing to do" 3
	schema order_status ".notNull(), note: text(), status: text(),"
	run node migrate.mjs
	succeeds "the application applies one"
	ledger_is "and it is in the ledger" 4
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# A migration that is harmless on an empty table, and not on a large one.
generate_index()
{
	schema index_orders ".notNull(), note: text(), status: text()," \
		"index('orders_customer').on(table.customer)"
}

scenario_refused()
{
	history
	run drizzle-kit migrate
	fill_orders
	generate_index
	run drizzle-kit migrate
	fails "ends with an error"
	says_nothing_of "and not a word of what it is" create_index
	is_refused "the decision is on record" create_index public.orders
	sql_is "with the message that the tool has swallowed" t \
		"SELECT message LIKE 'create_index: CREATE INDEX orders_customer%'
			FROM migrate.decisions WHERE outcome = 'rejected'"
	ledger_is "the migration is not in the ledger" 3
	column_is "nothing of it is in the schema" no orders status
	run node migrate.mjs
	fails "the application gets an error"
	says "with what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	says "its SQLSTATE" "code: 'SM001'"
	is_refused "and that is on record, too" create_index public.orders

	# What docs/tools.md tells to do: build the index beforehand, and let the
	# migration say IF NOT EXISTS.
	sm_psql -q -v ON_ERROR_STOP=1 -c \
		"CREATE INDEX orders_customer ON orders USING btree (customer)" 2>/dev/null
	sed -i 's/CREATE INDEX/CREATE INDEX IF NOT EXISTS/' drizzle/*_index_orders.sql
	run drizzle-kit migrate
	succeeds "with IF NOT EXISTS, and the index there already, it goes through"
	ledger_is "is in the ledger" 4
	column_is "has made its column" yes orders status
	index_is "the index is there" valid orders_customer
}

scenario_deferred()
{
	history
	run drizzle-kit migrate
	fill_orders
	defer_in_transactions
	schema index_orders ".notNull(), note: text().notNull(), status: text()," \
		"index('orders_customer').on(table.customer)"
	sm_psql -q -c "UPDATE orders SET note = ''"
	run drizzle-kit migrate
	succeeds "goes through"
	ledger_is "is in the ledger" 4
	column_is "has made its column" yes orders status
	tasks_end "NOT NULL and the index follow after the commit" 2
	index_is "the index is there" valid orders_customer
	sql_is "the other column is NOT NULL" t "SELECT attnotnull FROM pg_attribute
		WHERE attrelid = 'orders'::regclass AND attname = 'note'"
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	history
	run drizzle-kit migrate
	fill_orders
	schema index_orders ".notNull(), note: text()," \
		"index('orders_customer').on(table.customer).concurrently()"
	run drizzle-kit migrate
	fails "always fails, since all is one transaction"
	ledger_is "and is not in the ledger" 3
	run node migrate.mjs
	fails "as in the application"
	says "with PostgreSQL's own error" "cannot run inside a transaction block"
}
