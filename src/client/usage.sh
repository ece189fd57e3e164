#!/bin/sh
#
# Migrations of a local directory, through psql:
#
#     pg_safe_migrate up [DIRECTORY]        apply what is pending
#     pg_safe_migrate plan [DIRECTORY]      tell what "up" would do, do nothing
#     pg_safe_migrate status [DIRECTORY]    where each migration stands
#     pg_safe_migrate check FILE...         judge scripts as migrations, run nothing
#     pg_safe_migrate verify [DIRECTORY]    what is wrong or left half-done
#     pg_safe_migrate drift                 what was changed outside the ledger
#     pg_safe_migrate rollback [VERSION]    run down scripts
#     pg_safe_migrate new NAME              make an empty migration
#     pg_safe_migrate load | deploy | apply [DIRECTORY]    one step of "up"
#
#     pg_safe_migrate up --schemas PATTERN  the same history for many schemas,
#     pg_safe_migrate up --databases PATTERN    or databases
#     pg_safe_migrate targets               where each of these stands
#
#     pg_safe_migrate tasks                 work in the background
#     pg_safe_migrate retry TASK            have a task that failed go on
#     pg_safe_migrate cancel TASK           have a task taken back
#
#     pg_safe_migrate adopt [TOOL]          take over what another tool has applied
#     pg_safe_migrate baseline VERSION      mark as applied without running
#     pg_safe_migrate repair VERSION        accept an edited one, begin one anew
#     pg_safe_migrate unregister VERSION    forget one that has not run
#
# "pg_safe_migrate COMMAND --help" tells the rest, docs/pg_safe_migrate.md all.
#
# Options of every command:
#
#     -h, --host HOST; -p, --port PORT; -U, --username ROLE;
#     -d, --dbname NAME, or a connection string or URI;
#     -w, --no-password; -W, --password     as psql has them; PG... variables,
#                           service and password files count, too
#     --directory DIRECTORY where the files are: by default
#                           $SAFE_MIGRATE_DIRECTORY, or else "migrations"
#     --format NAME         what it holds, if that cannot be told
#     --json                one JSON document on standard output
#     --quiet, --verbose    say less, say more
#     --help, --version
#
# Exits with 0 if all went well, with 1 if something failed, would be refused or
# may not be seen, with 2 if the command is not understood or there is no
# connection, with 3 if migrations are pending (status --exit-code), with 4 if
# verify or drift found something, with 128 and the number of the signal if it
# was interrupted.

set -eu

VERSION=0.1.0


# ---- how it is called

help_of_all()
{
	sed -n '3,/^$/s/^#\( \|$\)//p' "$0"
}

help_of_command()
{
	case $1 in
		up) cat <<'END' ;;
pg_safe_migrate up [DIRECTORY] [--to VERSION] [--dry-run]
pg_safe_migrate up [DIRECTORY] --schemas PATTERN | --all-schemas | --databases PATTERN
pg_safe_migrate up --registered

Registers the files of the directory, then applies what is pending, each
migration in its own transaction (CALL migrate.deploy()). What has committed
stays when a later one fails; "up" again goes on from there. If other migrations
are pending that were registered before and are not in the directory, nothing
runs, and they are named.

    --to VERSION         stop behind this one
    --dry-run            the same as "plan"
    --registered         apply what is registered already; no directory is read

The same history for many, each with a ledger of its own (CALL
migrate.deploy_all()); one that fails does not stop the others:

    --schemas PATTERN    for each schema whose name matches; * stands for any
                         characters, ? for one, a comma separates patterns
    --all-schemas        for each schema that it was deployed to before
    --databases PATTERN  for each database of the server whose name matches
    --parallel NUMBER    so many at a time, by default 4
END
		load) cat <<'END' ;;
pg_safe_migrate load [DIRECTORY]

Registers the files of the directory, and runs nothing.
END
		deploy) cat <<'END' ;;
pg_safe_migrate deploy [DIRECTORY] [OPTION...]

The same as "up", with the same options.
END
		apply) cat <<'END' ;;
pg_safe_migrate apply [DIRECTORY] [--to VERSION] [--registered]

As "up", but all that is pending in one transaction: all or nothing.
END
		plan) cat <<'END' ;;
pg_safe_migrate plan [DIRECTORY] [--to VERSION] [--registered]

