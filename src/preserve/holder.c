/*-------------------------------------------------------------------------
 *
 * holder.c
 *	  Hidden relations that own files which somebody has done away with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opclass.h"
#include "common/catalog.h"
#include "preserve/hidden_relation.h"
#include "preserve/holder.h"
#include "preserve/transaction_start.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* The columns that are to be changed of a row. */
typedef struct RowChange
{
	Datum		values[Natts_pg_class];
	bool		nulls[Natts_pg_class];
	bool		replaces[Natts_pg_class];
} RowChange;

StaticAssertDecl(Natts_pg_attribute <= Natts_pg_class &&
				 Natts_pg_index <= Natts_pg_class,
				 "a RowChange has room for rows of all three catalogs");

static void write_class_row(HolderMaker *maker, HeldFile *held);
static void hide_table(HolderMaker *maker, HeldFile *held, RowChange *change);
static void write_attribute_rows(HolderMaker *maker, HeldFile *held);
static void write_index_row(HolderMaker *maker, HeldFile *held);
static void depend_on(Oid holder, Oid classid, Oid objid, DependencyType type);
static void set_column(RowChange *change, AttrNumber column, Datum value);
static void clear_column(RowChange *change, AttrNumber column);
static void insert_changed(Relation catalog, CatalogIndexState indexes,
						   HeapTuple row, RowChange *change);
static const Oid *index_oids(HolderMaker *maker, HeapTuple index_row,
							 AttrNumber column);
static bool index_column_is_null(HolderMaker *maker, HeapTuple index_row,
								 AttrNumber column);

/*
 * See holder.h.
 */
void
begin_holders(HolderMaker *maker, Snapshot before)
{
	maker->before = before;
	maker->pg_class = table_open(RelationRelationId, RowExclusiveLock);
	maker->pg_attribute = table_open(AttributeRelationId, RowExclusiveLock);
	maker->pg_index = table_open(IndexRelationId, RowExclusiveLock);
	maker->class_indexes = CatalogOpenIndexes(maker->pg_class);
	maker->attribute_indexes = CatalogOpenIndexes(maker->pg_attribute);
	maker->index_indexes = CatalogOpenIndexes(maker->pg_index);
	maker->namespace = get_namespace_oid(MIGRATE_SCHEMA, false);
	maker->owner = migrate_extension_owner();
	maker->extension = migrate_extension_oid(false);
}

/*
 * See holder.h.
 */
void
end_holders(HolderMaker *maker)
{
	CatalogCloseIndexes(maker->class_indexes);
	CatalogCloseIndexes(maker->attribute_indexes);
	CatalogCloseIndexes(maker->index_indexes);
	table_close(maker->pg_class, RowExclusiveLock);
	table_close(maker->pg_attribute, RowExclusiveLock);
	table_close(maker->pg_index, RowExclusiveLock);
}

/*
 * See holder.h.  What has got another file before it was dropped is dead in the
 * relation cache to the end of the transaction.
 */
Oid
new_holder_oid(HolderMaker *maker, HeapTuple class_row, bool to_be_read)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(class_row);

	if (form->relkind == RELKIND_TOASTVALUE &&
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(form->oid)) &&
		!(to_be_read && had_other_file(maker, class_row)))
		return form->oid;
	return GetNewOidWithIndex(maker->pg_class, ClassOidIndexId,
							  Anum_pg_class_oid);
}

/*
 * See holder.h.
 */
bool
had_other_file(HolderMaker *maker, HeapTuple class_row)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(class_row);
	List	   *rows = fetch_catalog_rows(maker->pg_class, ClassOidIndexId,
										  Anum_pg_class_oid, form->oid,
										  SnapshotAny);
	ListCell   *cell;

	foreach(cell, rows)
	{
		HeapTuple	row = lfirst(cell);

		if (((Form_pg_class) GETSTRUCT(row))->relfilenode !=
			form->relfilenode &&
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(row->t_data)))
			return true;
	}
	return false;
}

/*
 * See holder.h.
 */
void
make_holder(HolderMaker *maker, HeldFile *held)
{
	write_class_row(maker, held);
	write_attribute_rows(maker, held);
	if (held->index_row != NULL)
		write_index_row(maker, held);
}

