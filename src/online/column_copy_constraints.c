/*-------------------------------------------------------------------------
 *
 * column_copy_constraints.c
 *	  CHECK, NOT NULL and foreign keys of a column, and those that refer to it.
 *
 * The copies are NOT VALID while the column is filled: they hold for what is
 * written from the start, and are validated before the contract.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "miscadmin.h"
#include "online/change.h"
#include "online/column_copy_internal.h"
#include "parser/parse_coerce.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

static void copy_constraint(ColumnCopier *copier, Form_pg_constraint form);
static void add_constraint(ColumnCopier *copier, const char *name,
						   const char *definition);
static bool try_check(ColumnCopier *copier, Form_pg_constraint form);
static bool is_own(Form_pg_constraint form);
static bool refers_to_column(ColumnCopier *copier, const ForeignKey *key);
static void copy_not_null(ColumnCopier *copier);
static const char *unused_constraint_name(ColumnCopier *copier,
										  const char *name);
static bool parent_is_not_null(ColumnCopier *copier);
static void copy_references(ColumnCopier *copier);
static void refuse_included(ColumnCopier *copier, const ForeignKey *key);
static void refuse_changed_end(ColumnCopier *copier, const ForeignKey *key,
							   Oid relid, ArrayType *columns);
static void copy_reference(ColumnCopier *copier, const ForeignKey *key);
static bool may_refer(ColumnCopier *copier, const ForeignKey *key);
static bool is_comparable(ColumnCopier *copier, const ForeignKey *key);
static bool is_copied(ColumnCopier *copier, Oid relid, AttrNumber attnum);
static Oid	type_at_end(ColumnCopier *copier, Oid relid, AttrNumber attnum);
static bool types_are_comparable(Oid to, Oid from);

/* All but keys, which belong to their indexes. */
void
copy_constraints(ColumnCopier *copier)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationGetRelid(copier->rel)));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (constraint_has_column(catalog, tuple, copier->attnum))
			copy_constraint(copier, (Form_pg_constraint) GETSTRUCT(tuple));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	copy_not_null(copier);
	copy_references(copier);
}

bool
constraint_has_column(Relation catalog, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		columns = heap_getattr(tuple, Anum_pg_constraint_conkey,
									   RelationGetDescr(catalog), &isnull);

	return !isnull && array_has_attnum(DatumGetArrayTypeP(columns), attnum);
}

static void
copy_constraint(ColumnCopier *copier, Form_pg_constraint form)
{
	char	   *name = name_of_copy(copier, NameStr(form->conname));

	if (form->contype != CONSTRAINT_CHECK &&
		form->contype != CONSTRAINT_FOREIGN &&
		form->contype != COMPAT_CONSTRAINT_NOTNULL)
		return;
	if (!is_own(form))
		return;
	if (form->contype == CONSTRAINT_FOREIGN &&
		refers_to_column(copier, foreign_key_with_oid(form->oid)))
		return;
	if (form->contype == CONSTRAINT_FOREIGN)
	{
		const ForeignKey *foreign_key = foreign_key_with_oid(form->oid);

		refuse_changed_end(copier, foreign_key, foreign_key->referenced,
						   foreign_key->referenced_columns);
		if (!copier->same_type && !is_comparable(copier, foreign_key))
		{
			refuse_copy(copier,
						psprintf("foreign key %s of table %s could not compare type %s with the column that it refers to: drop it first",
								 quote_identifier(NameStr(form->conname)),
								 copier->table,
								 format_type_with_typemod(copier->new_type,
														  copier->new_typmod)));
			return;
		}
	}

	/* of two keys the one without a default to set might be the first */
	if (form->contype == CONSTRAINT_FOREIGN &&
		(form->confdeltype == FKCONSTR_ACTION_SETDEFAULT ||
		 form->confupdtype == FKCONSTR_ACTION_SETDEFAULT))
	{
		refuse_copy(copier,
					psprintf("foreign key %s of table %s has the action SET DEFAULT, which the new column cannot have yet: drop it first, and add it again after the contract",
							 quote_identifier(NameStr(form->conname)),
							 copier->table));
		return;
	}
	if (form->contype == CONSTRAINT_FOREIGN && form->convalidated &&
		copier->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		copy_foreign_key_tree(copier, form->oid);
		return;
	}
	if (form->contype == CONSTRAINT_CHECK && !copier->same_type &&
		!try_check(copier, form))
		return;
	require_constraint(copier, RelationGetRelid(copier->rel), form->oid,
					   NameStr(form->conname), name);
	add_constraint(copier, quote_identifier(name),
				   psprintf("%s%s", constraint_definition(form->oid),
							form->convalidated ? " NOT VALID" : ""));
	if (form->convalidated)
		add_step(&copier->validations, NULL,
				 "ALTER TABLE %s VALIDATE CONSTRAINT %s", copier->table,
				 quote_identifier(name));
	restore_constraint(copier, form->oid, copier->table, name);
}

