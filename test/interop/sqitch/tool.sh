# shellcheck shell=sh disable=SC2034,SC2154
#
# sqitch: a plan of changes, each a script that psql runs statement by statement;
# whether in a transaction the script says itself.  The ledger is written by another
# connection.

SCENARIOS="normal refused deferred concurrently"

install_tool()
{
	with_packages sqitch libdbd-pg-perl postgresql-client
}

sqitch()	# COMMAND ARGUMENT...
{
	sqitch_command=$1
	shift
	run /usr/bin/sqitch "$sqitch_command" "$@" \
		"db:pg://migrator@127.0.0.1:$PGPORT/$PGDATABASE"
}

ledger_is()	# WHAT CHANGES
{
	sql_is "$1" "$2" "SELECT string_agg(change, ',' ORDER BY committed_at)
		FROM sqitch.changes"
}

events_are()	# WHAT EVENTS
{
	sql_is "$1" "$2" "SELECT string_agg(event || ' ' || change, ',' ORDER BY committed_at)
		FROM sqitch.events"
}

scenario_normal()
{
	judge_everything
	sqitch deploy --verify
	succeeds "deploys three changes, and verifies them"
	ledger_is "has them in its ledger" orders,payments,note
	column_is "has altered its table" yes orders note
	sqitch deploy --verify
	succeeds "deploys a second time"
	says "has nothing to do then" "Nothing to deploy (up-to-date)"
	sqitch verify
	succeeds "verifies what is there"
	sqitch revert -y --to payments
	succeeds "reverts the last one"
	ledger_is "takes it out of the ledger" orders,payments
	column_is "and out of the schema" no orders note
	sqitch deploy
	ledger_is "deploys it again" orders,payments,note
	sqitch revert -y
	succeeds "reverts all"
	sql_is "nothing is left" 0 "SELECT (SELECT count(*) FROM sqitch.changes)
		+ (SELECT count(*) FROM pg_class WHERE relname = 'orders')"
	nothing_is_judged "nothing of it is refused, nor done another way"
}

# Two changes, of which the second one is harmless on an empty table, and not on a
# large one.
add_changes()	# "" or "no transaction"
{
	cat >>sqitch.plan <<'PLAN'
status [orders] 2026-01-01T00:00:04Z Migrator <migrator@example.org> # its status
index [orders] 2026-01-01T00:00:05Z Migrator <migrator@example.org> # its index
PLAN
	add_file deploy/status.sql <<'SQL'
BEGIN;
ALTER TABLE orders ADD COLUMN status text;
COMMIT;
SQL
	echo 'ALTER TABLE orders DROP COLUMN status;' >revert/status.sql
	add_file deploy/index.sql <<'SQL'
BEGIN;
CREATE INDEX orders_customer ON orders (customer);
COMMIT;
SQL
	echo 'DROP INDEX orders_customer;' >revert/index.sql
}

scenario_refused()
{
	sqitch deploy
	fill_orders
	add_changes
	sqitch deploy
	fails "ends with an error"
	says "tells what is wrong, and the remedy" \
		"psql:deploy/index.sql:2: ERROR:  create_index: CREATE INDEX orders_customer"
	says "and where" "LINE 1: CREATE INDEX orders_customer ON orders (customer);"
	says "and the hint" \
		"HINT:  CREATE INDEX CONCURRENTLY orders_customer ON public.orders (customer);"

	# It tries to take back the other change of this run.
	says "reverts what came before" "Reverting to note"
	says "which is refused as well" \
		"ERROR:  drop_column: DROP COLUMN status loses data of public.orders"
	sql_is "both decisions are on record" "create_index,drop_column" \
		"SELECT string_agg(rule, ',' ORDER BY decided_at) FROM migrate.decisions"
	INTEROP_SEEN=2
	ledger_is "so that change is deployed still" orders,payments,note,status
	column_is "in the schema as well" yes orders status
	events_are "its record tells of the failure" \
		"deploy orders,deploy payments,deploy note,deploy status,fail index"

	sqitch deploy --mode change
	fails "with --mode change it fails again"
	is_refused "at the same statement" create_index public.orders
	says_nothing_of "and reverts nothing" "Reverting"
	ledger_is "the ledger is as before" orders,payments,note,status

	# What docs/tools.md tells to do: a script without a transaction.
	run /usr/bin/sqitch config deploy.mode change
	succeeds "takes that for its mode"
	sqitch deploy
	fails "and fails again"
	is_refused "at the same statement as before" create_index public.orders
	says_nothing_of "reverting nothing either" "Reverting"
	echo 'CREATE INDEX orders_customer ON orders (customer);' >deploy/index.sql
	sqitch deploy
	succeeds "a script without BEGIN goes through"
	ledger_is "it is in the ledger" orders,payments,note,status,index
	index_is "the index is there" valid orders_customer
	is_rewritten "which was built the safe way" create_index
	sqitch revert -y --to status
	succeeds "it is reverted"
	index_is "the index is gone" no orders_customer
	is_rewritten "which was dropped the safe way" drop_index
}

scenario_deferred()
{
	sqitch deploy
	fill_orders
	defer_in_transactions
	add_changes
	sqitch deploy
	succeeds "goes through"
	says "shows the notice, too" "NOTICE:  create_index: it is done after the commit"
	ledger_is "is in the ledger" orders,payments,note,status,index
	column_is "has made its column" yes orders status
	tasks_end "the index is built after the commit" 1
	index_is "and is there" valid orders_customer
	nothing_is_refused "nothing is refused"
}

scenario_concurrently()
{
	sqitch deploy
	fill_orders
	add_changes
	sed -i 's/INDEX/INDEX CONCURRENTLY/' deploy/index.sql revert/index.sql
	sqitch deploy --mode change
	fails "in its transaction it is PostgreSQL's own error"
	says "which is shown" "cannot run inside a transaction block"
	sed -i '/^BEGIN;$/d; /^COMMIT;$/d' deploy/index.sql
	sqitch deploy
	succeeds "without a transaction the index is built"
	index_is "and valid" valid orders_customer
	sqitch revert -y --to status
	succeeds "and dropped"
	index_is "and gone" no orders_customer
	nothing_is_refused "nothing is refused"
}
