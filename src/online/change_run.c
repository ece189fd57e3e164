/*-------------------------------------------------------------------------
 *
 * change_run.c
 *	  Running the statements of an online change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/migration_flag.h"
#include "common/own_tables.h"
#include "common/script.h"
#include "common/settings.h"
#include "common/subtransaction.h"
#include "drift/ddl_record.h"
#include "executor/spi.h"
#include "lock/lock.h"
#include "online/change.h"
#include "run/run.h"
#include "run/run_task.h"
#include "run/step.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

static int	begin_path(bool users_path);
static void run_as_step(const char *statement);
static bool run_and_roll_back(void *arg);

/*
 * See change.h.
 */
void
run_change_statements(const List *statements, bool users_path)
{
	int			nest_level = begin_path(users_path);
	ListCell   *cell;

	foreach(cell, statements)
	{
		List	   *parts = parse_script(lfirst(cell), "statement", 1);
		ListCell   *part;

		foreach(part, parts)
			run_as_step(((ScriptStatement *) lfirst(part))->text);
	}
	AtEOXact_GUC(true, nest_level);
}

/* Returns the nest level of settings to end. */
static int
begin_path(bool users_path)
{
	int			nest_level = NewGUCNestLevel();

	if (!users_path)
		(void) set_config_option("search_path", "pg_catalog, pg_temp",
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	return nest_level;
}

static void
run_as_step(const char *statement)
{
	mark_step(true);
	PG_TRY();
	{
		run_statement_in_function(statement);
	}
	PG_FINALLY();
	{
		/* a query does not take the mark */
		mark_step(false);
	}
	PG_END_TRY();
	CommandCounterIncrement();
}

/*
 * See change.h.
 */
void
run_change_as_one(const List *statements, const char *text)
{
	DdlRecord  *record = NULL;

	if (setting_record_ddl && !migration_is_running() && hook_is_active())
		record = begin_ddl_record(((ScriptStatement *) linitial(parse_script(linitial(statements), "statement", 1)))->raw->stmt,
								  text);
	PG_TRY();
	{
		run_change_statements(statements, false);
	}
	PG_CATCH();
	{
		if (record != NULL)
			abandon_ddl_record(record);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (record != NULL)
		end_ddl_record(record, NULL);
}

/*
 * See change.h.
 */
void
try_change_statements(List *statements)
{
	ErrorData  *error = run_in_subtransaction(run_and_roll_back, statements);

	if (error != NULL)
	{
		/* CASCADE is nothing that the user could give here */
		error->hint = NULL;
		ReThrowError(error);
	}
}

static bool
run_and_roll_back(void *arg)
{
	run_change_statements(arg, false);
	return false;
}

/*
 * See change.h.  Whoever reads a view has locked it before the tables in it:
 * with all of them at once there is no deadlock.
 */
void
lock_for_change(const char *function, Oid relid, List *statements,
				bool users_path)
{
	int			nest_level = begin_path(users_path);

	lock_for_statements(CMDTAG_ALTER_TABLE, function,
						find_all_inheritors(relid, NoLock, NULL), statements);
	AtEOXact_GUC(true, nest_level);
}

/*
 * See change.h.
 */
char *
drop_column_statement(const Change *change, const char *column)
{
	return psprintf("ALTER TABLE %s DROP COLUMN %s", change->relation,
					quote_identifier(column));
}

/*
 * See change.h.
 */
char *
dropped_column(Node *statement)
{
	AlterTableCmd *command;

	if (!IsA(statement, AlterTableStmt))
		return NULL;
	command = linitial_node(AlterTableCmd,
							((AlterTableStmt *) statement)->cmds);
	return command->subtype == AT_DropColumn ? command->name : NULL;
}

/*
 * See change.h.
 */
void
tell_what_goes(const Change *change, const char *column)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *objects;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(change->relid),
					 false);
	add_own_argument(&arguments, INT4OID,
					 Int32GetDatum(get_attnum(change->relid, column)), false);
	run_own_query("SELECT pg_catalog.string_agg(DISTINCT "
				  "pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), "
				  "', ') FROM pg_catalog.pg_depend d "
				  "WHERE d.refclassid OPERATOR(pg_catalog.=) "
				  "'pg_catalog.pg_class'::pg_catalog.regclass "
				  "AND d.refobjid OPERATOR(pg_catalog.=) $1 "
				  "AND d.refobjsubid OPERATOR(pg_catalog.=) $2 "
				  "AND d.deptype OPERATOR(pg_catalog.=) ANY (ARRAY['a'::pg_catalog.\"char\", 'i'::pg_catalog.\"char\"]) "
				  "AND d.classid OPERATOR(pg_catalog.<>) "
				  "'pg_catalog.pg_attrdef'::pg_catalog.regclass "
				  "AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k "
				  "WHERE k.oid OPERATOR(pg_catalog.=) d.objid "
				  "AND d.classid OPERATOR(pg_catalog.=) "
				  "'pg_catalog.pg_constraint'::pg_catalog.regclass "
				  "AND k.contype OPERATOR(pg_catalog.=) 'n')",
				  &arguments, SPI_OK_SELECT);
	objects = own_text_column(&access, 0, 1);
	end_own_access(&access);
	if (objects != NULL)
		ereport(NOTICE,
				(errmsg("the contract of change " INT64_FORMAT " drops with column %s: %s",
						change->id, quote_identifier(column), objects)));
}
