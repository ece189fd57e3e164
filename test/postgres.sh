#!/bin/sh
#
# PostgreSQL's own regression tests, without the library and with it:
#
#     sh test/postgres.sh 15
#     sh test/postgres.sh 15 17 18 19
#     sh test/postgres.sh --cassert 15    on a server built with assertions
#
# The tests (src/test/regress) come from Debian's source package of the very
# server that they run on, and run twice on throw-away clusters: plainly, and
# with the library, which observes (safe_migrate.mode = observe) and compares what
# it foretells of every statement with what that did (safe_migrate.observation).
# Required is, for each version,
#
#     results    that no statement gives another result
#     foretold   that nothing was foretold wrongly
#     server     that the server neither crashed nor leaked, no assertion failed,
#                and the library met no error of its own
#
# What the tests themselves expect is shown, but decides nothing: it also depends
# on settings, and on how the server was built.
#
# 15 is tested on this system, the others in the chroots of chroots.sh.  Needs
# root, or sudo.  The unpacked source packages, and the servers with assertions
# (built once, within minutes), are kept below $SAFE_MIGRATE_SOURCES, by default
# /var/cache/safe_migrate/sources, and beside it or in the chroot.
#
# For those who work on it:
#     SAFE_MIGRATE_TESTS="alter_table foreign_key"   only these tests, after the
#                                                    few that most depend on
#     SAFE_MIGRATE_SERIAL=1                          one test at a time
#     SAFE_MIGRATE_KEEP=1                            leave results and logs there

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/chroots.sh
. "$SM_TOP/test/chroots.sh"

SOURCES=${SAFE_MIGRATE_SOURCES:-/var/cache/safe_migrate/sources}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg


# ---- the source package

# apt-get with sources and lists of its own, in $apt.
apt_apart()
{
	command=$1
	shift
	"$command" -q -o Dir::Etc::SourceList="$apt/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$apt/lists" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::Check-Valid-Until=false -o Acquire::Retries=3 "$@"
}

# Where the packages of this server came from.
source_entries()
{
	entry="deb-src [signed-by=$KEYRING]"
	if suite_of "$1" >/dev/null
	then
		mirror=$(debian_mirror)
		echo "$entry $mirror $(suite_of "$1") main"
		[ "$(suite_of "$1")" != sid ] || echo "$entry $mirror experimental main"
	else
		# shellcheck disable=SC2016  # apt expands these
		apt_sources "$entry"' $(REPO_URI) $(RELEASE) main'
	fi
}

# fetch_source MAJOR WANTED: unpack this version, or else the newest of MAJOR that
# can be had, and remember it for the one that was wanted.
fetch_source()
{
	mkdir -p "$apt/lists/partial"
	source_entries "$1" >"$apt/sources.list"
	apt_apart apt-get update || return 1
	apt_apart apt-cache showsrc --only-source "postgresql-$1" |
		sed -n 's/^Version: //p' | sort -urV >"$apt/versions"
	for found in $(grep -xF "$2" "$apt/versions") $(grep -vxF "$2" "$apt/versions")
	do
		if [ ! -d "$SOURCES/$found" ]
		then
			(cd "$apt" && apt_apart apt-get source --only-source \
				"postgresql-$1=$found") || continue
			mv "$apt/postgresql-$1"-*/ "$SOURCES/$found" || return 1
		fi
		[ "$found" = "$2" ] || ln -sfn "$found" "$SOURCES/$2"
		return 0
	done
	return 1
}

# The major versions whose tests fit best: a mirror may lack the source of a
# package that it has.
similar_versions()
{
	case $1 in
		15) echo 15 17 18 ;;
		17) echo 17 18 15 ;;
		*) echo "$1" 18 19 17 ;;
	esac
}

# Print the directory of the source for the server that is installed.  One of
# another version serves until that is to be had.
source_of()
{
	admindir=/var/lib/dpkg
	! suite_of "$1" >/dev/null || admindir=$CHROOTS/$1$admindir
	# shellcheck disable=SC2016  # dpkg expands it
	wanted=$(dpkg-query --admindir="$admindir" -W -f '${source:Version}' \
		"postgresql-$1")

	mkdir -p "$SOURCES"
	apt=$(mktemp -d "$SOURCES/apt.XXXXXX")
	(
		flock 9
		[ ! -d "$SOURCES/$wanted" ] || [ -h "$SOURCES/$wanted" ] || exit 0
		for major in $(similar_versions "$1")
		do
			! fetch_source "$major" "$wanted" >>"$apt/log" 2>&1 || break
		done
		[ -d "$SOURCES/$wanted" ] || tail -n 40 "$apt/log" >&2
	) 9>"$SOURCES/lock"
	rm -rf "$apt"
	[ -d "$SOURCES/$wanted" ] || {
		echo "error: no source package of PostgreSQL $1 is to be had" >&2
		return 1
	}
	directory=$(readlink -f "$SOURCES/$wanted")
	[ "$directory" = "$SOURCES/$wanted" ] ||
		echo "The source of $wanted is not to be had: the tests are those of ${directory##*/}" >&2
	echo "$directory"
}


# ---- one version

on_this_system()
{
	script=$1
	shift
	PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$version/bin/pg_config} \
		sh "$SM_TOP/$script" "$@"
}

in_its_chroot()
{
	chroot_run "$version" "$@"
}

# $run is one of the two above, and the packages of the server are in place there.
test_version()
{
	version=$1
	directory=$(source_of "$version") || return 1
	SAFE_MIGRATE_BIND=$directory
	export SAFE_MIGRATE_BIND
	if [ -n "$cassert" ]
	then
		prefix=${SOURCES%/*}/cassert/${directory##*/}
		"$run" test/postgres/build.sh "$directory" "$prefix" || return 1
		PG_CONFIG=$prefix/bin/pg_config
		export PG_CONFIG
	fi
	"$run" test/postgres/suite.sh "$directory"
}

check()
{
	if suite_of "$1" >/dev/null
	then
		run=in_its_chroot
		sm_packages dpkg-dev
		in_turn "$1" prepared "$1"
	else
		run=on_this_system
		# shellcheck disable=SC2086  # a list of words
		sm_packages "postgresql-$1" "postgresql-server-dev-$1" dpkg-dev $tools
		test_version "$1"
	fi
}

# The chroot is there, and is ours for the time being.
prepared()
{
	# shellcheck disable=SC2086  # a list of words
	[ -z "$tools" ] || chroot_packages "$1" $tools || return 1
	test_version "$1"
}


# ---- main

root_only "$@"
cassert=
tools=
if [ "${1:-}" = --cassert ]
then
	cassert=1
	tools='bison flex perl'
	shift
fi
[ $# -gt 0 ] || sm_die "usage: sh test/postgres.sh [--cassert] 15 17 18 19"
for_each check "$@"
