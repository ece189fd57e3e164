/*-------------------------------------------------------------------------
 *
 * point_drop.c
 *	  Dropping restore points, and what none of them needs any more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "preserve/carry.h"
#include "preserve/hidden_relation.h"
#include "preserve/kept_size.h"
#include "preserve/park.h"
#include "preserve/point.h"
#include "preserve/point_drop.h"
#include "preserve/replaced_files.h"
#include "storage/lmgr.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* A hidden relation that no point needs. */
typedef struct Needless
{
	Oid			holder;
	bool		is_file;		/* else what rows were */
} Needless;

static void begin_dropping(const char *function);
static void refuse_unknown(const char *label);
static int64 drop_point(int64 id);
static int64 bytes_of_image(int64 id);
static int64 drop_needless(void);
static List *list_needless(void);
static void drop_holder(const Needless *needless);
static bool drop_expired_point(void);
static int	time_to_next_expiry(void);

PG_FUNCTION_INFO_V1(migrate_drop_restore_point);
PG_FUNCTION_INFO_V1(migrate_drop_all_restore_points);

/*
 * migrate.drop_restore_point(label text) returns bigint
 */
Datum
migrate_drop_restore_point(PG_FUNCTION_ARGS)
{
	char	   *label;
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		id = 0;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("migrate.drop_restore_point() needs the label of a restore point, not NULL: see migrate.restore_points")));
	label = text_to_cstring(PG_GETARG_TEXT_PP(0));
	begin_dropping("migrate.drop_restore_point()");
	begin_own_access(&access);
	add_own_text(&arguments, label);
	run_own_query("SELECT p.id FROM migrate.restore_point_data p "
				  "WHERE p.label OPERATOR(pg_catalog.=) $1 FOR UPDATE",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed == 1)
		id = own_bigint_column(0, 1);
	end_own_access(&access);
	if (id == 0)
		refuse_unknown(label);
	PG_RETURN_INT64(drop_point(id));
}

/*
 * migrate.drop_all_restore_points() returns int
 */
Datum
migrate_drop_all_restore_points(PG_FUNCTION_ARGS)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int			count;

	begin_dropping("migrate.drop_all_restore_points()");
	begin_own_access(&access);
	run_own_query("DELETE FROM migrate.restore_point_data", &arguments,
				  SPI_OK_DELETE);
	count = (int) SPI_processed;
	end_own_access(&access);
	(void) drop_needless();
	PG_RETURN_INT32(count);
}

/* What is needless must not be judged by a snapshot of long ago. */
static void
begin_dropping(const char *function)
{
	require_preloaded();
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	require_read_committed(function);
}

static void
refuse_unknown(const char *label)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("there is no restore point \"%s\": SELECT label FROM migrate.restore_points tells which there are",
					label)));
}

