/*-------------------------------------------------------------------------
 *
 * retype.c
 *	  Effects of ALTER COLUMN TYPE and SET EXPRESSION, and what is made again
 *	  because of them: indexes, constraints, foreign keys.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "access/sysattr.h"
#include "common/catalog.h"
#include "catalog/pg_index.h"
#include "catalog/heap.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* A column that changes its type, and what of it does not survive that. */
typedef struct RetypedColumn
{
	const char *name;
	Oid			old_type;
	Oid			type;
	Oid			collation;
	char	   *index;			/* name of the first index to be rebuilt */
	List	   *below_index;	/* OIDs of tables below a partitioned one that
								 * is made again, also where it was ONLY */
	char	   *check;			/* name of the first CHECK */
	List	   *dropped_constraints;	/* names, of the same statement */
	List	   *dropped_columns;
} RetypedColumn;

static void describe_retyped_sequence(AlterContext *alter, AttrNumber attnum);
static char get_attidentity(Oid relid, AttrNumber attnum);
static void describe_retyped_indexes(AlterContext *alter,
									 RetypedColumn *column);
static bool indexes_survive_type(Oid relid, void *arg);
static bool index_is_lost(const RetypedColumn *column, Relation index);
static bool index_survives_type(Relation index, AttrNumber attnum,
								Oid old_type, Oid target_type,
								Oid target_collation);
static bool add_stored_columns(Relation index, AttrNumber attribute,
							   Bitmapset **columns);
static bool operator_class_survives(Relation index, int key, Oid old_type,
									Oid target_type);
static void describe_retyped_constraints(AlterContext *alter,
										 RetypedColumn *column, bool rewrite);
static bool is_lost(const RetypedColumn *column, Relation catalog,
					HeapTuple tuple);
static bool checks_survive_type(Oid relid, void *arg);
static bool has_checks(Oid relid);
static void describe_keys_of_tree(AlterContext *alter,
								  const RetypedColumn *column, bool rewrite);
static void describe_retyped_keys(AlterContext *alter, Oid relid, List *keys,
								  const RetypedColumn *column, bool rewrite);
static void describe_rebuilt_elsewhere(AlterContext *alter,
									   AttrNumber attnum);
static Oid	table_of_statistics(Oid statistics);
static Oid	table_of_check(Oid constraint, EffectWork *work);
static bool key_is_lost(AlterContext *alter, const ForeignKey *key);
static bool constraint_has_column(Relation constraint_rel, HeapTuple tuple,
								  AttrNumber attnum);

/*
 * ALTER COLUMN TYPE: a rewrite, or indexes rebuilt and constraints checked
 * again although the stored values stay, or nothing but the catalog.
 */
void
describe_column_type(AlterContext *alter)
{
	ColumnDef  *definition = castNode(ColumnDef, alter->command->def);
	const char *name = alter->command->name;
	ParseState *pstate = parse_state(alter->effects);
	OverlayColumn *overlay = NULL;
	RetypedColumn column = {0};
	Effect	   *effect;
	Relation	rel;
	AttrNumber	attnum;
	Oid			type;
	int32		typmod;
	bool		possible;
	char	   *reason;

	effect = add_alter_effect(alter, CAUSE_ALTER_COLUMN_TYPE, name);
	effect->location = definition->location;
	if (!alter_has_relation(alter) ||
		alter->relation->relkind == RELKIND_FOREIGN_TABLE)
		return;
	if (alter->relation->overlay != NULL)
		overlay = overlay_find_column(alter->relation->overlay, name);
	if (script_decides_type(alter, effect, &definition))
		return;
	attnum = overlay ? overlay->attnum :
		get_attnum(alter->relation->relid, name);
	if (attnum <= 0)
		return;

	rel = try_relation_open(alter->relation->relid, AccessShareLock);
	if (rel == NULL || attnum > RelationGetDescr(rel)->natts)
	{
		if (rel != NULL)
			relation_close(rel, AccessShareLock);
		return;
	}
	typenameTypeIdAndMod(pstate, definition->typeName, &type, &typmod);
	reason = column_type_rewrite_reason(pstate, rel, definition, attnum, type,
										typmod,
										alter->effects->overlay == NULL,
										&possible);
	if (compat_attribute_is_virtual(TupleDescAttr(RelationGetDescr(rel),
												  attnum - 1)->attgenerated))
		reason = NULL;			/* nothing is stored */
	if (!possible)
	{
		relation_close(rel, AccessShareLock);
		return;
	}
	set_lost_statistics(effect, attnum);
	describe_retyped_sequence(alter, attnum);
	column.dropped_constraints = names_dropped(alter->statement,
											   AT_DropConstraint);
	column.dropped_columns = names_dropped(alter->statement, AT_DropColumn);
	column.name = name;
	column.old_type = TupleDescAttr(RelationGetDescr(rel),
									attnum - 1)->atttypid;
	column.type = type;
	column.collation = GetColumnDefCollation(pstate, definition, type);
	if (reason != NULL &&
		(RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind) ||
		 rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE))
		set_work(effect, WORK_REWRITE, reason);
	else
		describe_retyped_indexes(alter, &column);
	describe_retyped_constraints(alter, &column, reason != NULL);
	relation_close(rel, AccessShareLock);
}

