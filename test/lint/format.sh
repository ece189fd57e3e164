#!/bin/sh
#
# Indent the C code as PostgreSQL's own is, by pg_bsd_indent:
#
#     sh test/lint/format.sh [FILE...]            in place
#     sh test/lint/format.sh --check [FILE...]    show differences, and fail
#
# Without files, all of src.  Type names are found in the server's headers and
# in src; typedefs.list has those of C, and of servers newer than the headers.

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/../lib.sh"

command -v pg_bsd_indent >/dev/null 2>&1 ||
	sm_die "pg_bsd_indent is missing: apt-get install pg-bsd-indent"

check=
if [ "${1:-}" = --check ]
then
	check=1
	shift
fi

work=$(mktemp -d /tmp/safe_migrate_format.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

pg_config=${PG_CONFIG:-/usr/lib/postgresql/$(sm_major)/bin/pg_config}
perl "$SM_TOP/test/lint/typedefs.pl" "$("$pg_config" --includedir-server)" \
	"$SM_TOP/src" >"$work/found"
LC_ALL=C sort -u "$work/found" "$SM_TOP/test/lint/typedefs.list" >"$work/typedefs"

# The options of PostgreSQL's pgindent.
indent()
{
	pg_bsd_indent -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 \
		-i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4 -U"$work/typedefs"
}

# What pgindent does before and after: comments with // are not PostgreSQL's
# style, boxes of dashes stay as drawn, a comment follows another after a tab,
# and the star of a result type after one space.
before()
{
	sed -e 's!^\([[:blank:]]*\)//[[:blank:]]*\(.*\)$!\1/* \2 */!' \
		-e 's!/\*  *---!/*---X_X!g'
}

after()
{
	sed -e 's!/\*---X_X!/* ---!g' \
		-e 's!\*/\(/\*.*\*/\)$!*/	\1!' \
		-e 's!^\([A-Za-z_][^[:space:]]*\)[[:blank:]][[:blank:]]*\*$!\1 *!'
}

[ $# -gt 0 ] || {
	cd "$SM_TOP"
	# shellcheck disable=SC2046  # no file of ours has a space in its name
	set -- $(find src -name '*.[ch]' | LC_ALL=C sort)
}

status=0
for file in "$@"
do
	before <"$file" >"$work/before"
	if ! indent <"$work/before" >"$work/indented" 2>"$work/errors" ||
		[ -s "$work/errors" ]
	then
		# It tells of a line that it did not understand, but goes on.
		sed "s,^,$file: ," "$work/errors" >&2
		status=1
		continue
	fi
	after <"$work/indented" >"$work/after"
	cmp -s "$file" "$work/after" && continue
	if [ -n "$check" ]
	then
		diff -u --label "$file" --label "$file, formatted" "$file" "$work/after" || true
		status=1
	else
		cat "$work/after" >"$file"
		sm_say "formatted $file"
	fi
done
exit "$status"
