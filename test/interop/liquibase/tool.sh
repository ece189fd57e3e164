# shellcheck shell=sh disable=SC2034
#
# Liquibase: the statements of a changeset one by one (extended protocol), inside a
# transaction unless it says runInTransaction:false; its row in the ledger follows in
# another one.  A row of a second table is the lock.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	command -v java >/dev/null 2>&1 ||
		with_packages openjdk-17-jre-headless || return 1
	with_npm
}

liquibase()
{
	liquibase_path=$(find node_modules/liquibase/dist/liquibase/internal/lib/ \
		-name '*.jar' | tr '\n' ':')
	run java -cp "$liquibase_path" \
		liquibase.integration.commandline.LiquibaseCommandLine \
		--show-banner=false --changelog-file=changelog.sql --username=migrator \
		--url="jdbc:postgresql://127.0.0.1:$PGPORT/$PGDATABASE" "$@"
}

ledger_is()	# WHAT CHANGESETS
{
	sql_is "$1" "$2" "SELECT string_agg(id, ',' ORDER BY orderexecuted)
		FROM databasechangelog"
}

is_unlocked()	# WHAT
{
	sql_is "$1" f "SELECT locked FROM databasechangeloglock"
}

scenario_normal()
{
	judge_everything
	liquibase update
	succeeds "applies three changesets"
	ledger_is "has them in its ledger" 1,2,3
	is_unlocked "and has unlocked it"
	column_is "has altered its table" yes orders note
	liquibase update
	says "has nothing to do the second time" "Database is up to date"
	liquibase validate
	succeeds "validates its checksums"
	liquibase rollback-count 1
	succeeds "rolls the last one back"
	ledger_is "and out of the ledger" 1,2
	column_is "and out of the schema" no orders note
	liquibase update
	ledger_is "applies it again" 1,2,3
	liquibase clear-checksums
	succeeds "forgets its checksums"
	liquibase update
	sql_is "and writes them anew" 3 \
		"SELECT count(*) FROM databasechangelog WHERE md5sum IS NOT NULL"
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# A changeset that is harmless on an empty table, and not on a large one.
add_index_changeset()	# "" or runInTransaction:false
{
	add_status_changeset
	cat >>changelog.sql <<SQL

--changeset shop:5 $1
CREATE INDEX orders_customer ON orders (customer);
--rollback DROP INDEX orders_customer;
SQL
}

add_status_changeset()
{
	cat >>changelog.sql <<'SQL'

--changeset shop:4
ALTER TABLE orders ADD COLUMN status text;
--rollback ALTER TABLE orders DROP COLUMN status;
SQL
}

scenario_refused()
{
	liquibase update
	fill_orders
	cp changelog.sql before.sql
	add_index_changeset ""
	liquibase update
	fails "ends with an error"
	says "tells what is wrong, and the remedy" "create_index: CREATE INDEX orders_customer"
	says "and the hint" \
		"Hint: CREATE INDEX CONCURRENTLY orders_customer ON public.orders (customer);"
	says "and the statement" "[Failed SQL: (0) CREATE INDEX orders_customer ON orders (customer)]"
	is_refused "the decision is on record" create_index public.orders
	ledger_is "the changeset is not in the ledger, that before it is" 1,2,3,4
	is_unlocked "the ledger is not locked"

	# What docs/tools.md tells to do.
	cp before.sql changelog.sql
	add_index_changeset runInTransaction:false
	liquibase update
	succeeds "with runInTransaction:false it goes through"
	ledger_is "it is in the ledger" 1,2,3,4,5
	index_is "the index is there" valid orders_customer
	is_rewritten "which was built the safe way" create_index
	liquibase rollback-count 1
	succeeds "it is rolled back"
	index_is "and gone" no orders_customer
	is_rewritten "dropped the safe way" drop_index
	liquibase rollback-count 1
	fails "a column of a table with rows is not dropped"
	is_refused "which is on record" drop_column public.orders
	ledger_is "and the ledger says so" 1,2,3,4
	is_unlocked "it is not locked either"

	# As a run leaves it that was killed.
	sql "UPDATE databasechangeloglock SET locked = true, lockgranted = now(), lockedby = 'killed'"
	liquibase release-locks
	succeeds "a lock that was left is released"
	is_unlocked "indeed"
}

scenario_deferred()
{
	liquibase update
	fill_orders
	defer_in_transactions
	add_index_changeset ""
	liquibase update
	succeeds "goes through"
	ledger_is "is in the ledger" 1,2,3,4,5
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	liquibase update
	fill_orders
	cp changelog.sql before.sql
	add_index_changeset ""
	sed -i 's/INDEX orders/INDEX CONCURRENTLY orders/' changelog.sql
	liquibase update
	fails "in the transaction it is PostgreSQL's own error"
	says "which is shown" "cannot run inside a transaction block"
	is_unlocked "the ledger is not locked"
	cp before.sql changelog.sql
	add_index_changeset runInTransaction:false
	sed -i 's/INDEX orders/INDEX CONCURRENTLY orders/' changelog.sql
	liquibase update
	succeeds "with runInTransaction:false the index is built"
	index_is "and valid" valid orders_customer
	nothing_is_refused "nothing is refused"
}
