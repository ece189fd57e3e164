/*-------------------------------------------------------------------------
 *
 * tools.c
 *	  How other migration tools keep their records in a database.
 *
 * Names of ledgers collide (schema_migrations, migrations, schema_version),
 * so every tool is known by the columns of its ledger as well.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "ledger/adopt/tools.h"

#define EQUALS " OPERATOR(pg_catalog.=) "
#define TEXT "::pg_catalog.text"

/* A file name without what comes after the last period. */
#define WITHOUT_SUFFIX(column) \
	"pg_catalog.regexp_replace(" column ", '\\.[A-Za-z]+$', '')"

/* Duration in nanoseconds, which is negative while a migration runs. */
#define MILLISECONDS(column) \
	"CASE WHEN " column " OPERATOR(pg_catalog.>=) 0 " \
	"THEN " column " OPERATOR(pg_catalog./) 1000000 END"

/* The last row of each version counts; repeatable ones have no version. */
#define FLYWAY_ROWS \
	"SELECT f.key, f.ids, f.description, f.installed_on, f.installed_by, " \
	"f.execution_time, f.checksum, NULL, f.state FROM (" \
	"SELECT DISTINCT ON (COALESCE(h.version, h.script)) h.installed_rank, " \
	"COALESCE(h.version, h.script)" TEXT " AS key, " \
	"CASE WHEN h.version IS NULL THEN ARRAY[" \
	"pg_catalog.regexp_replace(h.script, '^.*/|\\.[A-Za-z]+$', '', 'g'), " \
	"pg_catalog.replace(h.description, ' ', '_'), h.description] " \
	"ELSE ARRAY[h.version" TEXT "] END AS ids, " \
	"h.description, h.installed_on, h.installed_by, h.execution_time, " \
	"h.checksum, CASE WHEN NOT h.success THEN 'failed' " \
	"WHEN h.type" TEXT EQUALS "ANY (ARRAY['BASELINE', 'SQL_BASELINE']) THEN 'mark' " \
	"WHEN h.type" TEXT EQUALS "'DELETE' THEN 'rolled back' " \
	"WHEN pg_catalog.starts_with(h.type, 'UNDO_') THEN 'rolled back' " \
	"ELSE 'applied' END AS state " \
	"FROM ONLY %1$s h WHERE h.type" TEXT " OPERATOR(pg_catalog.<>) 'SCHEMA' " \
	"ORDER BY COALESCE(h.version, h.script), h.installed_rank DESC) f " \
	"ORDER BY f.installed_rank"

#define FLYWAY_COLUMNS { \
	{"installed_rank", "int4"}, {"version", "varchar"}, \
	{"description", "varchar"}, {"type", "varchar"}, {"script", "varchar"}, \
	{"checksum", "int4"}, {"installed_by", "varchar"}, \
	{"installed_on", "timestamp"}, {"execution_time", "int4"}, \
	{"success", "bool"}}

#define FLYWAY_FAILED "mend what it has left behind, then run: flyway repair"

/* A name and nothing else. */
#define ROWS_OF_VERSION \
	"SELECT version, ARRAY[version], NULL, NULL, NULL, NULL, NULL, NULL, " \
	"'applied' FROM ONLY %1$s ORDER BY version"

