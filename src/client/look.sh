# ---- the commands that only look

# findings TABLE COLUMNS: of a table of this transaction, which then ends.
then_show_findings()
{
	if [ -n "$json" ]
	then
		then_do "SELECT pg_catalog.json_build_object(
			'refused', (SELECT pg_catalog.count(*) FROM pg_temp.$1 WHERE $REFUSED),
			'statements', (SELECT COALESCE(pg_catalog.json_agg(pg_catalog.row_to_json(f) ORDER BY f.ctid), '[]') FROM pg_temp.$1 f))"
	else
		then_do "SELECT $2 FROM pg_temp.$1 f ORDER BY f.ctid"
	fi
	then_write "$work/refused" "SELECT pg_catalog.count(*) FROM pg_temp.$1 WHERE $REFUSED"
	then_do ROLLBACK
}

finish_refused()
{
	refused=$(cat "$work/refused")
	[ "$refused" -ne 0 ] || finish 0
	if [ -z "$json" ]
	then
		say "$refused of these would be refused or cannot run"
	fi
	finish 1
}

command_plan()
{
	long=1
	if [ -n "$registered" ]
	then
		choose_source "$@"
		then_need TEMPORARY "migrate.plan(text)"
		then_do BEGIN
	else
		choose_directory "$@"
		then_need TEMPORARY "$LOAD_FILES" "migrate.plan(text)" migrate.status
		then_load_for_a_look
		then_tell_others WARNING
	fi
	then_do "CREATE TEMPORARY TABLE pg_safe_migrate_plan ON COMMIT DROP AS
		SELECT * FROM migrate.plan($(version_argument "$target"))"
	then_show_findings pg_safe_migrate_plan "version, statement, line, command, relation, lock_mode, work,
		pg_catalog.pg_size_pretty(size_bytes) AS size, rule, action, estimated_ms, message"
	session_or_end
	finish_refused
}

