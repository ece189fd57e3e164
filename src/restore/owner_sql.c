/*-------------------------------------------------------------------------
 *
 * owner_sql.c
 *	  SQL that runs what belongs to the owner of a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "restore/owner_sql.h"
#include "utils/guc.h"

static int64 execute(Oid relid, const char *query, int expected,
					 bool is_count);

/*
 * See owner_sql.h.
 */
int64
run_as_owner(Oid relid, const char *query, int expected)
{
	int64		rows = execute(relid, query, expected, false);

	CommandCounterIncrement();
	return rows;
}

/*
 * See owner_sql.h.
 */
int64
count_as_owner(Oid relid, const char *query)
{
	return execute(relid, query, SPI_OK_SELECT, true);
}

static int64
execute(Oid relid, const char *query, int expected, bool is_count)
{
	OwnAccess	access;
	Oid			user;
	int			security_context;
	SPIPlanPtr	plan;
	int			result;
	int			level;
	int64		rows;

	begin_own_access(&access);
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not plan a query of a rollback: %s",
			 SPI_result_code_string(SPI_result));
	GetUserIdAndSecContext(&user, &security_context);
	level = NewGUCNestLevel();
	SetUserIdAndSecContext(relation_owner(relid),
						   security_context | SECURITY_RESTRICTED_OPERATION |
						   SECURITY_NOFORCE_RLS);
	/* the planner must not believe what is being found out */
	(void) set_config_option("constraint_exclusion", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	result = SPI_execute_plan(plan, NULL, NULL, false, 0);
	if (result != expected)
		elog(ERROR, "unexpected result of a query of a rollback: %s",
			 SPI_result_code_string(result));
	rows = is_count ? own_bigint_column(0, 1) : SPI_processed;
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(user, security_context);
	end_own_access(&access);
	return rows;
}

/*
 * See owner_sql.h.
 */
int
begin_exact_text(void)
{
	static const char *const settings[][2] = {
		{"extra_float_digits", "3"},
		{"datestyle", "ISO"},
		{"intervalstyle", "postgres"}
	};
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
	return level;
}
