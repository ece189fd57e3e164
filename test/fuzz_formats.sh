#!/bin/sh
#
# Random bytes for the parsers of the formats, built outside the server with
# clang's libFuzzer and its checks of memory:
#
#     sh test/fuzz_formats.sh [--seconds N] [FORMAT...]
#
# Each format, all by default, is read for N seconds (2) from mutations of the
# directories in test/fuzz_formats/seeds, which are also what was once found.
# Exits with 1 if a parser crashed, read what is not its own, threw an error
# that is not SM008, or took more than five seconds; the input is then left in
# the working directory, to be kept as a seed.

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"

seconds=2
formats=
while [ $# -gt 0 ]
do
	case $1 in
		--seconds)
			[ $# -ge 2 ] || sm_die "--seconds needs a number"
			seconds=$2
			shift
			;;
		-*) sm_die "usage: sh test/fuzz_formats.sh [--seconds N] [FORMAT...]" ;;
		*) formats="$formats $1" ;;
	esac
	shift
done

sm_packages clang libclang-rt-14-dev
sm_workdir
pg_config=${PG_CONFIG:-/usr/lib/postgresql/$(sm_major)/bin/pg_config}
library=$("$pg_config" --pkglibdir)
[ -e "$library/libpgcommon.a" ] || library=$("$pg_config" --libdir)

# What reads files and talks to the server is in the shim.
parsers=$(find "$SM_TOP/src/ledger/formats" -name '*.c' \
	! -name directory.c ! -name migration_file.c)
# shellcheck disable=SC2086  # a list of files
sm_quietly clang -g -O1 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined -Wno-everything \
	-I "$SM_TOP/src" -I "$SM_TOP/test/fuzz_formats" \
	-I "$("$pg_config" --includedir-server)" -I "$("$pg_config" --includedir)" \
	-o "$SM_WORK/fuzz_formats" \
	"$SM_TOP"/test/fuzz_formats/*.c "$SM_TOP/src/common/text.c" \
	"$SM_TOP/src/ledger/version.c" $parsers \
	"$library/libpgcommon.a" "$library/libpgport.a" ||
	sm_die "the parsers cannot be built outside the server"

# The formats are what the table of formats.c has.
if [ -z "$formats" ]
then
	formats=$(sed -n 's/^	\.name = "\([a-z-]*\)",$/\1/p' \
		"$SM_TOP"/src/ledger/formats/*.c | sort)
	formats="auto $formats"
fi

failed=0
for format in $formats
do
	corpus=$SM_WORK/corpus/$format
	mkdir -p "$corpus"
	status=0
	FUZZ_FORMAT=$format "$SM_WORK/fuzz_formats" -max_total_time="$seconds" \
		-timeout=5 -rss_limit_mb=2048 -max_len=4096 \
		-dict="$SM_TOP/test/fuzz_formats/words.dict" -print_final_stats=1 \
		-artifact_prefix="$SM_WORK/$format." \
		"$corpus" "$SM_TOP/test/fuzz_formats/seeds" \
		>"$SM_WORK/$format.log" 2>&1 || status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$SM_WORK/$format.log")
	if [ "$status" -eq 0 ]
	then
		sm_say "$format: ${runs:-0} directories read, nothing found"
	else
		failed=$((failed + 1))
		sm_say "$format: failed with status $status"
		grep -v '^#' "$SM_WORK/$format.log" | head -n 40
		for found in "$SM_WORK/$format".crash-* "$SM_WORK/$format".timeout-*
		do
			[ -e "$found" ] || continue
			cp "$found" .
			sm_say "The input is in ./$(basename "$found")"
		done
	fi
done
sm_say "$failed formats failed"
[ "$failed" -eq 0 ]
