# shellcheck shell=sh disable=SC2034
#
# Umzug with Sequelize: JavaScript; one query per call, none of them in a
# transaction unless the migration opens one, no lock.

SCENARIOS="normal rewritten refused deferred"

install_tool()
{
	with_npm
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(left(name, 1), ',' ORDER BY name)
		FROM \"SequelizeMeta\""
}

scenario_normal()
{
	judge_everything
	run node migrate.js up
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	run node migrate.js up
	succeeds "runs a second time"
	says "has nothing to do then" "applied 0 migrations"
	run node migrate.js down
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	run node migrate.js up
	ledger_is "and applies it again" 1,2,3
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# What has a safe way is done so at once.
scenario_rewritten()
{
	run node migrate.js up
	fill_orders
	add_file migrations/4_index_orders.js <<'JS'
exports.up = ({ context }) =>
	context.addIndex('orders', ['customer'], { name: 'orders_customer' });
exports.down = ({ context }) => context.removeIndex('orders', 'orders_customer');
JS
	run node migrate.js up
	succeeds "an index goes through, as it is"
	ledger_is "is in the ledger" 1,2,3,4
	index_is "the index is there" valid orders_customer
	sql_is "and was built the safe way" "rewritten|create_index" \
		"SELECT outcome, rule FROM migrate.decisions ORDER BY decided_at DESC LIMIT 1"
	run node migrate.js down
	succeeds "and is taken back so"
	index_is "the index is gone" no orders_customer
	nothing_is_refused "nothing of it is refused"

	# changeColumn() sends three statements in one message, which is a transaction.
	add_file migrations/4_index_orders.js <<'JS'
const { DataTypes } = require('sequelize');

exports.up = ({ context }) =>
	context.changeColumn('orders', 'customer', {
		type: DataTypes.INTEGER,
		allowNull: false,
	});
exports.down = async ({ context }) => {};
JS
	run node migrate.js up
	fails "changeColumn() to NOT NULL is refused"
	says "which it tells" "set_not_null: SET NOT NULL of customer"
	is_refused "the decision is on record" set_not_null public.orders
	add_file migrations/4_index_orders.js <<'JS'
exports.up = ({ context }) =>
	context.sequelize.query('ALTER TABLE orders ALTER customer SET NOT NULL');
exports.down = async ({ context }) => {};
JS
	run node migrate.js up
	succeeds "as one statement it goes through"
	sql_is "the column is NOT NULL" t "SELECT attnotnull FROM pg_attribute
		WHERE attrelid = 'orders'::regclass AND attname = 'customer'"
}

# Two statements, of which the second has no safe way.
scenario_refused()
{
	run node migrate.js up
	fill_orders
	add_file migrations/4_wider_customer.js <<'JS'
const { DataTypes } = require('sequelize');

exports.up = async ({ context }) => {
	await context.addColumn('orders', 'status', { type: DataTypes.TEXT });
	await context.changeColumn('orders', 'customer', { type: DataTypes.BIGINT });
};
exports.down = async ({ context }) => {};
JS
	run node migrate.js up
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "alter_column_type: ALTER COLUMN TYPE of customer"
	is_refused "the decision is on record" alter_column_type public.orders
	ledger_is "the migration is not in the ledger" 1,2,3
	column_is "what came before it stays" yes orders status
	run node migrate.js up
	fails "so it fails otherwise the next time"
	says "because of that" 'column "status" of relation "orders" already exists'

	# What docs/tools.md tells to do: what is there is told to be.
	sed -i 's/addColumn(.orders., .status.,.*/sequelize.query("ALTER TABLE orders ADD COLUMN IF NOT EXISTS status text");/
		/changeColumn/d' migrations/4_wider_customer.js
	run node migrate.js up
	succeeds "mended, it goes through"
	ledger_is "and is in the ledger" 1,2,3,4
}

# A migration that opens a transaction.
scenario_deferred()
{
	run node migrate.js up
	fill_orders
	add_file migrations/4_index_orders.js <<'JS'
const { DataTypes } = require('sequelize');

exports.up = ({ context }) =>
	context.sequelize.transaction(async (transaction) => {
		await context.addColumn('orders', 'status', { type: DataTypes.TEXT }, { transaction });
		await context.addIndex('orders', ['customer'], { name: 'orders_customer', transaction });
	});
exports.down = async ({ context }) => {};
JS
	run node migrate.js up
	fails "in a transaction of its own an index is refused"
	says "which it tells" "create_index: CREATE INDEX orders_customer"
	is_refused "the decision is on record" create_index public.orders
	column_is "nothing of it is in the schema" no orders status
	defer_in_transactions
	run node migrate.js up
	succeeds "deferred, it goes through"
	ledger_is "is in the ledger" 1,2,3,4
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
}
