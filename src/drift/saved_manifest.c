/*-------------------------------------------------------------------------
 *
 * saved_manifest.c
 *	  What was so after the last migration: migrate.last_manifest and
 *	  migrate.last_fingerprint.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "drift/catalog_state.h"
#include "drift/manifest.h"
#include "drift/saved_manifest.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define SAVED_QUERY \
	"SELECT m.kind, m.identity, m.unit, m.hash, m.classid, m.objid, m.names " \
	"FROM migrate.last_manifest m"

/* Columns of that. */
enum
{
	COLUMN_KIND = 1,
	COLUMN_IDENTITY,
	COLUMN_UNIT,
	COLUMN_HASH,
	COLUMN_CLASSID,
	COLUMN_OBJID,
	COLUMN_NAMES
};

static List *saved_rows(const char *query, OwnArguments *arguments);
static ManifestRow *saved_row(OwnAccess *access, uint64 row);
static void set_saved_names(ManifestRow *row, Datum names);
static void delete_rows(List *gone);
static void insert_rows(List *added);
static List *names_in_words(List *rows);

/*
 * See saved_manifest.h.
 */
SavedFingerprint *
read_saved_fingerprint(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	SavedFingerprint *saved = palloc0(sizeof(SavedFingerprint));

	begin_own_access(&access);
	run_own_query("SELECT f.fingerprint, f.server_version, f.catalog_state "
				  "FROM migrate.last_fingerprint f",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed == 1 &&
		sum_from_words(&saved->sum, own_text_column(&access, 0, 1)))
	{
		saved->server_version = own_int_column(0, 2);
		saved->catalog_state = own_text_column(&access, 0, 3);
	}
	end_own_access(&access);
	return saved;
}

/*
 * See saved_manifest.h.
 */
List *
read_saved_manifest(void)
{
	OwnArguments arguments = {0};

	return saved_rows(SAVED_QUERY, &arguments);
}

/*
 * See saved_manifest.h.
 */
bool
saved_manifest_is_current(void)
{
	SavedFingerprint *saved = read_saved_fingerprint();

	return saved->catalog_state != NULL &&
		strcmp(saved->catalog_state, catalog_state()) == 0;
}

/*
 * See saved_manifest.h.
 */
List *
current_manifest(void)
{
	return saved_manifest_is_current() ? read_saved_manifest() :
		read_manifest(InvalidOid, NIL);
}

/*
 * See saved_manifest.h.
 */
List *
read_saved_objects(List *objids)
{
	OwnArguments arguments = {0};

	add_own_oid_list(&arguments, objids);
	return saved_rows(SAVED_QUERY " WHERE m.objid OPERATOR(pg_catalog.=) ANY ($1)",
					  &arguments);
}

