/*-------------------------------------------------------------------------
 *
 * manifest.c
 *	  The objects of a schema and the hashes of their definitions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/own_tables.h"
#include "drift/manifest.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"

#define MANIFEST_QUERY \
	"SELECT d.classid, d.objid, d.kind, d.identity, d.unit, d.names, " \
	"d.definition, d.owner, d.privileges FROM migrate.schema_definitions d "

#define OBJECTS_QUERY(class) \
	MANIFEST_QUERY "WHERE d.classid OPERATOR(pg_catalog.=) " class \
	" AND d.objid OPERATOR(pg_catalog.=) ANY ($1)"

static const struct
{
	Oid			classid;
	const char *query;
}			class_queries[] = {

	{RelationRelationId,
	OBJECTS_QUERY("'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid")},
	{ProcedureRelationId,
	OBJECTS_QUERY("'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid")},
	{TypeRelationId,
	OBJECTS_QUERY("'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid")},
};

/*
 * To show a view, or a function with a parsed body, locks its tables: of more
 * at a time, they might not fit into the lock table, which others need as well.
 */
#define OBJECTS_AT_A_TIME 500

static const struct
{
	Oid			classid;
	const char *query;			/* for the objects that may count */
}			classes_in_parts[] = {

	{RelationRelationId, "SELECT r.oid FROM migrate.user_relations r"},
	{ProcedureRelationId, "SELECT p.oid FROM pg_catalog.pg_proc p "
		"JOIN migrate.user_schemas n "
	"ON n.oid OPERATOR(pg_catalog.=) p.pronamespace"},
};

/* Columns of that. */
enum
{
	COLUMN_CLASSID = 1,
	COLUMN_OBJID,
	COLUMN_KIND,
	COLUMN_IDENTITY,
	COLUMN_UNIT,
	COLUMN_NAMES,
	COLUMN_DEFINITION,
	COLUMN_OWNER,
	COLUMN_PRIVILEGES
};

/* What definitions are shown and looked for by, whatever the session has set. */
static const char *const shown_by[][2] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"quote_all_identifiers", "off"},
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"lock_timeout", "100ms"},
	{"plan_cache_mode", "force_generic_plan"},
	{"jit", "off"},
};

/*
 * The planner thinks of few rows of small tables, and would read those from
 * end to end, however often.  The views join everything by index, in their
 * order; other orders need not be thought of, which takes longer than to read
 * a table.
 */
static const char *const planned_by[][2] = {
	{"enable_seqscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"from_collapse_limit", "1"},
	{"join_collapse_limit", "1"},
};

static List *read_in_parts(Oid classid, const List *objids);
static List *oids_of(const char *query);
static List *read_and_unlock(Oid classid, const List *objids);
static List *read_objects(Oid classid, const List *objids);
static void set_for_query(const char *const setting[2]);
static void run_manifest_query(Oid classid, const List *objids);
static void add_rows(OwnAccess *access, uint64 row, List **rows);
static ManifestRow *new_row(OwnAccess *access, uint64 row);
static void set_hash(ManifestRow *row, const char *definition);
static void hash_text(pg_cryptohash_ctx *context, const char *text);
static void set_names(ManifestRow *row, const List *names);

/*
 * See manifest.h.
 */
List *
read_manifest(Oid classid, const List *objids)
{
	List	   *rows = NIL;

	if (objids != NIL)
		return read_in_parts(classid, objids);
	for (int i = 0; i < lengthof(classes_in_parts); i++)
	{
		if (!OidIsValid(classid) || classid == classes_in_parts[i].classid)
			rows = list_concat(rows,
							   read_in_parts(classes_in_parts[i].classid,
											 oids_of(classes_in_parts[i].query)));
		if (classid == classes_in_parts[i].classid)
			return rows;
	}
	return list_concat(rows, read_and_unlock(classid, NIL));
}

static List *
read_in_parts(Oid classid, const List *objids)
{
	List	   *rows = NIL;
	List	   *part = NIL;
	ListCell   *cell;

	foreach(cell, objids)
	{
		part = lappend_oid(part, lfirst_oid(cell));
		if (list_length(part) < OBJECTS_AT_A_TIME &&
			lnext(objids, cell) != NULL)
			continue;
		rows = list_concat(rows, read_and_unlock(classid, part));
		list_free(part);
		part = NIL;
	}
	return rows;
}

static List *
oids_of(const char *query)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *oids;

	begin_own_access(&access);
	run_own_query(query, &arguments, SPI_OK_SELECT);
	oids = own_oid_column(&access, 1);
	end_own_access(&access);
	return oids;
}

/* What is rolled back lets go of its locks. */
static List *
read_and_unlock(Oid classid, const List *objids)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	List	   *rows = NIL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		rows = read_objects(classid, objids);
	}
	PG_FINALLY();
	{
		/* whoever catches the error knows only of a transaction of its own */
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();
	return rows;
}

