# shellcheck shell=sh disable=SC2030,SC2031,SC2153
#
# Read by test/interop.sh after test/lib.sh.  For each test/interop/TOOL/tool.sh,
# which is read in a subshell of its own and defines
#
#     install_tool              a function: with_npm, with_packages, or what else it
#                               takes; it fails if the tool cannot be had here
#     SCENARIOS                 words; scenario_WORD is a function for each
#     TOLD                      words that its section of docs/tools.md has in bold,
#                               if not: Refused Then Deferred
#
# A scenario starts with
#
#     a database of its own     PGDATABASE, empty but for the extension
#     a working directory       $PROJECT: a copy of test/interop/TOOL/project
#     the role migrator         PGUSER; PGHOST and PGPORT are TCP, and there is
#                               DATABASE_URL; it owns the database
#     safe_migrate              in its default mode, which enforces where the extension
#                               is, and observing what it foretold
#
# and has
#
#     run COMMAND...            run a program; it shows nothing.  Then $STATUS is
#                               its exit status, and the file $OUTPUT what it said
#     start COMMAND...          the same beside what follows; finish waits for its
#                               end, and gives $STATUS and $OUTPUT
#     add_file FILE             into $PROJECT, from standard input: migrations that
#                               are not there from the beginning
#     fill_orders               200,000 rows for the table orders (customer, amount)
#     sql SQL                   as the superuser, what it gives on standard output
#     defer_in_transactions     safe_migrate.in_transaction = defer, in this database
#     make_runs                 a table "runs" for migrations to write into, and
#                               functions with which they wait for each other
#     judge_everything          in this database tables of any size, and UPDATE and
#                               DELETE without WHERE
#
# With SAFE_MIGRATE_KEEP=1, $PROJECT.log has every command with what it said.
#
# Every check is one line, and shows what the program said if it fails:
#
#     succeeds WHAT             $STATUS is 0
#     fails WHAT                it is not
#     says WHAT TEXT            $OUTPUT has TEXT in one line
#     says_nothing_of WHAT TEXT
#     sql_is WHAT EXPECTED SQL  rows by newline, columns by |
#     column_is WHAT yes|no TABLE COLUMN
#     index_is WHAT no|valid|invalid INDEX
#     is_refused WHAT RULE RELATION     migrate.decisions has exactly one more
#                               such row than the last time
#     nothing_is_refused WHAT   and here none
#     nothing_is_judged WHAT    nor is there any other decision
#     waits_inside WHAT         what was started has come to a function of make_runs
#     runs_are WHAT NAMES       what "runs" has; "alone" where nobody was met
#     no_deadlock
#     is_rewritten WHAT RULE    the last decision was to do it the safe way
#     tasks_end WHAT N          CALL migrate.wait for N tasks; all are done then

INTEROP_CACHE=${SAFE_MIGRATE_CACHE:-/var/cache/safe_migrate}/interop


# ---- for interop.sh

# Make a tool ready, or say why that cannot be.
interop_install()	# TOOL
{
	(
		TOOL=$1
		# shellcheck source=/dev/null
		. "$SM_TOP/test/interop/$TOOL/tool.sh"
		install_tool
	) || {
		sm_say "skipped: $1 cannot be installed here"
		return 1
	}
}

interop_server()
{
	INTEROP_RESULTS=$SM_WORK/results
	: >"$INTEROP_RESULTS"
	sm_start interop "listen_addresses = '127.0.0.1'" \
		"$(cat "$SM_TOP/test/regress.conf")" "max_worker_processes = 16"
	sm_psql -q -c "CREATE ROLE migrator LOGIN"
}

# All scenarios of a tool.
interop_tool()	# TOOL
{
	(
		TOOL=$1
		# shellcheck source=/dev/null
		. "$SM_TOP/test/interop/$TOOL/tool.sh"
		for SCENARIO in $SCENARIOS
		do
			interop_scenario
		done
		interop_told
	) || interop_result "not ok" "$1" "tool.sh ends early"
}