static List *
saved_rows(const char *query, OwnArguments *arguments)
{
	OwnAccess	access;
	List	   *rows = NIL;

	begin_own_access(&access);
	run_own_query(query, arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		rows = lappend(rows, saved_row(&access, row));
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return rows;
}

static ManifestRow *
saved_row(OwnAccess *access, uint64 row)
{
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	tupdesc = SPI_tuptable->tupdesc;
	ManifestRow *saved = palloc0(sizeof(ManifestRow));
	bool		isnull;

	saved->kind = own_text_column(access, row, COLUMN_KIND);
	saved->identity = own_text_column(access, row, COLUMN_IDENTITY);
	saved->unit = own_text_column(access, row, COLUMN_UNIT);
	saved->is_privileges = strcmp(saved->kind, "privileges") == 0;
	if (!hash_from_words(saved, own_text_column(access, row, COLUMN_HASH)))
		elog(ERROR, "unexpected hash in migrate.last_manifest");
	saved->classid = DatumGetObjectId(SPI_getbinval(tuple, tupdesc,
													COLUMN_CLASSID, &isnull));
	saved->objid = DatumGetObjectId(SPI_getbinval(tuple, tupdesc,
												  COLUMN_OBJID, &isnull));
	set_saved_names(saved, SPI_getbinval(tuple, tupdesc, COLUMN_NAMES,
										 &isnull));
	return saved;
}

static void
set_saved_names(ManifestRow *row, Datum names)
{
	Datum	   *elements;

	deconstruct_array(DatumGetArrayTypeP(names), INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, NULL,
					  &row->name_count);
	row->names = palloc(Max(row->name_count, 1) * sizeof(uint64));
	for (int i = 0; i < row->name_count; i++)
		row->names[i] = DatumGetUInt64(elements[i]);
}

/*
 * See saved_manifest.h.
 */
void
change_saved_manifest(List *gone, List *added)
{
	OwnAccess	access;

	begin_own_access(&access);
	if (gone != NIL)
		delete_rows(gone);
	if (added != NIL)
		insert_rows(added);
	end_own_access(&access);
}

static void
delete_rows(List *gone)
{
	OwnArguments arguments = {0};
	List	   *objids = NIL;
	List	   *hashes = NIL;
	ListCell   *cell;

	foreach(cell, gone)
	{
		objids = lappend_oid(objids, ((ManifestRow *) lfirst(cell))->objid);
		hashes = lappend(hashes, hash_in_words(lfirst(cell)));
	}
	add_own_oid_list(&arguments, objids);
	add_own_text_list(&arguments, hashes);
	run_own_query("DELETE FROM migrate.last_manifest m "
				  "USING ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) "
				  "g (objid, hash) "
				  "WHERE m.objid OPERATOR(pg_catalog.=) g.objid "
				  "AND m.hash OPERATOR(pg_catalog.=) g.hash",
				  &arguments, SPI_OK_DELETE);
}

/* An array of arrays of different lengths is there only in words. */
static void
insert_rows(List *added)
{
	OwnArguments arguments = {0};
	List	   *kinds = NIL;
	List	   *identities = NIL;
	List	   *units = NIL;
	List	   *hashes = NIL;
	List	   *classids = NIL;
	List	   *objids = NIL;
	ListCell   *cell;

	foreach(cell, added)
	{
		const ManifestRow *row = lfirst(cell);

		kinds = lappend(kinds, row->kind);
		identities = lappend(identities, row->identity);
		units = lappend(units, row->unit);
		hashes = lappend(hashes, hash_in_words(row));
		classids = lappend_oid(classids, row->classid);
		objids = lappend_oid(objids, row->objid);
	}
	add_own_text_list(&arguments, kinds);
	add_own_text_list(&arguments, identities);
	add_own_text_list(&arguments, units);
	add_own_text_list(&arguments, hashes);
	add_own_oid_list(&arguments, classids);
	add_own_oid_list(&arguments, objids);
	add_own_text_list(&arguments, names_in_words(added));
	run_own_query("INSERT INTO migrate.last_manifest "
				  "(kind, identity, unit, hash, classid, objid, names) "
				  "SELECT a.kind, a.identity, a.unit, a.hash, a.classid, a.objid, "
				  "a.names::pg_catalog.int8[] "
				  "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
				  "pg_catalog.unnest($3), pg_catalog.unnest($4), "
				  "pg_catalog.unnest($5), pg_catalog.unnest($6), "
				  "pg_catalog.unnest($7)) "
				  "a (kind, identity, unit, hash, classid, objid, names)",
				  &arguments, SPI_OK_INSERT);
}

static List *
names_in_words(List *rows)
{
	List	   *texts = NIL;
	ListCell   *cell;

	foreach(cell, rows)
	{
		const ManifestRow *row = lfirst(cell);
		StringInfoData words;

		initStringInfo(&words);
		appendStringInfoChar(&words, '{');
		for (int i = 0; i < row->name_count; i++)
			appendStringInfo(&words, "%s" INT64_FORMAT, i > 0 ? "," : "",
							 (int64) row->names[i]);
		appendStringInfoChar(&words, '}');
		texts = lappend(texts, words.data);
	}
	return texts;
}

/*
 * See saved_manifest.h.
 */
char *
current_snapshot(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *snapshot;

	begin_own_access(&access);
	run_own_query("SELECT pg_catalog.pg_current_snapshot()", &arguments,
				  SPI_OK_SELECT);
	snapshot = own_text_column(&access, 0, 1);
	end_own_access(&access);
	return snapshot;
}

/*
 * See saved_manifest.h.
 */
void
write_saved_fingerprint(const SavedFingerprint *saved, TimestampTz taken_at,
						const char *snapshot)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments, sum_in_words(&saved->sum));
	add_own_argument(&arguments, INT4OID,
					 Int32GetDatum(saved->server_version), false);
	add_own_argument(&arguments, TIMESTAMPTZOID, TimestampTzGetDatum(taken_at),
					 false);
	add_own_text(&arguments, snapshot);
	add_own_text(&arguments, saved->catalog_state);
	run_own_query("UPDATE migrate.last_fingerprint SET "
				  "fingerprint = $1, server_version = $2, taken_at = $3, "
				  "snapshot = $4::pg_catalog.pg_snapshot, "
				  "transaction = pg_catalog.pg_current_xact_id(), "
				  "cluster = c.system_identifier, catalog_state = $5 "
				  "FROM pg_catalog.pg_control_system() c",
				  &arguments, SPI_OK_UPDATE);
	if (SPI_processed == 0)
		run_own_query("INSERT INTO migrate.last_fingerprint (fingerprint, "
					  "server_version, taken_at, snapshot, catalog_state, "
					  "transaction, cluster) "
					  "SELECT $1, $2, $3, $4::pg_catalog.pg_snapshot, $5, "
					  "pg_catalog.pg_current_xact_id(), c.system_identifier "
					  "FROM pg_catalog.pg_control_system() c",
					  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/*
 * See saved_manifest.h.
 */
void
keep_found_drift(TimestampTz found_at, List *units, List *objects)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text_list(&arguments, units);
	add_own_text_list(&arguments, objects);
	add_own_argument(&arguments, TIMESTAMPTZOID, TimestampTzGetDatum(found_at),
					 false);
	run_own_query("INSERT INTO migrate.found_drift (found_at, number, object) "
				  "SELECT $3, pg_catalog.row_number() OVER (), f.object "
				  "FROM (SELECT DISTINCT d.object "
				  "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) "
				  "d (unit, object) "
				  "WHERE NOT EXISTS (SELECT FROM migrate.explanations e "
				  "WHERE '*' OPERATOR(pg_catalog.=) ANY (e.units)) "
				  "AND NOT EXISTS (SELECT FROM migrate.explanations e, "
				  "pg_catalog.unnest(e.units) u (unit) "
				  "WHERE u.unit OPERATOR(pg_catalog.=) d.unit)) f",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/*
 * See saved_manifest.h.
 */
void
keep_unknown_drift(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments,
				 "unknown: the schema could not be compared with that of the last migration");
	run_own_query("INSERT INTO migrate.found_drift (found_at, number, object) "
				  "SELECT pg_catalog.clock_timestamp(), 1, $1 "
				  "WHERE NOT EXISTS (SELECT FROM migrate.found_drift f "
				  "WHERE f.object OPERATOR(pg_catalog.=) $1 "
				  "AND f.acknowledged_at IS NULL)",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/*
 * See saved_manifest.h.
 */
bool
drift_is_unacknowledged(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	begin_own_access(&access);
	run_own_query("SELECT EXISTS (SELECT FROM migrate.ddl_log l "
				  "WHERE l.acknowledged_at IS NULL) "
				  "OR EXISTS (SELECT FROM migrate.found_drift f "
				  "WHERE f.acknowledged_at IS NULL)",
				  &arguments, SPI_OK_SELECT);
	result = own_bool_column(0, 1);
	end_own_access(&access);
	return result;
}

/*
 * See saved_manifest.h.
 */
int64
acknowledge_saved_drift(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		count;

	begin_own_access(&access);
	run_own_query("UPDATE migrate.ddl_log l "
				  "SET acknowledged_at = pg_catalog.clock_timestamp() "
				  "WHERE l.acknowledged_at IS NULL",
				  &arguments, SPI_OK_UPDATE);
	count = SPI_processed;
	run_own_query("UPDATE migrate.found_drift f "
				  "SET acknowledged_at = pg_catalog.clock_timestamp() "
				  "WHERE f.acknowledged_at IS NULL",
				  &arguments, SPI_OK_UPDATE);
	count += SPI_processed;
	end_own_access(&access);
	return count;
}

/*
 * See saved_manifest.h.
 */
void
acknowledge_runner(Oid ledger)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(ledger), false);
	run_own_query("UPDATE migrate.ddl_log l "
				  "SET acknowledged_at = pg_catalog.clock_timestamp() "
				  "WHERE l.acknowledged_at IS NULL "
				  "AND l.cluster OPERATOR(pg_catalog.=) "
				  "(SELECT s.system_identifier FROM pg_catalog.pg_control_system() s) "
				  "AND l.transaction::pg_catalog.xid OPERATOR(pg_catalog.=) "
				  "ANY (SELECT w.xid FROM migrate.runner_writers($1) w (xid))",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}
