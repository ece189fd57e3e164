/*-------------------------------------------------------------------------
 *
 * ledgers.c
 *	  The tables in which migration tools keep their own books.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "effects/ledgers.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* All columns named must be there; at most three tell the tools apart. */
#define LEDGER_MAX_BYTES	(16 * 1024 * 1024)

typedef struct RunnerLedger
{
	const char *relname;
	const char *columns[3];
	const char *nspname;		/* only in this schema, or NULL for all */
} RunnerLedger;

static const RunnerLedger runner_ledgers[] =
{
	{"__diesel_schema_migrations", {"version", "run_on"}},
	{"__drizzle_migrations", {"hash", "created_at"}},
	{"_prisma_migrations", {"migration_name", "applied_steps_count"}},
	{"_sqlx_migrations", {"version", "installed_on"}},
	{"alembic_version", {"version_num"}},
	{"applied_migrations", {"identifier", "ddl"}},
	{"ar_internal_metadata", {"key", "value"}},
	{"atlas_schema_revisions", {"version", "executed_at"}},
	{"changes", {"change_id", "script_hash"}, "sqitch"},
	{"databasechangelog", {"orderexecuted", "md5sum"}},
	{"databasechangeloglock", {"locked", "lockgranted"}},
	{"dependencies", {"change_id", "dependency"}, "sqitch"},
	{"django_migrations", {"app", "applied"}},
	{"events", {"change_id", "committer_name"}, "sqitch"},
	{"flyway_schema_history", {"installed_rank", "checksum"}},
	{"goose_db_version", {"version_id", "is_applied"}},
	{"gorp_migrations", {"id", "applied_at"}},
	{"knex_migrations", {"batch", "migration_time"}},
	{"knex_migrations_lock", {"is_locked"}},
	{"kysely_migration", {"name", "timestamp"}},
	{"kysely_migration_lock", {"is_locked"}},
	{"migrations", {"timestamp", "name"}},	/* TypeORM */
	{"migrations", {"hash", "executed_at"}},	/* postgres-migrations */
	{"migrations", {"previous_hash", "filename"}},	/* graphile-migrate */
	{"migrations", {"migration", "resulting_schema"}},	/* pgroll */
	{"patches", {"patch_name", "applied_tsz"}}, /* Versioning */
	{"pgmigrations", {"name", "run_on"}},
	{"pgroll_version", {"version"}},
	{"projects", {"project", "creator_email"}, "sqitch"},
	{"releases", {"version", "installer_email"}, "sqitch"},
	{"schema_migrations", {"version"}}, /* dbmate, golang-migrate, Rails,
										 * supabase */
	{"schema_version", {"version"}},	/* tern, old Flyway */
	{"schemaversion", {"version", "md5"}},	/* postgrator */
	{"SequelizeMeta", {"name"}},
	{"tags", {"tag_id", "change_id"}, "sqitch"},
};

static bool is_called_as_ledger(Oid relid, const char *relname,
								Oid namespace_oid);
static bool is_small_enough(Relation rel);
static bool writes_column(const CreateStmt *stmt, const char *name);

/*
 * See ledgers.h.
 */
bool
is_runner_ledger(Relation rel)
{
	return is_called_as_ledger(RelationGetRelid(rel),
							   RelationGetRelationName(rel),
							   RelationGetNamespace(rel)) &&
		is_small_enough(rel);
}

static bool
is_called_as_ledger(Oid relid, const char *relname, Oid namespace_oid)
{
	for (int i = 0; i < lengthof(runner_ledgers); i++)
	{
		bool		matches;

		matches = strcmp(runner_ledgers[i].relname, relname) == 0;
		if (matches && runner_ledgers[i].nspname != NULL)
			matches = namespace_oid ==
				get_namespace_oid(runner_ledgers[i].nspname, true);
		for (int j = 0; matches && j < lengthof(runner_ledgers[i].columns); j++)
			if (runner_ledgers[i].columns[j] != NULL)
				matches = get_attnum(relid, runner_ledgers[i].columns[j]) !=
					InvalidAttrNumber;
		if (matches)
			return true;
	}
	return false;
}

/*
 * See ledgers.h.
 */
bool
has_shape_of_runner_ledger(Oid relid)
{
	char	   *relname = get_rel_name(relid);
	Oid			table;
	int32		column;

	if (relname == NULL)
		return false;
	if (get_rel_relkind(relid) == RELKIND_SEQUENCE)
		return (sequenceIsOwned(relid, DEPENDENCY_AUTO, &table, &column) ||
				sequenceIsOwned(relid, DEPENDENCY_INTERNAL, &table, &column)) &&
			has_shape_of_runner_ledger(table);
	return get_rel_relkind(relid) == RELKIND_RELATION &&
		is_called_as_ledger(relid, relname, get_rel_namespace(relid));
}

/* A ledger has a row a migration: what is larger only looks like one. */
static bool
is_small_enough(Relation rel)
{
	return RELKIND_HAS_STORAGE(rel->rd_rel->relkind) &&
		RelationGetNumberOfBlocks(rel) <= LEDGER_MAX_BYTES / BLCKSZ;
}

/*
 * See ledgers.h.
 */
bool
creates_runner_ledger(const CreateStmt *stmt)
{
	for (int i = 0; i < lengthof(runner_ledgers); i++)
	{
		const RunnerLedger *ledger = &runner_ledgers[i];
		bool		matches = strcmp(ledger->relname,
									 stmt->relation->relname) == 0;

		for (int j = 0; matches && j < lengthof(ledger->columns); j++)
			if (ledger->columns[j] != NULL)
				matches = writes_column(stmt, ledger->columns[j]);
		if (matches && (ledger->nspname == NULL ||
						stmt->relation->schemaname == NULL ||
						strcmp(ledger->nspname,
							   stmt->relation->schemaname) == 0))
			return true;
	}
	return false;
}

static bool
writes_column(const CreateStmt *stmt, const char *name)
{
	ListCell   *cell;

	foreach(cell, stmt->tableElts)
	{
		ColumnDef  *definition = (ColumnDef *) lfirst(cell);

		if (IsA(definition, ColumnDef) &&
			strcmp(definition->colname, name) == 0)
			return true;
	}
	return false;
}
