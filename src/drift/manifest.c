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

#define DIGITS lengthof(((ManifestSum *) 0)->digits)

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
 * To show a view locks its tables: of more relations than that at a time, they
 * might not fit into the lock table, which others need as well.
 */
#define RELATIONS_AT_A_TIME 500

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

static List *read_all_relations(void);
static List *relations_that_count(void);
static List *read_and_unlock(Oid classid, const List *objids);
static List *read_objects(Oid classid, const List *objids);
static void run_manifest_query(Oid classid, const List *objids);
static void add_rows(OwnAccess *access, uint64 row, List **rows);
static ManifestRow *new_row(OwnAccess *access, uint64 row);
static void set_hash(ManifestRow *row, const char *definition);
static void hash_text(pg_cryptohash_ctx *context, const char *text);
static void set_names(ManifestRow *row, const List *names);
static void add_oids(OwnArguments *arguments, const List *oids);
static void add_saved_texts(OwnArguments *arguments, const List *rows,
							size_t offset);

/*
 * See manifest.h.
 */
List *
read_manifest(Oid classid, const List *objids)
{
	if (!OidIsValid(classid))
		return list_concat(read_all_relations(),
						   read_and_unlock(InvalidOid, NIL));
	if (classid == RelationRelationId && objids == NIL)
		return read_all_relations();
	return read_objects(classid, objids);
}

static List *
read_all_relations(void)
{
	List	   *relations = relations_that_count();
	List	   *rows = NIL;
	List	   *part = NIL;
	ListCell   *cell;

	foreach(cell, relations)
	{
		part = lappend_oid(part, lfirst_oid(cell));
		if (list_length(part) < RELATIONS_AT_A_TIME &&
			lnext(relations, cell) != NULL)
			continue;
		rows = list_concat(rows, read_and_unlock(RelationRelationId, part));
		list_free(part);
		part = NIL;
	}
	return rows;
}

