/*-------------------------------------------------------------------------
 *
 * constraints.c
 *	  Do the rows fit the schema that has come back?
 *
 * What clients have written since was checked against another schema, and rows
 * were put back without their triggers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "commands/typecmds.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/oid_set.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "preserve/transaction_start.h"
#include "restore/catalog_diff.h"
#include "restore/changed_table.h"
#include "restore/column_values.h"
#include "restore/constraints.h"
#include "restore/owner_sql.h"
#include "restore/storage.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static List *constraints_to_check(List *differences, HTAB *relations,
								  List *changed_tables);
static List *with_ancestors(List *tables);
static bool is_part_of_key(Form_pg_constraint form);
static bool has_foreign_key_to_check(Form_pg_constraint form,
									 HTAB *changed_tables);
static bool holds_for_all_rows(RestoredRelation *relation);
static void check_constraint(Oid constraint_oid);
static void unset_validated(HeapTuple row);
static void validate_domain(Oid domain, const char *name);
static void validate_constraint(Oid relid, const char *name);
static void check_later_columns(HTAB *relations);
static void refuse_missing_values(Oid relid, const char *column);
static void check_column(List *differences, HTAB *relations, HeapTuple row);
static void check_not_null_constraint(List *differences, HTAB *relations,
									  HeapTuple row);
static bool rows_may_violate(const RestoredRelation *relation);
static void check_not_null(Oid relid, Oid type, const char *column);
static void check_values(Oid relid, Form_pg_attribute was,
						 const char *column);
static void check_bound(HTAB *relations, HeapTuple row);
static char *partition_constraint(Oid relid);
static void refuse_rows(Oid relid, const char *condition, const char *shown,
						const char *problem);

/*
 * See constraints.h.
 */
void
check_constraints(List *differences, HTAB *relations, List *changed_tables)
{
	List	   *constraints = constraints_to_check(differences, relations,
												   changed_tables);
	ListCell   *cell;
	ListCell   *row;

	foreach(cell, constraints)
		check_constraint(lfirst_oid(cell));
	check_later_columns(relations);
	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);

		if (difference->catalog->relid == AttributeRelationId)
		{
			foreach(row, difference->gone)
				check_column(differences, relations, lfirst(row));
		}
		else if (difference->catalog->relid == ConstraintRelationId)
		{
			foreach(row, difference->gone)
				check_not_null_constraint(differences, relations, lfirst(row));
		}
		else if (difference->catalog->relid == RelationRelationId)
		{
			foreach(row, difference->gone)
				check_bound(relations, lfirst(row));
		}
	}
}

/*
 * Constraints that have come back, and foreign keys of which one side has other
 * rows; not those of a table whose file of the label has come back as it was.
 */
static List *
constraints_to_check(List *differences, HTAB *relations, List *changed_tables)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	HTAB	   *back = make_oid_set("safe_migrate constraints");
	HTAB	   *changed = make_oid_set("safe_migrate changed tables");
	List	   *constraints = NIL;
	SysScanDesc scan;
	HeapTuple	row;
	ListCell   *cell;

	add_list_to_oid_set(changed, with_ancestors(changed_tables));

	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);
		ListCell   *gone;

		if (difference->catalog->relid != ConstraintRelationId)
			continue;
		foreach(gone, difference->gone)
			(void) add_to_oid_set(back, ((Form_pg_constraint) GETSTRUCT((HeapTuple) lfirst(gone)))->oid);
	}
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(row);
		RestoredRelation *relation = find_restored_relation(relations,
															form->conrelid);

		if (OidIsValid(form->contypid) && form->convalidated &&
			form->contype == CONSTRAINT_CHECK &&
			is_in_oid_set(back, form->oid))
			constraints = lappend_oid(constraints, form->oid);
		if (!form->convalidated || !OidIsValid(form->conrelid) ||
			(form->contype != CONSTRAINT_CHECK &&
			 form->contype != CONSTRAINT_FOREIGN) || is_part_of_key(form))
			continue;
		if (has_foreign_key_to_check(form, changed) ||
			row_is_later(relation, row) ||
			(is_in_oid_set(back, form->oid) &&
			 (form->contype == CONSTRAINT_FOREIGN ||
			  !holds_for_all_rows(relation) ||
			  is_in_oid_set(changed, form->conrelid))))
			constraints = lappend_oid(constraints, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return constraints;
}

/* What refers to a partition names the partitioned table. */
static List *
with_ancestors(List *tables)
{
	List	   *all = list_copy(tables);
	ListCell   *cell;

	foreach(cell, tables)
	{
		if (get_rel_relispartition(lfirst_oid(cell)))
			all = list_concat_unique_oid(all,
										 get_partition_ancestors(lfirst_oid(cell)));
	}
	return all;
}

/*
 * A foreign key to a partitioned table has one more row for each partition, to
 * which by itself most rows do not refer.
 */
