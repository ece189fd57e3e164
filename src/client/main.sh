# ---- what is done

steps=
long=
failed=0

# Before anything can be said in JSON, find out whether it is to be.
json=
for word in "$@"
do
	case $word in
		--json) json=1 ;;
		--) break ;;
	esac
done

work=
child=
poller=
messages_reader=
progress_reader=
interrupted=
terminal_settings=

trap cleanup EXIT
trap 'on_signal 1' HUP
trap 'on_signal 2' INT
trap 'on_signal 15' TERM
work=$(mktemp -d "${TMPDIR:-/tmp}/pg_safe_migrate.XXXXXX") || {
	work=
	say "a directory for temporary files cannot be made in ${TMPDIR:-/tmp}"
	exit 2
}

[ $# -gt 0 ] || usage "no command is given"
command=$1
shift
allowed=
takes=
least=0
most=1
case $command in
	up | deploy) takes="one DIRECTORY"
		allowed="--to --dry-run --registered --schemas --all-schemas --databases --parallel" ;;
	apply) takes="one DIRECTORY" ; allowed="--to --registered" ;;
	plan) takes="one DIRECTORY" ; allowed="--to --registered" ;;
	status) takes="one DIRECTORY" ; allowed="--exit-code" ;;
	load | verify) takes="one DIRECTORY" ;;
	drift) takes="nothing" ; most=0 ; allowed="--since --acknowledge" ;;
	targets | tasks) takes="nothing" ; most=0 ;;
	check) takes="a FILE, or several" ; least=1 ; most= ; allowed="--in-transaction" ;;
	rollback) takes="one VERSION" ; allowed="--yes" ;;
	repair | baseline | unregister) takes="one VERSION" ; least=1 ;;
	adopt) takes="one TOOL" ; allowed="--ledger --accept-edited" ;;
	retry) takes="the number of one TASK" ; least=1 ; allowed="--wait" ;;
	cancel) takes="the number of one TASK" ; least=1 ;;
	new) takes="one NAME" ; least=1 ; allowed="--down" ;;
	--help | help) help_of_all ; exit 0 ;;
	--version) echo "pg_safe_migrate $VERSION" ; exit 0 ;;
	*)
		wrong=$command
		command=
		usage "there is no command $wrong; the command comes first"
		;;
esac

connection=
words=
count=0
directory=
format=auto
target=
ask_password=
quiet=
verbose=
dry_run=
registered=
exit_code=
in_transaction=
targets=
patterns=
parallel=
since=
ledger=
accept_edited=
acknowledge=
wait=
up_only=
yes=
down=
read_options "$@"
[ "$count" -ge "$least" ] || usage "$command needs $takes"
[ -z "$most" ] || [ "$count" -le "$most" ] || usage "$command takes $takes, not $count arguments"
eval "set -- $words"

# With CDPATH, cd may go elsewhere, and says so on standard output.
unset CDPATH

PGCLIENTENCODING=UTF8
PGAPPNAME=${PGAPPNAME:-pg_safe_migrate}
export PGCLIENTENCODING PGAPPNAME

[ "$command" = new ] || find_psql
"command_$command" "$@"
