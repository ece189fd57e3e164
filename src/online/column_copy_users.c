/*-------------------------------------------------------------------------
 *
 * column_copy_users.c
 *	  Everything that depends on a column: it is carried, or refused by name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "miscadmin.h"
#include "online/column_copy_internal.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

static void copy_user(ColumnCopier *copier, ObjectAddress *object);
static bool copy_relation(ColumnCopier *copier, const ObjectAddress *object);
static bool constraint_is_copied(ColumnCopier *copier, Oid oid);
static bool default_is_own(ColumnCopier *copier, ObjectAddress *object);
static void refuse_user(ColumnCopier *copier, const ObjectAddress *object);
static void copy_policy(ColumnCopier *copier, Oid oid);
static void append_policy(ColumnCopier *copier, StringInfo statement,
						  const char *clause, const char *expression,
						  Form_pg_policy form, const char *table);
static char *expression_of(Relation catalog, HeapTuple tuple,
						   AttrNumber attnum, Oid relid);
static void copy_publication(ColumnCopier *copier, Oid oid);
static char *published_columns(Oid relid, Datum columns);
static void copy_statistics(ColumnCopier *copier, Oid oid);
static HeapTuple tuple_with_oid(Relation catalog, Oid index,
								AttrNumber column, Oid oid);

/*
 * Walk over all that depends on the column itself.
 */
void
copy_users(ColumnCopier *copier)
{
	ObjectAddress address;
	ListCell   *cell;

	ObjectAddressSubSet(address, RelationRelationId,
						RelationGetRelid(copier->rel), copier->attnum);
	foreach(cell, direct_dependents(&address))
		copy_user(copier, lfirst(cell));
}

static void
copy_user(ColumnCopier *copier, ObjectAddress *object)
{
	bool		known = true;

	if (object->classId == RelationRelationId)
		known = copy_relation(copier, object);
	else if (object->classId == ConstraintRelationId)
		known = constraint_is_copied(copier, object->objectId);
	else if (object->classId == AttrDefaultRelationId)
		known = default_is_own(copier, object);
	else if (object->classId == TriggerRelationId)
		copy_trigger(copier, object->objectId);
	else if (object->classId == RewriteRelationId)
		copy_view(copier, object->objectId);
	else if (object->classId == PolicyRelationId)
		copy_policy(copier, object->objectId);
	else if (object->classId == PublicationRelRelationId)
		copy_publication(copier, object->objectId);
	else if (object->classId == StatisticExtRelationId)
		copy_statistics(copier, object->objectId);
	else
		known = false;
	if (!known)
		refuse_user(copier, object);
}

/* Indexes are copied by copy_indexes(). */
static bool
copy_relation(ColumnCopier *copier, const ObjectAddress *object)
{
	char		relkind = get_rel_relkind(object->objectId);

	if (relkind == RELKIND_SEQUENCE)
		copy_sequence(copier, object->objectId);
	return relkind == RELKIND_SEQUENCE || relkind == RELKIND_INDEX ||
		relkind == RELKIND_PARTITIONED_INDEX;
}

/* By copy_constraints() and copy_indexes(). */
static bool
constraint_is_copied(ColumnCopier *copier, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
	Form_pg_constraint form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", oid);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	result = form->conrelid == RelationGetRelid(copier->rel) ||
		form->confrelid == RelationGetRelid(copier->rel);
	ReleaseSysCache(tuple);
	return result;
}

/* By copy_values(); that of a generated column is one of another column. */
static bool
default_is_own(ColumnCopier *copier, ObjectAddress *object)
{
	Relation	catalog = table_open(AttrDefaultRelationId, AccessShareLock);
	HeapTuple	tuple = tuple_with_oid(catalog, AttrDefaultOidIndexId,
									   Anum_pg_attrdef_oid, object->objectId);
	Form_pg_attrdef form = (Form_pg_attrdef) GETSTRUCT(tuple);

	table_close(catalog, AccessShareLock);
	ObjectAddressSubSet(*object, RelationRelationId, form->adrelid,
						form->adnum);
	return form->adnum == copier->attnum;
}

