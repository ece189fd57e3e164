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
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_index.h"
#include "preserve/catalog_image.h"
#include "restore/label_rows.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

/* A catalog with rows about tables, and how it is searched. */
typedef struct TableCatalog
{
	Oid			relid;
	Oid			index;
	AttrNumber	table;			/* column with the OID of the table */
	Oid			(*table_of) (HeapTuple row);
	bool		(*is_same) (HeapTuple a, HeapTuple b);
} TableCatalog;

/* An entry of a hash table. */
typedef struct RowsOfTable
{
	Oid			relid;
	List	   *rows;			/* of HeapTuple */
} RowsOfTable;

static List *label_rows(const RestoreTarget *target, LabelCatalog catalog,
						Oid relid);
static HTAB *read_by_table(const RestoreTarget *target,
						   const TableCatalog *catalog);
static List *add_current_rows(List *rows, const TableCatalog *catalog,
							  Oid relid);
static Oid	table_of_attribute(HeapTuple row);
static bool attributes_are_same(HeapTuple a, HeapTuple b);
static Oid	table_of_index(HeapTuple row);
static bool indexes_are_same(HeapTuple a, HeapTuple b);
static Oid	table_of_expression(HeapTuple row);
static bool expressions_are_same(HeapTuple a, HeapTuple b);

#define ATTRIBUTE_FORM(row)	((Form_pg_attribute) GETSTRUCT(row))
#define INDEX_FORM(row)	((Form_pg_index) GETSTRUCT(row))
#define EXPRESSION_FORM(row)	((Form_pg_attrdef) GETSTRUCT(row))

static const TableCatalog catalogs[LABEL_CATALOGS] = {
	[LABEL_ATTRIBUTES] = {
		AttributeRelationId, AttributeRelidNumIndexId,
		Anum_pg_attribute_attrelid, table_of_attribute, attributes_are_same
	},
	[LABEL_INDEXES] = {
		IndexRelationId, IndexIndrelidIndexId, Anum_pg_index_indrelid,
		table_of_index, indexes_are_same
	},
	[LABEL_EXPRESSIONS] = {
		AttrDefaultRelationId, AttrDefaultIndexId, Anum_pg_attrdef_adrelid,
		table_of_expression, expressions_are_same
	},
};

/*
 * See label_rows.h.
 */
LabelRows *
begin_label_rows(void)
{
	LabelRows  *rows = palloc0(sizeof(LabelRows));

	rows->context = CurrentMemoryContext;
	return rows;
}

/*
 * See label_rows.h.
 */
List *
label_attributes(const RestoreTarget *target, Oid relid)
{
	return label_rows(target, LABEL_ATTRIBUTES, relid);
}

/*
 * See label_rows.h.
 */
List *
label_indexes(const RestoreTarget *target, Oid relid)
{
	return label_rows(target, LABEL_INDEXES, relid);
}

/*
 * See label_rows.h.
 */
List *
label_expressions(const RestoreTarget *target, Oid relid)
{
	return label_rows(target, LABEL_EXPRESSIONS, relid);
}

static List *
label_rows(const RestoreTarget *target, LabelCatalog catalog, Oid relid)
{
	HTAB	  **by_table = &target->rows->by_table[catalog];
	RowsOfTable *found;
	List	   *rows;

	if (*by_table == NULL)
		*by_table = read_by_table(target, &catalogs[catalog]);
	found = hash_search(*by_table, &relid, HASH_FIND, NULL);
	rows = found ? list_copy(found->rows) : NIL;
	return target->is_whole ? rows :
		add_current_rows(rows, &catalogs[catalog], relid);
}

static HTAB *
read_by_table(const RestoreTarget *target, const TableCatalog *catalog)
{
	MemoryContext caller = MemoryContextSwitchTo(target->rows->context);
	HASHCTL		control = {0};
	HTAB	   *by_table;
	ListCell   *cell;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(RowsOfTable);
	control.hcxt = CurrentMemoryContext;
	by_table = hash_create("safe_migrate label rows", 1024, &control,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(cell, load_catalog_rows(target->point, catalog->relid))
	{
		Oid			relid = catalog->table_of(lfirst(cell));
		bool		found;
		RowsOfTable *entry = hash_search(by_table, &relid, HASH_ENTER, &found);

		entry->rows = lappend(found ? entry->rows : NIL, lfirst(cell));
	}
	MemoryContextSwitchTo(caller);
	return by_table;
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

static Oid
table_of_attribute(HeapTuple row)
{
	return ATTRIBUTE_FORM(row)->attrelid;
}

static bool
attributes_are_same(HeapTuple a, HeapTuple b)
{
	return ATTRIBUTE_FORM(a)->attnum == ATTRIBUTE_FORM(b)->attnum;
}

static Oid
table_of_index(HeapTuple row)
{
	return INDEX_FORM(row)->indrelid;
}

static bool
indexes_are_same(HeapTuple a, HeapTuple b)
{
	return INDEX_FORM(a)->indexrelid == INDEX_FORM(b)->indexrelid;
}

static Oid
table_of_expression(HeapTuple row)
{
	return EXPRESSION_FORM(row)->adrelid;
}

static bool
expressions_are_same(HeapTuple a, HeapTuple b)
{
	return EXPRESSION_FORM(a)->adnum == EXPRESSION_FORM(b)->adnum;
}
