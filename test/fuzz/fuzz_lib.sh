# shellcheck shell=sh
#
# For fuzz.sh and check.sh, after lib.sh and sm_build.

# A cluster for fuzz.pl.
fuzz_start()
{
	sm_start "$1" "$(cat "$SM_TOP/test/fuzz/server.conf")"
	sm_psql -q -c 'CREATE EXTENSION safe_migrate'
}

# fuzz_run OPTION...: see fuzz.pl.
fuzz_run()
{
	perl "$SM_TOP/test/fuzz/fuzz.pl" --directory "$SM_SOCKETS" --port "$PGPORT" \
		--log "$SM_LOG" "$@"
}