# What a user of the tool finds in docs/tools.md.
interop_told()
{
	interop_section=$(awk -v "tool=$TOOL" '
		/^## / { on = index(tolower($0), "## " tool) == 1 }
		on' "$SM_TOP/docs/tools.md")
	for interop_word in "##" ${TOLD-Refused Then Deferred}
	do
		case $interop_section in
			*"$interop_word"*) interop_found=ok ;;
			*) interop_found="not ok" ;;
		esac
		interop_result "$interop_found" "$TOOL docs/tools.md" "tells: $interop_word"
	done
}

interop_scenario()
{
	interop_status=0
	set +e
	(
		set -e
		interop_enter
		"scenario_$SCENARIO"
	)
	interop_status=$?
	set -e
	[ "$interop_status" -eq 0 ] ||
		interop_result "not ok" "$TOOL $SCENARIO" "goes to its end"
}

# The database and the working directory of $TOOL and $SCENARIO.
interop_enter()
{
	interop_name=$(printf '%s_%s' "$TOOL" "$SCENARIO" | tr -c 'a-z0-9_' '_')
	sm_psql -q -c "CREATE DATABASE $interop_name OWNER migrator"
	PGDATABASE=$interop_name
	sm_psql -q -c "CREATE EXTENSION safe_migrate"

	PROJECT=$SM_WORK/interop/$interop_name
	OUTPUT=$PROJECT.output
	: "${INTEROP_SEEN:=0}"
	mkdir -p "$SM_WORK/interop"
	if [ -d "$SM_TOP/test/interop/$TOOL/project" ]
	then
		cp -R "$SM_TOP/test/interop/$TOOL/project" "$PROJECT"
	else
		mkdir "$PROJECT"
	fi
	if [ -e "$SM_TOP/test/interop/$TOOL/package.json" ]
	then
		cp "$SM_TOP/test/interop/$TOOL/package.json" "$PROJECT/"
		ln -s "$(npm_folder)/node_modules" "$PROJECT/node_modules"
		PATH=$PROJECT/node_modules/.bin:$PATH
	fi
	cd "$PROJECT"

	SM_SUPERUSER_HOST=$PGHOST
	PGHOST=127.0.0.1
	PGUSER=migrator
	# What a tool caches there of the scenario before shall not be met again.
	HOME=$PROJECT.home
	TMPDIR=$PROJECT.home
	mkdir "$HOME"
	DATABASE_URL="postgres://migrator@127.0.0.1:$PGPORT/$PGDATABASE?sslmode=disable"
	export PATH PGDATABASE PGHOST PGUSER HOME TMPDIR DATABASE_URL
}

interop_result()	# ok|"not ok" TOOL_AND_SCENARIO WHAT
{
	interop_line="$1 $(($(wc -l <"$INTEROP_RESULTS") + 1)) - $2: $3"
	printf '%s\n' "$interop_line" >>"$INTEROP_RESULTS"
	printf '%s\n' "$interop_line"
}

# A crash, or a statement whose effects were foretold wrongly.
interop_log()
{
	if grep -a -E 'was terminated by signal|^TRAP:|PANIC:|safe_migrate mismatch:' \
		"$SM_LOG" >"$SM_WORK/output"
	then
		interop_result "not ok" server "has nothing to complain about in its log"
		head -n 20 "$SM_WORK/output"
	else
		interop_result ok server "has nothing to complain about in its log"
	fi
}


# ---- for install_tool

# The folder in the cache that belongs to the package.json of $TOOL.
npm_folder()
{
	printf '%s/npm/%s-%s' "$INTEROP_CACHE" "$TOOL" \
		"$(sha256sum <"$SM_TOP/test/interop/$TOOL/package.json" | cut -c 1-12)"
}

# What package.json of the tool names, in exact versions.
with_npm()
{
	[ ! -e "$(npm_folder)/node_modules" ] || return 0
	command -v npm >/dev/null 2>&1 || sm_packages --optional nodejs npm
	command -v npm >/dev/null 2>&1 || {
		sm_say "there is no npm: it takes node 20, or newer, with its npm"
		return 1
	}
	interop_folder=$(npm_folder)
	rm -rf "$interop_folder.new"
	mkdir -p "$interop_folder.new" || return 1
	cp "$SM_TOP/test/interop/$TOOL/package.json" "$interop_folder.new/"
	(
		cd "$interop_folder.new"
		sm_quietly npm install --ignore-scripts --no-audit --no-fund \
			--no-package-lock --engine-strict
	) || return 1
	rm -rf "$interop_folder"
	mv "$interop_folder.new" "$interop_folder"
}

