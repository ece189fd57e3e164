/*-------------------------------------------------------------------------
 *
 * wanted_rows.c
 *	  The rows that the catalogs are to have after a rollback.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupdesc.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "preserve/catalog_image.h"
#include "restore/wanted_rows.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

static HeapTuple wanted_class_row(RestoredRelation *relation);
static void take_physical_fields(Form_pg_class wanted, Form_pg_class holder);
static void take_hints(Form_pg_class wanted, Form_pg_class is);
static List *dropped_columns_of_holder(const RestoreTarget *target,
									   RestoredRelation *relation);
static List *dropped_columns(Oid holder, int behind, Oid relid);
static HeapTuple with_options(Relation rel, HeapTuple row, Datum options,
							  bool isnull);
static HeapTuple dropped_column(HeapTuple row, Oid relid);
static int	column_count(HeapTuple row);

#define CLASS_FORM(row)	((Form_pg_class) GETSTRUCT(row))
#define ATTRIBUTE_FORM(row)	((Form_pg_attribute) GETSTRUCT(row))

/*
 * See wanted_rows.h.
 */
List *
wanted_rows(const RestoreTarget *target, const Catalog *catalog,
			HTAB *relations)
{
	Relation	rel = table_open(catalog->relid, AccessShareLock);
	List	   *wanted = NIL;
	ListCell   *cell;

	foreach(cell, load_catalog_rows(target->point, catalog->relid))
	{
		HeapTuple	row = lfirst(cell);
		Oid			relid = catalog_row_relation(catalog, rel, row);

		if (rows_follow_storage(relations, relid))
			continue;
		if (catalog->relid == RelationRelationId)
			row = wanted_class_row(find_restored_relation(relations, relid));

		/* the point may have come with the template of this database */
		if (catalog->relid == SharedDependRelationId)
			((Form_pg_shdepend) GETSTRUCT(row))->dbid = MyDatabaseId;
		wanted = lappend(wanted, row);
	}
	if (catalog->relid == AttributeRelationId)
	{
		HASH_SEQ_STATUS all;
		RestoredRelation *relation;

		hash_seq_init(&all, relations);
		while ((relation = hash_seq_search(&all)) != NULL)
		{
			/* a statement alone is undone: columns made since stay */
			if (relation->choice == STORAGE_PARKED &&
				(target->is_whole || relation->is == NULL))
				wanted = list_concat(wanted,
									 dropped_columns_of_holder(target,
															   relation));
		}
	}
	table_close(rel, AccessShareLock);
	return wanted;
}

/*
 * The row of the label, but for what is about a file: VACUUM may have frozen
 * it meanwhile, and columns may have been added.
 */
static HeapTuple
wanted_class_row(RestoredRelation *relation)
{
	HeapTuple	row = heap_copytuple(relation->was);
	Form_pg_class wanted = CLASS_FORM(row);

	switch (relation->choice)
	{
		case STORAGE_KEPT:
			wanted->relfilenode = CLASS_FORM(relation->is)->relfilenode;
			wanted->reltoastrelid = CLASS_FORM(relation->is)->reltoastrelid;
			take_physical_fields(wanted, CLASS_FORM(relation->is));
			break;
		case STORAGE_PARKED:
			wanted->relfilenode = CLASS_FORM(relation->holder)->relfilenode;
			if (relation->is != NULL && wanted->relkind != RELKIND_INDEX)
				wanted->relnatts = Max(wanted->relnatts,
									   CLASS_FORM(relation->is)->relnatts);
			take_physical_fields(wanted, CLASS_FORM(relation->holder));
			break;
		case STORAGE_BUILT:
			if (is_built_in_place(relation))
				wanted->relfilenode = CLASS_FORM(relation->is)->relfilenode;
			break;
		case STORAGE_NONE:
		case STORAGE_REMOVED:
		case STORAGE_LOST:
			break;
	}
	if (relation->is != NULL)
		take_hints(wanted, CLASS_FORM(relation->is));
	return row;
}

static void
take_physical_fields(Form_pg_class wanted, Form_pg_class holder)
{
	wanted->relfrozenxid = holder->relfrozenxid;
	wanted->relminmxid = holder->relminmxid;
	wanted->relpages = holder->relpages;
	wanted->reltuples = holder->reltuples;
	compat_copy_visible_pages(wanted, holder);
	if (wanted->relkind != RELKIND_INDEX)
		wanted->relnatts = Max(wanted->relnatts, holder->relnatts);
}

/* Hints that may be true without need, and that our triggers need. */
static void
take_hints(Form_pg_class wanted, Form_pg_class is)
{
	wanted->relhasindex |= is->relhasindex;
	wanted->relhasrules |= is->relhasrules;
	wanted->relhastriggers |= is->relhastriggers;
	wanted->relhassubclass |= is->relhassubclass;
}

/*
 * Rows in a parked file may have values of columns that the label had not: if
 * only of the transaction that has parked it, the table itself knows them.  Where
 * only a statement is taken back, the table keeps the columns that it has.
 */
