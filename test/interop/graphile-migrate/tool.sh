# shellcheck shell=sh disable=SC2034
#
# graphile-migrate: SQL files in a chain of hashes, made by "commit" with the help of
# a shadow database; each is sent as one message inside a transaction with its row
# in the ledger.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_npm
}

# Its work is divided between a developer's database and production: the former is
# made here, and so is the shadow, by the role that may.
developer()	# COMMAND...
{
	run env DATABASE_URL="$(url_of "${PGDATABASE}_developer")" \
		SHADOW_DATABASE_URL="$(url_of "${PGDATABASE}_shadow")" \
		ROOT_DATABASE_URL="postgres://postgres@127.0.0.1:$PGPORT/postgres" \
		graphile-migrate "$@"
}

url_of()	# DATABASE
{
	printf 'postgres://migrator@127.0.0.1:%s/%s' "$PGPORT" "$1"
}

# Make a committed migration of what is on standard input.
commit()	# MESSAGE
{
	cat >migrations/current.sql
	developer commit -m "$1"
	succeeds "commits: $1"
}

production()	# COMMAND...
{
	run env DATABASE_URL="$(url_of "$PGDATABASE")" \
		SHADOW_DATABASE_URL="$(url_of "${PGDATABASE}_shadow")" graphile-migrate "$@"
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(substr(filename, 6, 1), ',' ORDER BY filename)
		FROM graphile_migrate.migrations"
}

history()
{
	sql "CREATE DATABASE ${PGDATABASE}_developer OWNER migrator"
	sql "CREATE DATABASE ${PGDATABASE}_shadow OWNER migrator"
	commit create-orders <<'SQL'
CREATE TABLE orders (
	id bigserial PRIMARY KEY,
	customer int,
	amount int
);
SQL
	commit create-payments <<'SQL'
CREATE TABLE payments (
	id bigserial PRIMARY KEY,
	order_id bigint NOT NULL REFERENCES orders
);
CREATE INDEX payments_order_id ON payments (order_id);
SQL
	commit order-note <<'SQL'
ALTER TABLE orders ADD COLUMN note text;
ALTER TABLE orders ALTER COLUMN amount SET NOT NULL;
SQL
}

scenario_normal()
{
	judge_everything
	history
	production migrate
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	production migrate
	succeeds "runs a second time"
	says "has nothing to do then" "Already up to date"
	production status
	succeeds "says that nothing is pending"
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# A migration that is harmless on an empty table, and not on a large one.
commit_index()
{
	commit index-orders <<'SQL'
ALTER TABLE orders ADD COLUMN status text;
CREATE INDEX orders_customer ON orders (customer);
SQL
}

scenario_refused()
{
	history
	production migrate
	fill_orders
	commit_index
	production migrate
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	says "its SQLSTATE" SM001
	says "the HINT" "CREATE INDEX CONCURRENTLY"
	is_refused "the decision is on record" create_index public.orders
	ledger_is "the migration is not in the ledger" 1,2,3
	column_is "nothing of it is in the schema" no orders status

	# What docs/tools.md tells to do: commit it again, as two.  The developer's
	# database has both already.
	developer uncommit
	succeeds "it is uncommitted"
	commit order-status <<'SQL'
ALTER TABLE orders ADD COLUMN IF NOT EXISTS status text;
SQL
	commit index-orders <<'SQL'
--! no-transaction
CREATE INDEX IF NOT EXISTS orders_customer ON orders (customer);
SQL
	production migrate
	succeeds "divided into two migrations, it goes through"
	ledger_is "both are in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	sql_is "which was built the safe way" "rewritten|create_index" \
		"SELECT outcome, rule FROM migrate.decisions ORDER BY decided_at DESC LIMIT 1"
}

scenario_deferred()
{
	history
	production migrate
	fill_orders
	defer_in_transactions
	commit_index
	production migrate
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	history
	production migrate
	fill_orders
	commit index-orders <<'SQL'
--! no-transaction
CREATE INDEX CONCURRENTLY orders_customer ON orders (customer);
SQL
	production migrate
	succeeds "without a transaction it is built"
	index_is "and valid" valid orders_customer
	ledger_is "and in the ledger" 1,2,3,4
	nothing_is_refused "nothing is refused"
}