# Debian packages.
with_packages()	# PACKAGE...
{
	sm_packages --optional "$@"
	for interop_package in "$@"
	do
		sm_is_installed "$interop_package" || {
			sm_say "the package $interop_package is not installed"
			return 1
		}
	done
}


# ---- for scenarios

run()
{
	STATUS=0
	timeout 180 "$@" >"$OUTPUT" 2>&1 </dev/null || STATUS=$?
	interop_log_command "$@"
}

start()
{
	interop_command=$*
	timeout 180 "$@" >"$PROJECT.beside" 2>&1 </dev/null &
	interop_started=$!
}

finish()
{
	STATUS=0
	wait "$interop_started" || STATUS=$?
	cp "$PROJECT.beside" "$OUTPUT"
	interop_log_command "$interop_command"
}

interop_log_command()	# COMMAND...
{
	[ "$STATUS" -ne 124 ] || echo "(ended after 180 s: $*)" >>"$OUTPUT"
	{
		printf '\n$ %s\n' "$*"
		cat "$OUTPUT"
		printf '\n(status %s)\n' "$STATUS"
	} >>"$PROJECT.log"
}

interop_wait_for()	# SQL
{
	until [ "$(sql "$1")" = t ]
	do
		kill -0 "$interop_started" || {
			cat "$PROJECT.beside"
			return 1
		}
		sleep 0.1
	done
}

add_file()	# FILE
{
	mkdir -p "$PROJECT/$(dirname "$1")"
	cat >"$PROJECT/$1"
}

sql()	# SQL
{
	PGHOST=$SM_SUPERUSER_HOST PGUSER=postgres \
		sm_psql -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

# Whether a column is there: yes or no.
column_is()	# WHAT yes|no TABLE COLUMN
{
	sql_is "$1" "$2" "SELECT CASE count(*) WHEN 0 THEN 'no' ELSE 'yes' END
		FROM pg_attribute WHERE attrelid = to_regclass('$3')
		AND attname = '$4' AND NOT attisdropped"
}

# Whether an index is there: no, valid or invalid.
index_is()	# WHAT no|valid|invalid INDEX
{
	sql_is "$1" "$2" "SELECT coalesce(max(CASE WHEN indisvalid THEN 'valid'
		ELSE 'invalid' END), 'no')
		FROM pg_index WHERE indexrelid = to_regclass('$3')"
}

fill_orders()
{
	sm_psql -q -v ON_ERROR_STOP=1 -c "INSERT INTO orders (customer, amount)
		SELECT g % 1000, g FROM generate_series(1, 200000) g"
}

defer_in_transactions()
{
	sql "ALTER DATABASE $PGDATABASE SET safe_migrate.in_transaction = defer"
}

# check WHAT COMMAND...: the command says whether.  What it prints, and what the
# program said, is only shown if it fails.
check()
{
	interop_what=$1
	shift
	if "$@" >"$PROJECT.check" 2>&1
	then
		interop_result ok "$TOOL $SCENARIO" "$interop_what"
		return
	fi
	interop_result "not ok" "$TOOL $SCENARIO" "$interop_what"
	sed 's/^/    # /' "$PROJECT.check"
	if [ -s "$OUTPUT" ]
	then
		echo "    # the last command ended with $STATUS and said:"
		tail -n 60 "$OUTPUT" | sed 's/^/    #   /'
		echo
	fi
}

succeeds()	# WHAT
{
	check "$1" [ "$STATUS" -eq 0 ]
}

# A program that is killed, or cannot be started, has not failed in our sense.
fails()	# WHAT
{
	check "$1" [ "$STATUS" -gt 0 -a "$STATUS" -lt 124 ]
}

says()	# WHAT TEXT
{
	check "$1" grep -qF -- "$2" "$OUTPUT"
}

says_nothing_of()	# WHAT TEXT
{
	check "$1" interop_lacks "$2"
}

interop_lacks()
{
	! grep -F -- "$1" "$OUTPUT"
}

sql_is()	# WHAT EXPECTED SQL
{
	check "$1" interop_gives "$2" "$3"
}