static List *
dropped_columns_of_holder(const RestoreTarget *target,
						  RestoredRelation *relation)
{
	int			was = column_count(relation->was);
	int			held = Max(was, column_count(relation->holder));
	List	   *rows;

	if (relation->parked->kind != RELKIND_RELATION)
		return NIL;
	rows = dropped_columns(relation->parked->holder, was, relation->relid);
	if (relation->is != NULL && target->is_whole)
		rows = list_concat(rows, dropped_columns(relation->relid, held,
												 relation->relid));
	return rows;
}

/* Columns of one relation behind a number, as dropped ones of another. */
static List *
dropped_columns(Oid holder, int behind, Oid relid)
{
	Relation	rel = table_open(AttributeRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key[2];
	HeapTuple	row;
	List	   *rows = NIL;

	ScanKeyInit(&key[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(holder));
	ScanKeyInit(&key[1], Anum_pg_attribute_attnum, BTGreaterStrategyNumber,
				F_INT2GT, Int16GetDatum(behind));
	scan = systable_beginscan(rel, AttributeRelidNumIndexId, true, NULL, 2,
							  key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		rows = lappend(rows, dropped_column(row, relid));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return rows;
}

/*
 * See wanted_rows.h.
 */
bool
replace_by_dropped(const Catalog *catalog, HTAB *relations, HeapTuple row,
				   HeapTuple *instead)
{
	RestoredRelation *relation;

	if (catalog->relid != AttributeRelationId ||
		ATTRIBUTE_FORM(row)->attnum <= 0)
		return false;
	relation = find_restored_relation(relations,
									  ATTRIBUTE_FORM(row)->attrelid);
	if (relation == NULL || relation->was == NULL ||
		ATTRIBUTE_FORM(row)->attnum <= column_count(relation->was) ||
		relation->choice != STORAGE_KEPT)
		return false;
	*instead = ATTRIBUTE_FORM(row)->attisdropped ? NULL :
		dropped_column(row, relation->relid);
	return true;
}

/*
 * See wanted_rows.h.  The TOAST table may be another one than that of the label.
 */
bool
replace_toast_options(const Catalog *catalog, HTAB *relations, HeapTuple row,
					  HeapTuple *instead)
{
	RestoredRelation *toast;
	RestoredRelation *table;
	RestoredRelation *was = NULL;
	Relation	rel;
	Datum		is_options;
	Datum		was_options = (Datum) 0;
	bool		is_null;
	bool		was_null = true;

	if (catalog->relid != RelationRelationId ||
		CLASS_FORM(row)->relkind != RELKIND_TOASTVALUE)
		return false;
	toast = find_restored_relation(relations, CLASS_FORM(row)->oid);
	table = main_relation(relations, toast);
	if (table->was == NULL)
		return false;
	rel = table_open(RelationRelationId, AccessShareLock);
	is_options = heap_getattr(row, Anum_pg_class_reloptions,
							  RelationGetDescr(rel), &is_null);
	was = find_restored_relation(relations,
								 CLASS_FORM(table->was)->reltoastrelid);
	if (was != NULL && was->was != NULL)
		was_options = heap_getattr(was->was, Anum_pg_class_reloptions,
								   RelationGetDescr(rel), &was_null);
	if (was_null != is_null ||
		(!is_null && !datumIsEqual(is_options, was_options, false, -1)))
		*instead = with_options(rel, row, was_options, was_null);
	table_close(rel, AccessShareLock);
	return *instead != NULL;
}

static HeapTuple
with_options(Relation rel, HeapTuple row, Datum options, bool isnull)
{
	Datum		values[Natts_pg_class] = {0};
	bool		nulls[Natts_pg_class] = {false};
	bool		replaces[Natts_pg_class] = {false};

	values[Anum_pg_class_reloptions - 1] = options;
	nulls[Anum_pg_class_reloptions - 1] = isnull;
	replaces[Anum_pg_class_reloptions - 1] = true;
	return heap_modify_tuple(row, RelationGetDescr(rel), values, nulls,
							 replaces);
}

/* As RemoveAttributeById() leaves it. */
static HeapTuple
dropped_column(HeapTuple row, Oid relid)
{
	Relation	rel = table_open(AttributeRelationId, AccessShareLock);
	int			natts = RelationGetNumberOfAttributes(rel);
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	HeapTuple	dropped = heap_copytuple(row);
	Form_pg_attribute form = ATTRIBUTE_FORM(dropped);

	form->attrelid = relid;
	form->attisdropped = true;
	form->atttypid = InvalidOid;
	form->attnotnull = false;
	form->attgenerated = '\0';
	form->attidentity = '\0';
	form->atthasdef = false;
	form->atthasmissing = false;
	snprintf(NameStr(form->attname), NAMEDATALEN,
			 "........pg.dropped.%d........", form->attnum);
	heap_deform_tuple(dropped, RelationGetDescr(rel), values, nulls);
	nulls[Anum_pg_attribute_attacl - 1] = true;
	nulls[Anum_pg_attribute_attoptions - 1] = true;
	nulls[Anum_pg_attribute_attfdwoptions - 1] = true;
	nulls[Anum_pg_attribute_attmissingval - 1] = true;
	dropped = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	table_close(rel, AccessShareLock);
	return dropped;
}

static int
column_count(HeapTuple row)
{
	return CLASS_FORM(row)->relnatts;
}
