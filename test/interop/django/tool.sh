# shellcheck shell=sh disable=SC2034
#
# Django: each migration inside a transaction; what it makes of indexes and foreign
# keys comes at the end of it.  The row in the ledger is written in it, or right
# after it.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_packages python3-django python3-psycopg2
}

migrate()
{
	run /usr/bin/python3 manage.py migrate --no-color "$@"
}

ledger_is()	# WHAT VERSIONS
{
	sql_is "$1" "$2" "SELECT string_agg(substr(name, 4, 1), ',' ORDER BY name)
		FROM django_migrations WHERE app = 'shop'"
}

scenario_normal()
{
	judge_everything
	migrate
	succeeds "applies three migrations"
	ledger_is "has them in its ledger" 1,2,3
	column_is "has altered its table" yes orders note
	sql_is "has made its foreign key" 1 "SELECT count(*) FROM pg_constraint
		WHERE conrelid = 'payments'::regclass AND contype = 'f'"
	migrate
	says "has nothing to do the second time" "No migrations to apply."
	migrate shop 0002
	succeeds "takes the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	migrate
	ledger_is "applies it again" 1,2,3
	migrate shop zero
	succeeds "takes all back"
	sql_is "nothing is left" 0 "SELECT (SELECT count(*) FROM django_migrations)
		+ (SELECT count(*) FROM pg_class WHERE relname = 'orders')"
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# A migration that is harmless on an empty table, and not on a large one.
add_index_migration()
{
	add_file shop/migrations/0004_index.py <<'PYTHON'
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_note")]
    operations = [
        migrations.AddField("Order", "status", models.TextField(null=True)),
        migrations.AddIndex(
            "Order", models.Index(fields=["customer"], name="orders_customer")
        ),
    ]
PYTHON
}

# The same in two, the second one without a transaction.
add_divided_migrations()
{
	add_file shop/migrations/0004_status.py <<'PYTHON'
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_note")]
    operations = [
        migrations.AddField("Order", "status", models.TextField(null=True)),
    ]
PYTHON
	add_file shop/migrations/0005_index.py <<'PYTHON'
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0004_status")]
    operations = [
        migrations.AddIndex(
            "Order", models.Index(fields=["customer"], name="orders_customer")
        ),
    ]
PYTHON
}

scenario_refused()
{
	migrate
	fill_orders
	add_index_migration
	migrate
	fails "ends with an error"
	says "tells what is wrong, and the remedy" \
		"django.db.utils.DatabaseError: create_index: CREATE INDEX"
	says "and where" 'LINE 1: CREATE INDEX "orders_customer" ON "orders" ("customer")'
	says "and the hint" \
		'HINT:  CREATE INDEX CONCURRENTLY orders_customer ON public.orders ("customer");'
	is_refused "the decision is on record" create_index public.orders
	ledger_is "the migration is not in the ledger" 1,2,3
	column_is "and nothing of it in the schema" no orders status

	# What docs/tools.md tells to do: an index by itself, without a transaction.
	rm shop/migrations/0004_index.py
	add_divided_migrations
	migrate
	succeeds "divided into two, with atomic = False, it goes through"
	ledger_is "both are in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	is_rewritten "which was built the safe way" create_index
	migrate shop 0004
	succeeds "the index is taken back"
	index_is "and gone" no orders_customer
	is_rewritten "dropped the safe way" drop_index
	migrate shop 0003
	fails "a column of a table with rows is not dropped"
	is_refused "which is on record" drop_column public.orders
	ledger_is "and the ledger says so" 1,2,3,4
}

scenario_deferred()
{
	migrate
	fill_orders
	defer_in_transactions
	add_index_migration
	migrate
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"

	# A foreign key on a table with rows: Django adds it at the end.
	add_file shop/migrations/0005_parent.py <<'PYTHON'
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0004_index")]
    operations = [
        migrations.AddField(
            "Order", "parent", models.ForeignKey("shop.Order", models.CASCADE, null=True)
        ),
    ]
PYTHON
	migrate
	succeeds "a new foreign key with its index goes through"
	ledger_is "and is in the ledger" 1,2,3,4,5
	tasks_end "its index follows" 2
	sql_is "the constraint needs no check, the column being new" t "SELECT bool_and(convalidated)
		FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype = 'f'"
}

scenario_concurrently()
{
	migrate
	fill_orders
	add_divided_migrations
	sed -i 's/^from django.db import migrations, models$/&\nfrom django.contrib.postgres.operations import AddIndexConcurrently/
		s/migrations.AddIndex/AddIndexConcurrently/' shop/migrations/0005_index.py
	migrate
	succeeds "AddIndexConcurrently with atomic = False"
	index_is "its index is valid" valid orders_customer
	migrate shop 0004
	succeeds "and is taken back"
	index_is "and gone" no orders_customer
	nothing_is_refused "nothing is refused"
}