interop_gives()	# EXPECTED SQL
{
	interop_got=$(sql "$2" 2>&1) || true
	[ "$interop_got" = "$1" ] || {
		printf 'expected: %s\ngot:      %s\n' "$1" "$interop_got"
		return 1
	}
}

is_refused()	# WHAT RULE RELATION
{
	INTEROP_SEEN=$((INTEROP_SEEN + 1))
	sql_is "$1" "$INTEROP_SEEN|$2|$3" "SELECT count(*) OVER (), rule, relation
		FROM migrate.decisions WHERE outcome = 'rejected'
		ORDER BY decided_at DESC LIMIT 1"
}

nothing_is_refused()	# WHAT
{
	sql_is "$1" 0 "SELECT count(*) FROM migrate.decisions
		WHERE outcome IN ('rejected', 'internal_error', 'mispredicted')"
}

nothing_is_judged()	# WHAT
{
	sql_is "$1" "" "SELECT outcome, rule, statement FROM migrate.decisions"
}

tasks_end()	# WHAT N
{
	check "$1" interop_wait_for_tasks "$2"
}

interop_wait_for_tasks()	# N
{
	for interop_task in $(sql "SELECT id FROM migrate.tasks ORDER BY id")
	do
		sql "CALL migrate.wait($interop_task, '2 min')" 2>&1 || true
	done
	interop_gives "$1|$1" "SELECT count(*), count(*) FILTER (WHERE state = 'done')
		FROM migrate.tasks" || {
		sql "SELECT * FROM migrate.tasks"
		return 1
	}
}

# meet() waits until another session waits for a lock of this one, so that a
# migration knows that it was not alone; others_are_in() until another one is in
# meet(), or the run has been written.  Both give up after a minute.
make_runs()
{
	sql "CREATE TABLE runs (name text, met boolean);
		GRANT ALL ON runs TO migrator;
		CREATE FUNCTION meet() RETURNS boolean
		LANGUAGE plpgsql SECURITY DEFINER AS \$\$
		BEGIN
			PERFORM pg_advisory_xact_lock_shared(1);
			FOR i IN 1 .. 600 LOOP
				IF EXISTS (SELECT FROM migrate.lock_waits
						WHERE pg_backend_pid() = ANY (blocker_pids))
					OR EXISTS (SELECT FROM pg_locks WHERE NOT granted
						AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))
				THEN
					RETURN true;
				END IF;
				PERFORM pg_sleep(0.1);
			END LOOP;
			RETURN false;
		END\$\$;
		CREATE FUNCTION others_are_in(run text) RETURNS boolean
		LANGUAGE plpgsql AS \$\$
		BEGIN
			FOR i IN 1 .. 600 LOOP
				IF EXISTS (SELECT FROM runs WHERE name = run)
					OR EXISTS (SELECT FROM pg_locks
						WHERE locktype = 'advisory' AND objid = 1 AND granted
						AND pid <> pg_backend_pid())
				THEN
					RETURN true;
				END IF;
				PERFORM pg_sleep(0.1);
			END LOOP;
			RETURN false;
		END\$\$"
}

waits_inside()	# WHAT
{
	check "$1" interop_wait_for "SELECT EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event = 'PgSleep')"
}

runs_are()	# WHAT NAMES
{
	sql_is "$1" "$2" "SELECT string_agg(name || CASE WHEN met THEN '' ELSE ' alone' END,
		',' ORDER BY name) FROM runs"
}

no_deadlock()
{
	check "there was no deadlock" interop_no_deadlock
}

interop_no_deadlock()
{
	! grep -a "deadlock detected" "$SM_LOG"
}

# Tables of any size, and rows changed without a condition: what no tool's ledger
# must care about.
judge_everything()
{
	sql "ALTER DATABASE $PGDATABASE SET safe_migrate.mode = enforce;
		ALTER DATABASE $PGDATABASE SET safe_migrate.small_table = 0;
		ALTER DATABASE $PGDATABASE SET safe_migrate.rules =
			'update_without_where:reject, delete_without_where:reject'"
}

is_rewritten()	# WHAT RULE
{
	sql_is "$1" "rewritten|$2" "SELECT outcome, rule FROM migrate.decisions
		ORDER BY decided_at DESC LIMIT 1"
}
