# shellcheck shell=sh disable=SC2034
#
# Active Record, the migrations of Rails: each migration inside a transaction with
# its row in the ledger, unless it says disable_ddl_transaction!.  Another
# connection holds an advisory lock meanwhile.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_packages ruby ruby-activerecord ruby-pg
}

rails()
{
	run /usr/bin/ruby -W0 migrate.rb "$@"
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(version, ',' ORDER BY version)
		FROM schema_migrations"
}

scenario_normal()
{
	judge_everything
	rails up
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	sql_is "and its other one knows the environment" 1 \
		"SELECT count(*) FROM ar_internal_metadata WHERE key = 'environment'"
	column_is "has altered its table" yes orders note
	rails up
	succeeds "runs a second time"
	says_nothing_of "has nothing to do then" "migrating"
	rails pending
	says "and says so" "false"
	rails down
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	rails up
	ledger_is "applies it again" 1,2,3
	rails reset
	succeeds "takes all back"
	sql_is "nothing is left" 0 "SELECT (SELECT count(*) FROM schema_migrations)
		+ (SELECT count(*) FROM pg_class WHERE relname = 'orders')"
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# A migration that is harmless on an empty table, and not on a large one.
add_index_migration()
{
	add_file migrate/4_index_orders.rb <<'RUBY'
class IndexOrders < ActiveRecord::Migration[6.1]
  def change
    add_column :orders, :status, :text
    add_index :orders, :customer, name: "orders_customer"
  end
end
RUBY
}

scenario_refused()
{
	rails up
	fill_orders
	add_index_migration
	rails up
	fails "ends with an error"
	says "tells that all later ones are canceled" \
		"An error has occurred, this and all later migrations canceled"
	says "what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	says "and where" 'LINE 1: CREATE INDEX "orders_customer" ON "orders"'
	says "and the hint" \
		'HINT:  CREATE INDEX CONCURRENTLY orders_customer ON public.orders ("customer");'
	is_refused "the decision is on record" create_index public.orders
	ledger_is "the migration is not in the ledger" 1,2,3
	column_is "and nothing of it in the schema" no orders status

	# What docs/tools.md tells to do.
	sed -i '1a\  disable_ddl_transaction!\n' migrate/4_index_orders.rb
	rails up
	succeeds "with disable_ddl_transaction! it goes through"
	ledger_is "it is in the ledger" 1,2,3,4
	index_is "the index is there" valid orders_customer
	is_rewritten "which was built the safe way" create_index
	rails down
	fails "a column of a table with rows is not dropped"
	is_refused "which is on record" drop_column public.orders
	index_is "what came before it, without a transaction, stays done" no orders_customer
	ledger_is "and the ledger has the migration still" 1,2,3,4
}

scenario_deferred()
{
	rails up
	fill_orders
	defer_in_transactions
	add_index_migration
	rails up
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	rails up
	fill_orders
	add_file migrate/4_index_orders.rb <<'RUBY'
class IndexOrders < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!

  def change
    add_index :orders, :customer, name: "orders_customer", algorithm: :concurrently
  end
end
RUBY
	rails up
	succeeds "algorithm: :concurrently with disable_ddl_transaction!"
	index_is "its index is valid" valid orders_customer
	rails down
	succeeds "and is taken back"
	index_is "and gone" no orders_customer
	nothing_is_refused "nothing is refused"
}