/*
 * Not before all rows have their values: PostgreSQL checks one that is not
 * valid yet whenever a client changes anything in a row.
 */
static void
add_constraint(ColumnCopier *copier, const char *name, const char *definition)
{
	add_step(&copier->validations,
			 psprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s",
					  copier->table, name),
			 "ALTER TABLE %s ADD CONSTRAINT %s %s", copier->table, name,
			 definition);
}

/* CHECK (...), and what may stand behind that, is found by the parser. */
static bool
try_check(ColumnCopier *copier, Form_pg_constraint form)
{
	char	   *text = psprintf("ALTER TABLE t ADD %s",
								constraint_definition(form->oid));
	AlterTableStmt *stmt = castNode(AlterTableStmt,
									linitial_node(RawStmt,
												  pg_parse_query(text))->stmt);
	AlterTableCmd *command = linitial_node(AlterTableCmd, stmt->cmds);

	return try_condition(copier, RelationGetRelid(copier->rel),
						 castNode(Constraint, command->def)->raw_expr, false,
						 psprintf("constraint %s of table %s",
								  quote_identifier(NameStr(form->conname)),
								  copier->table));
}

/* At the contract its copy has to be there; NOT NULL may be no constraint. */
void
require_constraint(ColumnCopier *copier, Oid relid, Oid constraint,
				   const char *name, const char *copy)
{
	Oid			oid;

	if (!copier->at_contract)
		return;
	oid = get_relation_constraint_oid(relid, copy, true);
	if (!OidIsValid(oid))
		refuse_newcomer(copier, psprintf("constraint %s of table %s",
										 quote_identifier(name),
										 relation_display_name(relid)),
						copy);
	else if (OidIsValid(constraint))
		refuse_redefined_constraint(copier, constraint, oid);
}

/* What a partition has from above is made there. */
static bool
is_own(Form_pg_constraint form)
{
	return !OidIsValid(form->conparentid) && form->conislocal &&
		form->coninhcount == 0;
}

static bool
refers_to_column(ColumnCopier *copier, const ForeignKey *key)
{
	return key->referenced == RelationGetRelid(copier->rel) &&
		array_has_attnum(key->referenced_columns, copier->attnum);
}

/* Its name and its comment, once the old one is gone; copy is not quoted. */
void
restore_constraint(ColumnCopier *copier, Oid constraint, const char *table,
				   const char *copy)
{
	const char *old_name = quote_identifier(get_constraint_name(constraint));

	add_sql(&copier->after, psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s",
									 table, quote_identifier(copy), old_name));
	add_comment(&copier->after, ConstraintRelationId, constraint, 0,
				psprintf("CONSTRAINT %s ON %s", old_name, table));
}

