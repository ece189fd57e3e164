/*-------------------------------------------------------------------------
 *
 * owner_sql.c
 *	  SQL that runs what belongs to the owner of a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "restore/owner_sql.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static int64 execute(Oid relid, const char *query, int expected,
					 bool is_count);
static Bitmapset *identities_of(Oid relid);
static void set_identities(Oid relid, const Bitmapset *columns,
						   char identity);

/*
 * See owner_sql.h.
 */
int64
run_as_owner(Oid relid, const char *query, int expected)
{
	Bitmapset  *identities = expected == SPI_OK_UPDATE ?
	identities_of(relid) : NULL;
	int64		rows;

	set_identities(relid, identities, ATTRIBUTE_IDENTITY_BY_DEFAULT);
	rows = execute(relid, query, expected, false);
	CommandCounterIncrement();
	set_identities(relid, identities, ATTRIBUTE_IDENTITY_ALWAYS);
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
	GetUserIdAndSecContext(&user, &security_context);
	level = NewGUCNestLevel();

	/* before the analysis, which runs the input functions of literals */
	SetUserIdAndSecContext(relation_owner(relid),
						   security_context | SECURITY_RESTRICTED_OPERATION |
						   SECURITY_NOFORCE_RLS);
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not plan a query of a rollback: %s",
			 SPI_result_code_string(SPI_result));
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
 * Columns that are GENERATED ALWAYS: UPDATE has no OVERRIDING SYSTEM VALUE for them.
 */
static Bitmapset *
identities_of(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	TupleDesc	desc = RelationGetDescr(rel);
	Bitmapset  *columns = NULL;

	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
			columns = bms_add_member(columns, i + 1);
	}
	relation_close(rel, NoLock);
	return columns;
}

static void
set_identities(Oid relid, const Bitmapset *columns, char identity)
{
	Relation	catalog;
	int			attnum = -1;

	if (bms_is_empty(columns))
		return;
	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		HeapTuple	row = SearchSysCacheCopyAttNum(relid, attnum);

		if (!HeapTupleIsValid(row))
			elog(ERROR, "cache lookup failed for attribute %d of relation %u",
				 attnum, relid);
		((Form_pg_attribute) GETSTRUCT(row))->attidentity = identity;
		CatalogTupleUpdate(catalog, &row->t_self, row);
		heap_freetuple(row);
	}
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
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
