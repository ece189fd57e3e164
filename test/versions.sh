#!/bin/sh
#
# Build and test with other PostgreSQL versions, in Debian chroots:
#
#     sh test/versions.sh 17 18 19
#     sh test/versions.sh --prepare 17 18 19      only make the chroots
#
# Needs root, or sudo.  Where the chroots come from, and where they are kept, is
# told in chroots.sh.
#
# $SAFE_MIGRATE_SUITES: what of test/check.sh to run, default "regress
# isolation tap".

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/chroots.sh
. "$SM_TOP/test/chroots.sh"

check()
{
	in_turn "$1" check_there "$1"
}

# A test that needs a pooler is skipped where there is none.
check_there()
{
	chroot_packages "$1" pgbouncer || true
	# shellcheck disable=SC2086  # a list of words
	chroot_run "$1" test/check.sh ${SAFE_MIGRATE_SUITES:-regress isolation tap}
}

only_prepare()
{
	in_turn "$1" true
}

root_only "$@"
mode=check
if [ "${1:-}" = --prepare ]
then
	mode=only_prepare
	shift
fi
[ $# -gt 0 ] || sm_die "usage: sh test/versions.sh [--prepare] 17 18 19"
for version in "$@"
do
	suite_of "$version" >/dev/null ||
		sm_die "no recipe for PostgreSQL $version here: there is one for 17, 18 and 19"
done
for_each "$mode" "$@"
