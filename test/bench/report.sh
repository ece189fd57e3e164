# shellcheck shell=sh
#
# Shared by the bench scripts, which read it behind lib.sh: what a series of
# measurements says, and whether that is good enough.  A series is a file of
# $SM_WORK/series, for stats.pl.

BENCH=$SM_TOP/test/bench
notes=
missed=

# What is prepared is not to be judged.
unjudged()
{
	(
		PGOPTIONS='-c safe_migrate.mode=off -c client_min_messages=warning'
		export PGOPTIONS
		"$@"
	)
}

# shellcheck disable=SC2034  # for the scripts
# analyse median|ratio|difference SERIES: what stats.pl says of it.
analyse()
{
	perl "$BENCH/stats.pl" "$1" <"$SM_WORK/series/$2" >"$SM_WORK/numbers"
	read -r median low high count first second <"$SM_WORK/numbers"
}

note()
{
	sm_say "$1"
	notes="$notes$1
"
}

# Three significant digits, without an exponent.
calculate()
{
	perl -e 'my $x = eval shift; my $y = abs $x;
		my $digits = $y >= 100 ? 0 : $y >= 10 ? 1 : $y >= 1 ? 2 : 3;
		printf "%.${digits}f", $x' -- "$1"
}

is_true()
{
	perl -e 'exit !eval shift' -- "$1"
}

# surely_below LABEL TARGET: of what was analysed last.
surely_below()
{
	! is_true "$low > $2" || missed="$missed
$1"
}

# Exits with 1 if something is missed for sure.
end_of_report()
{
	[ -n "$missed" ] || return 0
	printf 'Missed for sure:%s\n' "$missed"
	exit 1
}