/* Where it is no constraint, a CHECK stands for it until the contract. */
static void
copy_not_null(ColumnCopier *copier)
{
	Form_pg_attribute attribute =
	TupleDescAttr(RelationGetDescr(copier->rel), copier->attnum - 1);
	const char *column = quote_identifier(copier->new_name);
	const char *name;

	if (!attribute->attnotnull || COMPAT_NOT_NULL_NOT_VALID ||
		(copier->is_partition && parent_is_not_null(copier)))
		return;
	name = name_of_copy(copier, unused_constraint_name(copier,
													   psprintf("%s_not_null",
																copier->old_name)));
	require_constraint(copier, RelationGetRelid(copier->rel), InvalidOid,
					   "NOT NULL", name);
	name = quote_identifier(name);
	add_constraint(copier, name,
				   psprintf("CHECK (%s) NOT VALID",
							null_test(column, copier->new_type, false)));
	add_step(&copier->validations, NULL,
			 "ALTER TABLE %s VALIDATE CONSTRAINT %s", copier->table, name);
	add_sql(&copier->values, psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
									  copier->table, column));
	add_sql(&copier->values, psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
									  copier->table, name));
}

/* The copy of a constraint has its name; before 18, a CHECK is often called so. */
static const char *
unused_constraint_name(ColumnCopier *copier, const char *name)
{
	while (OidIsValid(get_relation_constraint_oid(RelationGetRelid(copier->rel),
												  name, true)))
		name = psprintf("%s_", name);
	return name;
}

static bool
parent_is_not_null(ColumnCopier *copier)
{
	Oid			parent = get_partition_parent(RelationGetRelid(copier->rel),
											  false);

	return column_has_valid_not_null(parent,
									 get_attnum(parent, copier->new_name));
}

static void
copy_references(ColumnCopier *copier)
{
	ListCell   *cell;

	foreach(cell,
			foreign_keys_around(list_make1_oid(RelationGetRelid(copier->rel))))
	{
		ForeignKey *key = lfirst(cell);

		if (OidIsValid(key->parent) ||
			key->referenced != RelationGetRelid(copier->rel))
			continue;
		if (copier->at_contract &&
			array_has_attnum(key->referenced_columns, copier->new_attnum))
			copier->references = lappend(copier->references, key);
		if (!refers_to_column(copier, key))
			refuse_included(copier, key);
		else if (may_refer(copier, key))
		{
			refuse_changed_end(copier, key, key->referencing, key->columns);
			copy_reference(copier, key);
		}
	}
}

/*
 * Each of two changes would have a copy of the key, and be in the way of the
 * contract of the other.
 */
static void
refuse_changed_end(ColumnCopier *copier, const ForeignKey *key, Oid relid,
				   ArrayType *columns)
{
	int64		other = change_with_columns(relid, columns, copier->change_id);

	if (other != 0)
		refuse_copy(copier,
					psprintf("the other end of foreign key %s, in %s, is part of change " INT64_FORMAT ": SELECT migrate.contract(" INT64_FORMAT ") or migrate.cancel(" INT64_FORMAT ") first",
							 quote_identifier(key->name),
							 relation_display_name(relid), other, other,
							 other));
}

/*
 * A key of other columns, by an index that includes this one: PostgreSQL would
 * choose the old index again as long as that is there.
 */
static void
refuse_included(ColumnCopier *copier, const ForeignKey *key)
{
	Relation	index = index_open(key->index, AccessShareLock);

	if (index_uses_column(index, copier->attnum))
		refuse_copy(copier,
					psprintf("foreign key %s of table %s needs index %s, which includes the column: drop it first, and add it again after the contract",
							 quote_identifier(key->name),
							 relation_display_name(key->referencing),
							 relation_display_name(key->index)));
	index_close(index, AccessShareLock);
}

/*
 * A key that refers to the new column needs its unique index.  It depends on
 * the index alone, so that this may become that of a constraint.
 */
static void
copy_reference(ColumnCopier *copier, const ForeignKey *key)
{
	char	   *table = relation_display_name(key->referencing);
	char	   *name = name_of_copy(copier, key->name);
	const char *quoted = quote_identifier(name);

	require_constraint(copier, key->referencing, key->oid, key->name, name);
	add_step(&copier->reference_builds,
			 psprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", table,
					  quoted),
			 "ALTER TABLE %s ADD CONSTRAINT %s %s%s", table, quoted,
			 constraint_definition(key->oid), key->is_valid ? " NOT VALID" : "");
	if (key->is_valid)
		add_step(&copier->reference_builds, NULL,
				 "ALTER TABLE %s VALIDATE CONSTRAINT %s", table, quoted);

	/* before the key of the table that it depends on */
	copier->drops = lcons(psprintf("ALTER TABLE %s DROP CONSTRAINT %s", table,
								   quote_identifier(key->name)),
						  copier->drops);
	restore_constraint(copier, key->oid, table, name);
}

