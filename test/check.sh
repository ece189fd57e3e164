#!/bin/sh
#
# All tests, on a throw-away server:
#
#     sh test/check.sh
#
# or some of them, for those who work on it:
#
#     sh test/check.sh lint
#     sh test/check.sh regress [NAME...]      sql/NAME.sql
#     sh test/check.sh isolation [NAME...]    test/isolation/specs/NAME.spec
#     sh test/check.sh tap [FILE...]          test/tap/FILE
#     sh test/check.sh regress isolation      several kinds, all of each
#
# and what takes part only when it is named:
#
#     sh test/check.sh fuzz                   random DDL, see fuzz.sh
#
# for $FUZZ_SECONDS, by default 60, half of them with seed 1, for all runs to be
# alike, and half with a seed that the day gives; or with $FUZZ_SEED.
#
# Exits with 0 if everything passed.  With SAFE_MIGRATE_KEEP=1 the working
# directory stays, with the results, and the log of the server.

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/fuzz/fuzz_lib.sh
. "$SM_TOP/test/fuzz/fuzz_lib.sh"

suites=
regress=
isolation=
tap=
[ $# -gt 0 ] || set -- lint regress isolation tap
for word in "$@"
do
	case $word in
		lint | regress | isolation | tap | fuzz)
			suites="$suites $word"
			suite=$word
			;;
		*)
			case ${suite:-} in
				regress) regress="$regress $word" ;;
				isolation) isolation="$isolation $word" ;;
				tap) tap="$tap test/tap/$(basename "$word" .pl).pl" ;;
				*) sm_die "usage: sh test/check.sh [lint] [regress [NAME...]] [isolation [NAME...]] [tap [FILE...]] [fuzz]" ;;
			esac
			;;
	esac
done

passed=0
failed=0
closing=

# Is this suite to run?
wanted()
{
	case " $suites " in
		*" $1 "*) return 0 ;;
		*) return 1 ;;
	esac
}

# Run a command, show its output and keep it in $output, its status in $status.
shown()
{
	output=$SM_WORK/output
	{
		status=0
		"$@" 2>&1 </dev/null || status=$?
		echo "$status" >"$SM_WORK/status"
	} | tee "$output"
	status=$(cat "$SM_WORK/status")
}

# A suite ended: its closing line, and how many of its tests passed and failed.
# A runner that failed without a failed test has at least one failure.
count()
{
	closing="$closing
$1: $2"
	passed=$((passed + $3))
	failed=$((failed + $4))
	[ "$status" -eq 0 ] || [ "$4" -gt 0 ] || failed=$((failed + 1))
}

run_lint()
{
	printf '\n==== lint\n'
	shown env PG_CONFIG="$SM_PG_CONFIG" sh "$SM_TOP/test/lint/lint.sh"
	if [ "$status" -eq 0 ]
	then
		count lint "$(tail -n 1 "$output")" 1 0
	else
		count lint "FAILED" 0 1
	fi
}

