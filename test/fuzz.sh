#!/bin/sh
#
# Random DDL, on a throw-away server that compares what the library predicted of
# each statement with what the statement did (safe_migrate.observation):
#
#     sh test/fuzz.sh [--seconds N | --iterations N] [--seed N]
#
# An iteration makes two schemas full of tables and what lies on them, runs some
# sixty statements of every kind against them, and drops them.  It depends on
# nothing but its seed and the version of the server; what was found is shown
# with the seed, and
#
#     sh test/fuzz.sh --seed N --iterations 1
#
# does that one again.  Exits with 1 if anything was found: a prediction that was
# wrong, an internal error, a crash, a leak.
#
# More options:
#     --save DIRECTORY   write a script for psql for each find
#     --reduce           make those as short as they can be (takes a minute each)
#     --finds N          stop after so many (20)
#     --each N           show so many of those that look the same (1)
#     --errors N         show the N most frequent errors of statements
#     --trace FILE       write all statements and their outcomes

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=test/fuzz/fuzz_lib.sh
. "$SM_TOP/test/fuzz/fuzz_lib.sh"

sm_packages
sm_workdir
sm_build
fuzz_start fuzz
fuzz_run "$@"
