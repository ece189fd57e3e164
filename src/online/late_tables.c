/*-------------------------------------------------------------------------
 *
 * late_tables.c
 *	  Partitions that came when the backfill of a change was over.
 *
 * Those that were created as a partition have had the trigger from their first
 * row on; those that were attached with rows have none of the new values.  No
 * catalog tells the two apart, so their rows are read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "common/subtransaction.h"
#include "executor/spi.h"
#include "online/change.h"
#include "online/verify_rows.h"
#include "parser/parser.h"
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

static List *late_tables(const Change *change, char **step);
static char *condition_of_step(const char *text);
static bool read_table(void *arg);
static char *call_for(const FillingStep *step);

/*
 * See change.h.
 */
List *
check_late_tables(const Change *change)
{
	FillingStep step = {0};
	List	   *tables = late_tables(change, &step.text);
	ListCell   *cell;

	if (tables == NIL)
		return NIL;
	step.change = change;
	step.condition = condition_of_step(step.text);
	foreach(cell, tables)
	{
		ErrorData  *error;

		/* not to keep its lock, which the contract is to take without a queue */
		step.relid = lfirst_oid(cell);
		error = run_in_subtransaction(read_table, &step);
		if (error != NULL)
			ReThrowError(error);
		if (step.has_rows)
			ereport(ERROR,
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
	char	   *step;
	ListCell   *cell;

	foreach(cell, late_tables(change, &step))
	{
		if (!list_member_oid(checked, lfirst_oid(cell)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("%s became a part of %s just now: send that again",
							relation_display_name(lfirst_oid(cell)),
							change->relation)));
	}
}

/* Their OIDs, in order, and the text of the step that has filled the others. */
static List *
late_tables(const Change *change, char **step)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *tables;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->id), false);
	add_own_oid_list(&arguments,
					 find_all_inheritors(change->relid, NoLock, NULL));
	run_own_query("SELECT r.oid, t.steps[c.filling] FROM migrate.task_log t "
				  "JOIN migrate.change_log c ON c.id OPERATOR(pg_catalog.=) t.id "
				  "CROSS JOIN pg_catalog.unnest($2) u (oid) "
				  "JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) u.oid "
				  "WHERE t.id OPERATOR(pg_catalog.=) $1 "
				  "AND c.filling OPERATOR(pg_catalog.>) 1 "
				  "AND r.relkind OPERATOR(pg_catalog.=) 'r' "
				  "AND NOT EXISTS (SELECT FROM migrate.backfill_log b "
				  "JOIN migrate.backfill_table_log l "
				  "ON l.backfill OPERATOR(pg_catalog.=) b.id "
				  "WHERE l.relid OPERATOR(pg_catalog.=) r.oid "
				  "AND b.state OPERATOR(pg_catalog.=) 'done' "
				  "AND b.finished_at OPERATOR(pg_catalog.>=) t.created_at "
				  "AND pg_catalog.strpos(t.steps[c.filling], "
				  "pg_catalog.quote_literal(b.set_list)) "
				  "OPERATOR(pg_catalog.>) 0) ORDER BY r.oid",
				  &arguments, SPI_OK_SELECT);
	tables = own_oid_column(&access, 1);
	*step = tables != NIL ? own_text_column(&access, 0, 2) : NULL;
	end_own_access(&access);
	return tables;
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

/* Without a condition, whatever row there is counts as one to be set. */
static bool
read_table(void *arg)
{
	FillingStep *step = arg;

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
