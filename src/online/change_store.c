/*-------------------------------------------------------------------------
 *
 * change_store.c
 *	  All SQL that touches migrate.change_log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "online/change.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* Names may be given to others; $3 is the table. */
#define NUMBERS_OF_COLUMNS(names) \
	"ARRAY(SELECT a.attnum FROM pg_catalog.unnest(" names ") " \
	"WITH ORDINALITY n (name, place) JOIN pg_catalog.pg_attribute a " \
	"ON a.attname OPERATOR(pg_catalog.=) n.name " \
	"WHERE a.attrelid OPERATOR(pg_catalog.=) $3 ORDER BY n.place)"

/*
 * See change.h.
 */
void
change_insert(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->id), false);
	add_own_text(&arguments, change->kind);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(change->relid),
					 false);
	add_own_text(&arguments, change->relation);
	add_own_text(&arguments, change->old_shape);
	/* the start is the first of the task's steps */
	add_own_argument(&arguments, INT4OID, Int32GetDatum(change->filling + 1),
					 false);
	add_own_text_list(&arguments, change->removal);
	add_own_text_list(&arguments, change->contract);
	add_own_argument(&arguments, TIMESTAMPTZOID,
					 TimestampTzGetDatum(change->grace_until),
					 change->grace_until == 0);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->uses),
					 change->uses < 0);
	add_own_text_list(&arguments, change->old_columns);
	add_own_text_list(&arguments, change->new_columns);
	run_own_query("INSERT INTO migrate.change_log (id, kind, relid, relation, "
				  "old_shape, filling, removal, contract, grace_until, uses, "
				  "old_columns, new_columns) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
				  NUMBERS_OF_COLUMNS("$11") ", " NUMBERS_OF_COLUMNS("$12") ")",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/*
 * See change.h.  Its start and its steps are those of the task.
 */
Change *
change_read(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	Change	   *change = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query("SELECT kind, relid::pg_catalog.int8, relation, old_shape, "
				  "removal, contract, grace_until, COALESCE(uses, -1) "
				  "FROM migrate.change_log WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		bool		isnull;
		Datum		grace = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 7, &isnull);

		change = MemoryContextAllocZero(access.caller, sizeof(Change));
		change->id = id;
		change->kind = own_text_column(&access, 0, 1);
		change->relid = (Oid) own_bigint_column(0, 2);
		change->relation = own_text_column(&access, 0, 3);
		change->old_shape = own_text_column(&access, 0, 4);
		change->removal = own_text_list_column(&access, 0, 5);
		change->contract = own_text_list_column(&access, 0, 6);
		change->grace_until = isnull ? 0 : DatumGetTimestampTz(grace);
		change->uses = own_bigint_column(0, 8);
	}
	end_own_access(&access);
	return change;
}

/*
 * See change.h.
 */
bool
change_has_column(const Change *change, const char *column, bool is_new)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->id), false);
	add_own_argument(&arguments, INT2OID,
					 Int16GetDatum(get_attnum(change->relid, column)), false);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(is_new), false);
	run_own_query("SELECT FROM migrate.change_log "
				  "WHERE id OPERATOR(pg_catalog.=) $1 "
				  "AND $2 OPERATOR(pg_catalog.=) ANY "
				  "(CASE WHEN $3 THEN new_columns ELSE old_columns END)",
				  &arguments, SPI_OK_SELECT);
	result = SPI_processed > 0;
	end_own_access(&access);
	return result;
}

/*
 * See change.h.
 */
void
change_write_contracted(int64 id, const char *label, bool forced)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *role = GetUserNameFromId(GetUserId(), false);

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	add_own_text(&arguments, label);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(forced), false);
	add_own_text(&arguments, role);
	run_own_query("UPDATE migrate.change_log SET "
				  "contracted_at = pg_catalog.clock_timestamp(), "
				  "last_contract = pg_catalog.clock_timestamp(), "
				  "contracted_by = $4, restore_point = $2, is_forced = $3 "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * See change.h.
 */
bool
change_is_contracted(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query("SELECT FROM migrate.change_log "
				  "WHERE id OPERATOR(pg_catalog.=) $1 "
				  "AND contracted_at IS NOT NULL",
				  &arguments, SPI_OK_SELECT);
	result = SPI_processed > 0;
	end_own_access(&access);
	return result;
}

/*
 * See change.h.  An update, for then a transaction with an older snapshot, which
 * would not see what was done, fails.
 */
void
change_lock(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query("UPDATE migrate.change_log SET kind = kind "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * See change.h.
 */
int64
change_that_contracts(Oid relid, const char *statement)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		id = 0;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
	add_own_text(&arguments, statement);
	run_own_query("SELECT c.id FROM migrate.change_log c "
				  "JOIN migrate.task_log t ON t.id OPERATOR(pg_catalog.=) c.id "
				  "WHERE c.relid OPERATOR(pg_catalog.=) $1 "
				  "AND $2 OPERATOR(pg_catalog.=) ANY (c.contract) "
				  "AND c.contracted_at IS NULL "
				  "AND t.state OPERATOR(pg_catalog.<>) 'cancelled' LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		id = own_bigint_column(0, 1);
	end_own_access(&access);
	return id;
}

/*
 * See change.h.
 */
int64
change_with_columns(Oid relid, ArrayType *columns, int64 besides)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		id = 0;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
	add_own_argument(&arguments, INT2ARRAYOID, PointerGetDatum(columns),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(besides), false);
	run_own_query("SELECT c.id FROM migrate.change_log c "
				  "JOIN migrate.task_log t ON t.id OPERATOR(pg_catalog.=) c.id "
				  "WHERE c.relid OPERATOR(pg_catalog.=) $1 "
				  "AND (c.old_columns OPERATOR(pg_catalog.||) c.new_columns) "
				  "OPERATOR(pg_catalog.&&) $2 "
				  "AND c.id OPERATOR(pg_catalog.<>) $3 AND "
				  CHANGE_IS_UNFINISHED "ORDER BY c.id LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		id = own_bigint_column(0, 1);
	end_own_access(&access);
	return id;
}