command_check()
{
	: >"$work/names"
	for file in "$@"
	do
		case $file in
			*'
'*) die "there is a line end in the name $file: rename it" ;;
			-) cat >"$work/standard input" ; file="$work/standard input" ;;
			/*) ;;
			*) file=./$file ;;
		esac
		[ -f "$file" ] || die "${file#./} is not a file"
		printf '%s\n' "$file" >>"$work/names"
	done
	up_only=1
	: >"$work/downs"
	pack_files .
	then_need TEMPORARY "migrate.check(text)"
	then_send_files
	then_do "SET LOCAL search_path = DEFAULT" \
		"CREATE TEMPORARY TABLE pg_safe_migrate_findings ON COMMIT DROP AS
			SELECT NULL::text AS file, c.* FROM migrate.check('SELECT 1') c WITH NO DATA" \
		"$(judge_files)"
	file=
	[ $# -eq 1 ] || file="file, "
	then_show_findings pg_safe_migrate_findings "${file}statement, relation, lock_mode, work,
		pg_catalog.pg_size_pretty(size_bytes) AS size, rule, action, message"
	session_or_end
	[ -n "$json$quiet" ] || tell_downs
	finish_refused
}

tell_downs()
{
	while IFS='	' read -r line path
	do
		[ "$path" != "$work/standard input" ] || path='standard input'
		say "$path: from line $line on it is the way back, which is not judged"
	done <"$work/downs"
}

# In a transaction nothing can be done another way at once: what would be
# rewritten is judged again behind a BEGIN, if the files are to run in one.  A
# file that cannot be read as SQL must not hide what is in the others, and one
# without a statement, which is a migration all the same, gets one.
judge_files()
{
	cat <<SQL
DO \$judge\$
DECLARE
	file record;
BEGIN
	FOR file IN
		SELECT CASE path WHEN $(sql_quoted "$work/standard input") THEN 'standard input' ELSE path END AS path,
			body
		FROM pg_temp.pg_safe_migrate_files
	LOOP
		BEGIN
			INSERT INTO pg_temp.pg_safe_migrate_findings
			SELECT file.path, c.* FROM migrate.check(file.body OPERATOR(pg_catalog.||) E'\\n;SELECT') c;
			DELETE FROM pg_temp.pg_safe_migrate_findings f
			WHERE f.file OPERATOR(pg_catalog.=) file.path AND f.statement OPERATOR(pg_catalog.=) (
				SELECT pg_catalog.max(l.statement) FROM pg_temp.pg_safe_migrate_findings l
				WHERE l.file OPERATOR(pg_catalog.=) file.path);
			CONTINUE WHEN NOT $([ -n "$in_transaction" ] && echo true || echo false);
			UPDATE pg_temp.pg_safe_migrate_findings f
			SET action = c.action, message = c.message
			FROM migrate.check('BEGIN; ' OPERATOR(pg_catalog.||) file.body) c
			WHERE f.file OPERATOR(pg_catalog.=) file.path
				AND f.action OPERATOR(pg_catalog.=) 'rewrite'
				AND c.statement OPERATOR(pg_catalog.=) (f.statement OPERATOR(pg_catalog.+) 1)
				AND c.rule OPERATOR(pg_catalog.=) f.rule
				AND c.relation IS NOT DISTINCT FROM f.relation
				AND c.action OPERATOR(pg_catalog.<>) 'error';
			UPDATE pg_temp.pg_safe_migrate_findings f
			SET action = 'reject'
			WHERE f.file OPERATOR(pg_catalog.=) file.path AND f.action OPERATOR(pg_catalog.=) 'rewrite';
		EXCEPTION
			WHEN syntax_error_or_access_rule_violation OR SQLSTATE 'SM008' THEN
				INSERT INTO pg_temp.pg_safe_migrate_findings (file, action, message)
				VALUES (file.path, 'error', SQLERRM);
		END;
	END LOOP;
END
\$judge\$
SQL
}

command_status()
{
	then_need migrate.status
	if [ $# -gt 0 ]
	then
		choose_directory "$@"
		then_need TEMPORARY "$LOAD_FILES"
		then_load_for_a_look
	fi
	if [ -n "$json" ]
	then
		then_do "SELECT pg_catalog.json_build_object(
			'states', (SELECT COALESCE(pg_catalog.json_object_agg(c.state, c.n), '{}') FROM (
				SELECT state, pg_catalog.count(*) AS n FROM migrate.status GROUP BY state ORDER BY state) c),
			'migrations', (SELECT COALESCE(pg_catalog.json_agg(pg_catalog.row_to_json(s)), '[]') FROM migrate.status s))"
	else
		then_do "SELECT version, name, state, applied_at FROM migrate.status"
	fi
	then_write "$work/states" "SELECT DISTINCT state FROM migrate.status"
	then_tell_targets
	session_or_end
	if [ -z "$json$quiet" ] && grep -qxE 'failed|edited|missing|out of order' "$work/states"
	then
		say "what is wrong, and what to do about it: pg_safe_migrate verify"
	fi
	[ -n "$exit_code" ] || finish 0
	! grep -qxE 'failed|edited|missing|out of order' "$work/states" || finish 1
	! grep -qxE 'pending|running|repeat' "$work/states" || finish 3
	finish 0
}

# That the migrations were applied to schemas, which status does not show.
then_tell_targets()
{
	then_do "$(cat <<'SQL'
DO $targets$
DECLARE
	schemas bigint;
BEGIN
	IF pg_catalog.has_table_privilege('migrate.targets', 'SELECT') THEN
		SELECT pg_catalog.count(*) INTO schemas FROM migrate.targets t
		WHERE t.target_schema OPERATOR(pg_catalog.<>) '';
		IF schemas OPERATOR(pg_catalog.>) 0 THEN
			RAISE NOTICE USING MESSAGE = pg_catalog.format(
				'this is about the database as a whole; pg_safe_migrate targets tells of its schemas that are deployed to (%s)',
				schemas);
		END IF;
	END IF;
END
$targets$
SQL
	)"
}

# then_show NAME COLUMNS QUERY: the rows behind a FROM.
then_show()
{
	if [ -n "$json" ]
	then
		then_do "SELECT pg_catalog.json_build_object('$1',
			COALESCE(pg_catalog.json_agg(pg_catalog.row_to_json(f)), '[]')) FROM $3 f"
	else
		then_do "SELECT $2 FROM $3 f"
	fi
}

# show_all NAME CALL: all that a function finds; 4 if that is anything.
show_all()
{
	then_show "$1" '*' "$2"
	then_write "$work/found" "SELECT pg_catalog.count(*) FROM $2"
	session_or_end
	[ "$(cat "$work/found")" -eq 0 ] || finish 4
	[ "$(grep -c . "$work/unseen")" -eq 0 ] || finish 1
	finish 0
}

# Silence about what a role may not see would say that all is well.
then_tell_unseen()
{
	then_do '\set SHOW_CONTEXT never' "$(cat <<'SQL'
DO $unseen$
BEGIN
	IF NOT pg_catalog.has_table_privilege('migrate.status', 'SELECT') THEN
		RAISE WARNING USING ERRCODE = 'insufficient_privilege', MESSAGE = pg_catalog.format(
			'nothing is told of migrations, nor of tasks of other roles, because role %1$I may not see them: have a superuser GRANT SELECT ON migrate.status TO %1$I',
			CURRENT_USER);
	END IF;
END
$unseen$
SQL
	)" '\set SHOW_CONTEXT errors'
	then_write "$work/unseen" "SELECT 1
		WHERE NOT pg_catalog.has_table_privilege('migrate.status', 'SELECT')"
}

command_verify()
{
	then_need "migrate.verify()"
	if [ $# -gt 0 ]
	then
		choose_directory "$@"
		then_need TEMPORARY "$LOAD_FILES"
		then_load_for_a_look
	fi
	then_tell_unseen
	then_tell_targets
	show_all findings "migrate.verify()"
}

command_drift()
{
	if [ -n "$acknowledge" ]
	then
		[ -z "$since" ] || usage "--since and --acknowledge do not go together"
		call_and_finish "migrate.acknowledge_drift()" "migrate.acknowledge_drift()" acknowledged
	fi
	then_need "migrate.drift(timestamptz)" "migrate.schema_objects()" "migrate.runner_writers(oid)" \
		migrate.ddl_log migrate.explanations migrate.found_drift \
		migrate.last_fingerprint migrate.last_manifest
	: >"$work/unseen"
	show_all changes "migrate.drift(${since:+$(sql_quoted "$since")})"
}
