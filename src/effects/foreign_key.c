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
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static List *foreign_keys_of(Oid relid);
static void add_foreign_key_of_partition(const ForeignKey *key, Oid partition,
										 EffectContext *context);
static const ForeignKey *equal_foreign_key(Oid relid, Oid table,
										   const ForeignKey *wanted);
static AttrNumber array_attnum(const ArrayType *array, int index);
static ArrayType *array_of_columns(Oid relid, List *names);
static ArrayType *array_of_primary_key(Oid relid);
static ForeignKey *make_foreign_key(Relation catalog, HeapTuple tuple);

/* The foreign keys of a table, as a list of ForeignKey. */
static List *
foreign_keys_of(Oid relid)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;
	ScanKeyData key;
	List	   *keys = NIL;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (((Form_pg_constraint) GETSTRUCT(tuple))->contype ==
			CONSTRAINT_FOREIGN)
			keys = lappend(keys, make_foreign_key(catalog, tuple));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return keys;
}

/*
 * The foreign keys of some tables, and those of others that refer to them, as
 * a list of ForeignKey in the current memory context.  pg_constraint has no
 * index on confrelid: read all of it, as heap_truncate_find_FKs() does.
 */
List *
foreign_keys_around(List *relids)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	int			count = list_length(relids);
	Oid		   *sorted = palloc(count * sizeof(Oid));
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *cell;
	List	   *keys = NIL;

	foreach(cell, relids)
		sorted[foreach_current_index(cell)] = lfirst_oid(cell);
	qsort(sorted, count, sizeof(Oid), oid_cmp);
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN &&
			(bsearch(&form->conrelid, sorted, count, sizeof(Oid), oid_cmp) ||
			 bsearch(&form->confrelid, sorted, count, sizeof(Oid), oid_cmp)))
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
	key->is_enforced = compat_constraint_row_is_enforced(form);
	key->is_deferrable = form->condeferrable;
	key->is_deferred = form->condeferred;
	key->match_type = form->confmatchtype;
	key->update_action = form->confupdtype;
	key->delete_action = form->confdeltype;
	key->index = form->conindid;
	key->operators =
		DatumGetArrayTypePCopy(heap_getattr(tuple, Anum_pg_constraint_conpfeqop,
											RelationGetDescr(catalog), &isnull));
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

/* The key with that OID, which is one of a constraint of the catalog. */
ForeignKey *
foreign_key_with_oid(Oid oid)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
	ForeignKey *key;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", oid);
	key = make_foreign_key(catalog, tuple);
	ReleaseSysCache(tuple);
	table_close(catalog, AccessShareLock);
	return key;
}

