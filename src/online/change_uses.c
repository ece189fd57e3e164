/*-------------------------------------------------------------------------
 *
 * change_uses.c
 *	  Whether anybody uses a table that is to go.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "online/change.h"
#include "pgstat.h"

/*
 * See change.h.  Scans of tables and indexes and changed rows, by the counters
 * of the cumulative statistics: -1 when they are switched off.
 */
int64
count_uses(Oid relid)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		uses;

	if (!pgstat_track_counts)
		return -1;
	begin_own_access(&access);
	add_own_oid_list(&arguments, find_all_inheritors(relid, NoLock, NULL));
	run_own_query("SELECT COALESCE(pg_catalog.sum("
				  "pg_catalog.pg_stat_get_numscans(r) "
				  "OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_inserted(r) "
				  "OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_updated(r) "
				  "OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_deleted(r) "
				  "OPERATOR(pg_catalog.+) COALESCE((SELECT pg_catalog.sum("
				  "pg_catalog.pg_stat_get_numscans(i.indexrelid)) "
				  "FROM pg_catalog.pg_index i "
				  "WHERE i.indrelid OPERATOR(pg_catalog.=) r), 0)), 0)"
				  "::pg_catalog.int8 FROM pg_catalog.unnest($1) r",
				  &arguments, SPI_OK_SELECT);
	uses = own_bigint_column(0, 1);
	end_own_access(&access);
	return uses;
}

/*
 * See change.h.  A crash takes all counters with it: those of the archiver, which
 * hardly anybody resets, then say when.
 */
bool
uses_were_reset(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->id), false);
	run_own_query("SELECT FROM migrate.task_log t "
				  "WHERE t.id OPERATOR(pg_catalog.=) $1 "
				  "AND t.created_at OPERATOR(pg_catalog.<=) "
				  "GREATEST((SELECT pg_catalog.pg_stat_get_db_stat_reset_time(d.oid) "
				  "FROM pg_catalog.pg_database d WHERE d.datname "
				  "OPERATOR(pg_catalog.=) pg_catalog.current_database()), "
				  "(SELECT a.stats_reset FROM pg_catalog.pg_stat_archiver a))",
				  &arguments, SPI_OK_SELECT);
	result = SPI_processed > 0;
	end_own_access(&access);
	return result;
}
