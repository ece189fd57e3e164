/*-------------------------------------------------------------------------
 *
 * catalogs.c
 *	  The system catalogs whose rows make up the schema of a database.
 *
 * They are found by their columns, so that a catalog which a later version of
 * PostgreSQL adds is among them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext_data.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "common/catalog.h"
#include "miscadmin.h"
#include "preserve/catalogs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/* The columns by which a row is told to be about something. */
typedef struct ColumnMeaning
{
	const char *name;
	Size		member;
} ColumnMeaning;

static const ColumnMeaning column_meanings[] = {
	{"adrelid", offsetof(Catalog, relation)},
	{"attrelid", offsetof(Catalog, relation)},
	{"classid", offsetof(Catalog, class_id)},
	{"classoid", offsetof(Catalog, class_id)},
	{"confrelid", offsetof(Catalog, other_relation)},
	{"conrelid", offsetof(Catalog, relation)},
	{"dbid", offsetof(Catalog, database)},
	{"ev_class", offsetof(Catalog, relation)},
	{"ftrelid", offsetof(Catalog, relation)},
	{"indexrelid", offsetof(Catalog, relation)},
	{"indrelid", offsetof(Catalog, other_relation)},
	{"inhparent", offsetof(Catalog, other_relation)},
	{"inhrelid", offsetof(Catalog, relation)},
	{"objid", offsetof(Catalog, object_id)},
	{"objoid", offsetof(Catalog, object_id)},
	{"oid", offsetof(Catalog, oid)},
	{"partrelid", offsetof(Catalog, relation)},
	{"polrelid", offsetof(Catalog, relation)},
	{"prrelid", offsetof(Catalog, relation)},
	{"refclassid", offsetof(Catalog, referenced_class)},
	{"refobjid", offsetof(Catalog, referenced_object)},
	{"seqrelid", offsetof(Catalog, relation)},
	{"stxrelid", offsetof(Catalog, relation)},
	{"tgfoid", offsetof(Catalog, function)},
	{"tgrelid", offsetof(Catalog, relation)},
	{"typrelid", offsetof(Catalog, relation)},
};

/* Contents, not definitions. */
static const Oid data_catalogs[] = {
	LargeObjectRelationId,
	LargeObjectMetadataRelationId,
	StatisticRelationId,
	StatisticExtDataRelationId,
	SubscriptionRelRelationId
};

/* Those that others name; the rest follows in the order of their OIDs. */
static const Oid first_catalogs[] = {
	NamespaceRelationId,
	ExtensionRelationId,
	RelationRelationId,
	TypeRelationId,
	ProcedureRelationId
};

static bool is_data_catalog(Oid relid);
static Catalog *describe_catalog(Oid relid);
static AttrNumber *meaning_of_column(Catalog *catalog, const char *name);
static int	compare_catalogs(const ListCell *a, const ListCell *b);
static int	catalog_rank(const Catalog *catalog);
static bool is_left_out(HTAB *left_out, Oid class_id, Oid object_id);
static bool refers_to_left_out(HTAB *left_out, const Catalog *catalog,
							   Relation rel, HeapTuple row);
static bool row_itself_is_left_out(const Catalog *catalog, Relation rel,
								   HeapTuple row);
static bool is_toast_of_ours(Form_pg_class form);

/*
 * See catalogs.h.
 */
List *
list_catalogs(void)
{
	List	   *catalogs = list_make1(describe_catalog(SharedDependRelationId));
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	row;
	List	   *relids = NIL;
	ListCell   *cell;

	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(row);

		if (form->relnamespace == PG_CATALOG_NAMESPACE &&
			form->relkind == RELKIND_RELATION && !form->relisshared &&
			form->oid < FirstUnpinnedObjectId && !is_data_catalog(form->oid))
			relids = lappend_oid(relids, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	foreach(cell, relids)
		catalogs = lappend(catalogs, describe_catalog(lfirst_oid(cell)));
	list_sort(catalogs, compare_catalogs);
	return catalogs;
}

static bool
is_data_catalog(Oid relid)
{
	for (int i = 0; i < lengthof(data_catalogs); i++)
	{
		if (data_catalogs[i] == relid)
			return true;
	}
	return false;
}

static Catalog *
describe_catalog(Oid relid)
{
	Catalog    *catalog = palloc0(sizeof(Catalog));
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	tupdesc = RelationGetDescr(rel);

	catalog->relid = relid;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);
		AttrNumber *meaning;

		if (attribute->atttypid != OIDOID)
			continue;
		meaning = meaning_of_column(catalog, NameStr(attribute->attname));
		if (meaning != NULL)
			*meaning = attribute->attnum;
	}
	table_close(rel, AccessShareLock);

	/* a relation and its description are the same */
	if (relid == RelationRelationId)
		catalog->relation = catalog->oid;
	return catalog;
}

static AttrNumber *
meaning_of_column(Catalog *catalog, const char *name)
{
	Size		length = strlen(name);

	for (int i = 0; i < lengthof(column_meanings); i++)
	{
		if (strcmp(column_meanings[i].name, name) == 0)
			return (AttrNumber *) ((char *) catalog +
								   column_meanings[i].member);
	}
	if (length > strlen("namespace") &&
		strcmp(name + length - strlen("namespace"), "namespace") == 0)
		return &catalog->namespace;
	return NULL;
}

static int
compare_catalogs(const ListCell *a, const ListCell *b)
{
	const Catalog *left = lfirst(a);
	const Catalog *right = lfirst(b);
	int			difference = catalog_rank(left) - catalog_rank(right);

	if (difference != 0)
		return difference;
	return left->relid < right->relid ? -1 : 1;
}

