#!/bin/sh
#
# The same migrations through safe_migrate and through what else runs
# migrations: time and memory, side by side in one run.
#
#     sh test/bench_runners.sh               1,000 migrations
#     sh test/bench_runners.sh 1000 10000    and 10,000, which takes hours
#
# Ours: "deploy", migrate.load() of the files and CALL migrate.deploy(); "apply",
# the same with SELECT migrate.apply(), all in one transaction; "up", the client
# pg_safe_migrate, which sends the files.  The others: psql, one process a file;
# psql, one process for all files and a transaction for each ("psql_once"), and the
# same with a row in a ledger ("psql_ledger"), as a script of one's own may do it;
# dbmate; sqitch; Liquibase.  They run on a server without the library.  psql_once
# does nothing but the work itself: what is above it is what a runner costs.
#
# Each round runs all of them, each in a new database, in turn the next one
# first.  Every one must end in the same schema with the same rows.  A ratio is
# the median over the rounds of deploy's time divided by the other's in the same
# round.  Memory is the most that was seen, see bench/watch.pl.
#
# Exits with 1 if one of the others, but for psql_once, is surely faster than deploy.
#
# From the environment, beside what lib.sh knows:
#     BENCH_ROUNDS=5
#     BENCH_RUNNERS="deploy apply up psql psql_once psql_ledger dbmate sqitch liquibase"

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/bench/report.sh
. "$(dirname -- "$0")/bench/report.sh"
# shellcheck source=test/interop/lib.sh
. "$SM_TOP/test/interop/lib.sh"

ROUNDS=${BENCH_ROUNDS:-5}
RUNNERS=${BENCH_RUNNERS:-deploy apply up psql psql_once psql_ledger dbmate sqitch liquibase}
OURS=" deploy apply up "


# ---- the runners: each applies all files to the database $1

server_url()
{
	printf 'postgres://postgres@/%s?host=%s&port=%s&sslmode=disable' "$1" \
		"$PGHOST" "$PGPORT"
}

run_deploy()
{
	sm_psql -q -v ON_ERROR_STOP=1 -d "$1" \
		-c "SELECT count(*) FROM migrate.load('$FILES/plain')" \
		-c 'CALL migrate.deploy()'
}

run_apply()
{
	sm_psql -q -v ON_ERROR_STOP=1 -d "$1" \
		-c "SELECT count(*) FROM migrate.load('$FILES/plain')" \
		-c 'SELECT migrate.apply()'
}

run_up()
{
	"$SM_BIN/pg_safe_migrate" up -d "$1" "$FILES/plain"
}

run_psql_once()
{
	sm_psql -q -v ON_ERROR_STOP=1 -d "$1" -f "$FILES/all.psql"
}

run_psql_ledger()
{
	sm_psql -q -v ON_ERROR_STOP=1 -d "$1" -f "$FILES/ledger.psql"
}

run_psql()
{
	for file in "$FILES/plain"/*.sql
	do
		sm_psql -q -1 -v ON_ERROR_STOP=1 -d "$1" -f "$file" || return 1
	done
}

run_dbmate()
{
	"$(TOOL=dbmate && npm_folder)/node_modules/.bin/dbmate" \
		--url "$(server_url "$1")" --migrations-dir "$FILES/dbmate" \
		--no-dump-schema migrate
}

run_sqitch()
{
	(
		cd "$FILES/sqitch"
		sqitch deploy "db:pg://postgres@/$1?host=$PGHOST;port=$PGPORT"
	)
}

run_liquibase()
{
	(
		cd "$FILES/liquibase"
		jars=$(find "$(TOOL=liquibase && npm_folder)/node_modules/liquibase/dist/liquibase/internal/lib/" \
			-name '*.jar' | tr '\n' ':')
		java -cp "$jars" liquibase.integration.commandline.LiquibaseCommandLine \
			--show-banner=false --changelog-file=changelog.sql \
			--username=postgres --url="jdbc:postgresql://127.0.0.1:$PGPORT/$1" update
	)
}

# watch.pl runs a command, and these are functions.
if [ "${1:-}" = --run ]
then
	PGHOST=$BENCH_HOST PGPORT=$BENCH_PORT PGUSER=postgres
	export PGHOST PGPORT PGUSER
	"run_$2" "$3"
	exit
fi


# ---- the measurement

# Those that can be had here.
install_runners()
{
	available=
	for runner in $RUNNERS
	do
		case $runner in
			dbmate | sqitch | liquibase) interop_install "$runner" || continue ;;
		esac
		available="$available $runner"
	done
	available=${available# }
}

write_files()	# COUNT
{
	FILES=$SM_WORK/files/$1
	for layout in plain dbmate sqitch liquibase
	do
		mkdir -p "$FILES/$layout"
		perl "$BENCH/migrations.pl" "$layout" "$FILES/$layout" "$1"
	done
	for file in "$FILES/plain"/*.sql
	do
		printf 'BEGIN;\n\\i %s\nCOMMIT;\n' "$file"
	done >"$FILES/all.psql"
	{
		echo 'CREATE TABLE schema_migrations (version text PRIMARY KEY);'
		for file in "$FILES/plain"/*.sql
		do
			version=${file##*/}
			printf "BEGIN;\n\\i %s\nINSERT INTO schema_migrations VALUES ('%s');\nCOMMIT;\n" \
				"$file" "${version%%_*}"
		done
	} >"$FILES/ledger.psql"
	sm_own "$SM_WORK/files"
}

