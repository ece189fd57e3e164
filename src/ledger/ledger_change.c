/*-------------------------------------------------------------------------
 *
 * ledger_change.c
 *	  SQL that changes the record of what has run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/own_tables.h"
#include "executor/spi.h"
#include "ledger/ledger.h"

/*
 * The attempt by which a migration counts as applied does so no longer.
 * Returns false if there is none.  Only to be called while holding the lock of
 * the ledger.
 */
bool
ledger_end_effect(const LedgerEntry *entry, AttemptState state)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		changed;

	begin_own_access(&access);
	add_own_text(&arguments, entry->version);
	add_own_text(&arguments, ledger_target_schema());
	add_own_text(&arguments, attempt_state_name(state));
	run_own_query("UPDATE migrate.attempts SET state = $3 "
				  "WHERE version OPERATOR(pg_catalog.=) $1 "
				  "AND target_schema OPERATOR(pg_catalog.=) $2 "
				  "AND in_effect",
				  &arguments, SPI_OK_UPDATE);
	changed = SPI_processed > 0;
	end_own_access(&access);
	return changed;
}

/*
 * The other schemas, in order, where the last attempt at a migration stopped
 * half way; an empty name is that of the database.  A list of char * in the
 * current memory context.
 */
List *
ledger_half_done_elsewhere(const LedgerEntry *entry)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *schemas = NIL;

	begin_own_access(&access);
	add_own_text(&arguments, entry->version);
	add_own_text(&arguments, ledger_target_schema());
	run_own_query("SELECT l.target_schema FROM ("
				  "SELECT DISTINCT ON (a.target_schema) a.target_schema, "
				  "a.state, a.statements FROM migrate.attempts a "
				  "WHERE a.version OPERATOR(pg_catalog.=) $1 "
				  "AND a.target_schema OPERATOR(pg_catalog.<>) $2 "
				  "AND a.kind OPERATOR(pg_catalog.=) 'apply' "
				  "ORDER BY a.target_schema, a.id DESC) l "
				  "WHERE l.state OPERATOR(pg_catalog.=) 'running' "
				  "OR (l.state OPERATOR(pg_catalog.=) 'failed' "
				  "AND l.statements OPERATOR(pg_catalog.>) 0) "
				  "ORDER BY l.target_schema",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *schema = own_text_column(&access, row, 1);
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		schemas = lappend(schemas, schema);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return schemas;
}

/*
 * Forget a migration, whatever has run of it; its attempts stay.
 */
void
ledger_forget_migration(const LedgerEntry *entry)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments, entry->version);
	run_own_query("DELETE FROM migrate.migrations "
				  "WHERE version OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_DELETE);
	end_own_access(&access);
}

/*
 * No deploy will go on with a migration that was cut off: what is unfinished of
 * its statement can be retried by itself.  There is one such migration at a
 * time, since nothing runs behind it.
 */
void
ledger_release_tasks(const LedgerEntry *entry)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	if (entry->applied || entry->attempt == 0)
		return;
	begin_own_access(&access);
	run_own_query("UPDATE migrate.task_log SET continued_by = NULL "
				  "WHERE continued_by OPERATOR(pg_catalog.=) 'CALL migrate.deploy()' "
				  "AND state OPERATOR(pg_catalog.<>) ALL (ARRAY['done', 'cancelled'])",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * The tasks that a migration has left to the background in all attempts at it,
 * finished or not: a list of int64 * in the current memory context.
 */
List *
ledger_read_tasks(const LedgerEntry *entry)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *tasks = NIL;

	begin_own_access(&access);
	add_own_text(&arguments, entry->version);
	add_own_text(&arguments, ledger_target_schema());
	run_own_query("SELECT DISTINCT t.task FROM migrate.attempts a, "
				  "pg_catalog.unnest(a.tasks) t (task) "
				  "WHERE a.version OPERATOR(pg_catalog.=) $1 "
				  "AND a.target_schema OPERATOR(pg_catalog.=) $2 "
				  "ORDER BY t.task",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(access.caller);
		int64	   *task = palloc(sizeof(int64));

		*task = own_bigint_column(row, 1);
		tasks = lappend(tasks, task);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return tasks;
}

/*
 * The text that reverts a migration, or NULL, in the current memory context;
 * and the line of its file with which it begins.
 */
char *
ledger_read_down_body(const LedgerEntry *entry, int *line)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *body = NULL;

	begin_own_access(&access);
	add_own_text(&arguments, entry->version);
	run_own_query("SELECT down_body, down_line FROM migrate.migrations "
				  "WHERE version OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		body = own_text_column(&access, 0, 1);
		*line = own_int_column(0, 2);
	}
	end_own_access(&access);
	return body;
}