static bool
is_part_of_key(Form_pg_constraint form)
{
	HeapTuple	whole;
	bool		result;

	if (form->contype != CONSTRAINT_FOREIGN || !OidIsValid(form->conparentid))
		return false;
	whole = SearchSysCache1(CONSTROID, ObjectIdGetDatum(form->conparentid));
	if (!HeapTupleIsValid(whole))
		elog(ERROR, "cache lookup failed for constraint %u", form->conparentid);
	result = ((Form_pg_constraint) GETSTRUCT(whole))->conrelid ==
		form->conrelid;
	ReleaseSysCache(whole);
	return result;
}

static bool
has_foreign_key_to_check(Form_pg_constraint form, HTAB *changed_tables)
{
	return form->contype == CONSTRAINT_FOREIGN &&
		(is_in_oid_set(changed_tables, form->conrelid) ||
		 is_in_oid_set(changed_tables, form->confrelid));
}

/* Nobody has written to a parked file. */
static bool
holds_for_all_rows(RestoredRelation *relation)
{
	return relation != NULL && relation->choice == STORAGE_PARKED;
}

/* PostgreSQL checks what is not marked as checked. */
static void
check_constraint(Oid constraint_oid)
{
	HeapTuple	row = SearchSysCacheCopy1(CONSTROID,
										  ObjectIdGetDatum(constraint_oid));
	Form_pg_constraint form;
	Oid			relid;
	char	   *name;

	if (!HeapTupleIsValid(row))
		return;
	form = (Form_pg_constraint) GETSTRUCT(row);
	relid = form->conrelid;
	name = pstrdup(NameStr(form->conname));
	if (OidIsValid(form->contypid) && form->convalidated)
	{
		Oid			domain = form->contypid;

		unset_validated(row);
		validate_domain(domain, name);
	}
	else if (get_rel_relkind(relid) == RELKIND_RELATION && form->convalidated)
	{
		unset_validated(row);
		validate_constraint(relid, name);
	}
	heap_freetuple(row);
}

static void
unset_validated(HeapTuple row)
{
	Relation	rel = table_open(ConstraintRelationId, RowExclusiveLock);

	((Form_pg_constraint) GETSTRUCT(row))->convalidated = false;
	CatalogTupleUpdate(rel, &row->t_self, row);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

/* All columns of it.  The expression may be anybody's. */
static void
validate_domain(Oid domain, const char *name)
{
	HeapTuple	row = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	Form_pg_type form;
	List	   *names;
	Oid			owner;
	Oid			user;
	int			security_context;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for type %u", domain);
	form = (Form_pg_type) GETSTRUCT(row);
	names = list_make2(makeString(get_namespace_name(form->typnamespace)),
					   makeString(pstrdup(NameStr(form->typname))));
	owner = form->typowner;
	ReleaseSysCache(row);
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(owner,
						   security_context | SECURITY_RESTRICTED_OPERATION);
	(void) AlterDomainValidateConstraint(names, name);
	SetUserIdAndSecContext(user, security_context);
	CommandCounterIncrement();
}

/*
 * A CHECK may call any function, and so may a foreign key, for a cast: those of
 * the table's owner must not run with the rights of who rolls back.
 */
static void
validate_constraint(Oid relid, const char *name)
{
	AlterTableCmd *command = makeNode(AlterTableCmd);
	Oid			user;
	int			security_context;

	command->subtype = AT_ValidateConstraint;
	command->name = unconstify(char *, name);
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(relation_owner(relid),
						   security_context | SECURITY_RESTRICTED_OPERATION);
	AlterTableInternal(relid, list_make1(command), true);
	SetUserIdAndSecContext(user, security_context);
	CommandCounterIncrement();
}

/* Of tables whose file comes back: those that others have changed meanwhile. */
static void
check_later_columns(HTAB *relations)
{
	Relation	rel = table_open(AttributeRelationId, AccessShareLock);
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *rows = NIL;
	ListCell   *cell;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->choice == STORAGE_PARKED && relation->is != NULL &&
			relation->parked->kind == RELKIND_RELATION)
			rows = list_concat(rows,
							   fetch_catalog_rows(rel,
												  AttributeRelidNumIndexId,
												  Anum_pg_attribute_attrelid,
												  relation->relid, NULL));
	}
	table_close(rel, AccessShareLock);
	foreach(cell, rows)
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));

		if (form->attnum > 0 && !form->attisdropped && form->attnotnull &&
			row_is_later(find_restored_relation(relations, form->attrelid),
						 lfirst(cell)))
			refuse_missing_values(form->attrelid,
								  quote_identifier(NameStr(form->attname)));
	}
}

/* Rows that come back do not fit what was said of the column since. */
static void
refuse_missing_values(Oid relid, const char *column)
{
	const char *name = relation_display_name(relid);
	int64		count = count_as_owner(relid,
									   psprintf("SELECT pg_catalog.count(*) FROM ONLY %s WHERE pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>) 0",
												name, column));

	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot bring back " INT64_FORMAT " rows of %s that have no value in column %s, which is NOT NULL by now: ALTER TABLE %s ALTER %s DROP NOT NULL first",
						count, name, column, name, column)));
}

