/*-------------------------------------------------------------------------
 *
 * late_tables.c
 *	  Partitions that came after the start of a change.
 *
 * Those that were created as a partition have had the trigger from their first
 * row on; those that were attached with rows may have none of the new values.  No
 * catalog tells the two apart, so their rows are read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "common/subtransaction.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "online/change.h"
#include "online/row_expression.h"
#include "online/verify_rows.h"
#include "parser/parser.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* The backfill of a change, as its step says it. */
typedef struct FillingStep
{
	const Change *change;
	char	   *text;
	char	   *condition;		/* of rows that it has yet to set; or NULL */
	Oid			relid;			/* that is read */
	bool		has_rows;		/* that are yet to be set */
} FillingStep;

static List *late_tables(const Change *change, List **unfilled, char **step);
static void require_beginner(const Change *change);
static char *condition_of_step(const char *text);
static bool clients_may_empty(const Change *change);
static bool read_table(void *arg);
static char *call_for(const FillingStep *step);

/*
 * See change.h.
 */
List *
check_late_tables(const Change *change)
{
	FillingStep step = {0};
	List	   *unfilled;
	List	   *tables = late_tables(change, &unfilled, &step.text);
	ListCell   *cell;

	if (tables == NIL)
		return NIL;
	require_beginner(change);
	step.change = change;
	step.condition = condition_of_step(step.text);
	foreach(cell, tables)
	{
		ErrorData  *error;

		/* not to keep its lock, which the contract is to take without a queue */
		step.relid = lfirst_oid(cell);
		error = run_in_subtransaction(read_table, &step);
		if (error != NULL)
		{
			/* a value that the new shape cannot have */
			if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION)
				error->message = psprintf("%s (a row of %s, which became a part of %s)",
										  error->message,
										  relation_display_name(step.relid),
										  change->relation);
			ReThrowError(error);
		}
		if (step.has_rows)
			ereport(clients_may_empty(change) &&
					!list_member_oid(unfilled, step.relid) ? WARNING : ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("%s became a part of %s with rows that were not filled: %s first",
							relation_display_name(step.relid),
							change->relation, call_for(&step))));
	}
	return tables;
}

/*
 * See change.h.
 */
void
refuse_later_tables(const Change *change, const List *checked)
{
	List	   *unfilled;
	char	   *step;
	ListCell   *cell;

	foreach(cell, late_tables(change, &unfilled, &step))
	{
		if (!list_member_oid(checked, lfirst_oid(cell)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("%s became a part of %s just now: send that again",
							relation_display_name(lfirst_oid(cell)),
							change->relation)));
	}
}

/*
 * Their OIDs, in order, those of them that no backfill has seen, and the text of
 * the step that has filled the others.  A partition that was detached and came
 * back has a trigger that is younger than that of the table.
 */
static List *
late_tables(const Change *change, List **unfilled, char **step)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *tables;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->id), false);
	add_own_oid_list(&arguments,
					 find_all_inheritors(change->relid, NoLock, NULL));
	add_own_text(&arguments,
				 psprintf(CHANGE_TRIGGER, change->id));
	run_own_query("SELECT s.relid, s.step, CASE WHEN NOT s.is_filled "
				  "THEN s.relid ELSE 0::pg_catalog.oid END FROM ("
				  "SELECT r.oid AS relid, t.steps[c.filling] AS step, "
				  "EXISTS (SELECT FROM migrate.backfill_log b "
				  "JOIN migrate.backfill_table_log l "
				  "ON l.backfill OPERATOR(pg_catalog.=) b.id "
				  "WHERE l.relid OPERATOR(pg_catalog.=) r.oid "
				  "AND b.state OPERATOR(pg_catalog.=) 'done' "
				  "AND b.finished_at OPERATOR(pg_catalog.>=) t.created_at "
				  "AND pg_catalog.strpos(t.steps[c.filling], "
				  "pg_catalog.quote_literal(b.set_list)) "
				  "OPERATOR(pg_catalog.>) 0) AS is_filled, "
				  "(SELECT p.xmin FROM pg_catalog.pg_trigger p "
				  "WHERE p.tgrelid OPERATOR(pg_catalog.=) r.oid "
				  "AND p.tgname OPERATOR(pg_catalog.=) $3) "
				  "OPERATOR(pg_catalog.<>) (SELECT p.xmin "
				  "FROM pg_catalog.pg_trigger p "
				  "WHERE p.tgrelid OPERATOR(pg_catalog.=) c.relid "
				  "AND p.tgname OPERATOR(pg_catalog.=) $3) AS is_back "
				  "FROM migrate.task_log t "
				  "JOIN migrate.change_log c ON c.id OPERATOR(pg_catalog.=) t.id "
				  "CROSS JOIN pg_catalog.unnest($2) u (oid) "
				  "JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) u.oid "
				  "WHERE t.id OPERATOR(pg_catalog.=) $1 "
				  "AND c.filling OPERATOR(pg_catalog.>) 1 "
				  "AND r.relkind OPERATOR(pg_catalog.=) 'r') s "
				  "WHERE NOT s.is_filled OR s.is_back ORDER BY s.relid",
				  &arguments, SPI_OK_SELECT);
	tables = own_oid_column(&access, 1);
	*unfilled = own_oid_column(&access, 3);
	*step = tables != NIL ? own_text_column(&access, 0, 2) : NULL;
	end_own_access(&access);
	return tables;
}

/* To read the tables is to run his functions, see migrate.advance(). */
static void
require_beginner(const Change *change)
{
	TaskStatus *status = task_status(change->id);

	if (status != NULL && status->role_oid != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("partitions have come since change " INT64_FORMAT " of %s was filled, and to look at their rows would run functions of role \"%s\", which began it: SELECT migrate.cancel(" INT64_FORMAT ") and begin it anew",
						change->id, change->relation, status->role, change->id)));
}

/* A null that an old client has written by intent is none of ours. */
static bool
clients_may_empty(const Change *change)
{
	return strcmp(change->kind, "add_column") == 0;
}

/* Of rows that it has yet to set; NULL if it sets all. */
static char *
condition_of_step(const char *text)
{
	CallStmt   *call = castNode(CallStmt,
								linitial_node(RawStmt,
											  raw_parser(text, RAW_PARSE_DEFAULT))->stmt);
	A_Const    *condition = castNode(A_Const, lthird(call->funccall->args));

	return condition->isnull ? NULL : strVal(&condition->val);
}

/*
 * Under the settings that the condition was written under.  Without one,
 * whatever row there is counts as one to be set.
 */
static bool
read_table(void *arg)
{
	FillingStep *step = arg;

	(void) begin_fixed_settings();
	step->has_rows = table_has_row(step->relid,
								   get_rel_name(step->change->relid),
								   step->condition != NULL ? step->condition : "true");
	return false;
}

/* The same step, for that table alone. */
static char *
call_for(const FillingStep *step)
{
	const char *table = quote_literal_cstr(step->change->relation);
	const char *behind = strstr(step->text, table);

	return psprintf("CALL migrate.backfill(%s%s",
					quote_literal_cstr(relation_display_name(step->relid)),
					behind + strlen(table));
}