Tells, statement by statement, what "up" would do and what would be refused.
Nothing runs, and nothing is registered. Exits with 1 if something would be
refused or cannot run.

    --to VERSION   stop behind this one
    --registered   what is registered already; no directory is read
END
		status) cat <<'END' ;;
pg_safe_migrate status [DIRECTORY] [--exit-code]

Where each registered migration stands; if a directory is given, also those of
its files that are not registered yet (and stay so).

    --exit-code    exit with 3 if migrations are pending or running, with 1 if
                   one failed, was edited or is out of order
END
		check) cat <<'END' ;;
pg_safe_migrate check [--in-transaction] FILE...

Judges scripts as if they were migrations, each by itself; - is standard input.
Nothing runs. Exits with 1 if a statement would be refused or cannot run. Of a
file with a part for the way back (-- migrate:down, -- +goose Down, and what
sql-migrate, node-pg-migrate and tern have), that part is not judged.

    --in-transaction   as another tool sends them, in one transaction
END
		verify) cat <<'END' ;;
pg_safe_migrate verify [DIRECTORY]

What is wrong or was left half-done in the database, with the remedy; if a
directory is given, compared with its files. Exits with 4 if there is anything,
with 1 if there is not but the role may not see all of it. Of tasks in the
background it tells those of the roles that one is a member of.
END
		drift) cat <<'END' ;;
pg_safe_migrate drift [--since TIME | --acknowledge]

What was changed in the schema outside the ledger, and nobody has acknowledged.
Exits with 4 if anything was.

    --since TIME    all since then: 2026-11-27, '2026-11-27 14:00', yesterday
    --acknowledge   it may stay: nothing of it is told any more
END
		rollback) cat <<'END' ;;
pg_safe_migrate rollback [VERSION] [--yes]

Runs the down script of the migration that was applied last or, given a version,
of all that were applied after it, the last one first, in one transaction. Asks
before it does; without a terminal it must be told --yes. It undoes what the down
scripts undo and no more: what they drop is gone. Repeatable migrations have no
down script; they run again with the next "up".

    --yes          do not ask
END
		repair) cat <<'END' ;;
pg_safe_migrate repair VERSION

Has the ledger follow what was done by hand: the text of an edited migration
counts as what was applied; one that has run in part begins anew, after you have
taken back that part; one whose file is gone is forgotten. A migration that
failed needs none of that: mend its file or the data, and "up" again.
END
		unregister) cat <<'END' ;;
pg_safe_migrate unregister VERSION

Forgets a registered migration of which nothing has run.
END
		adopt) cat <<'END' ;;
pg_safe_migrate adopt [TOOL] [--ledger TABLE] [--accept-edited]

Takes over what another migration tool has applied, from its own table in the
database; nothing runs. Load the files first, so that they can be compared.

    TOOL             only this one: flyway, prisma, ...; needed if several are found
    --ledger TABLE   the table of that tool, if it is not found by its name
    --accept-edited  take files that differ from what was applied as they are
END
		targets) cat <<'END' ;;
pg_safe_migrate targets

The schemas and databases of "up --schemas" and "up --databases": what the last
call has done to each, and how many migrations are pending there. Exits with 1 if
one has failed.
END
		tasks) cat <<'END' ;;
pg_safe_migrate tasks

What migrations and other statements have left to the background, and what was
cut off, as far as it is not done: with its number, for "retry" and "cancel".
END
		retry) cat <<'END' ;;
pg_safe_migrate retry TASK [--wait]

Has a task that failed go on, after its cause was mended. If it was left by a
migration, "up" again then goes on behind it.

    --wait         until it is done; exits with 1 if it fails
END
		cancel) cat <<'END' ;;
pg_safe_migrate cancel TASK

Stops a task, and has what it did taken back.
END
		baseline) cat <<'END' ;;
pg_safe_migrate baseline VERSION

Marks the registered migrations up to this one as applied, without running them.
END
		new) cat <<'END' ;;
pg_safe_migrate new NAME [--directory DIRECTORY] [--format NAME] [--down]

Makes an empty migration in the layout that the directory has, in an empty one
plain <version>_<name>.sql. The version is the time in UTC or, where the others
are numbered, the next number. Needs no server. Nothing is overwritten.

    --down         with a file for the way back, although no other one has it
END
		*) return 1 ;;
	esac
}
