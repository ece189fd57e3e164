# ---- the commands that mend, take over or undo

# One call, whose result is one value.
call_and_finish()
{
	long=1
	then_need "$1"
	if [ -n "$json" ]
	then
		then_do "SELECT pg_catalog.json_build_object('$3', $2)"
	else
		then_do "SELECT $2 AS $3"
	fi
	session
	finish
}

command_repair()
{
	call_and_finish "migrate.repair(text)" "migrate.repair($(sql_quoted "$1"))" repaired
}

command_unregister()
{
	call_and_finish "migrate.unregister(text)" \
		"pg_catalog.concat($(sql_quoted "$1"), migrate.unregister($(sql_quoted "$1")))" unregistered
}

command_adopt()
{
	long=1
	then_need "migrate.adopt(text, regclass, boolean)"
	then_do BEGIN "CREATE TEMPORARY TABLE pg_safe_migrate_adopted ON COMMIT DROP AS
		SELECT * FROM migrate.adopt($(version_argument "${1-}"),
			$(version_argument "$ledger")::pg_catalog.regclass, ${accept_edited:+NOT} false)"
	then_show adopted '*' pg_temp.pg_safe_migrate_adopted
	then_do COMMIT
	session
	finish
}

command_targets()
{
	then_need migrate.targets
	then_show targets "database, target_schema AS schema, state, applied, pending, finished_at, error" migrate.targets
	then_write "$work/found" "SELECT pg_catalog.count(*) FROM migrate.targets
		WHERE state OPERATOR(pg_catalog.=) 'failed'"
	session_or_end
	[ "$(cat "$work/found")" -eq 0 ] || finish 1
	finish
}

command_tasks()
{
	then_need
	then_show tasks "id AS task, state, steps_done, steps, statement, error, next_attempt_at" \
		"(SELECT * FROM migrate.tasks t WHERE t.state OPERATOR(pg_catalog.<>) ALL (ARRAY['done', 'cancelled']))"
	session
	finish
}

# A number, for SQL.
check_task()
{
	case $1 in
		'' | *[!0-9]* | ???????????????????*)
			usage "\"$1\" is no number of a task, as pg_safe_migrate tasks tells it"
			;;
	esac
}

command_retry()
{
	check_task "$1"
	[ -n "$wait" ] || call_and_finish "migrate.retry(bigint)" "migrate.retry($1)" state
	long=1
	then_need "migrate.retry(bigint)"
	then_do '\o /dev/null' "SELECT migrate.retry($1)" "CALL migrate.wait($1)" '\o'
	then_show tasks "id AS task, state" "(SELECT * FROM migrate.tasks t WHERE t.id OPERATOR(pg_catalog.=) $1)"
	session
	finish
}

command_cancel()
{
	check_task "$1"
	call_and_finish "migrate.cancel(bigint)" "migrate.cancel($1)" state
}

command_baseline()
{
	call_and_finish "migrate.baseline(text)" "migrate.baseline($(sql_quoted "$1"))" marked
}

# The migrations that are applied, as the ledger orders them, to $work/versions,
# the last one first: the last of all, or those behind a version.
find_last_ones()
{
	wanted=$(version_argument "${1-}")
	then_need migrate.status "migrate.revert(text)"
	then_write "$work/versions" "WITH $PLACES, $(wanted_place)
		SELECT p.version FROM places p
		WHERE p.applied_at IS NOT NULL AND NOT p.repeatable
			AND ($wanted IS NULL OR p.place OPERATOR(pg_catalog.>) (SELECT w.place FROM wanted w))
		ORDER BY p.place DESC
		LIMIT CASE WHEN $wanted IS NULL THEN 1 END"
	[ -z "${1-}" ] || then_write "$work/target" "WITH $PLACES, $(wanted_place) SELECT place FROM wanted"
	session_or_end
	[ -z "${1-}" ] || [ -s "$work/target" ] ||
		die "there is no migration \"$1\": look for its version in pg_safe_migrate status"
}

command_rollback()
{
	long=1
	find_last_ones "$@"
	if [ ! -s "$work/versions" ]
	then
		[ -n "$json$quiet" ] || echo "nothing to do: no migration is to be reverted"
		printf '{"reverted": []}' >"$work/result"
		finish 0
	fi
	confirm
	then_do BEGIN '\o /dev/null'
	while IFS= read -r version
	do
		then_do "SELECT migrate.revert($(sql_quoted "$version"))"
	done <"$work/versions"
	then_do '\o'
	[ -z "$json" ] || then_do "SELECT pg_catalog.json_build_object('reverted',
		pg_catalog.string_to_array($(sql_quoted "$(cat "$work/versions")"), E'\\n'))"
	then_do COMMIT
	session
	if [ "$failed" -eq 0 ] && [ -z "$json$quiet" ]
	then
		sed 's/^/reverted: /' "$work/versions"
	fi
	[ "$failed" -eq 0 ] || : >"$work/result"
	finish
}

# Data that a down script drops do not come back.
confirm()
{
	[ -z "$yes" ] || return 0
	if [ ! -t 0 ] || [ ! -t 2 ]
	then
		usage "rollback would run the down scripts of $(paste -s -d ' ' "$work/versions"): say --yes where nobody can be asked"
	fi
	sed 's/^/    /' "$work/versions" >&2
	printf 'Run the down scripts of these, in this order? [y/N] ' >&2
	IFS= read -r answer || answer=
	case $answer in
		y | Y | yes) ;;
		*)
			say "nothing was done"
			exit 1
			;;
	esac
}