/* The sequence of an identity column gets the type as well. */
static void
describe_retyped_sequence(AlterContext *alter, AttrNumber attnum)
{
	if (get_attidentity(alter->relation->relid, attnum) != '\0')
		add_lock_on(alter->effects,
					compat_identity_sequence(alter->relation->relid, attnum),
					ShareRowExclusiveLock);
}

static char
get_attidentity(Oid relid, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
										Int16GetDatum(attnum));
	char		identity;

	if (!HeapTupleIsValid(tuple))
		return '\0';
	identity = ((Form_pg_attribute) GETSTRUCT(tuple))->attidentity;
	ReleaseSysCache(tuple);
	return identity;
}

/* Indexes that PostgreSQL cannot reuse although no row changes. */
static void
describe_retyped_indexes(AlterContext *alter, RetypedColumn *column)
{
	Effect	   *effect;
	List	   *spared;

	spared = tables_that(alter->relation->relid, indexes_survive_type, column);
	if (column->index == NULL)
		return;
	spared = list_difference_oid(spared, column->below_index);
	effect = add_alter_effect(alter, CAUSE_ALTER_COLUMN_TYPE,
							  alter->command->name);
	effect->spared = spared;
	set_work(effect, WORK_INDEX_REBUILD,
			 psprintf("index %s is rebuilt", quote_identifier(column->index)));
}

/* About the indexes of one table; notes the name of the first that does not. */
static bool
indexes_survive_type(Oid relid, void *arg)
{
	RetypedColumn *column = arg;
	Relation	rel = try_relation_open(relid, AccessShareLock);
	AttrNumber	attnum;
	bool		all_survive = true;
	ListCell   *cell;

	if (rel == NULL)
		return true;
	attnum = get_attnum(relid, column->name);
	foreach(cell, attnum > 0 ? RelationGetIndexList(rel) : NIL)
	{
		Relation	index;
		bool		has_expressions;

		if (!index_may_use(lfirst_oid(cell), attnum, &has_expressions))
			continue;
		index = relation_open(lfirst_oid(cell), AccessShareLock);
		if (!index_is_lost(column, index) &&
			!index_survives_type(index, attnum, column->old_type,
								 column->type, column->collation))
		{
			all_survive = false;
			if (column->index == NULL)
				column->index = pstrdup(RelationGetRelationName(index));
			if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
				column->below_index =
					list_concat(column->below_index,
								find_all_inheritors(relid, NoLock, NULL));
		}
		relation_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return all_survive;
}

/*
 * Whether an index has a column, or an expression or predicate that may use
 * it.  Takes less time than to open the index.
 */
bool
index_may_use(Oid index, AttrNumber attnum, bool *has_expressions)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	bool		may_use;

	*has_expressions = false;
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	*has_expressions = !heap_attisnull(tuple, Anum_pg_index_indexprs, NULL);
	may_use = *has_expressions ||
		!heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	for (int i = 0; i < form->indnatts; i++)
		may_use |= form->indkey.values[i] == attnum;
	ReleaseSysCache(tuple);
	return may_use;
}

