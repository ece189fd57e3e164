/*-------------------------------------------------------------------------
 *
 * replaced_files.c
 *	  Which transactions have given a table another file.
 *
 * The rows of that have the number of the transaction, and are not what clients
 * have written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "preserve/preserve.h"
#include "preserve/replaced_files.h"

/*
 * See replaced_files.h.
 */
void
record_replaced_file(Oid relid, bool by_migration, bool is_truncate)
{
	OwnArguments arguments = {0};

	add_own_argument(&arguments, OIDOID,
					 ObjectIdGetDatum(relid), false);
	add_own_subtransactions(&arguments);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(by_migration), false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(transaction_rolls_back()), false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(by_migration && is_truncate), false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(rows_were_changed(relid)),
					 false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(rows_were_deleted(relid)),
					 false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(types_were_changed()), false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(columns_were_computed()), false);
	run_own_query("INSERT INTO migrate.replaced_files (relid, subxids, "
				  "by_migration, by_rollback, emptied, changed_behind, "
				  "rows_deleted, types_changed, columns_computed) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
				  &arguments, SPI_OK_INSERT);
}

/*
 * See replaced_files.h.
 */
bool
file_is_changed_behind(Oid relid)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
	begin_own_access(&access);
	run_own_query("SELECT EXISTS (SELECT FROM migrate.replaced_files "
				  "WHERE relid OPERATOR(pg_catalog.=) $1 "
				  "AND changed_behind AND NOT emptied AND NOT by_rollback "
				  "AND xid OPERATOR(pg_catalog.=) "
				  "pg_catalog.pg_current_xact_id())",
				  &arguments, SPI_OK_SELECT);
	result = own_bool_column(0, 1);
	end_own_access(&access);
	return result;
}

/*
 * See replaced_files.h.
 */
void
note_unchanged_behind(Oid relid)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
	begin_own_access(&access);
	run_own_query("UPDATE migrate.replaced_files SET changed_behind = false "
				  "WHERE relid OPERATOR(pg_catalog.=) $1 "
				  "AND xid OPERATOR(pg_catalog.=) "
				  "pg_catalog.pg_current_xact_id()",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * See replaced_files.h.
 */
void
forget_replaced_files(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	run_own_query("DELETE FROM migrate.replaced_files f WHERE NOT EXISTS ("
				  "SELECT FROM migrate.restore_point_data p "
				  "WHERE migrate.is_since(f.xid, p.creator, p.data_snapshot))",
				  &arguments, SPI_OK_DELETE);
	end_own_access(&access);
}

/*
 * See replaced_files.h.  If they were not counted, they may have been.
 */
bool
rows_were_changed(Oid relid)
{
	PgStat_TableXactStatus *counts = compat_transaction_counters(relid);

	return !pgstat_track_counts ||
		(counts != NULL && (counts->tuples_inserted > 0 ||
							counts->tuples_updated > 0 ||
							counts->tuples_deleted > 0));
}

/*
 * See replaced_files.h.
 */
bool
rows_were_deleted(Oid relid)
{
	PgStat_TableXactStatus *counts = compat_transaction_counters(relid);

	return counts != NULL && counts->tuples_deleted > 0;
}
