# ---- the command line

# quote STRING FOR: sets $quoted to the string as a literal for the shell, for
# SQL, whatever standard_conforming_strings is and also between dollar quotes, or
# for psql's own commands.
quote()
{
	case $2 in
		shell) escape "$1" "'" "'\\''" ; quoted="'$quoted'" ;;
		sql)
			escape "$1" "\\" "\\\\"
			escape "$quoted" "'" "''"
			escape "$quoted" '$' "\\044"
			quoted="E'$quoted'"
			;;
		psql) escape "$1" "\\" "\\\\" ; escape "$quoted" "'" "\\'" ; quoted="'$quoted'" ;;
	esac
}

# Sets $quoted to $1 with each $2 in it replaced by $3.
escape()
{
	rest=$1
	quoted=
	while :
	do
		case $rest in
			*"$2"*) ;;
			*) break ;;
		esac
		quoted=$quoted${rest%%"$2"*}$3
		rest=${rest#*"$2"}
	done
	quoted=$quoted$rest
}

sql_quoted()
{
	quote "$1" sql
	printf '%s' "$quoted"
}

add_word()
{
	quote "$1" shell
	words="$words $quoted"
	count=$((count + 1))
}

add_connection()
{
	quote "$2" shell
	connection="$connection $1 $quoted"
}

# option NAME VALUE: one with a value.
option()
{
	case $1 in
		-h | --host) add_connection -h "$2" ;;
		-p | --port) add_connection -p "$2" ;;
		-U | --username) add_connection -U "$2" ;;
		-d | --dbname) add_connection -d "$2" ;;
		--directory) directory=$2 ;;
		--format) format=$2 ;;
		--to) target=$2 ;;
		--schemas) choose_targets schemas "$2" ;;
		--databases) choose_targets databases "$2" ;;
		--parallel) parallel=$2 ;;
		--since) since=$2 ;;
		--ledger) ledger=$2 ;;
	esac
}

# choose_targets KIND PATTERNS: what is deployed to, if not the database itself.
choose_targets()
{
	[ -z "$targets" ] || usage "only one of --schemas, --all-schemas and --databases can be given"
	[ "$1" = all ] || [ -n "$2" ] || usage "--$1 needs a pattern"
	targets=$1
	patterns=$2
}

# Whether the command has this option; those of all commands have no dash here.
allow()
{
	case " $allowed " in
		*" $1 "*) ;;
		*) usage "$command has no option $1" ;;
	esac
}

read_options()
{
	while [ $# -gt 0 ]
	do
		case $1 in
			--to | --schemas | --databases | --parallel | --since | --ledger) allow "$1" ;;
			--to=* | --schemas=* | --databases=* | --parallel=* | --since=* | --ledger=*)
				allow "${1%%=*}"
				;;
			--dry-run | --registered | --exit-code | --yes | --down | --in-transaction | \
				--all-schemas | --accept-edited | --acknowledge | --wait)
				allow "$1"
				;;
		esac
		case $1 in
			-h | -p | -U | -d | --host | --port | --username | --dbname | --directory | --format | \
				--to | --schemas | --databases | --parallel | --since | --ledger)
				[ $# -ge 2 ] || usage "$1 needs a value"
				option "$1" "$2"
				shift
				;;
			--host=* | --port=* | --username=* | --dbname=* | --directory=* | --format=* | \
				--to=* | --schemas=* | --databases=* | --parallel=* | --since=* | --ledger=*)
				option "${1%%=*}" "${1#*=}"
				;;
			-h?* | -p?* | -U?* | -d?*)
				value=${1#-?}
				option "${1%"$value"}" "$value"
				;;
			-w | --no-password) connection="$connection -w" ;;
			-W | --password) ask_password=1 ;;
			--json) json=1 ;;
			--quiet) quiet=1 ;;
			--verbose) verbose=1 ;;
			--dry-run) dry_run=1 ;;
			--registered) registered=1 ;;
			--all-schemas) choose_targets all '' ;;
			--accept-edited) accept_edited=1 ;;
			--acknowledge) acknowledge=1 ;;
			--wait) wait=1 ;;
			--exit-code) exit_code=1 ;;
			--in-transaction) in_transaction=1 ;;
			--yes) yes=1 ;;
			--down) down=1 ;;
			--help) help_of_command "$command" ; exit 0 ;;
			--)
				shift
				while [ $# -gt 0 ]
				do
					add_word "$1"
					shift
				done
				return
				;;
			-?*) usage "there is no option $1" ;;
			postgres://* | postgresql://*) add_connection -d "$1" ;;
			*) add_word "$1" ;;
		esac
		shift
	done
}

cleanup()
{
	trap '' HUP INT TERM
	[ -z "$terminal_settings" ] || stty "$terminal_settings" </dev/tty
	stop_progress
	[ -z "$work" ] || rm -rf "$work"
}

# The statement on the server is cancelled, which psql does when it is
# interrupted; who repeats himself is in a hurry.
on_signal()
{
	if [ -z "$child" ]
	then
		exit $((128 + $1))
	elif [ -z "$interrupted" ]
	then
		kill -INT "$child" 2>/dev/null || true
	else
		kill -TERM "$child" 2>/dev/null || true
	fi
	interrupted=$1
}
