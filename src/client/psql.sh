# ---- running psql

# psql_with OPTION...: its standard input is $work/input, if there is one; sets
# $failed to its status.
psql_with()
{
	: >>"$work/input"
	output=
	[ -z "$json" ] || output=$work/result
	: >"$work/messages"
	eval "set -- $connection \"\$@\""
	messages=
	[ -z "$json" ] || messages=$work/messages
	start_progress
	if [ -n "$output" ]
	then
		run_psql "$@" >>"$output" &
	else
		run_psql "$@" &
	fi
	child=$!
	wait_for_child
	stop_progress
	: >"$work/input"
	[ -z "$interrupted" ] || failed=$((128 + interrupted))
}

# The labels of messages are those of the locale; in JSON we have to know them.
run_psql()
{
	[ -z "$json" ] || export LC_ALL=C
	if [ -n "$messages" ]
	then
		exec "$psql" "$@" <"$work/input" 2>"$messages"
	fi
	exec "$psql" "$@" <"$work/input"
}

# A signal ends wait, but not the child.
wait_for_child()
{
	failed=0
	while :
	do
		if wait "$child"
		then
			failed=0
		else
			failed=$?
		fi
		kill -0 "$child" 2>/dev/null || break
		[ "$failed" -gt 128 ] || break
	done
	child=
}

# While a terminal looks on, a second connection tells how far the server is.
# What it says and what psql says come to the terminal line by line.
start_progress()
{
	[ -n "$long" ] && [ -z "$quiet" ] && [ -t 2 ] || return 0
	rm -f "$work/lines" "$work/progress"
	mkfifo "$work/lines" "$work/progress" || return 0
	progress_query $(($(terminal_width) - 1)) >"$work/poll.sql"
	if [ -z "$json" ]
	then
		(
			trap '' INT
			while IFS= read -r line || [ -n "$line" ]
			do
				printf '\r\033[K%s\n' "$line" >&2
			done <"$work/lines"
		) &
		messages_reader=$!
		messages=$work/lines
	fi
	(
		trap '' INT
		while IFS= read -r line
		do
			[ -z "$line" ] || printf '\r%s\033[K' "$line" >&2
		done <"$work/progress"
	) &
	progress_reader=$!
	poll &
	poller=$!
}

# Of the terminal itself, if it knows; otherwise of the shell that called.
terminal_width()
{
	width=$(stty size </dev/tty 2>/dev/null | sed 's/.* //') || width=
	[ "${width:-0}" -gt 1 ] || width=${COLUMNS:-}
	case $width in
		'' | *[!0-9]* | 0 | 1) width=80 ;;
	esac
	echo "$width"
}

poll()
{
	set --
	eval "set -- $connection"
	exec "$psql" "$@" -w -X -q -A -t -v ON_ERROR_STOP=1 -f "$work/poll.sql" \
		>"$work/progress" 2>"$work/poll.messages" </dev/null
}

stop_progress()
{
	[ -n "$poller$progress_reader$messages_reader" ] || return 0
	kill "$poller" 2>/dev/null || true
	for process in $poller $messages_reader $progress_reader
	do
		wait "$process" 2>/dev/null || true
	done
	printf '\r\033[K' >&2
	[ -z "$verbose" ] || [ ! -s "$work/poll.messages" ] ||
		say "no progress could be shown: $(head -n 1 "$work/poll.messages")"
	poller=
	progress_reader=
	messages_reader=
}

# One line of that width for the deploy that runs, of ours or of those before.
progress_query()
{
	cat <<END
SELECT pg_catalog.left(pg_catalog.regexp_replace(pg_catalog.concat(
	NULLIF(p.target_schema, '') || ': ', p.migration_number, '/', p.migrations, ' ', p.version, '_' || p.name,
	', statement ' || p.statement, '/' || p.statements, ' ' || p.command, ', ',
	pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() -
		COALESCE(p.statement_started_at, p.started_at)),
	', waits for ' || p.waiting_for), '[[:cntrl:]]', ' ', 'g'), $1)
FROM migrate.deploy_progress p ORDER BY p.started_at LIMIT 1
\watch 1
END
}

# Whoever is asked twice does not like it.
ask_for_password()
{
	[ -n "$ask_password" ] || return 0
	terminal_settings=$(stty -g </dev/tty) || usage "there is no terminal to ask for the password"
	stty -echo </dev/tty
	printf 'Password: ' >/dev/tty
	IFS= read -r PGPASSWORD </dev/tty || true
	stty "$terminal_settings" </dev/tty
	terminal_settings=
	printf '\n' >/dev/tty
	export PGPASSWORD
}

