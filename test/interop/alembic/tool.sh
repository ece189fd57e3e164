# shellcheck shell=sh disable=SC2034
#
# Alembic: one transaction around all pending migrations, or one for each
# (transaction_per_migration); autocommit_block() is outside of it.  The ledger has
# the current revision alone.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_packages alembic python3-psycopg2
}

alembic()
{
	run /usr/bin/alembic "$@"
}

ledger_is()	# WHAT REVISION
{
	sql_is "$1" "$2" "SELECT string_agg(version_num, ',') FROM alembic_version"
}

scenario_normal()
{
	judge_everything
	alembic upgrade head
	succeeds "applies three migrations"
	ledger_is "has the last one in its ledger" 3
	column_is "has altered its table" yes orders note
	alembic upgrade head
	succeeds "runs a second time"
	says_nothing_of "has nothing to do then" "Running upgrade"
	alembic current
	says "knows where it is" "3 (head)"
	alembic downgrade -1
	succeeds "takes the last one back"
	ledger_is "and its ledger, too" 2
	column_is "and out of the schema" no orders note
	alembic upgrade head
	ledger_is "applies it again" 3
	alembic downgrade base
	succeeds "takes all back"
	sql_is "nothing is left" 0 "SELECT (SELECT count(*) FROM alembic_version)
		+ (SELECT count(*) FROM pg_class WHERE relname = 'orders')"
	alembic stamp 2
	succeeds "is told what is there"
	ledger_is "and believes it" 2
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# Two migrations, of which the second one is harmless on an empty table, and not on
# a large one.
add_migrations()
{
	add_file versions/4_order_status.py <<'PYTHON'
import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade():
    op.add_column("orders", sa.Column("status", sa.Text))


def downgrade():
    op.drop_column("orders", "status")
PYTHON
	add_file versions/5_index_orders.py <<'PYTHON'
from alembic import op

revision = "5"
down_revision = "4"


def upgrade():
    op.create_index("orders_customer", "orders", ["customer"])


def downgrade():
    op.drop_index("orders_customer")
PYTHON
}

scenario_refused()
{
	alembic upgrade head
	fill_orders
	add_migrations
	alembic upgrade head
	fails "ends with an error"
	says "tells what is wrong, and the remedy" \
		"create_index: CREATE INDEX orders_customer"
	says "and where" "LINE 1: CREATE INDEX orders_customer ON orders (customer)"
	says "and the hint" \
		"HINT:  CREATE INDEX CONCURRENTLY orders_customer ON public.orders (customer);"
	says "and the statement" "[SQL: CREATE INDEX orders_customer ON orders (customer)]"
	is_refused "the decision is on record" create_index public.orders
	ledger_is "nothing of this run is in the ledger" 3
	column_is "nor in the schema, not even the migration before it" no orders status

	export TRANSACTION_PER_MIGRATION=1
	alembic upgrade head
	fails "with transaction_per_migration it ends with an error"
	is_refused "at the same statement" create_index public.orders
	ledger_is "what came before is in the ledger" 4
	column_is "and in the schema" yes orders status

	# What docs/tools.md tells to do.
	sed -i '/^def/,$s/^    op/    with op.get_context().autocommit_block():\n        op/' \
		versions/5_index_orders.py
	alembic upgrade head
	succeeds "in an autocommit_block() it goes through"
	ledger_is "it is in the ledger" 5
	index_is "the index is there" valid orders_customer
	is_rewritten "which was built the safe way" create_index
	alembic downgrade -1
	succeeds "it is taken back"
	index_is "and gone" no orders_customer
	is_rewritten "dropped the safe way" drop_index
	alembic downgrade -1
	fails "a column of a table with rows is not dropped"
	is_refused "which is on record" drop_column public.orders
	ledger_is "and the ledger says so" 4
}

scenario_deferred()
{
	alembic upgrade head
	fill_orders
	defer_in_transactions
	add_migrations
	alembic upgrade head
	succeeds "goes through"
	ledger_is "is in the ledger" 5
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	alembic upgrade head
	fill_orders
	add_migrations
	sed -i 's/\["customer"\])/["customer"], postgresql_concurrently=True)/' \
		versions/5_index_orders.py
	alembic upgrade head
	fails "in the transaction, behind another migration, it is refused"
	says "and it says where it may be" \
		"use CREATE INDEX CONCURRENTLY, outside a transaction block"
	is_refused "the decision is on record" create_index public.orders
	ledger_is "nothing of this run is in the ledger" 3
	sed -i '/^def upgrade/,/^$/s/^    op/    with op.get_context().autocommit_block():\n        op/' \
		versions/5_index_orders.py
	alembic upgrade head
	succeeds "in an autocommit_block() the index is built"
	index_is "and valid" valid orders_customer
}
