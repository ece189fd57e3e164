/*-------------------------------------------------------------------------
 *
 * gone_rows.c
 *	  Rows that clients have deleted from a file that goes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "restore/gone_rows.h"
#include "restore/later_columns.h"
#include "restore/later_values.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

static char *was_there_condition(const LaterWrites *later);
static List *xids_of_column(OwnAccess *access, int column);
static char *xid_array(List *xids);

/*
 * See gone_rows.h.
 */
void
collect_gone_rows(LaterWrites *later)
{
	StringInfoData query;
	ListCell   *cell;

	initStringInfo(&query);
	appendStringInfo(&query, "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT ",
					 strchr(later->gone, '.') + 1);
	foreach(cell, later->key)
		appendStringInfo(&query, "%sh.%s AS c%d",
						 foreach_current_index(cell) ? ", " : "",
						 ((LaterColumn *) lfirst(cell))->holder_name,
						 ((LaterColumn *) lfirst(cell))->attnum);
	appendStringInfo(&query, " FROM %s h WHERE %s AND NOT EXISTS (SELECT FROM ONLY %s c WHERE ",
					 relation_display_name(later->relation->parked->holder),
					 was_there_condition(later),
					 relation_display_name(later->relid));
	foreach(cell, later->key)
		appendStringInfo(&query, "%sc.%s %s h.%s::%s",
						 foreach_current_index(cell) ? " AND " : "",
						 ((LaterColumn *) lfirst(cell))->name,
						 ((LaterColumn *) lfirst(cell))->equals,
						 ((LaterColumn *) lfirst(cell))->holder_name,
						 ((LaterColumn *) lfirst(cell))->type);
	appendStringInfoChar(&query, ')');
	later->gone_rows = make_later_table(later, later->gone, query.data);
}

/*
 * As SQL, of h: the row was also in the other file, when that came.  A rollback
 * has replaced this file by an older one.  Mode as_of has left there what was in
 * that: rows that are older, or that were only rewritten since.  Mode keep has
 * left all but those that migrations had written.
 */
static char *
was_there_condition(const LaterWrites *later)
{
	const ParkedFile *parked = later->relation->parked;
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		is_keep;
	char	   *snapshot;
	List	   *rewriters;
	List	   *changers;

	if (strcmp(parked->cause, "rolled back") != 0)
		return "true";
	add_own_argument(&arguments, XID8OID,
					 FullTransactionIdGetDatum(parked->xid), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(later->relid), false);
	begin_own_access(&access);
	run_own_query("SELECT b.mode OPERATOR(pg_catalog.=) 'keep', "
				  "b.target_snapshot::pg_catalog.text, "
				  "ARRAY(SELECT x::pg_catalog.text FROM migrate.replaced_files f, "
				  "pg_catalog.unnest(f.xid::pg_catalog.xid "
				  "OPERATOR(pg_catalog.||) f.subxids) x "
				  "WHERE f.relid OPERATOR(pg_catalog.=) $2 "
				  "AND NOT f.by_rollback AND NOT f.changed_behind "
				  "AND migrate.is_since(f.xid, b.target_creator, "
				  "b.target_snapshot)), "
				  "ARRAY(SELECT x::pg_catalog.text FROM ("
				  "SELECT f.xid, f.subxids FROM migrate.replaced_files f "
				  "WHERE f.relid OPERATOR(pg_catalog.=) $2 "
				  "AND NOT f.by_rollback AND f.changed_behind "
				  "UNION ALL SELECT c.xid, c.subxids "
				  "FROM migrate.changed_rows c WHERE NOT c.by_rollback) w, "
				  "pg_catalog.unnest(w.xid::pg_catalog.xid "
				  "OPERATOR(pg_catalog.||) w.subxids) x "
				  "WHERE migrate.is_since(w.xid, b.target_creator, "
				  "b.target_snapshot)) "
				  "FROM migrate.rollbacks b "
				  "WHERE b.xid OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed != 1)
	{
		end_own_access(&access);
		return "false";
	}
	is_keep = own_bool_column(0, 1);
	snapshot = own_text_column(&access, 0, 2);
	rewriters = xids_of_column(&access, 3);
	changers = xids_of_column(&access, 4);
	end_own_access(&access);
	return is_keep ?
		psprintf("NOT (h.xmin OPERATOR(pg_catalog.=) ANY (%s))",
				 xid_array(changers)) :
		psprintf("NOT (%s)", later_condition("h", snapshot, rewriters));
}

/* Of a text[] of the first row. */
static List *
xids_of_column(OwnAccess *access, int column)
{
	List	   *xids = NIL;
	ListCell   *cell;

	foreach(cell, own_text_list_column(access, 0, column))
	{
		MemoryContext old = MemoryContextSwitchTo(access->caller);

		xids = lappend_oid(xids,
						   (TransactionId) strtou64(lfirst(cell), NULL, 10));
		MemoryContextSwitchTo(old);
	}
	return xids;
}

/*
 * See gone_rows.h.  What is copied block by block, or by CLUSTER, keeps the old
 * transaction IDs.  Of two of them the older one has the greater age.
 */
char *
later_condition(const char *row, const char *snapshot, List *others)
{
	const char *next = strchr(snapshot, ':') + 1;
	const char *running = strchr(next, ':') + 1;
	List	   *xids = NIL;

	while (*running != '\0')
	{
		char	   *end;

		xids = lappend_oid(xids, (TransactionId) strtou64(running, &end, 10));
		running = *end == ',' ? end + 1 : end;
	}
	return psprintf("NOT (%s.xmin OPERATOR(pg_catalog.=) ANY (%s)) AND ("
					"pg_catalog.age(%s.xmin) OPERATOR(pg_catalog.<=) "
					"(SELECT pg_catalog.age('%u'::pg_catalog.xid)) "
					"OR %s.xmin OPERATOR(pg_catalog.=) ANY (%s))",
					row, xid_array(others), row,
					(TransactionId) strtou64(next, NULL, 10),
					row, xid_array(xids));
}

/* As an expression in SQL. */
static char *
xid_array(List *xids)
{
	StringInfoData array;
	ListCell   *cell;

	initStringInfo(&array);
	appendStringInfoString(&array, "'{");
	foreach(cell, xids)
		appendStringInfo(&array, "%s%u",
						 foreach_current_index(cell) ? "," : "",
						 lfirst_oid(cell));
	appendStringInfoString(&array, "}'::pg_catalog.xid[]");
	return array.data;
}