/* All keys that belong to one between partitioned tables, at any depth. */
List *
foreign_keys_below(Oid oid)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	List	   *keys = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;
	ScanKeyData scan_key;

	ScanKeyInit(&scan_key, Anum_pg_constraint_conparentid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(catalog, ConstraintParentIndexId, true, NULL, 1,
							  &scan_key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		ForeignKey *key = make_foreign_key(catalog, tuple);

		keys = lappend(keys, key);
		keys = list_concat(keys, foreign_keys_below(key->oid));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return keys;
}

/*
 * The locks that a new partition takes because its parent has foreign keys, or
 * is referred to by some: they are made for the partition as well.
 * CloneForeignKeyConstraints() does so.  partition is InvalidOid for one that
 * is to be made.
 */
void
add_cloned_foreign_keys(Oid parent, Oid partition, EffectContext *context)
{
	List	   *keys = foreign_keys_around(list_make1_oid(parent));
	ListCell   *cell;

	foreach(cell, keys)
	{
		const ForeignKey *key = lfirst(cell);

		if (foreign_key_parent_is_listed(key, keys))
			continue;
		if (key->referenced == parent)
			add_lock_on(context, key->referencing, ShareRowExclusiveLock);
		if (key->referencing == parent)
			add_foreign_key_of_partition(key, partition, context);
	}
}

/*
 * An equal foreign key of the partition becomes part of the parent's, and
 * loses its triggers on the table that it refers to.
 */
static void
add_foreign_key_of_partition(const ForeignKey *key, Oid partition,
							 EffectContext *context)
{
	LOCKMODE	lockmode = ShareRowExclusiveLock;
	RelationFacts *facts = NULL;

	if (OidIsValid(partition))
		facts = relation_facts(partition, context);
	if (facts != NULL)
	{
		EqualKey	equal = {key->referencing, key, false};
		List	   *spared = tables_that(partition, has_key_already, &equal);

		if (equal.found && key->is_enforced)
			lockmode = AccessExclusiveLock;
		if (key->is_valid && !list_member_oid(spared, partition))
		{
			Effect	   *effect = add_effect(context, CAUSE_ATTACH_PARTITION,
											facts, AccessExclusiveLock);

			effect->object = quoted_name(key->name);
			effect->lockmode_below = AccessExclusiveLock;
			effect->spared = spared;
			set_work(effect, WORK_FK_SCAN,
					 "it lacks a foreign key of the parent");
		}
	}
	add_lock_of_referenced(key->referenced, lockmode, context);
}

/* A predicate for tables_that(); notes that one of them has it. */
bool
has_key_already(Oid relid, void *arg)
{
	EqualKey   *equal = arg;

	const ForeignKey *key = equal_foreign_key(relid, equal->table,
											  equal->wanted);

	if (key == NULL)
		return false;
	equal->found = true;

	/* 18: one that is NOT VALID is taken over, and validated */
	return key->is_valid || !equal->wanted->is_valid;
}

/* A partitioned table has the triggers of a foreign key on its partitions. */
void
add_lock_of_referenced(Oid relid, LOCKMODE lockmode, EffectContext *context)
{
	add_lock(context, relation_facts(relid, context), lockmode,
			 get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE);
}

/* Columns of "table" stand for those of relid with the same names. */
static const ForeignKey *
equal_foreign_key(Oid relid, Oid table, const ForeignKey *wanted)
{
	ListCell   *cell;

	foreach(cell, foreign_keys_of(relid))
	{
		const ForeignKey *key = lfirst(cell);
		int			count = ARR_DIMS(key->columns)[0];
		bool		equal = key->referenced == wanted->referenced &&
		!OidIsValid(key->parent) &&
		(key->is_valid || COMPAT_PARTITIONED_FK_NOT_VALID) &&
		key->is_deferrable == wanted->is_deferrable &&
		key->is_deferred == wanted->is_deferred &&
		key->match_type == wanted->match_type &&
		key->update_action == wanted->update_action &&
		key->delete_action == wanted->delete_action &&
		count == ARR_DIMS(wanted->columns)[0];

		for (int i = 0; equal && i < count; i++)
		{
			char	   *name = get_attname(table, array_attnum(wanted->columns,
															   i), true);

			equal = name != NULL &&
				get_attnum(relid, name) == array_attnum(key->columns, i) &&
				array_attnum(key->referenced_columns, i) ==
				array_attnum(wanted->referenced_columns, i);
		}
		if (equal)
			return key;
	}
	return NULL;
}

static AttrNumber
array_attnum(const ArrayType *array, int index)
{
	return ((int16 *) ARR_DATA_PTR(array))[index];
}

/*
 * The key that ADD FOREIGN KEY would make for a table; NULL if PostgreSQL will
 * refuse it.
 */
ForeignKey *
foreign_key_of_statement(Oid relid, Constraint *constraint)
{
	ForeignKey *key = palloc0(sizeof(ForeignKey));

	key->referencing = relid;
	key->referenced = RangeVarGetRelid(constraint->pktable, NoLock, true);
	if (!OidIsValid(key->referenced))
		return NULL;
	key->is_valid = true;
	key->is_deferrable = constraint->deferrable;
	key->is_deferred = constraint->initdeferred;
	key->match_type = constraint->fk_matchtype;
	key->update_action = constraint->fk_upd_action;
	key->delete_action = constraint->fk_del_action;
	key->columns = array_of_columns(relid, constraint->fk_attrs);
	key->referenced_columns = constraint->pk_attrs != NIL ?
		array_of_columns(key->referenced, constraint->pk_attrs) :
		array_of_primary_key(key->referenced);
	if (key->columns == NULL || key->referenced_columns == NULL ||
		ARR_DIMS(key->columns)[0] != ARR_DIMS(key->referenced_columns)[0])
		return NULL;
	return key;
}

static ArrayType *
array_of_columns(Oid relid, List *names)
{
	Datum		attnums[INDEX_MAX_KEYS];
	int			count = 0;
	ListCell   *cell;

	if (names == NIL || list_length(names) > INDEX_MAX_KEYS)
		return NULL;
	foreach(cell, names)
		attnums[count++] = Int16GetDatum(get_attnum(relid,
													strVal(lfirst(cell))));
	return construct_array(attnums, count, INT2OID, 2, true, TYPALIGN_SHORT);
}

static ArrayType *
array_of_primary_key(Oid relid)
{
	Oid			constraint;
	Bitmapset  *columns = get_primary_key_attnos(relid, true, &constraint);
	HeapTuple	tuple;
	ArrayType  *array;
	bool		isnull;

	if (columns == NULL)
		return NULL;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	array = DatumGetArrayTypePCopy(SysCacheGetAttr(CONSTROID, tuple,
												   Anum_pg_constraint_conkey,
												   &isnull));
	ReleaseSysCache(tuple);
	return array;
}
