/*-------------------------------------------------------------------------
 *
 * target_store.c
 *	  All SQL on migrate.target_runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "target/target_internal.h"
#include "utils/builtins.h"

/*
 * A row for each target, all of one run; sets Target.row.
 */
void
record_targets(List *targets)
{
	char	   *role = GetUserNameFromId(GetUserId(), false);
	int64		run = 0;
	ListCell   *cell;

	foreach(cell, targets)
	{
		Target	   *target = lfirst(cell);
		OwnAccess	access;
		OwnArguments arguments = {0};

		begin_own_access(&access);
		add_own_argument(&arguments, INT8OID, Int64GetDatum(run), run == 0);
		add_own_text(&arguments, target->database_name);
		add_own_text(&arguments, target->schema);
		add_own_text(&arguments, role);
		run_own_query("INSERT INTO migrate.target_runs (run, database, "
					  "target_schema, state, role, leader, asked_at) VALUES ("
					  "COALESCE($1, pg_catalog.nextval("
					  "'migrate.target_runs_run_seq'::pg_catalog.regclass)), "
					  "$2, $3, 'waiting', $4, pg_catalog.pg_backend_pid(), "
					  "pg_catalog.clock_timestamp()) RETURNING id, run",
					  &arguments, SPI_OK_INSERT_RETURNING);
		target->row = own_bigint_column(0, 1);
		run = own_bigint_column(0, 2);
		end_own_access(&access);
	}
}

/*
 * Its worker has been started.
 */
void
record_target_started(const Target *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->row), false);
	run_own_query("UPDATE migrate.target_runs SET state = 'running', "
				  "started_at = pg_catalog.clock_timestamp() "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * What has become of it.  applied counts migrations; error and sqlstate are
 * NULL unless it has failed.
 */
void
record_target_ended(const Target *target, const char *state, int applied,
					const char *error, const char *sqlstate)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->row), false);
	add_own_text(&arguments, state);
	add_own_argument(&arguments, INT4OID, Int32GetDatum(applied), false);
	add_own_text(&arguments, error);
	add_own_text(&arguments, sqlstate);
	run_own_query("UPDATE migrate.target_runs SET state = $2, migrations = $3, "
				  "error = $4, sqlstate = $5, "
				  "finished_at = pg_catalog.clock_timestamp() "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}