/* What belongs to the file stays: where it is, its horizons, its size. */
static void
write_class_row(HolderMaker *maker, HeldFile *held)
{
	RowChange	change = {0};
	NameData	name;

	namestrcpy(&name, psprintf("parked_%u", held->holder));
	set_column(&change, Anum_pg_class_oid, ObjectIdGetDatum(held->holder));
	set_column(&change, Anum_pg_class_relname, NameGetDatum(&name));
	set_column(&change, Anum_pg_class_relnamespace,
			   ObjectIdGetDatum(maker->namespace));
	set_column(&change, Anum_pg_class_relowner, ObjectIdGetDatum(maker->owner));
	set_column(&change, Anum_pg_class_relispartition, BoolGetDatum(false));
	clear_column(&change, Anum_pg_class_relacl);
	if (held->index_row == NULL)
		hide_table(maker, held, &change);
	insert_changed(maker->pg_class, maker->class_indexes, held->class_row,
				   &change);
}

static void
hide_table(HolderMaker *maker, HeldFile *held, RowChange *change)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(held->class_row);

	set_column(change, Anum_pg_class_relkind,
			   CharGetDatum(RELKIND_TOASTVALUE));
	set_column(change, Anum_pg_class_reltype, ObjectIdGetDatum(InvalidOid));
	set_column(change, Anum_pg_class_reloftype, ObjectIdGetDatum(InvalidOid));
	if (form->relkind == RELKIND_SEQUENCE)
		set_column(change, Anum_pg_class_relam,
				   ObjectIdGetDatum(HEAP_TABLE_AM_OID));
	set_column(change, Anum_pg_class_reltoastrelid,
			   ObjectIdGetDatum(held->toast));
	set_column(change, Anum_pg_class_relhasindex,
			   BoolGetDatum(held->has_index));
	set_column(change, Anum_pg_class_relchecks, Int16GetDatum(0));
	set_column(change, Anum_pg_class_relhasrules, BoolGetDatum(false));
	set_column(change, Anum_pg_class_relhastriggers, BoolGetDatum(false));
	set_column(change, Anum_pg_class_relhassubclass, BoolGetDatum(false));
	set_column(change, Anum_pg_class_relrowsecurity, BoolGetDatum(false));
	set_column(change, Anum_pg_class_relforcerowsecurity, BoolGetDatum(false));
	set_column(change, Anum_pg_class_relispopulated, BoolGetDatum(true));
	set_column(change, Anum_pg_class_relreplident,
			   CharGetDatum(REPLICA_IDENTITY_NOTHING));
	set_column(change, Anum_pg_class_relrewrite, ObjectIdGetDatum(InvalidOid));
	set_column(change, Anum_pg_class_reloptions, hidden_relation_options());
	clear_column(change, Anum_pg_class_relpartbound);
}

/* A column that is dropped, or of which rows lack the value, is still so. */
static void
write_attribute_rows(HolderMaker *maker, HeldFile *held)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(held->class_row);
	List	   *rows = fetch_catalog_rows(maker->pg_attribute,
										  AttributeRelidNumIndexId,
										  Anum_pg_attribute_attrelid,
										  form->oid, maker->before);
	ListCell   *cell;

	foreach(cell, rows)
	{
		RowChange	change = {0};

		set_column(&change, Anum_pg_attribute_attrelid,
				   ObjectIdGetDatum(held->holder));
		set_column(&change, Anum_pg_attribute_attnotnull, BoolGetDatum(false));
		set_column(&change, Anum_pg_attribute_atthasdef, BoolGetDatum(false));
		set_column(&change, Anum_pg_attribute_attidentity, CharGetDatum('\0'));
		set_column(&change, Anum_pg_attribute_attgenerated, CharGetDatum('\0'));
		set_column(&change, Anum_pg_attribute_attislocal, BoolGetDatum(true));
		set_column(&change, Anum_pg_attribute_attinhcount, Int16GetDatum(0));
		clear_column(&change, Anum_pg_attribute_attacl);
		clear_column(&change, Anum_pg_attribute_attfdwoptions);
		insert_changed(maker->pg_attribute, maker->attribute_indexes,
					   lfirst(cell), &change);
	}
}

/*
 * An index of expressions, or of a part of the rows, is invalid to the planner:
 * it would look at functions that may be gone.  VACUUM does not, and cleans it.
 */
static void
write_index_row(HolderMaker *maker, HeldFile *held)
{
	RowChange	change = {0};

	set_column(&change, Anum_pg_index_indexrelid,
			   ObjectIdGetDatum(held->holder));
	set_column(&change, Anum_pg_index_indrelid, ObjectIdGetDatum(held->heap));
	set_column(&change, Anum_pg_index_indisprimary, BoolGetDatum(false));
	set_column(&change, Anum_pg_index_indisexclusion, BoolGetDatum(false));
	set_column(&change, Anum_pg_index_indisclustered, BoolGetDatum(false));
	set_column(&change, Anum_pg_index_indisreplident, BoolGetDatum(false));
	if (!index_column_is_null(maker, held->index_row,
							  Anum_pg_index_indexprs) ||
		!index_column_is_null(maker, held->index_row, Anum_pg_index_indpred))
		set_column(&change, Anum_pg_index_indisvalid, BoolGetDatum(false));
	insert_changed(maker->pg_index, maker->index_indexes, held->index_row,
				   &change);
}

