#!/bin/sh
#
# What a reviewer should not have to say.  Prints what is wrong, and fails; the
# last line tells which tools took part.

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/../lib.sh"

cd "$SM_TOP"
failures=0
skipped=

# complain MESSAGE: what is on standard input, if anything, is wrong.
complain()
{
	found=$(cat)
	[ -n "$found" ] || return 0
	printf '%s\n' "lint: $1" "$found" | sed '2,$s/^/    /'
	return 1
}

# check MESSAGE COMMAND...: a command that prints what is wrong.
check()
{
	message=$1
	shift
	"$@" | complain "$message" || failures=$((failures + 1))
}

# tool NAME COMMAND...: a program that may be missing, and fails by its status.
tool()
{
	name=$1
	shift
	if ! command -v "$name" >/dev/null 2>&1
	then
		skipped="$skipped $name"
	elif ! "$@"
	then
		sm_say "lint: $name is not content"
		failures=$((failures + 1))
	fi
}

# The SQL without its comments, as file:line:text.
sql_text()
{
	find src -name '*.sql' -exec grep -n '' /dev/null {} + | sed 's/--.*$//'
}


# ---- what is checked

long_files()
{
	find src -type f ! -name '*.o' -exec wc -l {} + |
		awk '$2 != "total" && $1 > 800 { print $2 ": " $1 " lines" }'
}

version_checks()
{
	grep -rn 'PG_VERSION_NUM' src --include='*.[ch]' | grep -v '^src/common/' || true
}

leftovers()
{
	grep -rnwE 'TO''DO|FIX''ME|X''XX' src sql test Makefile \
		--include='*.[ch]' --include='*.sql' --include='*.spec' --include='*.sh' \
		--include='*.p[lm]' --include=Makefile --exclude-dir=data || true
}

# In the install script, what exists already was put there by somebody else.
replaced_objects()
{
	sql_text | grep -iE 'CREATE OR REPLACE|(CREATE|ADD) .*IF NOT EXISTS' || true
}

# A new sub-command in a new version of PostgreSQL must break the build, so a
# switch over all of them (not over a handful) has no default.
defaults_in_exhaustive_switches()
{
	find src -name '*.c' -exec awk '
		/^\t*switch \(.*subtype\)/ {
			match($0, /^\t*/)
			indent = substr($0, 1, RLENGTH)
			inside = 1
			cases = default_line = 0
		}
		inside && index($0, indent "\tcase ") == 1 { cases++ }
		inside && index($0, indent "\tdefault:") == 1 { default_line = FNR }
		inside && $0 == indent "}" {
			inside = 0
			if (cases > 20 && default_line)
				print FILENAME ":" default_line
		}' {} +
}

# Operators and types that search_path decides about, in SQL of C.  A line whose
# text runs as the user, who has chosen that path, says so.
sql_by_search_path()
{
	find src -name '*.[ch]' -exec perl -ne '
		close ARGV if eof;
		next if !/"/ || /errmsg|errhint|errdetail/ || m{/\* as the user \*/};
		my $sql = join " ", /"((?:[^"\\]|\\.)*)"/g;
		my $type = qr/pg_catalog\.|%|(?:bigint|int|integer|smallint|boolean|bit)\b/;
		print "$ARGV:$.:$_" if $sql =~ /\bIS (?:NOT )?DISTINCT FROM\b|\bNULLIF ?\(|\bIN \(|\bBETWEEN\b|\bUSING \(|\bCASE (?!WHEN)[a-z\$(]|\bI?LIKE \x27|::(?!$type)[a-z\\]/
		' {} +
}

unlisted_sql()
{
	parts=$(sed -n '/^SQL_PARTS/,/[^\\]$/p' Makefile)
	find src -name '*.sql' | while read -r file
	do
		case $parts in
			*"$file"*) ;;
			*) sm_say "$file" ;;
		esac
	done
}

tests_without_result()
{
	for file in sql/*.sql
	do
		name=$(basename "$file" .sql)
		[ ! -e "$file" ] || [ -e "expected/$name.out" ] || sm_say "$file"
	done
	for file in test/isolation/specs/*.spec
	do
		name=$(basename "$file" .spec)
		[ ! -e "$file" ] || [ -e "test/isolation/expected/$name.out" ] || sm_say "$file"
	done
}

# Each rule must be seen to refuse something.
rules_never_refused()
{
	sed -n 's/^\t\t"\([a-z_]*\)", RULE_.*/\1/p
		s/^\tDESIGN_RULE("\([a-z_]*\)",.*/\1/p' src/policy/rules.c |
		while read -r rule
		do
			grep -qsE "(SM001|ERROR: ) *$rule: " expected/*.out || sm_say "$rule"
		done
}

versions_that_differ()
{
	version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" safe_migrate.control)
	grep '"version"' META.json | grep -v "\"$version\"\|\"1.0.0\"" || true
	grep -q "^## $version" CHANGELOG.md || sm_say "CHANGELOG.md has no $version"
	grep -q "^VERSION=$version$" src/client/usage.sh ||
		sm_say "src/client/usage.sh is of another version than $version"
}

shell_scripts()
{
	find test .ci bin -type f 2>/dev/null | grep -v '^test/data/' |
		while read -r file
		do
			case $(head -n 1 "$file") in
				'#!'*sh | '# shellcheck shell='*) printf '%s\n' "$file" ;;
			esac
		done
}

# Its parts make sense together only.
check_client()
{
	# shellcheck disable=SC2016  # make expands it
	make -s PG_CONFIG="${PG_CONFIG:-/usr/lib/postgresql/$(sm_major)/bin/pg_config}" \
		--eval 'print-client: ; @cat $(CLIENT_PARTS)' print-client |
		shellcheck -
}


tool pg_bsd_indent sh test/lint/format.sh --check
tool cppcheck cppcheck -q --std=c11 --enable=warning,portability,performance \
	-DPG_VERSION_NUM=150000 -D'foreach(cell,list)=for(cell=list;cell;)' \
	--inline-suppr --suppress=missingIncludeSystem --error-exitcode=1 -I src src
# shellcheck disable=SC2046  # no script of ours has a space in its name
tool shellcheck shellcheck -x $(shell_scripts)
tool shellcheck check_client

check "files of more than 800 lines:" long_files
check "PG_VERSION_NUM outside of src/common:" version_checks
check "notes to oneself:" leftovers
check "an install script must create its objects, never replace:" replaced_objects
check "switches that would hide a new sub-command:" defaults_in_exhaustive_switches
check "SQL that takes an operator or a type by search_path:" sql_by_search_path
check "not in SQL_PARTS of the Makefile:" unlisted_sql
check "tests without an expected result:" tests_without_result
check "rules that no test sees refuse a statement:" rules_never_refused
check "versions that are not that of safe_migrate.control:" versions_that_differ

if [ "$failures" -gt 0 ]
then
	sm_say "$failures lint checks failed"
	exit 1
fi
sm_say "Nothing to complain about${skipped:+ (missing here:$skipped)}."
