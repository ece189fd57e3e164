# ---- the commands that apply

# A version as an argument, NULL if there is none.
version_argument()
{
	if [ -n "$1" ]
	then
		sql_quoted "$1"
	else
		printf NULL
	fi
}

# The place of each registered migration in the order of the ledger, and that
# of the one named $wanted, an SQL literal, in any way that migrate.deploy()
# understands: for WITH.
PLACES="places AS (
	SELECT pg_catalog.row_number() OVER () AS place, s.version, s.state, s.applied_at, s.repeatable
	FROM migrate.status s)"

wanted_place()
{
	cat <<SQL
wanted AS (
	SELECT p.place FROM places p
	WHERE p.version OPERATOR(pg_catalog.=) $wanted
		OR migrate.version_key(p.version) OPERATOR(pg_catalog.=) migrate.version_key($wanted)
		OR pg_catalog.starts_with(p.version, $wanted OPERATOR(pg_catalog.||) '_')
	ORDER BY p.version OPERATOR(pg_catalog.<>) $wanted,
		migrate.version_key(p.version) OPERATOR(pg_catalog.<>) migrate.version_key($wanted)
	LIMIT 1)
SQL
}

# then_tell_others EXCEPTION or WARNING: what would run although it is not in the
# directory, because somebody has registered it before.
then_tell_others()
{
	wanted=$(version_argument "$target")
	then_do '\set SHOW_CONTEXT never' "$(cat <<SQL
DO \$others\$
DECLARE
	others text;
BEGIN
	WITH $PLACES, $(wanted_place)
	SELECT pg_catalog.string_agg(p.version, ', ' ORDER BY p.place) INTO others
	FROM places p
	WHERE p.state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'failed', 'repeat'])
		AND NOT EXISTS (SELECT FROM pg_temp.pg_safe_migrate_loaded l
			WHERE l.version OPERATOR(pg_catalog.=) p.version)
		AND ($wanted IS NULL OR p.place OPERATOR(pg_catalog.<=) (SELECT w.place FROM wanted w));
	IF others IS NOT NULL THEN
		RAISE $1 USING ERRCODE = 'SM008', MESSAGE = pg_catalog.format(
			'not in directory %s, but registered and pending, so that they would run as well: %s',
			$(sql_quoted "$(printf '%s' "$directory" | without_invalid_bytes)"), others),
			HINT = 'Forget each with pg_safe_migrate unregister, or run all of them: pg_safe_migrate load with the directory, then pg_safe_migrate up --registered.';
	END IF;
END
\$others\$
SQL
	)" '\set SHOW_CONTEXT errors'
}

# The first session of load, up and apply, or the beginning of it: what the role
# needs, and the files, unless $registered tells that there are none.
then_begin()
{
	long=1
	[ -z "$json" ] || set -- "$@" migrate.history
	if [ -n "$registered" ]
	then
		then_need "$@"
	else
		then_need TEMPORARY "$LOAD_FILES" "$@"
	fi
	[ -z "$json" ] || then_write "$work/before" \
		"SELECT COALESCE(pg_catalog.max(id), 0) FROM migrate.history"
}

then_load_files()
{
	[ -z "$registered" ] || return 0
	then_load
	[ -z "$1" ] || then_tell_others "$1"
	then_do COMMIT
}

# One call, which is the last thing to do.
run_and_finish()
{
	[ -z "$json" ] || then_do '\o /dev/null'
	then_do "$1"
	session
	[ -z "$json" ] || add_attempts
	if [ -n "$interrupted" ] && [ -z "$json$quiet" ]
	then
		say "interrupted: the same command again goes on where it stopped"
	fi
	finish
}