const ForeignTool foreign_tools[] = {
	{
		.tool = "flyway",.relname = "flyway_schema_history",
		.columns = FLYWAY_COLUMNS,.rows = FLYWAY_ROWS,
		.failed = FLYWAY_FAILED,.checksum_format = "flyway"
	},
	{
		/* before version 5 */
		.tool = "flyway",.relname = "schema_version",
		.columns = FLYWAY_COLUMNS,.rows = FLYWAY_ROWS,
		.failed = FLYWAY_FAILED,.checksum_format = "flyway"
	},
	{
		.tool = "liquibase",.relname = "databasechangelog",
		.columns = {{"id", "varchar"}, {"author", "varchar"},
		{"filename", "varchar"}, {"dateexecuted", "timestamp"},
		{"orderexecuted", "int4"}, {"exectype", "varchar"},
		{"md5sum", "varchar"}},
		.rows = "SELECT pg_catalog.concat_ws('::', filename, id, author), "
		"ARRAY[pg_catalog.concat_ws('::', filename, id, author), "
		"pg_catalog.concat_ws('::', filename, author, id), "
		"pg_catalog.concat_ws(':', author, id), id], "
		"id, dateexecuted, NULL, NULL, md5sum, NULL, "
		"CASE WHEN exectype" TEXT EQUALS "'FAILED' THEN 'failed' "
		"WHEN exectype" TEXT EQUALS "'SKIPPED' THEN 'rolled back' "
		"ELSE 'applied' END "
		"FROM ONLY %1$s ORDER BY dateexecuted, orderexecuted",
		.failed = "mend what it has left behind, then delete its row or run: liquibase changelog-sync",
		.lock = {"databasechangeloglock", "locked", BOOLOID,
			"SELECT COALESCE(lockedby, 'nobody') FROM ONLY %1$s WHERE locked",
		"if nobody is at it any more, run: liquibase release-locks"},
		.checksum_format = "liquibase"
	},
	{
		.tool = "golang-migrate",.relname = "schema_migrations",
		.columns = {{"version", "int8"}, {"dirty", "bool"}},.only_these = true,
		.rows = "SELECT version" TEXT ", ARRAY[version" TEXT "], NULL, NULL, NULL, "
		"NULL, NULL, NULL, CASE WHEN dirty THEN 'failed' ELSE 'mark' END "
		"FROM ONLY %1$s WHERE version OPERATOR(pg_catalog.>=) 0",
		.single_row = "it should have one row: leave the version that is true",
		.failed = "mend what it has left behind, then run migrate force with the version that is true"
	},
	{
		.tool = "rails",.relname = "schema_migrations",
		.columns = {{"version", "varchar"}},.only_these = true,
		.beside = "ar_internal_metadata",.rows = ROWS_OF_VERSION
	},
	{
		.tool = "dbmate",.relname = "schema_migrations",
		.columns = {{"version", "varchar"}},.only_these = true,
		.not_beside = "ar_internal_metadata",.rows = ROWS_OF_VERSION
	},
	{
		.tool = "supabase",.relname = "schema_migrations",
		.columns = {{"version", "text"}, {"statements", "_text"}, {"name", "text"}},
		.rows = "SELECT version, ARRAY[version], name, NULL, NULL, NULL, NULL, "
		"pg_catalog.array_to_string(statements, E';\\n'), 'applied' "
		"FROM ONLY %1$s ORDER BY version"
	},
	{
		/* what was rolled back may have a second row that says so */
		.tool = "goose",.relname = "goose_db_version",
		.columns = {{"id", "int4|int8"}, {"version_id", "int8"},
		{"is_applied", "bool"}, {"tstamp", "timestamp|timestamptz"}},
		.rows = "SELECT g.version_id" TEXT ", ARRAY[g.version_id" TEXT "], NULL, "
		"g.tstamp, NULL, NULL, NULL, NULL, "
		"CASE WHEN g.is_applied THEN 'applied' ELSE 'rolled back' END FROM ("
		"SELECT DISTINCT ON (version_id) id, version_id, is_applied, tstamp "
		"FROM ONLY %1$s WHERE version_id OPERATOR(pg_catalog.<>) 0 "
		"ORDER BY version_id, id DESC) g ORDER BY g.id"
	},
	{
		.tool = "tern",.relname = "schema_version",
		.columns = {{"version", "int4"}},.only_these = true,
		.rows = "SELECT version" TEXT ", ARRAY[version" TEXT "], NULL, NULL, NULL, "
		"NULL, NULL, NULL, 'mark' "
		"FROM ONLY %1$s WHERE version OPERATOR(pg_catalog.>) 0",
		.single_row = "it should have one row: leave the version that is true"
	},
	{
		.tool = "sqitch",.relname = "changes",
		.columns = {{"change_id", "text"}, {"script_hash", "text"},
		{"change", "text"}, {"project", "text"},
		{"committed_at", "timestamptz"}, {"committer_name", "text"}},
		.rows = "SELECT change_id, ARRAY[change, change_id], change, committed_at, "
		"committer_name, NULL, script_hash, NULL, 'applied' "
		"FROM ONLY %1$s ORDER BY committed_at",
		.checksum_format = "sqitch"
	},
	{
		.tool = "graphile-migrate",.relname = "migrations",
		.columns = {{"hash", "text"}, {"previous_hash", "text"},
		{"filename", "text"}, {"date", "timestamptz"}},.only_these = true,
		.rows = "SELECT filename, ARRAY[" WITHOUT_SUFFIX("filename") ", filename], "
		"NULL, date, NULL, NULL, hash, NULL, 'applied' "
		"FROM ONLY %1$s ORDER BY filename",
		.checksum_format = "graphile-migrate"
	},
	{
		/* a migration that was tried again has a row for each time */
		.tool = "prisma",.relname = "_prisma_migrations",
		.columns = {{"checksum", "varchar"}, {"finished_at", "timestamptz"},
		{"migration_name", "varchar"}, {"rolled_back_at", "timestamptz"},
		{"started_at", "timestamptz"}, {"applied_steps_count", "int4"}},
		.rows = "SELECT p.migration_name, ARRAY[p.migration_name], NULL, "
		"p.finished_at, NULL, pg_catalog.date_part('epoch', "
		"p.finished_at OPERATOR(pg_catalog.-) p.started_at) "
		"OPERATOR(pg_catalog.*) 1000, p.checksum, NULL, "
		"CASE WHEN p.rolled_back_at IS NOT NULL THEN 'rolled back' "
		"WHEN p.finished_at IS NULL THEN 'failed' ELSE 'applied' END FROM ("
		"SELECT DISTINCT ON (migration_name) migration_name, checksum, "
		"finished_at, rolled_back_at, started_at FROM ONLY %1$s "
		"ORDER BY migration_name, rolled_back_at NULLS FIRST, started_at DESC) p "
		"ORDER BY p.started_at, p.migration_name",
		.failed = "mend what it has left behind, then run prisma migrate resolve with --rolled-back or --applied and its name",
		.checksum_format = "prisma"
	},
	{
		/* from version 1 on */
		.tool = "drizzle",.relname = "__drizzle_migrations",
		.columns = {{"id", "int4"}, {"hash", "text"}, {"created_at", "int8"},
		{"name", "text"}, {"applied_at", "timestamptz"}},
		.rows = "SELECT id" TEXT ", ARRAY[COALESCE(name, hash)], name, applied_at, "
		"NULL, NULL, hash, NULL, 'applied' FROM ONLY %1$s ORDER BY created_at, id",
		.checksum_format = "drizzle",.by_checksum = true
	},
	{
		.tool = "drizzle",.relname = "__drizzle_migrations",
		.columns = {{"id", "int4"}, {"hash", "text"}, {"created_at", "int8"}},
		.only_these = true,
		.rows = "SELECT id" TEXT ", ARRAY[hash], NULL, NULL, NULL, NULL, hash, "
		"NULL, 'applied' FROM ONLY %1$s ORDER BY created_at, id",
		.checksum_format = "drizzle",.by_checksum = true
	},
	{
		.tool = "kysely",.relname = "kysely_migration",
		.columns = {{"name", "varchar"}, {"timestamp", "varchar"}},
		.only_these = true,
		.rows = "SELECT name, ARRAY[name], NULL, \"timestamp\", NULL, NULL, NULL, "
		"NULL, 'applied' FROM ONLY %1$s ORDER BY \"timestamp\", name"
	},
	{
		.tool = "node-pg-migrate",.relname = "pgmigrations",
		.columns = {{"id", "int4"}, {"name", "varchar"}, {"run_on", "timestamp"}},
		.only_these = true,
		.rows = "SELECT name, ARRAY[name], NULL, run_on, NULL, NULL, NULL, NULL, "
		"'applied' FROM ONLY %1$s ORDER BY run_on, id"
	},
	{
		.tool = "knex",.relname = "knex_migrations",
		.columns = {{"id", "int4"}, {"name", "varchar"}, {"batch", "int4"},
		{"migration_time", "timestamptz"}},
		.rows = "SELECT name, ARRAY[" WITHOUT_SUFFIX("name") ", name], NULL, "
		"migration_time, NULL, NULL, NULL, NULL, 'applied' "
		"FROM ONLY %1$s ORDER BY id",
		.lock = {"knex_migrations_lock", "is_locked", INT4OID,
			"SELECT 'a run of knex' FROM ONLY %1$s "
			"WHERE is_locked OPERATOR(pg_catalog.<>) 0",
		"if none is at it any more, run: knex migrate:unlock"}
	},
	{
		.tool = "typeorm",.relname = "migrations",
		.columns = {{"id", "int4"}, {"timestamp", "int8"}, {"name", "varchar"}},
		.only_these = true,
		.rows = "SELECT name, ARRAY[\"timestamp\"" TEXT ", name], name, NULL, NULL, "
		"NULL, NULL, NULL, 'applied' FROM ONLY %1$s ORDER BY id"
	},
	{
		.tool = "postgres-migrations",.relname = "migrations",
		.columns = {{"id", "int4"}, {"name", "varchar"}, {"hash", "varchar"},
		{"executed_at", "timestamp"}},.only_these = true,
		.rows = "SELECT id" TEXT ", ARRAY[id" TEXT "], name, executed_at, NULL, NULL, "
		"hash, NULL, 'applied' FROM ONLY %1$s "
		"WHERE id OPERATOR(pg_catalog.>) 0 ORDER BY id",
		.checksum_format = "postgres-migrations",.checksum_has_name = true
	},
	{
		.tool = "umzug",.relname = "SequelizeMeta",
		.columns = {{"name", "varchar"}},.only_these = true,
		.rows = "SELECT name, ARRAY[" WITHOUT_SUFFIX("name") ", name], NULL, NULL, "
		"NULL, NULL, NULL, NULL, 'applied' FROM ONLY %1$s ORDER BY name"
	},
	{
		/* two applications may have a migration of the same name */
		.tool = "django",.relname = "django_migrations",
		.columns = {{"id", "int4|int8"}, {"app", "varchar"}, {"name", "varchar"},
		{"applied", "timestamptz"}},.only_these = true,
		.rows = "SELECT pg_catalog.concat_ws('.', app, name), "
		"ARRAY[pg_catalog.concat_ws('.', app, name), "
		"pg_catalog.concat_ws('/', app, name), "
		"pg_catalog.concat_ws('_', app, name)], name, applied, NULL, NULL, "
		"NULL, NULL, 'applied' FROM ONLY %1$s ORDER BY id"
	},
	{
		.tool = "alembic",.relname = "alembic_version",
		.columns = {{"version_num", "varchar"}},.only_these = true,
		.rows = "SELECT version_num, ARRAY[version_num], NULL, NULL, NULL, NULL, "
		"NULL, NULL, 'mark' FROM ONLY %1$s",
		.single_row = "join its heads first, with alembic merge heads and alembic upgrade head"
	},
	{
		.tool = "postgrator",.relname = "schemaversion",
		.columns = {{"version", "int4|int8"}, {"name", "text"}, {"md5", "text"},
		{"run_at", "timestamptz"}},
		.rows = "SELECT version" TEXT ", ARRAY[version" TEXT "], name, run_at, NULL, "
		"NULL, md5, NULL, 'applied' FROM ONLY %1$s "
		"WHERE version OPERATOR(pg_catalog.>) 0 ORDER BY version",
		.checksum_format = "postgrator"
	},
	{
		.tool = "sql-migrate",.relname = "gorp_migrations",
		.columns = {{"id", "text"}, {"applied_at", "timestamptz"}},
		.only_these = true,
		.rows = "SELECT id, ARRAY[" WITHOUT_SUFFIX("id") ", id], NULL, applied_at, "
		"NULL, NULL, NULL, NULL, 'applied' FROM ONLY %1$s ORDER BY applied_at, id"
	},
	{
		/* its checksums depend on all files before */
		.tool = "atlas",.relname = "atlas_schema_revisions",
		.columns = {{"version", "varchar|text"}, {"description", "varchar|text"},
		{"type", "int4|int8"}, {"applied", "int4|int8"}, {"total", "int4|int8"},
		{"executed_at", "timestamptz"}, {"execution_time", "int8"},
		{"error", "text|varchar"}, {"hash", "text|varchar"}},
		.rows = "SELECT version, ARRAY[version], description, executed_at, NULL, "
		MILLISECONDS("execution_time") ", CASE WHEN pg_catalog.length(hash) "
		"OPERATOR(pg_catalog.>) 0 THEN hash END, NULL, "
		"CASE WHEN pg_catalog.length(COALESCE(error, '')) "
		"OPERATOR(pg_catalog.>) 0 THEN 'failed' "
		"WHEN applied OPERATOR(pg_catalog.<) total THEN 'failed' "
		"WHEN type OPERATOR(pg_catalog.&) 1 OPERATOR(pg_catalog.<>) 0 THEN 'mark' "
		"ELSE 'applied' END "
		"FROM ONLY %1$s WHERE NOT pg_catalog.starts_with(version, '.') "
		"ORDER BY executed_at, version",
		.failed = "mend what it has left behind, then run: atlas migrate set",
		.checksum_format = "atlas"
	},
	{
		.tool = "sqlx",.relname = "_sqlx_migrations",
		.columns = {{"version", "int8"}, {"description", "text"},
		{"installed_on", "timestamptz"}, {"success", "bool"},
		{"checksum", "bytea"}, {"execution_time", "int8"}},
		.rows = "SELECT version" TEXT ", ARRAY[version" TEXT "], description, "
		"installed_on, NULL, " MILLISECONDS("execution_time") ", "
		"pg_catalog.encode(checksum, 'hex'), NULL, "
		"CASE WHEN success THEN 'applied' ELSE 'failed' END "
		"FROM ONLY %1$s ORDER BY version",
		.failed = "mend what it has left behind, then delete its row, or set success if all of it is there",
		.checksum_format = "sqlx"
	},
	{
		.tool = "diesel",.relname = "__diesel_schema_migrations",
		.columns = {{"version", "varchar"}, {"run_on", "timestamp"}},
		.only_these = true,
		.rows = "SELECT version, ARRAY[version], NULL, run_on, NULL, NULL, NULL, "
		"NULL, 'applied' FROM ONLY %1$s ORDER BY version"
	},
	{
		.tool = "purcell",.relname = "applied_migrations",
		.columns = {{"identifier", "text"}, {"ddl", "text"},
		{"applied_at", "timestamptz"}},
		.rows = "SELECT identifier, ARRAY[identifier], NULL, applied_at, NULL, NULL, "
		"NULL, ddl, 'applied' FROM ONLY %1$s ORDER BY applied_at, identifier",
		.keeps_text = true
	},
	{
		.tool = "versioning",.relname = "patches",
		.columns = {{"patch_name", "text"}, {"applied_tsz", "timestamptz"},
		{"applied_by", "text"}, {"requires", "_text"}, {"conflicts", "_text"}},
		.rows = "SELECT patch_name, ARRAY[patch_name], NULL, applied_tsz, "
		"applied_by, NULL, NULL, NULL, 'applied' "
		"FROM ONLY %1$s ORDER BY applied_tsz, patch_name"
	},
	{
		.tool = "omni_schema",.relname = "migrations",.nspname = "omni_schema",
		.columns = {{"name", "text"}, {"migration", "text"},
		{"applied_at", "timestamp|timestamptz"}},
		.rows = "SELECT name, ARRAY[" WITHOUT_SUFFIX("name") ", name], NULL, "
		"applied_at, NULL, NULL, NULL, migration, 'applied' "
		"FROM ONLY %1$s ORDER BY applied_at, name",
		.keeps_text = true
	}
};

const int	foreign_tool_count = lengthof(foreign_tools);