/* Returns the bytes that this frees. */
static int64
drop_point(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		bytes = bytes_of_image(id);

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query("DELETE FROM migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_DELETE);
	end_own_access(&access);
	return bytes + drop_needless();
}

static int64
bytes_of_image(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		bytes;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query("SELECT pg_catalog.sum(pg_catalog.pg_column_size(r.rows))"
				  "::pg_catalog.int8 FROM migrate.restore_catalog r "
				  "WHERE r.point OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	bytes = own_bigint_column(0, 1);
	end_own_access(&access);
	return bytes;
}

/*
 * Returns the bytes that this frees.  A point that nobody can see yet may need
 * anything.
 */
static int64
drop_needless(void)
{
	int64		bytes = kept_bytes();
	ListCell   *cell;
	List	   *needless;

	if (point_is_being_made())
		return 0;
	needless = list_needless();
	foreach(cell, needless)
		drop_holder(lfirst(cell));
	forget_replaced_files();
	remove_carry_triggers();
	CommandCounterIncrement();
	return bytes - kept_bytes();
}

/* Tables first: what belongs to one goes with it. */
static List *
list_needless(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *list = NIL;
	bool		isnull;

	begin_own_access(&access);
	run_own_query("SELECT k.holder, k.kind OPERATOR(pg_catalog.=) 'file' "
				  "FROM migrate.kept k WHERE NOT EXISTS "
				  "(SELECT FROM migrate.kept_by_point b "
				  "WHERE b.holder OPERATOR(pg_catalog.=) k.holder) "
				  "ORDER BY k.is_part",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Needless   *needless = MemoryContextAlloc(access.caller,
												  sizeof(Needless));
		MemoryContext old;

		needless->holder =
			DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
										   SPI_tuptable->tupdesc, 1,
										   &isnull));
		needless->is_file = own_bool_column(row, 2);
		old = MemoryContextSwitchTo(access.caller);
		list = lappend(list, needless);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return list;
}

/* Unless somebody is at it, or it is gone by now. */
static void
drop_holder(const Needless *needless)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	if (!ConditionalLockRelationOid(needless->holder, AccessExclusiveLock))
		return;
	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(needless->holder),
					 false);
	if (needless->is_file)
		run_own_query("SELECT FROM migrate.parked_storage s "
					  "WHERE s.holder OPERATOR(pg_catalog.=) $1",
					  &arguments, SPI_OK_SELECT);
	else
		run_own_query("DELETE FROM migrate.changed_rows r "
					  "WHERE r.holder OPERATOR(pg_catalog.=) $1",
					  &arguments, SPI_OK_DELETE);
	if (SPI_processed == 0)
		UnlockRelationOid(needless->holder, AccessExclusiveLock);
	else if (needless->is_file)
		drop_parked_file(needless->holder);
	else
		drop_hidden_relation(needless->holder);
	end_own_access(&access);
}

/*
 * See point_drop.h.
 */
void
register_expiry(void)
{
	static const FinderHousekeeping expiry = {time_to_next_expiry,
	drop_expired_point};

	register_finder_housekeeping(&expiry);
}

/*
 * Drop the oldest point that has expired, with what no other one needs, and say
 * so in the server log.  False if there is none; then it has looked for what
 * earlier ones have left, because somebody held it.
 */
static bool
drop_expired_point(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		id = 0;
	int64		bytes;
	char	   *label = NULL;

	if (!restore_points_may_exist())
		return false;
	begin_own_access(&access);
	run_own_query("SELECT p.id, p.label FROM migrate.restore_point_data p "
				  "WHERE p.expires_at OPERATOR(pg_catalog.<=) "
				  "pg_catalog.clock_timestamp() "
				  "ORDER BY p.id LIMIT 1 FOR UPDATE SKIP LOCKED",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed == 1)
	{
		id = own_bigint_column(0, 1);
		label = own_text_column(&access, 0, 2);
	}
	end_own_access(&access);
	if (id == 0)
	{
		(void) drop_needless();
		return false;
	}
	bytes = drop_point(id);
	ereport(LOG,
			(errmsg("restore point \"%s\" of database \"%s\" has expired and is dropped: %s freed",
					label, get_database_name(MyDatabaseId),
					size_in_words(bytes))));
	return true;
}

/*
 * Milliseconds until the next one expires, at most INT_MAX; 0 if it has, -1 if
 * none ever does.
 */
static int
time_to_next_expiry(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		is_none;
	double		milliseconds;

	if (!restore_points_may_exist())
		return -1;
	begin_own_access(&access);
	run_own_query("SELECT LEAST(GREATEST(1000 OPERATOR(pg_catalog.*) "
				  "EXTRACT(epoch FROM pg_catalog.min(p.expires_at) "
				  "OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp()), 0), "
				  "2147483647)::pg_catalog.float8 "
				  "FROM migrate.restore_point_data p",
				  &arguments, SPI_OK_SELECT);
	milliseconds = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[0],
												SPI_tuptable->tupdesc, 1,
												&is_none));
	end_own_access(&access);
	return is_none ? -1 : (int) milliseconds;
}
