/*-------------------------------------------------------------------------
 *
 * fill_column.c
 *	  CALL migrate.fill_column(table, column): the default for old rows.
 *
 * A step of the plan for a new column whose default differs from row to row: a
 * backfill of the rows in which it is null.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "online/backfill.h"
#include "online/fill_column.h"
#include "run/run.h"
#include "utils/builtins.h"

static void fill_column(int nargs, const ProcedureArgument *args);

/*
 * See fill_column.h.
 */
void
register_fill_column(void)
{
	register_top_level_procedure("fill_column", fill_column);
}

static void
fill_column(int nargs, const ProcedureArgument *args)
{
	BackfillRequest request = {"fill_column"};
	const char *column;

	Assert(nargs == 2);
	if (args[0].isnull || args[1].isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table and the column for migrate.fill_column() must not be null")));
	column = quote_identifier(args[1].value);
	request.table = args[0].value;
	request.set = psprintf("%s = DEFAULT", column);

	/* of whatever type: the test for a row is right for all */
	request.condition = null_test(column, RECORDOID, true);
	request.counted = args[1].value;
	request.quiet = true;
	run_backfill(&request);
}
