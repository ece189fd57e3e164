/*-------------------------------------------------------------------------
 *
 * change_uses.c
 *	  Whether anybody uses a table that is to go.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "online/change.h"
#include "pgstat.h"

/*
 * See change.h.  Scans of tables and indexes and changed rows, by the counters
 * of the cumulative statistics: -1 when they are switched off.  A reset makes
 * the number smaller, which is a change as well.
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
