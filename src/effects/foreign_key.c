/*-------------------------------------------------------------------------
 *
 * foreign_key.c
 *	  The tables at both ends of foreign keys.
 *
 * Triggers stand on both of them, so whoever makes or drops a foreign key locks
 * both, with all partitions of either.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "effects/describe.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static ForeignKey *make_foreign_key(Relation catalog, HeapTuple tuple);

/*
 * The foreign keys of a table, and with "referencing" also those of others
 * that refer to it, as a list of ForeignKey in the current memory context.
 */
List *
foreign_keys_of(Oid relid, bool referencing)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;
	ScanKeyData key;
	List	   *keys = NIL;

	/*
	 * pg_constraint has no index on confrelid: read all of it then, as
	 * heap_truncate_find_FKs() does.
	 */
	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId,
							  !referencing, NULL, referencing ? 0 : 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN &&
			(form->conrelid == relid || form->confrelid == relid))
			keys = lappend(keys, make_foreign_key(catalog, tuple));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return keys;
}

static ForeignKey *
make_foreign_key(Relation catalog, HeapTuple tuple)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	ForeignKey *key = palloc(sizeof(ForeignKey));
	bool		isnull;

	key->oid = form->oid;
	key->name = pstrdup(NameStr(form->conname));
	key->parent = form->conparentid;
	key->referencing = form->conrelid;
	key->referenced = form->confrelid;
	key->is_valid = form->convalidated;
	key->columns = DatumGetArrayTypePCopy(heap_getattr(tuple,
													   Anum_pg_constraint_conkey,
													   RelationGetDescr(catalog), &isnull));
	key->referenced_columns =
		DatumGetArrayTypePCopy(heap_getattr(tuple, Anum_pg_constraint_confkey,
											RelationGetDescr(catalog), &isnull));
	return key;
}

/* True if an int2 array, as in pg_constraint.conkey, has that column. */
bool
array_has_attnum(const ArrayType *array, AttrNumber attnum)
{
	int16	   *attnums = (int16 *) ARR_DATA_PTR(array);

	for (int i = 0; i < ARR_DIMS(array)[0]; i++)
		if (attnums[i] == attnum)
			return true;
	return false;
}

/* True if a key has a parent in the list, which is dealt with instead. */
bool
foreign_key_parent_is_listed(const ForeignKey *key, List *keys)
{
	ListCell   *cell;

	foreach(cell, keys)
	{
		if (((const ForeignKey *) lfirst(cell))->oid == key->parent)
			return true;
	}
	return false;
}

/* The tables of all constraints below one of a partitioned table. */
void
add_locks_of_child_constraints(Oid constraint, LOCKMODE lockmode,
							   EffectContext *context)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;
	ScanKeyData key;

	ScanKeyInit(&key, Anum_pg_constraint_conparentid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(constraint));
	scan = systable_beginscan(catalog, ConstraintParentIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		add_lock_on(context, form->conrelid, lockmode);
		add_locks_of_child_constraints(form->oid, lockmode, context);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * The locks that a new partition takes because its parent has foreign keys, or
 * is referred to by some: they are made for the partition as well.
 * CloneForeignKeyConstraints() does so.
 */
void
add_cloned_foreign_keys(Oid parent, EffectContext *context)
{
	List	   *keys = foreign_keys_of(parent, true);
	ListCell   *cell;

	foreach(cell, keys)
	{
		const ForeignKey *key = lfirst(cell);

		if (foreign_key_parent_is_listed(key, keys))
			continue;
		if (key->referenced == parent)
			add_lock(context, relation_facts(key->referencing, context),
					 ShareRowExclusiveLock, false);
		if (key->referencing == parent)
			add_lock(context, relation_facts(key->referenced, context),
					 ShareRowExclusiveLock,
					 get_rel_relkind(key->referenced) ==
					 RELKIND_PARTITIONED_TABLE);
	}
}