static int
catalog_rank(const Catalog *catalog)
{
	for (int i = 0; i < lengthof(first_catalogs); i++)
	{
		if (first_catalogs[i] == catalog->relid)
			return i;
	}

	/* rows about objects of any kind come last */
	return lengthof(first_catalogs) + (catalog->class_id != 0 ? 1 : 0);
}

/*
 * See catalogs.h.
 */
Oid
catalog_row_oid(Relation rel, HeapTuple row, AttrNumber attribute)
{
	bool		isnull;
	Datum		value;

	if (attribute == 0)
		return InvalidOid;
	value = heap_getattr(row, attribute, RelationGetDescr(rel), &isnull);
	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/*
 * See catalogs.h.
 */
Oid
catalog_row_relation(const Catalog *catalog, Relation rel, HeapTuple row)
{
	if (catalog->relation != 0)
		return catalog_row_oid(rel, row, catalog->relation);
	if (catalog_row_oid(rel, row, catalog->class_id) == RelationRelationId)
		return catalog_row_oid(rel, row, catalog->object_id);
	return InvalidOid;
}

/*
 * See catalogs.h.
 */
HTAB *
begin_left_out(void)
{
	HASHCTL		control = {0};
	HTAB	   *left_out;
	Catalog    *namespaces = describe_catalog(NamespaceRelationId);
	Relation	rel = table_open(NamespaceRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	row;

	control.keysize = control.entrysize = sizeof(CatalogObject);
	control.hcxt = CurrentMemoryContext;
	left_out = hash_create("safe_migrate left out", 256, &control,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	/* whoever looks at one catalog alone needs to know the schemas */
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		(void) row_is_left_out(left_out, namespaces, rel, row);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	pfree(namespaces);
	return left_out;
}

/*
 * See catalogs.h.
 */
bool
row_is_left_out(HTAB *left_out, const Catalog *catalog, Relation rel,
				HeapTuple row)
{
	CatalogObject object;

	if (catalog->database != 0 &&
		catalog_row_oid(rel, row, catalog->database) != MyDatabaseId)
		return true;
	if (!row_itself_is_left_out(catalog, rel, row) &&
		!is_left_out(left_out, RelationRelationId,
					 catalog_row_oid(rel, row, catalog->relation)) &&
		!is_left_out(left_out, NamespaceRelationId,
					 catalog_row_oid(rel, row, catalog->namespace)) &&
		!is_left_out(left_out,
					 catalog_row_oid(rel, row, catalog->class_id),
					 catalog_row_oid(rel, row, catalog->object_id)) &&
		!refers_to_left_out(left_out, catalog, rel, row))
		return false;

	object.class_id = catalog->relid;
	object.object_id = catalog_row_oid(rel, row, catalog->oid);
	if (OidIsValid(object.object_id))
		(void) hash_search(left_out, &object, HASH_ENTER, NULL);
	return true;
}

static bool
is_left_out(HTAB *left_out, Oid class_id, Oid object_id)
{
	CatalogObject object = {class_id, object_id};

	return OidIsValid(object_id) &&
		hash_search(left_out, &object, HASH_FIND, NULL) != NULL;
}

/*
 * The triggers of online changes call a function of ours, and belong to their
 * tables all the same.
 */
static bool
refers_to_left_out(HTAB *left_out, const Catalog *catalog, Relation rel,
				   HeapTuple row)
{
	if (catalog->relid == TriggerRelationId)
		return ((Form_pg_trigger) GETSTRUCT(row))->tgisinternal &&
			is_left_out(left_out, ProcedureRelationId,
						catalog_row_oid(rel, row, catalog->function));
	if (catalog_row_oid(rel, row, catalog->class_id) == TriggerRelationId)
		return false;
	return is_left_out(left_out,
					   catalog_row_oid(rel, row, catalog->referenced_class),
					   catalog_row_oid(rel, row, catalog->referenced_object));
}

static bool
row_itself_is_left_out(const Catalog *catalog, Relation rel, HeapTuple row)
{
	if (catalog->relid == NamespaceRelationId)
	{
		Oid			nspoid = ((Form_pg_namespace) GETSTRUCT(row))->oid;

		return isAnyTempNamespace(nspoid) ||
			nspoid == get_namespace_oid("migrate", true);
	}
	if (catalog->relid == RelationRelationId)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(row);

		return form->relpersistence == RELPERSISTENCE_TEMP ||
			is_toast_of_ours(form);
	}
	if (catalog->relid == ExtensionRelationId)
		return strcmp(NameStr(((Form_pg_extension) GETSTRUCT(row))->extname),
					  "safe_migrate") == 0;
	return catalog_row_oid(rel, row, catalog->class_id) ==
		LargeObjectRelationId;
}

/* The TOAST table of one of our tables, or its index, told by the name. */
static bool
is_toast_of_ours(Form_pg_class form)
{
	Oid			table;

	return form->relnamespace == PG_TOAST_NAMESPACE &&
		sscanf(NameStr(form->relname), "pg_toast_%u", &table) == 1 &&
		get_rel_namespace(table) == get_namespace_oid("migrate", true);
}

/*
 * See catalogs.h.
 */
HeapTuple
plain_row(Relation rel, HeapTuple row)
{
	TupleDesc	tupdesc = RelationGetDescr(rel);
	Datum	   *values = palloc(tupdesc->natts * sizeof(Datum));
	bool	   *nulls = palloc(tupdesc->natts * sizeof(bool));
	HeapTuple	plain;

	heap_deform_tuple(row, tupdesc, values, nulls);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		if (!nulls[i] && TupleDescAttr(tupdesc, i)->attlen == -1)
			values[i] = PointerGetDatum(PG_DETOAST_DATUM(values[i]));
	}
	plain = heap_form_tuple(tupdesc, values, nulls);
	pfree(values);
	pfree(nulls);
	return plain;
}
