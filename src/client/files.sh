# ---- the files

# What is in the directory $1, one name a line: to $work/names the files whose
# text counts in some format, to $work/others those that only show which it is.
list_files()
{
	[ -e "$1" ] || die "there is no directory $1: name it with the command, or make its first migration with pg_safe_migrate new NAME"
	[ -d "$1" ] || die "$1 is not a directory"
	(
		cd -- "$1"
		find -L . -name '.?*' -prune -o -name node_modules -prune -o -type f -print
	) >"$work/unsorted" 2>"$work/complaints" ||
		die "$1: not everything in it can be read: $(head -n 1 "$work/complaints")"
	! grep -qv '^\./' "$work/unsorted" ||
		die "$1: there is a line end in the name of a file ($(grep -v '^\./' "$work/unsorted" | head -n 1)): rename it"
	: >"$work/names"
	: >"$work/others"
	LC_ALL=C sort "$work/unsorted" |
		names=$work/names others=$work/others LC_ALL=C awk '
			/\.(sql|toml|conf)$/ || /\/(sqitch\.plan|atlas\.sum|_journal\.json)$/ {
				print >ENVIRON["names"]
				next
			}
			{ print >ENVIRON["others"] }'
}

# The files of $work/names, as they are seen from directory $1, to $work/input
# for COPY of their path and text.  All of them pass through a few processes:
# between two files there is a line that is nowhere else.  If $up_only is set,
# sections for the way back are replaced by empty lines, so that others keep
# their numbers, and noted in $work/downs.
pack_files()
{
	(
		cd -- "$1"
		while IFS= read -r path
		do
			[ -f "$path" ] && [ -r "$path" ] ||
				die "$(shown_path "$1" "$path") cannot be read"
		done <"$work/names"
	) || exit
	marker="-- end $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
	printf '\n%s\n' "$marker" >"$work/end"
	end=$work/end awk '{ print; print ENVIRON["end"] }' "$work/names" |
		LC_ALL=C sed 's/./\\&/g' >"$work/arguments"
	(cd -- "$1" && xargs cat) <"$work/arguments" >"$work/texts" ||
		die "$1: not everything in it can be read"
	refuse_binary "$1"
	marker=$marker names=$work/names up_only=$up_only downs=$work/downs LC_ALL=C awk '
		# By lines that begin a section, as the tools have them.
		function is_down(line) {
			line = tolower(line)
			if (line ~ /^--[ \t]*migrate:up/)
				tool = "dbmate"
			else if (line ~ /^--[ \t]*\+goose[ \t]+up/)
				tool = "goose"
			else if (line ~ /^--[ \t]*\+migrate[ \t]+up/)
				tool = "sql-migrate"
			else if (line ~ /^[ \t]*--[ \t-]*up[ \t]+migration/)
				tool = "node"
			else if (line ~ /^---- create above \/ drop below ----/ ||
				tool == "dbmate" && line ~ /^--[ \t]*migrate:down/ ||
				tool == "goose" && line ~ /^--[ \t]*\+goose[ \t]+down/ ||
				tool == "sql-migrate" && line ~ /^--[ \t]*\+migrate[ \t]+down/ ||
				tool == "node" && line ~ /^[ \t]*--[ \t-]*down[ \t]+migration/) {
				if (!down)
					print number "\t" path >ENVIRON["downs"]
				return 1
			}
			else
				return down
			return 0
		}
		function escaped(text) {
			gsub(/\\/, "&&", text)
			gsub(/\t/, "\\t", text)
			gsub(/\r/, "\\r", text)
			return text
		}
		!inside {
			getline path <ENVIRON["names"]
			sub(/^\.\//, "", path)
			printf "%s\t", escaped(path)
			inside = first = 1
			number = down = 0
			tool = ""
		}
		$0 == ENVIRON["marker"] {
			printf "\n"
			inside = 0
			next
		}
		first { sub(/^\357\273\277/, "") }
		ENVIRON["up_only"] != "" {
			number++
			down = is_down($0)
			if (down)
				$0 = ""
		}
		{
			printf "%s%s", first ? "" : "\\n", escaped($0)
			first = 0
		}' "$work/texts" >"$work/input"
	rm -f "$work/texts" "$work/arguments"
}

shown_path()
{
	case $1 in
		.) printf '%s' "${2#./}" ;;
		*) printf '%s/%s' "$1" "${2#./}" ;;
	esac
}