/* Dropped with its constraint, or with a column, before any is made again. */
static bool
index_is_lost(const RetypedColumn *column, Relation index)
{
	Oid			constraint = get_index_constraint(RelationGetRelid(index));
	char	   *name = OidIsValid(constraint) ?
	get_constraint_name(constraint) : NULL;
	Bitmapset  *columns = NULL;
	ListCell   *cell;

	if (name != NULL && name_is_listed(column->dropped_constraints, name))
		return true;
	if (column->dropped_columns == NIL)
		return false;
	for (int i = 0; i < index->rd_index->indnatts; i++)
		columns = bms_add_member(columns, index->rd_index->indkey.values[i] -
								 FirstLowInvalidHeapAttributeNumber);
	(void) add_stored_columns(index, Anum_pg_index_indexprs, &columns);
	(void) add_stored_columns(index, Anum_pg_index_indpred, &columns);
	foreach(cell, column->dropped_columns)
	{
		AttrNumber	attnum = get_attnum(index->rd_index->indrelid,
										lfirst(cell));

		if (attnum > 0 &&
			bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
						  columns))
			return true;
	}
	return false;
}

/*
 * Whether an index keeps its storage when a column changes its type without a
 * rewrite.  CheckIndexCompatible() decides that, but looks at the catalog as
 * it is after the change.
 */
static bool
index_survives_type(Relation index, AttrNumber attnum, Oid old_type,
					Oid target_type, Oid target_collation)
{
	Form_pg_index form = index->rd_index;
	bool		has_expressions;
	bool		uses_column;
	Bitmapset  *expression_columns = NULL;

	has_expressions = add_stored_columns(index, Anum_pg_index_indexprs,
										 &expression_columns);
	has_expressions |= add_stored_columns(index, Anum_pg_index_indpred,
										  &expression_columns);
	uses_column = bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
								expression_columns);

	for (int i = 0; i < form->indnatts; i++)
	{
		if (form->indkey.values[i] != attnum)
			continue;
		uses_column = true;
		if (i < form->indnkeyatts &&
			(index->rd_indcollation[i] != target_collation ||
			 !operator_class_survives(index, i, old_type, target_type)))
			return false;
	}

	/* a partitioned index has no storage that it and its parts could keep */
	return !uses_column ||
		(!has_expressions && form->indisvalid &&
		 !index->rd_rel->relispartition &&
		 index->rd_rel->relkind != RELKIND_PARTITIONED_INDEX);
}

/*
 * Add the columns in the expressions of an index, or in its predicate, as they
 * are stored: simplified they may have lost some, and simplifying calls the
 * functions in them.  Returns false if it has none.
 */
static bool
add_stored_columns(Relation index, AttrNumber attribute, Bitmapset **columns)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
										attribute, &isnull);

	if (isnull)
		return false;
	pull_varattnos(stringToNode(TextDatumGetCString(datum)), 1, columns);
	return true;
}

/*
 * The index is made again from its definition, which names the operator class
 * only if it is not the default of the column's type.
 */
static bool
operator_class_survives(Relation index, int key, Oid old_type,
						Oid target_type)
{
	Oid			access_method = index->rd_rel->relam;
	Oid			old_default = GetDefaultOpClass(old_type, access_method);
	Oid			new_default = GetDefaultOpClass(target_type, access_method);

	if (OidIsValid(old_default) &&
		get_opclass_family(old_default) == index->rd_opfamily[key] &&
		(!OidIsValid(new_default) ||
		 get_opclass_family(new_default) != index->rd_opfamily[key]))
		return false;

	/* what a polymorphic operator class stores may be of another type */
	if (IsPolymorphicType(index->rd_opcintype[key]) &&
		TupleDescAttr(RelationGetDescr(index), key)->atttypid != target_type)
		return false;
	return IsBinaryCoercible(target_type, index->rd_opcintype[key]);
}

/*
 * CHECKs on the column are checked again; foreign keys are made again, with
 * their locks on the other side, and looked up again when values changed.
 */
static void
describe_retyped_constraints(AlterContext *alter, RetypedColumn *column,
							 bool rewrite)
{
	Effect	   *effect;
	List	   *spared;

	spared = tables_that(alter->relation->relid, checks_survive_type, column);
	if (column->check != NULL)
	{
		effect = add_alter_effect(alter, CAUSE_ALTER_COLUMN_TYPE,
								  alter->command->name);
		effect->spared = spared;
		set_work(effect, WORK_SCAN,
				 psprintf("constraint %s is checked again",
						  quote_identifier(column->check)));
	}
	describe_keys_of_tree(alter, column, rewrite);
}