static void
refuse_user(ColumnCopier *copier, const ObjectAddress *object)
{
	refuse_copy(copier,
				psprintf("%s depends on column %s of table %s: drop it first, and make it again after the contract",
						 describe_user(object),
						 quote_identifier(copier->old_name), copier->table));
}

/* It may be one of another table, with a query on this one. */
static void
copy_policy(ColumnCopier *copier, Oid oid)
{
	Relation	catalog = table_open(PolicyRelationId, AccessShareLock);
	HeapTuple	tuple = tuple_with_oid(catalog, PolicyOidIndexId,
									   Anum_pg_policy_oid, oid);
	Form_pg_policy form = (Form_pg_policy) GETSTRUCT(tuple);
	char	   *table = relation_display_name(form->polrelid);
	const char *name = quote_identifier(NameStr(form->polname));
	StringInfoData statement;

	if (!compat_owns_relation(form->polrelid, GetUserId()))
		refuse_copy(copier,
					psprintf("policy %s of table %s depends on the column: only the owner of that table can change it",
							 name, table));
	else
	{
		initStringInfo(&statement);
		appendStringInfo(&statement, "ALTER POLICY %s ON %s", name, table);
		append_policy(copier, &statement, "USING",
					  expression_of(catalog, tuple, Anum_pg_policy_polqual,
									form->polrelid), form, table);
		append_policy(copier, &statement, "WITH CHECK",
					  expression_of(catalog, tuple, Anum_pg_policy_polwithcheck,
									form->polrelid), form, table);
		add_sql(&copier->switches, statement.data);
	}
	table_close(catalog, AccessShareLock);
}

static void
append_policy(ColumnCopier *copier, StringInfo statement, const char *clause,
			  const char *expression, Form_pg_policy form, const char *table)
{
	if (expression == NULL)
		return;
	if (!copier->same_type)
		(void) try_condition(copier, form->polrelid,
							 parse_expression(expression), false,
							 psprintf("policy %s of table %s",
									  quote_identifier(NameStr(form->polname)),
									  table));
	appendStringInfo(statement, " %s (%s)", clause, expression);
}

/* NULL if there is none. */
static char *
expression_of(Relation catalog, HeapTuple tuple, AttrNumber attnum, Oid relid)
{
	bool		isnull;
	Datum		expression = heap_getattr(tuple, attnum,
										  RelationGetDescr(catalog), &isnull);

	return isnull ? NULL :
		TextDatumGetCString(DirectFunctionCall2(pg_get_expr, expression,
												ObjectIdGetDatum(relid)));
}