/*
 * See holder.h.  An index goes with the operator classes and collations that it cannot do
 * without.  It must not be internal to its table for that, or they would take
 * the table along, and the extension with it.
 */
void
record_holder(HolderMaker *maker, HeldFile *held)
{
	Form_pg_index index;
	const Oid  *classes;
	const Oid  *collations;

	if (held->index_row == NULL)
	{
		recordDependencyOnOwner(RelationRelationId, held->holder, maker->owner);
		depend_on(held->holder, ExtensionRelationId, maker->extension,
				  DEPENDENCY_EXTENSION);
		if (OidIsValid(held->heap))
			depend_on(held->holder, RelationRelationId, held->heap,
					  DEPENDENCY_INTERNAL);
		return;
	}
	index = (Form_pg_index) GETSTRUCT(held->index_row);
	classes = index_oids(maker, held->index_row, Anum_pg_index_indclass);
	collations = index_oids(maker, held->index_row,
							Anum_pg_index_indcollation);
	depend_on(held->holder, RelationRelationId, held->heap, DEPENDENCY_AUTO);
	for (int i = 0; i < index->indnkeyatts; i++)
	{
		depend_on(held->holder, OperatorClassRelationId, classes[i],
				  DEPENDENCY_AUTO);
		if (OidIsValid(collations[i]))
			depend_on(held->holder, CollationRelationId, collations[i],
					  DEPENDENCY_AUTO);
	}
}

static void
depend_on(Oid holder, Oid classid, Oid objid, DependencyType type)
{
	ObjectAddress depender;
	ObjectAddress referenced;

	ObjectAddressSet(depender, RelationRelationId, holder);
	ObjectAddressSet(referenced, classid, objid);
	recordDependencyOn(&depender, &referenced, type);
}

static void
set_column(RowChange *change, AttrNumber column, Datum value)
{
	change->values[column - 1] = value;
	change->replaces[column - 1] = true;
}

static void
clear_column(RowChange *change, AttrNumber column)
{
	change->nulls[column - 1] = true;
	change->replaces[column - 1] = true;
}

static void
insert_changed(Relation catalog, CatalogIndexState indexes, HeapTuple row,
			   RowChange *change)
{
	HeapTuple	changed = heap_modify_tuple(row, RelationGetDescr(catalog),
											change->values, change->nulls,
											change->replaces);

	CatalogTupleInsertWithInfo(catalog, changed, indexes);
	heap_freetuple(changed);
}

/*
 * See holder.h.  One that is not kept up to date misses rows of the file.  A
 * BRIN index calls its expressions in VACUUM.
 */
bool
index_can_be_held(HolderMaker *maker, HeapTuple class_row,
				  HeapTuple index_row)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(class_row);
	Form_pg_index index = (Form_pg_index) GETSTRUCT(index_row);
	const Oid  *classes = index_oids(maker, index_row, Anum_pg_index_indclass);
	const Oid  *collations = index_oids(maker, index_row,
										Anum_pg_index_indcollation);

	if (!index->indisready || !index->indislive)
		return false;
	if (form->relam == BRIN_AM_OID &&
		(!index_column_is_null(maker, index_row, Anum_pg_index_indexprs) ||
		 !index_column_is_null(maker, index_row, Anum_pg_index_indpred)))
		return false;
	for (int i = 0; i < index->indnkeyatts; i++)
	{
		if (!SearchSysCacheExists1(CLAOID, ObjectIdGetDatum(classes[i])) ||
			(OidIsValid(collations[i]) &&
			 !SearchSysCacheExists1(COLLOID, ObjectIdGetDatum(collations[i]))))
			return false;
	}
	return true;
}

/* An oidvector of a row of pg_index; neither indclass nor indcollation is NULL. */
static const Oid *
index_oids(HolderMaker *maker, HeapTuple index_row, AttrNumber column)
{
	bool		isnull;
	Datum		value = heap_getattr(index_row, column,
									 RelationGetDescr(maker->pg_index),
									 &isnull);

	Assert(!isnull);
	return ((oidvector *) DatumGetPointer(value))->values;
}

static bool
index_column_is_null(HolderMaker *maker, HeapTuple index_row,
					 AttrNumber column)
{
	return heap_attisnull(index_row, column, RelationGetDescr(maker->pg_index));
}