/* Dropped by the same statement, by name or with a column. */
static bool
is_lost(const RetypedColumn *column, Relation catalog, HeapTuple tuple)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	ListCell   *cell;

	if (name_is_listed(column->dropped_constraints, NameStr(form->conname)))
		return true;
	foreach(cell, column->dropped_columns)
	{
		AttrNumber	attnum = get_attnum(form->conrelid, lfirst(cell));

		if (attnum != InvalidAttrNumber &&
			constraint_has_column(catalog, tuple, attnum))
			return true;
	}
	return false;
}

/* Whether a table has no CHECK on the column that must be checked again. */
static bool
checks_survive_type(Oid relid, void *arg)
{
	RetypedColumn *column = arg;
	Relation	catalog;
	AttrNumber	attnum = get_attnum(relid, column->name);
	bool		survive = true;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!has_checks(relid))
		return true;
	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype != CONSTRAINT_CHECK || !form->convalidated ||
			!constraint_has_column(catalog, tuple, attnum) ||
			is_lost(column, catalog, tuple))
			continue;
		survive = false;
		if (column->check == NULL)
			column->check = pstrdup(NameStr(form->conname));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return survive;
}

static bool
has_checks(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	found = ((Form_pg_class) GETSTRUCT(tuple))->relchecks > 0;
	ReleaseSysCache(tuple);
	return found;
}

/* As if the column's values changed. */
void
describe_keys_of_column(AlterContext *alter)
{
	RetypedColumn column = {alter->command->name};

	describe_keys_of_tree(alter, &column, true);
}

static void
describe_keys_of_tree(AlterContext *alter, const RetypedColumn *column,
					  bool rewrite)
{
	List	   *tree = lock_tree(alter->relation->relid);
	List	   *keys = foreign_keys_around(tree);
	ListCell   *cell;

	if (keys != NIL)
	{
		foreach(cell, tree)
			describe_retyped_keys(alter, lfirst_oid(cell), keys, column,
								  rewrite);
	}
	unlock_tree(tree);
}

/* Those foreign keys of one table in which the column takes part. */
static void
describe_retyped_keys(AlterContext *alter, Oid relid, List *keys,
					  const RetypedColumn *column, bool rewrite)
{
	AttrNumber	attnum = get_attnum(relid, column->name);
	ListCell   *cell;

	foreach(cell, keys)
	{
		const ForeignKey *key = lfirst(cell);
		RelationFacts *facts;
		ObjectAddress root;

		if (!(key->referencing == relid &&
			  array_has_attnum(key->columns, attnum)) &&
			!(key->referenced == relid &&
			  array_has_attnum(key->referenced_columns, attnum)))
			continue;

		/* what the statement drops is not made again */
		if (key_is_lost(alter, key))
			continue;

		/* dropped, with its triggers, and made again */
		ObjectAddressSet(root, ConstraintRelationId, key->oid);
		add_deletion(&root, false, alter->effects);
		add_lock_of_referenced(key->referenced, ShareRowExclusiveLock,
							   alter->effects);
		facts = relation_facts(key->referencing, alter->effects);
		if (key->is_valid && key->is_enforced && facts != NULL &&
			(rewrite || !foreign_key_survives_type(key, relid, attnum,
												   column->type)))
		{
			Effect	   *effect = add_effect(alter->effects,
											CAUSE_ALTER_COLUMN_TYPE, facts,
											AccessExclusiveLock);

			effect->object = quoted_name(column->name);
			effect->subcommand = alter->subcommand;
			set_work(effect, WORK_FK_SCAN,
					 psprintf("foreign key %s is checked again",
							  quote_identifier(key->name)));
		}
	}
}

/* Dropped by name, with a column, or with the index that it relies on. */
static bool
key_is_lost(AlterContext *alter, const ForeignKey *key)
{
	RetypedColumn lost = {0};
	Relation	index;
	bool		is_lost = false;
	ListCell   *cell;

	lost.dropped_constraints = names_dropped(alter->statement,
											 AT_DropConstraint);
	lost.dropped_columns = names_dropped(alter->statement, AT_DropColumn);
	if (key->referencing == alter->relation->relid &&
		name_is_listed(lost.dropped_constraints, key->name))
		return true;
	foreach(cell, lost.dropped_columns)
	{
		AttrNumber	attnum = get_attnum(key->referencing, lfirst(cell));

		if (key->referencing == alter->relation->relid &&
			attnum != InvalidAttrNumber &&
			array_has_attnum(key->columns, attnum))
			return true;
	}
	if (key->referenced != alter->relation->relid)
		return false;
	index = try_relation_open(key->index, AccessShareLock);
	if (index != NULL)
	{
		is_lost = index_is_lost(&lost, index);
		relation_close(index, AccessShareLock);
	}
	return is_lost;
}