# pg_regress and pg_isolation_regress say "All 7 tests passed." or "2 of 7 tests
# failed.", from 16 on after a "# ".
count_regress()
{
	line=$(sed -n 's/^[# ]*\(All [0-9]* tests passed.*[^ ]\) *$/\1/p
		s/^[# ]*\([0-9]* of [0-9]* tests failed.*[^ ]\) *$/\1/p' "$output" | tail -n 1)
	all=$(echo "$line" | sed 's/^All \([0-9]*\) .*/\1/; s/^[0-9]* of \([0-9]*\) .*/\1/')
	bad=$(echo "$line" | sed -n 's/^\([0-9]*\) of .*/\1/p')
	count "$1" "${line:-did not run to its end}" $((${all:-0} - ${bad:-0})) "${bad:-0}"
	[ "$status" -eq 0 ] || cat "$2" 2>/dev/null || true
}

run_regress()
{
	printf '\n==== regress\n'
	if [ -n "$regress" ]
	then
		[ ! -e "$SM_TOP/sql/setup.sql" ] || regress="setup $regress"
		set -- REGRESS="$regress"
	elif ! ls "$SM_TOP"/sql/*.sql >/dev/null 2>&1
	then
		sm_say "there are none"
		return
	fi
	shown sm_make -s installcheck ISOLATION= TAP_TESTS= "$@"
	count_regress regress "$SM_BUILD/regression.diffs"
}

run_isolation()
{
	printf '\n==== isolation\n'
	if [ -n "$isolation" ]
	then
		set -- ISOLATION="setup $isolation"
	elif ! ls "$SM_TOP"/test/isolation/specs/*.spec >/dev/null 2>&1
	then
		sm_say "there are none"
		return
	fi
	shown sm_make -s installcheck REGRESS= TAP_TESTS= "$@"
	count_regress isolation "$SM_BUILD/output_iso/regression.diffs"
}

# All of them, those first that take minutes, so that none is left to run alone.
tap_in_order()
{
	(
		cd "$SM_TOP/test/tap"
		{
			printf '%s\n' 310_rollback_matrix.pl 311_rollback_crash.pl \
				170_kill.pl 110_work_rates.pl 312_rollback_standby.pl
			ls ./*.pl
		} | sed 's,^\./,,' | awk '!seen[$0]++ { printf "test/tap/%s ", $0 }'
	)
}

run_tap()
{
	printf '\n==== tap\n'
	if [ -n "$tap" ]
	then
		set -- PROVE_TESTS="$tap"
	elif ! ls "$SM_TOP"/test/tap/*.pl >/dev/null 2>&1
	then
		sm_say "there are none"
		return
	else
		set -- PROVE_TESTS="$(tap_in_order)"
	fi
	echo 'safe_migrate.observation = on' >"$SM_WORK/tap.conf"
	# They wait more than they work: three at a time.
	shown sm_make -s installcheck REGRESS= ISOLATION= \
		TEMP_CONFIG="$SM_WORK/tap.conf" PROVE_FLAGS="-j3 --timer" "$@"

	# "Files=2, Tests=31, ..." counts those that ran; "Failed 1/4 subtests".
	ran=$(sed -n 's/^Files=.*Tests=\([0-9]*\).*/\1/p' "$output")
	bad=$(sed -n 's,.*Failed \([0-9]*\)/[0-9]* subtests.*,\1,p' "$output" |
		awk '{ n += $1 } END { print n + 0 }')
	[ "$bad" -le "${ran:-0}" ] || ran=$bad
	count tap "$(grep -E '^(Files=|Result:)' "$output" | tr '\n' ' ')" \
		$((${ran:-0} - bad)) "$bad"

	tap_status=$status
	# Some of these tests kill servers; one looks for mismatches of its own.
	mkdir -p "$SM_BUILD/tmp_check/log"
	for log in "$SM_BUILD"/tmp_check/log/*.log
	do
		case $log in
			*observation*) ;;
			*) look_into_logs '^TRAP:|safe_migrate mismatch:' "$log" ;;
		esac
	done
	[ "$tap_status" -ne 0 ] || return 0
	for log in "$SM_BUILD"/tmp_check/log/regress_log_*
	do
		grep -q 'not ok\|Looks like\|died' "$log" || continue
		printf '\n---- end of %s\n' "${log##*/}"
		tail -n 40 "$log"
	done
}

# A run of each seed is one test.  The finds are shown with the seed that has
# them again.
run_fuzz()
{
	# shellcheck disable=SC2086  # a list of words
	set -- ${FUZZ_SEED:-1 "$(date +%Y%m%d)000"}
	fuzz_start fuzz
	for seed in "$@"
	do
		printf '\n==== fuzz, seed %s\n' "$seed"
		shown fuzz_run --reduce --seed "$seed" \
			--seconds $((${FUZZ_SECONDS:-60} / $#))
		line=$(grep '^seed [0-9]*: ' "$output" || echo 'did not run to its end')
		if [ "$status" -eq 0 ]
		then
			count fuzz "$line" 1 0
		else
			count fuzz "$line" 0 1
		fi
	done
	sm_stop fuzz
}

# A server that crashed and recovered must not go unnoticed, nor a statement
# whose effects were foretold wrongly: all suites run with
# safe_migrate.observation on.
look_into_logs()	# PATTERN FILE...
{
	bad=$1
	shift
	if grep -a -E "$bad" "$@" >"$SM_WORK/output" 2>/dev/null
	then
		printf '\n==== the log of the server\n'
		grep -a -h -E -B 3 -A 3 "$bad" "$@" | head -n 200
		status=1
		count server "$(head -n 1 "$SM_WORK/output")" 0 1
	fi
}


sm_packages libipc-run-perl --optional pg-bsd-indent cppcheck shellcheck pgbouncer
sm_workdir
# shellcheck disable=SC2034  # sm_build reads it
SM_MAKE_FLAG=FAULT_POINTS=1
sm_build

! wanted lint || run_lint
if wanted regress || wanted isolation
then
	sm_start check "$(cat "$SM_TOP/test/regress.conf")"
	! wanted regress || run_regress
	! wanted isolation || run_isolation
	sm_stop check
	look_into_logs 'was terminated by signal|^TRAP:|PANIC:|safe_migrate mismatch:' \
		"$SM_LOG"
fi
! wanted tap || run_tap
! wanted fuzz || run_fuzz

printf '\n==== %s%s\n%s passed, %s failed\n' "$SM_VERSION" "$closing" \
	"$passed" "$failed"
[ "$failed" -eq 0 ]