/*
 * A column that is stricter than it was a moment ago.  One that was not there
 * has the values of before, and those that fill_column_values() has given it;
 * but a domain may not allow that it has none.
 */
static void
check_column(List *differences, HTAB *relations, HeapTuple row)
{
	Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(row);
	RestoredRelation *relation = find_restored_relation(relations,
														form->attrelid);
	char	   *column;

	if (form->attisdropped || form->attnum <= 0 ||
		!rows_may_violate(relation) ||
		(get_typtype(form->atttypid) != TYPTYPE_DOMAIN &&
		 column_was_dropped(differences, form->attrelid, form->attnum)))
		return;
	column = pstrdup(quote_identifier(NameStr(form->attname)));
	if (form->attnotnull && !COMPAT_NOT_NULL_NOT_VALID)
		check_not_null(form->attrelid, form->atttypid, column);
	check_values(form->attrelid, form, column);
}

/* 18: the column may say nothing new, and not say that it was NOT VALID. */
static void
check_not_null_constraint(List *differences, HTAB *relations, HeapTuple row)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(row);

	if (form->contype != COMPAT_CONSTRAINT_NOTNULL || !form->convalidated ||
		!rows_may_violate(find_restored_relation(relations, form->conrelid)) ||
		column_was_dropped(differences, form->conrelid,
						   compat_not_null_attnum(row)))
		return;
	check_not_null(form->conrelid,
				   get_atttype(form->conrelid, compat_not_null_attnum(row)),
				   quote_identifier(get_attname(form->conrelid,
												compat_not_null_attnum(row),
												false)));
}

/* The file of the label has what was checked then. */
static bool
rows_may_violate(const RestoredRelation *relation)
{
	return relation != NULL && relation->is != NULL &&
		relation->choice == STORAGE_KEPT &&
		RELKIND_HAS_TABLE_AM(((Form_pg_class) GETSTRUCT(relation->is))->relkind);
}

/* Of IS NULL, the planner knows by now that it is false. */
static void
check_not_null(Oid relid, Oid type, const char *column)
{
	refuse_rows(relid,
				psprintf("pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>) 0",
						 column),
				null_test(column, type, true),
				psprintf("have no value in column %s, which was NOT NULL",
						 column));
}

/*
 * A varchar(20) that is a varchar(10) again: the file has whatever was written.
 * Values of other types have no more than one spelling.
 */
static void
check_values(Oid relid, Form_pg_attribute was, const char *column)
{
	char	   *condition;

	if (was->atttypmod < 0 && get_typtype(was->atttypid) != TYPTYPE_DOMAIN)
		return;
	condition = psprintf("%s::pg_catalog.text::%s::pg_catalog.text OPERATOR(pg_catalog.<>) %s::pg_catalog.text",
						 column,
						 format_type_extended(was->atttypid, was->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY),
						 column);
	refuse_rows(relid, condition, condition,
				psprintf("have a value in column %s that is none of %s",
						 column,
						 format_type_with_typemod(was->atttypid,
												  was->atttypmod)));
}

static void
check_bound(HTAB *relations, HeapTuple row)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(row);
	RestoredRelation *relation = find_restored_relation(relations, form->oid);
	char	   *bound;
	char	   *condition;

	if (relation == NULL || relation->is == NULL || !form->relispartition ||
		form->relkind != RELKIND_RELATION)
		return;
	bound = partition_constraint(form->oid);
	if (bound == NULL)
		return;
	condition = psprintf("NOT (%s)", bound);
	refuse_rows(form->oid, condition, condition,
				"are outside of the bounds that it has as a partition");
}

/* NULL for a default partition that is the only one. */
static char *
partition_constraint(Oid relid)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo	function;
	Datum		result;

	fmgr_info(F_PG_GET_PARTITION_CONSTRAINTDEF, &function);
	InitFunctionCallInfoData(*fcinfo, &function, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(relid);
	fcinfo->args[0].isnull = false;
	result = FunctionCallInvoke(fcinfo);
	return fcinfo->isnull ? NULL : TextDatumGetCString(result);
}

/*
 * Throws if any row of the table fulfils the condition, which the planner must
 * not hold to be impossible.
 */
static void
refuse_rows(Oid relid, const char *condition, const char *shown,
			const char *problem)
{
	char	   *name = relation_display_name(relid);
	int			level = NewGUCNestLevel();
	int64		count;

	(void) set_config_option("constraint_exclusion", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	count = count_as_owner(relid,
						   psprintf("SELECT pg_catalog.count(*) FROM ONLY %s WHERE %s",
									name, condition));
	AtEOXact_GUC(false, level);
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back: " INT64_FORMAT " rows of %s %s: change or delete those that fulfil %s, or roll back with mode 'as_of'",
						count, name, problem, shown)));
}