static bool
constraint_has_column(Relation constraint_rel, HeapTuple tuple,
					  AttrNumber attnum)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, Anum_pg_constraint_conkey,
									 RelationGetDescr(constraint_rel), &isnull);

	return !isnull && array_has_attnum(DatumGetArrayTypeP(datum), attnum);
}

/* SET EXPRESSION (17+): stored values are computed again for every row. */
void
describe_set_expression(AlterContext *alter)
{
	Effect	   *effect = add_alter_effect(alter, CAUSE_SET_EXPRESSION,
										  alter->command->name);
	AttrNumber	attnum;

	if (!alter_has_relation(alter))
		return;
	attnum = get_attnum(alter->relation->relid, alter->command->name);
	if (attnum <= 0)
		return;
	set_lost_statistics(effect, attnum);
	if (get_attgenerated(alter->relation->relid, attnum) ==
		ATTRIBUTE_GENERATED_STORED)
	{
		RetypedColumn column = {alter->command->name};

		set_work(effect, WORK_REWRITE,
				 "each row's value is computed again and stored");
		describe_retyped_constraints(alter, &column, true);
		describe_rebuilt_elsewhere(alter, attnum);
		return;
	}
	if (COMPAT_VIRTUAL_REBUILDS)
	{
		RetypedColumn column = {alter->command->name};

		describe_retyped_constraints(alter, &column, false);
		describe_rebuilt_elsewhere(alter, attnum);
	}
	if (compat_column_is_marked_not_null(alter->relation->relid,
										 alter->command->name))
		set_work(effect, WORK_SCAN, "every computed value is checked");
}

/*
 * A CHECK or index of another table may name a field of this one's row type.
 * It is made again as well.
 */
static void
describe_rebuilt_elsewhere(AlterContext *alter, AttrNumber attnum)
{
	ObjectAddress column;
	ListCell   *cell;

	ObjectAddressSubSet(column, RelationRelationId, alter->relation->relid,
						attnum);
	foreach(cell, direct_dependents(&column))
	{
		const ObjectAddress *object = lfirst(cell);
		EffectWork	work = WORK_NONE;
		RelationFacts *facts;
		Effect	   *effect;
		Oid			table = InvalidOid;

		if (object->classId == StatisticExtRelationId)
		{
			add_lock_on(alter->effects, table_of_statistics(object->objectId),
						COMPAT_STATISTICS_LOCK);
			continue;
		}
		if (object->classId == ConstraintRelationId)
			table = table_of_check(object->objectId, &work);
		else if (object->classId == RelationRelationId &&
				 get_rel_relkind(object->objectId) == RELKIND_INDEX)
		{
			table = IndexGetRelation(object->objectId, true);
			work = WORK_INDEX_REBUILD;
		}
		if (!OidIsValid(table) || table == alter->relation->relid)
			continue;
		facts = relation_facts(table, alter->effects);
		if (facts == NULL)
			continue;
		effect = add_effect(alter->effects, CAUSE_SET_EXPRESSION, facts,
							AccessExclusiveLock);
		effect->object = quoted_name(alter->command->name);
		effect->subcommand = alter->subcommand;
		set_work(effect, work, "it names the column");
	}
}

static Oid
table_of_statistics(Oid statistics)
{
	HeapTuple	tuple = SearchSysCache1(STATEXTOID,
										ObjectIdGetDatum(statistics));
	Oid			table;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	table = ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid;
	ReleaseSysCache(tuple);
	return table;
}

/* *work becomes a scan if it is valid; InvalidOid for other constraints. */
static Oid
table_of_check(Oid constraint, EffectWork *work)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	Form_pg_constraint form;
	Oid			table = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (form->contype == CONSTRAINT_CHECK)
	{
		table = form->conrelid;
		if (form->convalidated)
			*work = WORK_SCAN;
	}
	ReleaseSysCache(tuple);
	return table;
}