static bool
may_refer(ColumnCopier *copier, const ForeignKey *key)
{
	char	   *table = relation_display_name(key->referencing);
	const char *name = quote_identifier(key->name);

	if (!compat_owns_relation(key->referencing, GetUserId()))
		refuse_copy(copier,
					psprintf("foreign key %s of table %s refers to the column: only the owner of that table can move it",
							 name, table));
	else if (copier->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
			 (!COMPAT_PARTITIONED_FK_NOT_VALID ||
			  OidIsValid(get_index_constraint(key->index))))
		refuse_copy(copier,
					psprintf("foreign key %s of table %s refers to partitioned table %s, and cannot be made before the contract: drop it first, and add it again after that",
							 name, table, copier->table));
	else if (!COMPAT_PARTITIONED_FK_NOT_VALID &&
			 get_rel_relkind(key->referencing) == RELKIND_PARTITIONED_TABLE)
		refuse_copy(copier,
					psprintf("foreign key %s of partitioned table %s cannot be NOT VALID: drop it first, and add it again after the contract",
							 name, table));
	else if (!copier->same_type && !is_comparable(copier, key))
		refuse_copy(copier,
					psprintf("foreign key %s of table %s could not compare its column with type %s: drop it first",
							 name, table,
							 format_type_with_typemod(copier->new_type,
													  copier->new_typmod)));
	else
		return true;
	return false;
}

/*
 * As PostgreSQL looks for the operator of a foreign key.  The column may be at
 * either end of it, or at both.
 */
static bool
is_comparable(ColumnCopier *copier, const ForeignKey *key)
{
	int16	   *referenced = (int16 *) ARR_DATA_PTR(key->referenced_columns);
	int16	   *columns = (int16 *) ARR_DATA_PTR(key->columns);

	for (int i = 0; i < ARR_DIMS(key->referenced_columns)[0]; i++)
	{
		Oid			to = type_at_end(copier, key->referenced, referenced[i]);
		Oid			from = type_at_end(copier, key->referencing, columns[i]);

		if ((is_copied(copier, key->referenced, referenced[i]) ||
			 is_copied(copier, key->referencing, columns[i])) &&
			!types_are_comparable(to, from))
			return false;
	}
	return true;
}

static bool
is_copied(ColumnCopier *copier, Oid relid, AttrNumber attnum)
{
	return relid == RelationGetRelid(copier->rel) && attnum == copier->attnum;
}

/* Of a column as it will be. */
static Oid
type_at_end(ColumnCopier *copier, Oid relid, AttrNumber attnum)
{
	return getBaseType(is_copied(copier, relid, attnum) ? copier->new_type :
					   get_atttype(relid, attnum));
}

static bool
types_are_comparable(Oid to, Oid from)
{
	Oid			opclass = GetDefaultOpClass(to, BTREE_AM_OID);
	Oid			family;
	Oid			input;
	Oid			both[2] = {to, from};
	Oid			wanted[2];

	if (!OidIsValid(opclass))
		return false;
	family = get_opclass_family(opclass);
	input = get_opclass_input_type(opclass);
	if (OidIsValid(get_opfamily_member(family, input, from,
									   BTEqualStrategyNumber)) &&
		OidIsValid(get_opfamily_member(family, from, from,
									   BTEqualStrategyNumber)))
		return true;
	wanted[0] = wanted[1] = input;
	return can_coerce_type(2, both, wanted, COERCION_IMPLICIT);
}

/* Without its name. */
char *
constraint_definition(Oid constraint)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
												   ObjectIdGetDatum(constraint)));
}