start_servers()
{
	set -- "shared_buffers = '256MB'" "max_wal_size = '8GB'" \
		"checkpoint_timeout = '1h'" "autovacuum = off" "fsync = on" \
		"listen_addresses = '127.0.0.1'" "max_locks_per_transaction = 2048"
	sm_start without "$@" "shared_preload_libraries = ''"
	port_without=$PGPORT
	sm_start with "$@"
	port_with=$PGPORT
}

# Sets PGPORT and $postmaster for a runner.
choose_server()	# RUNNER
{
	case $OURS in
		*" $1 "*) side=with PGPORT=$port_with ;;
		*) side=without PGPORT=$port_without ;;
	esac
	postmaster=$(head -n 1 "$SM_WORK/cluster/$side/postmaster.pid")
}

# One run: its numbers go to $SM_WORK/now/RUNNER.
measure()	# RUNNER COUNT ROUND
{
	choose_server "$1"
	database=bench_$1_$2_$3
	sm_psql -q -c "CREATE DATABASE $database"
	[ "$side" = without ] || sm_psql -q -d "$database" -c 'CREATE EXTENSION safe_migrate'
	sm_psql -q -c CHECKPOINT
	BENCH_HOST=$PGHOST BENCH_PORT=$PGPORT
	export FILES SM_BIN BENCH_HOST BENCH_PORT
	perl "$BENCH/watch.pl" "$postmaster" "$database" \
		sh "$SM_TOP/test/bench_runners.sh" --run "$1" "$database" \
		>"$SM_WORK/now/$1" 2>"$SM_WORK/output" || {
		tail -n 20 "$SM_WORK/output" >&2
		sm_die "$1 failed"
	}
	[ "$3" -gt 1 ] || check_result "$1" "$2" "$database"
}

# Whoever ends in another schema, or with other rows, has not done the same.
check_result()	# RUNNER COUNT DATABASE
{
	"$SM_BIN/pg_dump" -n public -T schema_migrations -T 'databasechangelog*' "$3" |
		grep -v '^\\\(un\)*restrict ' | md5sum >"$SM_WORK/dump.$1"
	[ -e "$SM_WORK/dump.$2" ] || cp "$SM_WORK/dump.$1" "$SM_WORK/dump.$2"
	cmp "$SM_WORK/dump.$2" "$SM_WORK/dump.$1" >&2 ||
		sm_die "$1 did not end in the same database as the others"
}

bench_count()	# COUNT
{
	write_files "$1"
	order=$available
	for round in $(seq "$ROUNDS")
	do
		for runner in $order
		do
			measure "$runner" "$1" "$round"
		done
		for runner in $available
		do
			read -r time clients server <"$SM_WORK/now/$runner"
			echo "$(cut -d ' ' -f 1 "$SM_WORK/now/deploy") $time" \
				>>"$SM_WORK/series/$runner-$1"
			echo "$clients" >>"$SM_WORK/series/$runner-$1-clients"
			echo "$server" >>"$SM_WORK/series/$runner-$1-server"
		done

		# the next one first
		order="${order#* } ${order%% *}"
	done
	report_count "$1"
}

report_count()	# COUNT
{
	note "| $1 migrations | elapsed | deploy/it, interval | n | memory of clients | of the server process |"
	note "|---|---:|---|---:|---:|---:|"
	for runner in $available
	do
		analyse median "$runner-$1-clients"
		clients=$median
		analyse median "$runner-$1-server"
		server=$median
		analyse ratio "$runner-$1"
		note "| $runner | $(calculate "$second / 1000") s | $(calculate "$median") [$(calculate "$low"), $(calculate "$high")] | $count | $(calculate "$clients / 1024") MB | $(calculate "$server / 1024") MB |"
		case "$OURS psql_once " in
			*" $runner "*) ;;
			*) surely_below "$1 migrations, deploy/$runner" 1 ;;
		esac
	done
	note ""
}

[ $# -gt 0 ] || set -- 1000
sm_packages
sm_workdir
mkdir -p "$SM_WORK/series" "$SM_WORK/now"
install_runners
sm_build
start_servers
for count_of_files in "$@"
do
	bench_count "$count_of_files"
done
printf '\n%s\n%s' "$SM_VERSION" "$notes"
end_of_report
