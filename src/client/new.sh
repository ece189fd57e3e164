# ---- new migrations

# The format of $directory by its files, as far as one file can be added to it;
# of others, whose tool has to keep a list, the name only.
format_of_directory()
{
	[ -d "$directory" ] || {
		echo plain
		return
	}
	(
		cd -- "$directory"
		has()
		{
			for path in "$@"
			do
				[ ! -e "$path" ] || return 0
			done
			return 1
		}
		says()
		{
			has ./*.sql && grep -qsiE -e "$1" -- ./*.sql
		}
		if has sqitch.plan
		then echo sqitch
		elif has atlas.sum
		then echo atlas
		elif has meta/_journal.json || has ./*/snapshot.json
		then echo drizzle
		elif has committed
		then echo graphile-migrate
		elif has ./*/migration.sql
		then echo prisma
		elif has ./*/up.sql
		then echo diesel
		elif says '^--[[:space:]]*liquibase formatted sql'
		then echo liquibase
		elif says '^--[[:space:]]*migrate:up'
		then echo dbmate
		elif says '^-- \+goose Up'
		then echo goose
		elif says '^-- \+migrate Up'
		then echo sql-migrate
		elif says '^---- create above / drop below ----'
		then echo tern
		elif says '^[[:space:]]*--[[:space:]-]*up[[:space:]]+migration'
		then echo node-pg-migrate
		elif has [0-9]*.do.*.sql
		then echo postgrator
		elif has [0-9]*.up.sql
		then echo golang-migrate
		elif has V[0-9]*__*.sql
		then echo flyway
		else echo plain
		fi
	)
}

# The versions that the directory has: digits, which a V may precede.
versions_of_directory()
{
	[ ! -d "$directory" ] ||
		(cd -- "$directory" && find . ! -name . -prune -print) |
		sed -n 's/^\.\/[Vv]\{0,1\}\([0-9][0-9-]*\).*/\1/p' | tr -d -
}

# Where the versions are numbers, the next one; otherwise the time, to as many
# digits as the others have.
next_version()
{
	versions_of_directory | awk -v now="$(date -u +%Y%m%d%H%M%S)" '
		{ if (length($0) > width) width = length($0)
		  if ($0 + 0 >= last) last = $0 + 0
		  if ($0 ~ /^0/) zeros = 1 }
		END {
			if (NR && width <= 6) {
				printf(zeros ? "%0" width "d\n" : "%d\n", last + 1)
				exit
			}
			while (length(now) < width)
				now = now "0"
			print now
		}'
}

command_new()
{
	name=$1
	case $name in
		*[!A-Za-z0-9_-]* | '' | [!A-Za-z0-9]*)
			usage "\"$name\" is no name for a migration: it begins with a letter or digit and has only letters, digits, _ and -"
			;;
	esac
	[ "${#name}" -le 150 ] || usage "the name is too long: 150 characters at most"
	choose_directory
	[ ! -e "$directory" ] || [ -d "$directory" ] || die "$directory is not a directory" ''
	[ "$format" != auto ] || format=$(format_of_directory)
	version=$(next_version)
	while versions_of_directory | grep -qx "$version"
	do
		version=$(awk -v version="$version" 'BEGIN { printf "%.0f", version + 1 }')
	done
	mkdir -p -- "$directory" || die "directory $directory cannot be made" ''
	cd -- "$directory"
	: >"$work/new"
	make_migration
	show_new
}

# $down stays empty where the other migrations have no file for the way back.
wants_down()
{
	for path in "$@"
	do
		[ ! -e "$path" ] || down=1
	done
}

make_migration()
{
	up_text="-- $name
"
	down_text="-- the way back from $name
"
	case $format in
		plain | supabase | wrangler)
			wants_down [0-9Vv]*.down.sql
			make_file "${version}_$name.sql" "$up_text"
			[ -z "$down" ] || make_file "${version}_$name.down.sql" "$down_text"
			;;
		golang-migrate)
			make_file "${version}_$name.up.sql" "$up_text"
			make_file "${version}_$name.down.sql" "$down_text"
			;;
		flyway)
			[ -z "$down" ] || make_file "U${version}__$name.sql" "$down_text"
			make_file "V${version}__$name.sql" "$up_text"
			;;
		prisma)
			[ -z "$down" ] || usage "prisma has no file for the way back"
			make_directory "${version}_$name"
			make_file "${version}_$name/migration.sql" "$up_text"
			;;
		diesel)
			wants_down ./*/down.sql
			version=$(printf '%s' "$version" | sed 's/^\(....\)\(..\)\(..\)\(......\)$/\1-\2-\3-\4/')
			make_directory "${version}_$name"
			make_file "${version}_$name/up.sql" "$up_text"
			[ -z "$down" ] || make_file "${version}_$name/down.sql" "$down_text"
			;;
		dbmate)
			make_file "${version}_$name.sql" "$(printf '%s\n' '-- migrate:up' '' '' '-- migrate:down' '')
"
			;;
		node-pg-migrate)
			make_file "${version}_$name.sql" "$(printf '%s\n' '-- Up Migration' '' '' '-- Down Migration' '')
"
			;;
		postgrator)
			wants_down [0-9]*.undo.*.sql
			make_file "$version.do.$name.sql" "$up_text"
			[ -z "$down" ] || make_file "$version.undo.$name.sql" "$down_text"
			;;
		goose)
			make_file "${version}_$name.sql" "$(printf '%s\n' '-- +goose Up' '' '' '-- +goose Down' '')
"
			;;
		sql-migrate)
			make_file "${version}_$name.sql" "$(printf '%s\n' '-- +migrate Up' '' '' '-- +migrate Down' '')
"
			;;
		tern)
			make_file "${version}_$name.sql" "$up_text
---- create above / drop below ----
"
			;;
		*) usage "a migration of format $format is to be made with its own tool" ;;
	esac
}

make_directory()
{
	mkdir -- "$1" 2>/dev/null || die "$directory/$1 is there already, or cannot be made" ''
}

make_file()
{
	(set -C && printf '%s' "$2" >"./$1") 2>/dev/null ||
		die "$directory/$1 is there already, or cannot be written" ''
	printf '%s/%s\n' "$directory" "$1" >>"$work/new"
}

show_new()
{
	if [ -n "$json" ]
	then
		sed 's/[\\"]/\\&/g; s/^/"/; s/$/"/' "$work/new" | paste -s -d , |
			sed 's/^/{"files": [/; s/$/]}/' >"$work/result"
	elif [ -z "$quiet" ]
	then
		cat "$work/new"
	fi
	: >"$work/messages"
	finish 0
}
