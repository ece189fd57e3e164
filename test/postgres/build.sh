#!/bin/sh
#
# sh test/postgres/build.sh SOURCE PREFIX: build PostgreSQL with assertions from
# an unpacked source package, which stays as it is, unless PREFIX is there
# already.  Called by test/postgres.sh; what the tests have no use for is left
# out, so that few packages are needed.

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/../lib.sh"

source=$1
prefix=$2

if [ -e "$prefix/complete" ]
then
	sm_say "With assertions: $prefix"
	exit
fi

sm_say "Building PostgreSQL with assertions in $prefix (takes minutes, kept)"
started=$(date +%s)
rm -rf "$prefix"

# As the user of sm_user, who cannot write into the system's directories.
SM_WORK=$prefix/build
SM_BUILD=$SM_WORK
mkdir -p "$SM_WORK/home" "$SM_WORK/tmp"
sm_own "$prefix"

# Debian's patches put the libraries of a server whose directory for them has no
# "postgres" in its name where those of its own package are.
sm_quietly sm_user "$source/configure" --prefix="$prefix" \
	--libdir="$prefix/lib/postgresql" --enable-cassert \
	--enable-debug --without-readline --without-zlib --without-icu \
	CFLAGS='-O1 -fno-omit-frame-pointer'
sm_quietly sm_user make -s -j "$(nproc)"
sm_quietly sm_user make -s install

# The tests load two of these.
sm_quietly sm_user make -s -C contrib/spi install
rm -rf "$SM_WORK"
for what in --bindir --pkglibdir --sharedir --includedir-server
do
	case $("$prefix/bin/pg_config" $what) in
		"$prefix"/*) ;;
		*) sm_die "the server of $prefix has its $what elsewhere" ;;
	esac
done
touch "$prefix/complete"
sm_say "Built in $(($(date +%s) - started)) s"
