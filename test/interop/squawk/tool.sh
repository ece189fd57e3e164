# shellcheck shell=sh disable=SC2034
#
# Squawk: a linter.  It judges the text of a migration, without a server; each is
# given to both, and the differences are what docs/tools.md tells.

SCENARIOS="verdicts histories"
TOLD=

install_tool()
{
	with_npm
}

# Its rules about habits, which the server has no use for, left out.
HABITS=prefer-robust-stmts,require-lock-timeout,require-statement-timeout,prefer-text-field

# What Squawk says, and what the server says, of a script.
verdicts()	# WHAT SQUAWK_RULES ACTIONS SCRIPT
{
	echo "$4" >script.sql
	run squawk --exclude "$HABITS" --reporter json script.sql
	check "Squawk: $1" interop_same "$2" "$(grep -o '"rule_name":"[^"]*"' "$OUTPUT" |
		cut -d '"' -f 4 | sort -u | paste -s -d , -)"
	sql_is "safe_migrate: $1" "$3" "SELECT coalesce(string_agg(DISTINCT
		concat_ws(':', rule, action), ',') FILTER (WHERE action <> 'allow'), 'allow') FROM migrate.check(\$script\$$4\$script\$)"
}

interop_same()
{
	[ "$1" = "$2" ] || {
		printf 'expected: %s\ngot:      %s\n' "$1" "$2"
		return 1
	}
}

scenario_verdicts()
{
	sm_psql -q -c "CREATE TABLE orders (id bigserial PRIMARY KEY, customer int,
			amount int, note varchar(100));
		CREATE TABLE nothing_in_it (id bigserial PRIMARY KEY, a int)"
	fill_orders
	sm_psql -q -c "ANALYZE orders"

	# Where they agree.
	verdicts "an index of a large table" require-concurrent-index-creation \
		create_index:rewrite "CREATE INDEX ON orders (customer);"
	verdicts "the same CONCURRENTLY" "" allow \
		"CREATE INDEX CONCURRENTLY i ON orders (customer);"
	verdicts "a type that is converted" changing-column-type \
		alter_column_type:reject,lost_statistics:note "ALTER TABLE orders ALTER customer TYPE bigint;"
	verdicts "a volatile default" adding-field-with-default \
		add_column_rewrite:reject \
		"ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid();"
	verdicts "a default that does not change" "" allow \
		"ALTER TABLE orders ADD COLUMN placed timestamptz DEFAULT now();"
	verdicts "SET NOT NULL" adding-not-nullable-field set_not_null:rewrite \
		"ALTER TABLE orders ALTER amount SET NOT NULL;"
	verdicts "a table is dropped" ban-drop-table drop_table:reject "DROP TABLE orders;"
	verdicts "a column is renamed" renaming-column rename_column:reject \
		"ALTER TABLE orders RENAME amount TO total;"

	# Where the server knows more.
	verdicts "an index of an empty table" require-concurrent-index-creation allow \
		"CREATE INDEX ON nothing_in_it (a);"
	verdicts "an empty table is dropped" ban-drop-table allow \
		"DROP TABLE nothing_in_it;"
	verdicts "a longer varchar" changing-column-type lost_statistics:note \
		"ALTER TABLE orders ALTER note TYPE varchar(200);"
	verdicts "SET NOT NULL where a CHECK proves it" adding-not-nullable-field allow \
		"ALTER TABLE nothing_in_it ALTER a SET NOT NULL;"
	verdicts "what a DO block does" "" note \
		"DO \$\$BEGIN EXECUTE 'DROP TABLE orders'; END\$\$;"
}

# What Squawk complains of in a migration for an empty database, the server takes.
scenario_histories()
{
	add_file history.sql <<'SQL'
CREATE TABLE orders (
	id bigserial PRIMARY KEY,
	customer bigint
);
CREATE INDEX orders_customer ON orders (customer);
ALTER TABLE orders ALTER COLUMN customer SET NOT NULL;
SQL
	run squawk --exclude "$HABITS" history.sql
	fails "Squawk warns of a history for an empty database"
	says "because of an index" require-concurrent-index-creation
	run "$SM_BIN/psql" -X -q -1 -v ON_ERROR_STOP=1 -f history.sql
	succeeds "which the server takes"
	nothing_is_refused "and refuses nothing of"
}
