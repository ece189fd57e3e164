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
mkdir -p "$prefix/build"
cd "$prefix/build"

# Debian's patches put the libraries of a server whose directory for them has no
# "postgres" in its name where those of its own package are.
sm_quietly "$source/configure" --prefix="$prefix" \
	--libdir="$prefix/lib/postgresql" --enable-cassert \
	--enable-debug --without-readline --without-zlib --without-icu \
	CFLAGS='-O1 -fno-omit-frame-pointer'
sm_quietly make -s -j "$(nproc)"
sm_quietly make -s install

# The tests load two of these.
sm_quietly make -s -C contrib/spi install
cd "$prefix"
rm -rf build
touch complete
sm_say "Built in $(($(date +%s) - started)) s"