static List *
read_objects(Oid classid, const List *objids)
{
	OwnAccess	access;
	List	   *rows = NIL;
	int			level;

	begin_own_access(&access);
	level = NewGUCNestLevel();
	for (int i = 0; i < lengthof(shown_by); i++)
		set_for_query(shown_by[i]);
	for (int i = 0; objids != NIL && i < lengthof(planned_by); i++)
		set_for_query(planned_by[i]);
	run_manifest_query(classid, objids);
	for (uint64 row = 0; row < SPI_processed; row++)
		add_rows(&access, row, &rows);
	AtEOXact_GUC(false, level);
	end_own_access(&access);
	return rows;
}

static void
set_for_query(const char *const setting[2])
{
	(void) set_config_option(setting[0], setting[1], PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * InvalidOid stands for all classes that are not read in parts.  Where only
 * some objects are wanted the plan is made once, for any.  That of the usual
 * classes leaves out the others.
 */
static void
run_manifest_query(Oid classid, const List *objids)
{
	OwnArguments arguments = {0};
	const char *query = NULL;

	if (!OidIsValid(classid))
	{
		run_own_query(MANIFEST_QUERY "WHERE d.classid OPERATOR(pg_catalog.<>) "
					  "'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid "
					  "AND d.classid OPERATOR(pg_catalog.<>) "
					  "'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid",
					  &arguments, SPI_OK_SELECT);
		return;
	}
	if (objids == NIL)
	{
		add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(classid), false);
		run_own_query(MANIFEST_QUERY
					  "WHERE d.classid OPERATOR(pg_catalog.=) $1",
					  &arguments, SPI_OK_SELECT);
		return;
	}
	add_own_oid_list(&arguments, objids);
	for (int i = 0; i < lengthof(class_queries); i++)
	{
		if (class_queries[i].classid == classid)
			query = class_queries[i].query;
	}
	if (query == NULL)
	{
		add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(classid), false);
		query = OBJECTS_QUERY("$2");
	}
	run_own_query(query, &arguments, SPI_OK_SELECT);
}

/*
 * A row of the result makes up to two of the manifest: the definition, and
 * the owner and privileges.
 */
static void
add_rows(OwnAccess *access, uint64 row, List **rows)
{
	char	   *definition = own_text_column(access, row, COLUMN_DEFINITION);
	char	   *owner = own_text_column(access, row, COLUMN_OWNER);
	char	   *privileges = own_text_column(access, row, COLUMN_PRIVILEGES);
	MemoryContext old = MemoryContextSwitchTo(access->caller);

	if (definition != NULL)
	{
		ManifestRow *object = new_row(access, row);

		set_hash(object, definition);
		set_names(object, own_text_list_column(access, row, COLUMN_NAMES));
		*rows = lappend(*rows, object);
	}
	if (privileges != NULL && (owner != NULL || privileges[0] != '\0'))
	{
		ManifestRow *object = new_row(access, row);

		object->is_privileges = true;
		object->identity = psprintf("%s %s", object->kind, object->identity);
		object->kind = "privileges";
		set_hash(object, psprintf("%s: %s", owner ? owner : "", privileges));
		*rows = lappend(*rows, object);
	}
	MemoryContextSwitchTo(old);
}

static ManifestRow *
new_row(OwnAccess *access, uint64 row)
{
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	tupdesc = SPI_tuptable->tupdesc;
	ManifestRow *object = palloc0(sizeof(ManifestRow));
	bool		isnull;

	object->classid = DatumGetObjectId(SPI_getbinval(tuple, tupdesc,
													 COLUMN_CLASSID,
													 &isnull));
	object->objid = DatumGetObjectId(SPI_getbinval(tuple, tupdesc,
												   COLUMN_OBJID, &isnull));
	object->kind = own_text_column(access, row, COLUMN_KIND);
	object->identity = own_text_column(access, row, COLUMN_IDENTITY);
	object->unit = own_text_column(access, row, COLUMN_UNIT);
	return object;
}

static void
set_hash(ManifestRow *row, const char *definition)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (context == NULL || pg_cryptohash_init(context) < 0)
		elog(ERROR, "could not compute a hash");
	hash_text(context, row->kind);
	hash_text(context, row->identity);
	hash_text(context, definition);
	if (pg_cryptohash_final(context, row->hash, sizeof(row->hash)) < 0)
		elog(ERROR, "could not compute a hash");
	pg_cryptohash_free(context);
}

/* In one encoding everywhere, and with its final zero. */
static void
hash_text(pg_cryptohash_ctx *context, const char *text)
{
	char	   *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);

	if (pg_cryptohash_update(context, (uint8 *) utf8, strlen(utf8) + 1) < 0)
		elog(ERROR, "could not compute a hash");
	if (utf8 != text)
		pfree(utf8);
}

static void
set_names(ManifestRow *row, const List *names)
{
	ListCell   *cell;

	row->name_count = list_length(names);
	row->names = palloc(Max(row->name_count, 1) * sizeof(uint64));
	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		row->names[foreach_current_index(cell)] =
			DatumGetUInt64(hash_any_extended((const unsigned char *) name,
											 strlen(name), 0));
	}
}
