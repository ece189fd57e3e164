# ---- what is told to whom

# What does not go to standard output; to the terminal, or into the JSON.
say()
{
	printf 'pg_safe_migrate: %s\n' "$*" >&2
}

usage()
{
	problem "$*: see pg_safe_migrate ${command:+$command }--help" ''
	exit 2
}

# die MESSAGE: of files that the server would refuse with the same SQLSTATE.
die()
{
	problem "$1" "${2-SM008}"
	exit 1
}

problem()
{
	if [ -n "$json" ]
	then
		printf '%s' "$1" >"$work/problem"
		write_json "$2" <"$work/problem"
	else
		say "$1"
	fi
}

# The one document: what the server gave, in $work/result, and the error and
# the notices that are in standard input, as psql prints them when it is verbose.
# With an SQLSTATE, or an empty one, all of that is the message.
write_json()
{
	printf '{"command": "%s", "result": ' "${command:-}"
	if [ -s "$work/result" ]
	then
		tr -d '\n' <"$work/result"
	else
		printf null
	fi
	without_invalid_bytes | failed=${failed:-1} sqlstate=${1--} LC_ALL=C awk '
		BEGIN {
			label["DETAIL"] = "detail"; label["HINT"] = "hint"
			label["CONTEXT"] = "context"
			for (i = 1; i < 32; i++)
				control[i] = sprintf("%c", i)
			if (ENVIRON["sqlstate"] != "-") {
				begin_message()
				said[count, "sqlstate"] = ENVIRON["sqlstate"]
			}
		}
		function begin_message() { count++; field = "message" }
		function add(text) {
			if ((count, field) in said)
				text = said[count, field] "\n" text
			said[count, field] = text
		}
		# Not gsub(): what a backslash means in its replacement differs between
		# awks, and versions of mawk.
		function replaced(text, from, to,  at, done) {
			while (at = index(text, from)) {
				done = done substr(text, 1, at - 1) to
				text = substr(text, at + 1)
			}
			return done text
		}
		function quoted(text,  i) {
			text = replaced(text, "\\", "\\\\")
			text = replaced(text, "\"", "\\\"")
			text = replaced(text, "\n", "\\n")
			text = replaced(text, "\t", "\\t")
			for (i = 1; i < 32; i++)
				text = replaced(text, control[i], sprintf("\\u%04x", i))
			return "\"" text "\""
		}
		function one(i, name) {
			return "\"" name "\": " (said[i, name] == "" ? "null" : quoted(said[i, name]))
		}
		function object(i) {
			return "{" one(i, "sqlstate") ", " one(i, "message") ", " \
				one(i, "detail") ", " one(i, "hint") ", " one(i, "context") "}"
		}
		ENVIRON["sqlstate"] != "-" { add($0); next }
		/^[^ :]+:  [0-9A-Z][0-9A-Z][0-9A-Z][0-9A-Z][0-9A-Z]: / {
			begin_message()
			sub(/^[^ :]+:  /, "")
			said[count, "sqlstate"] = substr($0, 1, 5)
			add(substr($0, 8))
			next
		}
		/^psql: error: / || (/^server closed the connection/ && !count) {
			begin_message()
			said[count, "sqlstate"] = /^psql/ ? "08001" : "08006"
			sub(/^psql: error: /, "")
			add($0)
			next
		}
		/^Cancel request sent/ || !count { next }
		/^LINE [0-9]+: / { field = "excerpt" }
		/^[A-Z][A-Z ]+:  / {
			name = $0
			sub(/:  .*/, "", name)
			field = (name in label) ? label[name] : "other"
			sub(/^[A-Z ]+:  /, "")
		}
		{ add($0) }
		END {
			failed = ENVIRON["failed"] + 0 || ENVIRON["sqlstate"] != "-"
			last = failed ? count : count + 1
			printf ", \"error\": %s, \"notices\": [", \
				failed && count ? object(count) : "null"
			for (i = 1; i < last; i++)
				printf "%s%s", (i > 1 ? ", " : ""), object(i)
			print "]}"
		}'
}

# Names of files may be anything, JSON must be UTF-8.
without_invalid_bytes()
{
	if command -v iconv >/dev/null 2>&1
	then
		iconv -c -f UTF-8 -t UTF-8 || true
	else
		cat
	fi
}
