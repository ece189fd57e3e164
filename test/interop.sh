#!/bin/sh
#
# Migration tools as people use them, the real ones, beside safe_migrate:
#
#     sh test/interop.sh                 all that can be installed
#     sh test/interop.sh dbmate knex     these alone
#     sh test/interop.sh --ci            those that continuous integration runs
#     sh test/interop.sh --list          which there are
#
# Each folder of test/interop is a tool; its tool.sh says how it is installed and
# what is to be seen: that a normal history and the tool's own ledger work
# untouched, that a dangerous migration is refused and the tool says so, in what
# state that leaves it and how one goes on, and that the same migration goes
# through with safe_migrate.in_transaction = defer.  docs/tools.md tells it to
# those who use the tools.
#
# One throw-away server for all, a new database for each scenario, and an ordinary
# role that connects by TCP.
#
# Exits with 0 if every check passed and enough tools took part: all those that
# are named, or without names (also with --ci) $SAFE_MIGRATE_INTEROP_MINIMUM of
# them, by default 8.
# With SAFE_MIGRATE_KEEP=1 the working directory stays.
#
# What is downloaded is kept in $SAFE_MIGRATE_CACHE/interop, by default
# /var/cache/safe_migrate/interop.

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/interop/lib.sh
. "$SM_TOP/test/interop/lib.sh"

# Quick to install and to run, half of them from npm, half from Debian.
CI_TOOLS="alembic dbmate django knex kysely node-pg-migrate postgrator rails sql-migrate sqitch"

all_tools()
{
	for folder in "$SM_TOP"/test/interop/*/tool.sh
	do
		basename "$(dirname "$folder")"
	done
}

if [ "${1:-}" = --list ]
then
	all_tools
	exit
fi
minimum=$#
if [ $# -eq 0 ] || [ "$1" = --ci ]
then
	minimum=${SAFE_MIGRATE_INTEROP_MINIMUM:-8}
	tools=$CI_TOOLS
	[ $# -gt 0 ] || tools=$(all_tools)
	# shellcheck disable=SC2086  # a list of words
	set -- $tools
fi
for tool in "$@"
do
	[ -e "$SM_TOP/test/interop/$tool/tool.sh" ] ||
		sm_die "there is no tool $tool here: see sh test/interop.sh --list"
done

sm_packages
sm_workdir

installed=
skipped=
for tool in "$@"
do
	sm_say "Installing $tool"
	if interop_install "$tool"
	then
		installed="$installed $tool"
	else
		skipped="$skipped $tool"
	fi
done

sm_build
interop_server
for tool in $installed
do
	printf '\n==== %s\n' "$tool"
	interop_tool "$tool"
done
sm_stop interop
interop_log

passed=$(grep -c '^ok' "$INTEROP_RESULTS" || true)
failed=$(grep -c '^not ok' "$INTEROP_RESULTS" || true)
count=$(echo "$installed" | wc -w)
printf '\n==== %s, %s tools:%s\n' "$SM_VERSION" "$count" "$installed"
[ -z "$skipped" ] || sm_say "skipped:$skipped"
grep '^not ok' "$INTEROP_RESULTS" || true
sm_say "$passed passed, $failed failed"
[ "$count" -ge "$minimum" ] ||
	sm_die "$count tools took part, and there should be $minimum"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