static List *
relations_that_count(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *relations = NIL;
	bool		isnull;

	begin_own_access(&access);
	run_own_query("SELECT r.oid FROM migrate.user_relations r", &arguments,
				  SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		oid = SPI_getbinval(SPI_tuptable->vals[row],
										SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		relations = lappend_oid(relations, DatumGetObjectId(oid));
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return relations;
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
		(void) set_config_option(shown_by[i][0], shown_by[i][1], PGC_SUSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);

	/*
	 * The plan for some objects is kept, and made when the catalog may be
	 * small still: to go through all of it for each of them is never right.
	 */
	if (objids != NIL)
		(void) set_config_option("enable_seqscan", "off", PGC_SUSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
	run_manifest_query(classid, objids);
	for (uint64 row = 0; row < SPI_processed; row++)
		add_rows(&access, row, &rows);
	AtEOXact_GUC(false, level);
	end_own_access(&access);
	return rows;
}

/*
 * InvalidOid stands for all that are no relations, nor belong to one.
 * Where only some objects are wanted the plan is made once, for any.  That of
 * the usual classes leaves out the others.
 */
static void
run_manifest_query(Oid classid, const List *objids)
{
	OwnArguments arguments = {0};
	const char *query = NULL;

	if (!OidIsValid(classid))
	{
		run_own_query(MANIFEST_QUERY "WHERE d.classid OPERATOR(pg_catalog.<>) "
					  "'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid",
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
	add_oids(&arguments, objids);
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

static void
add_oids(OwnArguments *arguments, const List *oids)
{
	Datum	   *elements = palloc(list_length(oids) * sizeof(Datum));
	ArrayType  *array;
	ListCell   *cell;

	foreach(cell, oids)
		elements[foreach_current_index(cell)] =
		ObjectIdGetDatum(lfirst_oid(cell));
	array = construct_array(elements, list_length(oids), OIDOID, sizeof(Oid),
							true, TYPALIGN_INT);
	add_own_argument(arguments, OIDARRAYOID, PointerGetDatum(array), false);
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

/*
 * See manifest.h.
 */
void
add_to_sum(ManifestSum *sum, const ManifestRow *row)
{
	uint64		carry = 0;

	for (int i = 0; i < DIGITS; i++)
	{
		uint32		digit;

		memcpy(&digit, row->hash + i * sizeof(digit), sizeof(digit));
		carry += (uint64) sum->digits[i] + pg_ntoh32(digit);
		sum->digits[i] = (uint32) carry;
		carry >>= 32;
	}
}

/*
 * See manifest.h.  To take a number away is to add its complement and 1.
 */
void
take_from_sum(ManifestSum *sum, const ManifestRow *row)
{
	uint64		carry = 1;

	for (int i = 0; i < DIGITS; i++)
	{
		uint32		digit;

		memcpy(&digit, row->hash + i * sizeof(digit), sizeof(digit));
		carry += (uint64) sum->digits[i] + ~pg_ntoh32(digit);
		sum->digits[i] = (uint32) carry;
		carry >>= 32;
	}
}

/*
 * See manifest.h.
 */
char *
hash_in_words(const ManifestRow *row)
{
	StringInfoData words;

	initStringInfo(&words);
	for (int i = 0; i < sizeof(row->hash); i++)
		appendStringInfo(&words, "%02x", row->hash[i]);
	return words.data;
}

/*
 * See manifest.h.
 */
char *
sum_in_words(const ManifestSum *sum)
{
	StringInfoData words;

	initStringInfo(&words);
	for (int i = DIGITS - 1; i >= 0; i--)
		appendStringInfo(&words, "%08x", sum->digits[i]);
	return words.data;
}

/*
 * See manifest.h.
 */
List *
read_saved_manifest(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *rows = NIL;

	begin_own_access(&access);
	run_own_query("SELECT m.kind, m.identity, m.unit, m.hash "
				  "FROM migrate.last_manifest m",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(access.caller);
		SavedRow   *saved = palloc(sizeof(SavedRow));

		saved->kind = own_text_column(&access, row, 1);
		saved->identity = own_text_column(&access, row, 2);
		saved->unit = own_text_column(&access, row, 3);
		saved->hash = own_text_column(&access, row, 4);
		rows = lappend(rows, saved);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return rows;
}

/*
 * See manifest.h.
 */
void
change_saved_manifest(const List *gone, const List *added)
{
	OwnAccess	access;
	OwnArguments none = {0};

	begin_own_access(&access);
	if (gone != NIL)
	{
		OwnArguments arguments = {0};

		add_saved_texts(&arguments, gone, offsetof(SavedRow, kind));
		add_saved_texts(&arguments, gone, offsetof(SavedRow, identity));
		run_own_query("DELETE FROM migrate.last_manifest m "
					  "USING ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) "
					  "g (kind, identity) "
					  "WHERE m.identity OPERATOR(pg_catalog.=) g.identity "
					  "AND m.kind OPERATOR(pg_catalog.=) g.kind",
					  &arguments, SPI_OK_DELETE);
	}
	if (added != NIL)
	{
		OwnArguments arguments = {0};

		add_saved_texts(&arguments, added, offsetof(SavedRow, kind));
		add_saved_texts(&arguments, added, offsetof(SavedRow, identity));
		add_saved_texts(&arguments, added, offsetof(SavedRow, unit));
		add_saved_texts(&arguments, added, offsetof(SavedRow, hash));
		run_own_query("INSERT INTO migrate.last_manifest "
					  "(kind, identity, unit, hash) "
					  "SELECT a.kind, a.identity, a.unit, a.hash "
					  "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
					  "pg_catalog.unnest($3), pg_catalog.unnest($4)) "
					  "a (kind, identity, unit, hash)",
					  &arguments, SPI_OK_INSERT);
	}
	run_own_query("UPDATE migrate.last_manifest m "
				  "SET taken_at = pg_catalog.clock_timestamp() "
				  "WHERE m.kind OPERATOR(pg_catalog.=) 'server version' "
				  "AND m.identity OPERATOR(pg_catalog.=) '" COMPAT_MAJOR_VERSION "'",
				  &none, SPI_OK_UPDATE);
	end_own_access(&access);
}

/* One member of each row, as a text[]. */
static void
add_saved_texts(OwnArguments *arguments, const List *rows, size_t offset)
{
	List	   *texts = NIL;
	ListCell   *cell;

	foreach(cell, rows)
		texts = lappend(texts, *(char **) ((char *) lfirst(cell) + offset));
	add_own_text_list(arguments, texts);
}