# The directory, unless what is registered is to do.
choose_source()
{
	if [ -z "$registered" ]
	then
		choose_directory "$@"
	else
		[ $# -eq 0 ] || usage "$command --registered reads no directory"
	fi
}

# To the JSON, what was recorded since: also if that session is lost.
add_attempts()
{
	[ -s "$work/before" ] || return 0
	set --
	eval "set -- $connection"
	"$psql" "$@" -X -q -A -t -o "$work/attempts" -c "SELECT COALESCE(pg_catalog.json_agg(
		pg_catalog.row_to_json(h) ORDER BY h.id), '[]')
		FROM migrate.history h WHERE h.id OPERATOR(pg_catalog.>) $(cat "$work/before")" \
		</dev/null 2>/dev/null || : >"$work/attempts"
	{
		printf '{"loaded": '
		grep . "$work/result" || printf null
		printf ', "attempts": '
		grep . "$work/attempts" || printf null
		[ -z "$targets" ] || printf ', "targets": '
		[ -z "$targets" ] || read_targets
		printf '}'
	} >"$work/whole"
	mv "$work/whole" "$work/result"
}

# What became of the targets of this call.
read_targets()
{
	set --
	eval "set -- $connection"
	"$psql" "$@" -X -q -A -t -c "SELECT COALESCE(pg_catalog.json_agg(pg_catalog.row_to_json(t)), '[]')
		FROM migrate.targets t
		WHERE t.run OPERATOR(pg_catalog.>) $(cat "$work/run_before")
			AND t.role OPERATOR(pg_catalog.=) CURRENT_USER" \
		</dev/null 2>/dev/null | grep . || printf null
}

command_load()
{
	choose_directory "$@"
	then_begin
	then_load
	then_do COMMIT
	session
	[ -z "$json" ] || add_attempts
	finish
}

command_up()
{
	if [ -n "$dry_run" ]
	then
		[ -z "$targets" ] || usage "there is no plan for many targets"
		command=plan
		command_plan "$@"
	fi
	choose_source "$@"
	[ -z "$targets" ] || up_targets
	[ -z "$parallel" ] || usage "--parallel is for --schemas, --all-schemas or --databases"
	then_begin migrate.status "migrate.deploy(text)"
	then_load_files EXCEPTION
	run_and_finish "CALL migrate.deploy($(version_argument "$target"))"
}

# The same history for each of many schemas or databases.  What is pending
# differs between them, so nothing is said of migrations of other directories.
up_targets()
{
	case $parallel in
		*[!0-9]*) usage "--parallel needs a number" ;;
	esac
	then_begin migrate.targets "migrate.deploy(text)" "migrate.deploy_all(text[], text[], text, int)"
	[ -z "$json" ] || then_write "$work/run_before" \
		"SELECT COALESCE(pg_catalog.max(run), 0) FROM migrate.targets"
	given=
	if [ "$targets" = all ]
	then
		require_known_schema
	else
		given="$targets := pg_catalog.string_to_array($(sql_quoted "$patterns"), ','), "
	fi
	then_load_files ''
	run_and_finish "CALL migrate.deploy_all(${given}target := $(version_argument "$target"),
		parallel := ${parallel:-4})"
}

# Before anything is registered for them.
require_known_schema()
{
	then_write "$work/known" "SELECT pg_catalog.count(*)
		FROM migrate.targets t
		JOIN pg_catalog.pg_namespace n ON n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) t.target_schema
		WHERE t.database OPERATOR(pg_catalog.=) pg_catalog.current_database()"
	session_or_end
	[ "$(cat "$work/known")" -gt 0 ] ||
		die "it was deployed to no schema yet: name them, as in pg_safe_migrate up --schemas 'tenant_*'" ''
}

command_deploy()
{
	command_up "$@"
}

command_apply()
{
	choose_source "$@"
	then_begin migrate.status "migrate.apply(text)"
	then_load_files EXCEPTION
	run_and_finish "SELECT migrate.apply($(version_argument "$target")) AS applied"
}

# What would be refused, by the findings of a table, makes us fail.
REFUSED="action OPERATOR(pg_catalog.=) ANY (ARRAY['reject', 'error'])"
