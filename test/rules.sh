#!/bin/sh
#
# Write the page of all rules from the registry in the library:
#
#     sh test/rules.sh [FILE]        default: rules.md

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"

page=${1:-rules.md}

sm_packages
sm_workdir
sm_build
sm_start rules "fsync = off"
sm_psql -q -c "CREATE EXTENSION safe_migrate"
cat >"$page" <<'TEXT'
# Rules

Generated from the registry by `make rules`. The default action can be changed
with `safe_migrate.rules` or a row in `migrate.policy`.
TEXT
sm_psql -q -At -v ON_ERROR_STOP=1 >>"$page" <<'SQL'
SELECT E'\n## ' || title || E'\n\n' || note || E'\n'
	|| E'\n| rule | default | what it is for | what to do instead |\n|---|---|---|---|\n'
	|| string_agg(format('| `%s` | %s | %s | %s |', name, default_action,
		replace(description, '|', '\|'), replace(remedy, '|', '\|')), E'\n' ORDER BY name)
FROM migrate.rules JOIN (VALUES
	(1, 'work', 'Long work under a lock', 'Counts for tables larger than `safe_migrate.small_table`, when at least writers have to wait.'),
	(2, 'lock', 'A lock without work', 'Counts for tables larger than `safe_migrate.small_table`.'),
	(3, 'data', 'Data is lost', 'Counts for tables that hold anything.'),
	(4, 'clients', 'Running clients break', 'Counts for tables that hold anything.'),
	(5, 'dml', 'Many rows are changed', 'Counts for tables that hold anything; off until named, or until `safe_migrate.row_limit` is set.'),
	(6, 'design', 'How the schema is designed and named', 'Off until named. Counts for tables that are new as well, but not for temporary ones.')
) AS c (position, class, title, note) USING (class)
GROUP BY position, title, note ORDER BY position;
SQL
sm_say "Wrote $page: $(grep -c '^| .*` |' "$page") rules"