find_psql()
{
	psql=psql
	command -v psql >/dev/null 2>&1 || psql=$(dirname -- "$0")/psql
	command -v "$psql" >/dev/null 2>&1 || {
		problem "psql is not there: install the client of PostgreSQL" ''
		exit 2
	}
	ask_for_password
}

# then_do STATEMENT...: one more for the next session.
then_do()
{
	for statement in "$@"
	do
		quote "$statement" shell
		steps="$steps -c $quoted"
	done
}

# What is said to the server so far, over one connection; stops at the first
# error.
session()
{
	set -- -X -q -P pager=off -P expanded=auto -v ON_ERROR_STOP=1
	[ -z "$verbose$json" ] || set -- "$@" -v VERBOSITY=verbose
	[ -z "$json" ] || set -- "$@" -A -t
	[ -z "$quiet" ] || set -- "$@" -c "SET client_min_messages = warning"
	eval "set -- \"\$@\" $steps"
	steps=
	psql_with "$@"
	[ "$failed" -ne 3 ] || failed=1
}

session_or_end()
{
	session
	[ "$failed" -eq 0 ] || finish
}

# What a query returns goes to a file instead, without a heading.
then_write()
{
	quote "$1" psql
	then_do '\pset tuples_only on' '\pset format unaligned' "\\o $quoted" "$2" '\o'
	[ -n "$json" ] || then_do '\pset tuples_only off' '\pset format aligned'
}

# The end of a command.
finish()
{
	if [ -n "$json" ]
	then
		write_json <"$work/messages"
	fi
	exit "${1:-$failed}"
}


# ---- what a role needs

# What this command needs of the server, for the current role: a message that
# says what to grant is better than the first "permission denied".
then_need()
{
	then_do '\set SHOW_CONTEXT never' "$(cat <<SQL
DO \$need\$
DECLARE
	wanted text;
	missing text;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'safe_migrate') THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = pg_catalog.format(
			'extension safe_migrate is not in database %I: have a superuser CREATE EXTENSION safe_migrate there',
			pg_catalog.current_database());
	END IF;
	FOREACH wanted IN ARRAY pg_catalog.string_to_array($(sql_quoted "$(printf '%s\n' "$@")"), E'\n') LOOP
		CONTINUE WHEN wanted OPERATOR(pg_catalog.=) '';
		IF wanted OPERATOR(pg_catalog.=) 'TEMPORARY' THEN
			IF NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY') THEN
				missing := pg_catalog.concat(missing, pg_catalog.format('GRANT TEMPORARY ON DATABASE %I TO %I; ',
					pg_catalog.current_database(), CURRENT_USER));
			END IF;
		ELSIF wanted OPERATOR(pg_catalog.~~) '%(%' THEN
			IF pg_catalog.to_regprocedure(wanted) IS NULL THEN
				RAISE EXCEPTION USING ERRCODE = 'undefined_function', MESSAGE = pg_catalog.format(
					'the server''s safe_migrate has no %s: have a superuser install this version there, then ALTER EXTENSION safe_migrate UPDATE',
					wanted);
			END IF;
			IF NOT pg_catalog.has_function_privilege(wanted, 'EXECUTE') THEN
				missing := pg_catalog.concat(missing, pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %I; ',
					wanted, CURRENT_USER));
			END IF;
		ELSIF pg_catalog.to_regclass(wanted) IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = pg_catalog.format(
				'the server''s safe_migrate has no %s: have a superuser install this version there, then ALTER EXTENSION safe_migrate UPDATE',
				wanted);
		ELSIF NOT pg_catalog.has_table_privilege(wanted, 'SELECT') THEN
			missing := pg_catalog.concat(missing, pg_catalog.format('GRANT SELECT ON %s TO %I; ',
				wanted, CURRENT_USER));
		END IF;
	END LOOP;
	IF missing IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = pg_catalog.format(
			'role %s may not do "pg_safe_migrate %s" here: have a superuser %s',
			CURRENT_USER, $(sql_quoted "$command"), pg_catalog.rtrim(missing, '; '));
	END IF;
END
\$need\$
SQL
	)" '\set SHOW_CONTEXT errors'
}