# Text would end at a NUL byte without a word, and a server says of bytes that
# are not UTF-8 no more than that there are some.
refuse_binary()
{
	if [ "$(tr -cd '\000' <"$work/texts" | wc -c)" -ne 0 ]
	then
		each_file "$1" refuse_nul
	fi
	command -v iconv >/dev/null 2>&1 || return 0
	iconv -f UTF-8 -t UTF-8 "$work/names" >/dev/null 2>&1 ||
		die "$1: the name of a file is not UTF-8: rename $(LC_ALL=C sed -n '/[^ -~]/{p;q;}' "$work/names")"
	iconv -f UTF-8 -t UTF-8 "$work/texts" >/dev/null 2>&1 ||
		each_file "$1" refuse_invalid
}

each_file()
{
	while IFS= read -r path
	do
		(cd -- "$1" && cat -- "$path") >"$work/text"
		"$2" "$(shown_path "$1" "$path")"
	done <"$work/names"
}

refuse_nul()
{
	[ "$(tr -cd '\000' <"$work/text" | wc -c)" -eq 0 ] ||
		die "$1: there is a NUL byte in it: save it as text in UTF-8"
}

refuse_invalid()
{
	iconv -f UTF-8 -t UTF-8 "$work/text" >"$work/valid" 2>/dev/null ||
		die "$1, line $(($(wc -l <"$work/valid") + 1)): a byte is not UTF-8: save it as text in UTF-8"
}

# Files that are only to be seen are sent as empty ones.
pack_directory()
{
	list_files "$1"
	pack_files "$1"
	LC_ALL=C awk '{
		sub(/^\.\//, "")
		gsub(/\\/, "&&")
		gsub(/\t/, "\\t")
		gsub(/\r/, "\\r")
		print $0 "\t"
	}' "$work/others" >>"$work/input"
}

# Send the files that are packed, to a table of this transaction.  Our queries
# are not to find functions and operators of others.
then_send_files()
{
	then_do BEGIN "SET LOCAL search_path = pg_catalog, pg_temp" \
		"CREATE TEMPORARY TABLE pg_safe_migrate_files (path text, body text) ON COMMIT DROP" \
		"COPY pg_temp.pg_safe_migrate_files FROM STDIN"
}

# Send the files of the directory and register them, in a transaction that stays
# open.
then_load()
{
	pack_directory "$directory"
	then_send_files
	then_do "CREATE TEMPORARY TABLE pg_safe_migrate_loaded ON COMMIT DROP AS
		SELECT * FROM migrate.load_files(
			(SELECT coalesce(array_agg(path ORDER BY path COLLATE \"C\"), '{}') FROM pg_temp.pg_safe_migrate_files),
			(SELECT coalesce(array_agg(body ORDER BY path COLLATE \"C\"), '{}') FROM pg_temp.pg_safe_migrate_files),
			$(sql_quoted "$format"),
			$(sql_quoted "$(printf '%s' "$directory" | without_invalid_bytes)"))"
	if [ -n "$json" ]
	then
		then_do "SELECT json_build_object(
			'states', (SELECT coalesce(json_object_agg(state, n), '{}') FROM (
				SELECT state, count(*) AS n FROM pg_temp.pg_safe_migrate_loaded GROUP BY state ORDER BY state) s),
			'changes', (SELECT coalesce(json_agg(l ORDER BY l.ctid), '[]') FROM pg_temp.pg_safe_migrate_loaded l WHERE state <> 'unchanged'))"
	else
		then_do "SELECT state, count(*) AS migrations FROM pg_temp.pg_safe_migrate_loaded GROUP BY state ORDER BY state"
	fi
	then_do "SET LOCAL search_path = DEFAULT"
}

# The same, to be forgotten again: nothing is shown of it.
then_load_for_a_look()
{
	then_do '\o /dev/null'
	then_load
	then_do '\o'
}

# The directory that is given, or the usual one.
choose_directory()
{
	directory=${1:-${directory:-${SAFE_MIGRATE_DIRECTORY:-migrations}}}
	[ "$directory" = / ] || directory=${directory%/}

	# to cd, that is where we were before
	[ "$directory" != - ] || directory=./-
}


LOAD_FILES="migrate.load_files(text[], text[], text, text)"
