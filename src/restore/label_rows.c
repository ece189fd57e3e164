/*-------------------------------------------------------------------------
 *
 * label_rows.c
 *	  The catalog rows about one table, as they were at a restore point.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_index.h"
#include "preserve/catalog_image.h"
#include "restore/label_rows.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

/* A catalog with rows about a table, and how it is searched. */
typedef struct TableCatalog
{
	Oid			relid;
	Oid			index;
	AttrNumber	table;			/* column with the OID of the table */
	bool		(*is_about) (HeapTuple row, Oid relid);
	bool		(*is_same) (HeapTuple a, HeapTuple b);
} TableCatalog;

static List *label_rows(const RestoreTarget *target,
						const TableCatalog *catalog, Oid relid);
static List *add_current_rows(List *rows, const TableCatalog *catalog,
							  Oid relid);
static bool attribute_is_about(HeapTuple row, Oid relid);
static bool attributes_are_same(HeapTuple a, HeapTuple b);
static bool index_is_about(HeapTuple row, Oid relid);
static bool indexes_are_same(HeapTuple a, HeapTuple b);

#define ATTRIBUTE_FORM(row)	((Form_pg_attribute) GETSTRUCT(row))
#define INDEX_FORM(row)	((Form_pg_index) GETSTRUCT(row))

static const TableCatalog attributes = {
	AttributeRelationId, AttributeRelidNumIndexId, Anum_pg_attribute_attrelid,
	attribute_is_about, attributes_are_same
};

static const TableCatalog indexes = {
	IndexRelationId, IndexIndrelidIndexId, Anum_pg_index_indrelid,
	index_is_about, indexes_are_same
};

/*
 * See label_rows.h.
 */
List *
label_attributes(const RestoreTarget *target, Oid relid)
{
	return label_rows(target, &attributes, relid);
}

/*
 * See label_rows.h.
 */
List *
label_indexes(const RestoreTarget *target, Oid relid)
{
	return label_rows(target, &indexes, relid);
}

/* The catalog has those of all tables, and is read for each of many. */
static List *
label_rows(const RestoreTarget *target, const TableCatalog *catalog,
		   Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate label rows",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *all;
	List	   *rows = NIL;
	ListCell   *cell;

	MemoryContextSwitchTo(context);
	all = load_catalog_rows(target->point, catalog->relid);
	MemoryContextSwitchTo(caller);
	foreach(cell, all)
	{
		if (catalog->is_about(lfirst(cell), relid))
			rows = lappend(rows, heap_copytuple(lfirst(cell)));
	}
	MemoryContextDelete(context);
	return target->is_whole ? rows : add_current_rows(rows, catalog, relid);
}

static List *
add_current_rows(List *rows, const TableCatalog *catalog, Oid relid)
{
	Relation	rel = table_open(catalog->relid, AccessShareLock);
	List	   *all = list_copy(rows);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	row;
	ListCell   *cell;

	ScanKeyInit(&key, catalog->table, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, catalog->index, true, NULL, 1, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool		is_changed = false;

		foreach(cell, rows)
			is_changed |= catalog->is_same(lfirst(cell), row);
		if (!is_changed)
			all = lappend(all, heap_copytuple(row));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return all;
}

static bool
attribute_is_about(HeapTuple row, Oid relid)
{
	return ATTRIBUTE_FORM(row)->attrelid == relid;
}

static bool
attributes_are_same(HeapTuple a, HeapTuple b)
{
	return ATTRIBUTE_FORM(a)->attnum == ATTRIBUTE_FORM(b)->attnum;
}

static bool
index_is_about(HeapTuple row, Oid relid)
{
	return INDEX_FORM(row)->indrelid == relid;
}

static bool
indexes_are_same(HeapTuple a, HeapTuple b)
{
	return INDEX_FORM(a)->indexrelid == INDEX_FORM(b)->indexrelid;
}