/* SET TABLE would need all tables of the publication, this needs the one. */
static void
copy_publication(ColumnCopier *copier, Oid oid)
{
	Relation	catalog = table_open(PublicationRelRelationId, AccessShareLock);
	HeapTuple	tuple = tuple_with_oid(catalog, PublicationRelObjectIndexId,
									   Anum_pg_publication_rel_oid, oid);
	Form_pg_publication_rel form = (Form_pg_publication_rel) GETSTRUCT(tuple);
	HeapTuple	publication = SearchSysCache1(PUBLICATIONOID,
											  ObjectIdGetDatum(form->prpubid));
	Form_pg_publication owner;
	const char *name;
	StringInfoData statement;
	bool		isnull;
	Datum		columns;
	char	   *condition;

	if (!HeapTupleIsValid(publication))
		elog(ERROR, "cache lookup failed for publication %u", form->prpubid);
	owner = (Form_pg_publication) GETSTRUCT(publication);
	name = quote_identifier(NameStr(owner->pubname));
	if (!has_privs_of_role(GetUserId(), owner->pubowner))
		refuse_copy(copier,
					psprintf("publication %s names column %s of table %s: only the owner of the publication can change it",
							 name, quote_identifier(copier->old_name),
							 copier->table));
	initStringInfo(&statement);
	appendStringInfo(&statement, "ALTER PUBLICATION %s ADD TABLE ONLY %s", name,
					 copier->table);
	columns = heap_getattr(tuple, Anum_pg_publication_rel_prattrs,
						   RelationGetDescr(catalog), &isnull);
	if (!isnull)
		appendStringInfo(&statement, " (%s)",
						 without_hidden(copier,
										published_columns(form->prrelid, columns)));
	condition = expression_of(catalog, tuple, Anum_pg_publication_rel_prqual,
							  form->prrelid);
	if (condition != NULL)
		appendStringInfo(&statement, " WHERE (%s)", condition);
	if (condition != NULL && !copier->same_type)
		(void) try_condition(copier, form->prrelid, parse_expression(condition),
							 false, psprintf("publication %s", name));
	add_sql(&copier->switches, psprintf("ALTER PUBLICATION %s DROP TABLE ONLY %s",
										name, copier->table));
	add_sql(&copier->switches, statement.data);
	ReleaseSysCache(publication);
	table_close(catalog, AccessShareLock);
}

static char *
published_columns(Oid relid, Datum columns)
{
	int2vector *numbers = (int2vector *) DatumGetPointer(columns);
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < numbers->dim1; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(relid, numbers->values[i],
													  false)));
	return names.data;
}

/* They have no data before the next ANALYZE. */
static void
copy_statistics(ColumnCopier *copier, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(oid));
	Form_pg_statistic_ext form;
	char	   *name;
	char	   *copy;
	int			target;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for statistics object %u", oid);
	form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	name = qualified_name(form->stxnamespace, NameStr(form->stxname));
	copy = qualified_name(form->stxnamespace,
						  name_of_copy(copier, NameStr(form->stxname)));
	require_creation(copier, form->stxnamespace);
	if (!has_privs_of_role(GetUserId(), form->stxowner))
		refuse_copy(copier,
					psprintf("statistics %s depend on the column: only their owner can make them again",
							 name));
	if (copier->at_contract &&
		!OidIsValid(get_statistics_object_oid(list_make2(makeString(get_namespace_name(form->stxnamespace)),
														 makeString(name_of_copy(copier, NameStr(form->stxname)))),
											  true)))
		refuse_newcomer(copier, psprintf("statistics %s", name),
						name_of_copy(copier, NameStr(form->stxname)));
	target = compat_statistics_object_target(tuple);
	add_step(&copier->index_builds, NULL, "CREATE STATISTICS %s%s", copy,
			 pg_get_statisticsobjdef_string(oid) +
			 strlen("CREATE STATISTICS ") + strlen(name));
	if (form->stxowner != GetUserId())
		add_step(&copier->index_builds, NULL, "ALTER STATISTICS %s OWNER TO %s",
				 copy, quote_identifier(GetUserNameFromId(form->stxowner, false)));
	if (target >= 0)
		add_step(&copier->index_builds, NULL,
				 "ALTER STATISTICS %s SET STATISTICS %d", copy, target);
	add_sql(&copier->after, psprintf("ALTER STATISTICS %s RENAME TO %s", copy,
									 quote_identifier(NameStr(form->stxname))));
	add_comment(&copier->after, StatisticExtRelationId, oid, 0,
				psprintf("STATISTICS %s", name));
	ReleaseSysCache(tuple);
}

/* A copy of the row of a catalog with that OID. */
static HeapTuple
tuple_with_oid(Relation catalog, Oid index, AttrNumber column, Oid oid)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(oid));
	scan = systable_beginscan(catalog, index, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no row with OID %u in catalog \"%s\"", oid,
			 RelationGetRelationName(catalog));
	tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	return tuple;
}
