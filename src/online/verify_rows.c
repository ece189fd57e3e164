/*-------------------------------------------------------------------------
 *
 * verify_rows.c
 *	  CALL migrate.verify_rows(): no row fulfils a condition.
 *
 * The last step of a change: it reads a table and its partitions by one
 * snapshot, as the caller may read them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/table_owner.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "online/backfill_internal.h"
#include "online/verify_rows.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

/* So many rows are named. */
#define NAMED_ROWS 5

PG_FUNCTION_INFO_V1(migrate_verify_rows);

static void require_all_rows(Oid relid);
static uint64 count_rows(const char *from);
static char *name_rows(Oid relid, const char *alias, const char *from);

Datum
migrate_verify_rows(PG_FUNCTION_ARGS)
{
	const char *condition;
	const char *alias;
	Oid			relid;
	char	   *from;
	uint64		count;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table and the \"where\" for migrate.verify_rows() must not be null")));
	condition = text_to_cstring(PG_GETARG_TEXT_PP(1));
	check_condition_text(condition);
	relid = RangeVarGetRelid(range_var_of_name(text_to_cstring(PG_GETARG_TEXT_PP(0))),
							 AccessShareLock, false);
	if (compat_owns_relation(relid, GetUserId()))
		require_owner_himself(relid, "migrate.verify_rows()");
	require_all_rows(relid);
	alias = quote_identifier(get_rel_name(relid));
	from = psprintf("FROM %s AS %s WHERE (%s\n) IS TRUE",
					relation_display_name(relid), alias, condition);

	/* what rewrites a table hides its rows from snapshots that are older */
	(void) find_all_inheritors(relid, AccessShareLock, NULL);
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	count = count_rows(from);
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg_plural(UINT64_FORMAT " row of %s is not as it should be: %s",
							   UINT64_FORMAT " rows of %s are not as they should be: %s",
							   count, count, relation_display_name(relid),
							   condition),
				 errdetail("The first of them: %s", name_rows(relid, alias, from))));
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_VOID();
}

/*
 * See verify_rows.h.
 */
bool
table_has_row(Oid relid, const char *alias, const char *condition)
{
	bool		has_row;

	LockRelationOid(relid, AccessShareLock);
	if (get_rel_name(relid) == NULL)
		return false;
	require_all_rows(relid);
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	if (SPI_execute(psprintf("SELECT FROM ONLY %s AS %s WHERE (%s\n) IS TRUE",
							 relation_display_name(relid),
							 quote_identifier(alias), condition),
					true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read %s", relation_display_name(relid));
	has_row = SPI_processed > 0;
	SPI_finish();
	PopActiveSnapshot();
	return has_row;
}

/*
 * What row security hides could not be told to be right.  Without the right to
 * read the table, PostgreSQL says so.
 */
static void
require_all_rows(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table: migrate.verify_rows() is for tables and partitioned tables",
						relation_display_name(relid))));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row security of %s hides rows from role \"%s\": migrate.verify_rows() needs a role that sees all of them",
						relation_display_name(relid),
						GetUserNameFromId(GetUserId(), false))));
}

static uint64
count_rows(const char *from)
{
	bool		isnull;

	if (SPI_execute(psprintf("SELECT pg_catalog.count(*) %s", from), true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not count: %s", from);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, 1, &isnull));
}

static char *
name_rows(Oid relid, const char *alias, const char *from)
{
	char	   *key = key_expression(relid, alias);
	StringInfoData names;

	initStringInfo(&names);
	if (key == NULL)
		key = psprintf("pg_catalog.format('ctid=%%s', %s.ctid)", alias);
	if (SPI_execute(psprintf("SELECT %s %s", key, from), true, NAMED_ROWS) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read: %s", from);
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 SPI_getvalue(SPI_tuptable->vals[i],
									  SPI_tuptable->tupdesc, 1));
	return names.data;
}
