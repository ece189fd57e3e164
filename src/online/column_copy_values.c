/*-------------------------------------------------------------------------
 *
 * column_copy_values.c
 *	  Where the values of a column come from: default, identity, sequences.
 *
 * The new column gets them with the contract: until then its values come from
 * the old one, or from the client.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "lib/stringinfo.h"
#include "nodes/readfuncs.h"
#include "online/column_copy_internal.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

static char *default_of_column(ColumnCopier *copier);
static void move_identity(ColumnCopier *copier, Oid sequence, char kind);
static char *sequence_options(ColumnCopier *copier, Oid sequence);
static int64 lowest(Oid type);
static int64 highest(Oid type);
static void refuse_users_of_sequence(ColumnCopier *copier, Oid sequence);
static void restore_sequence(ColumnCopier *copier, Oid sequence);
static bool is_integer(Oid type);

/* Default and identity; of a partition its own default. */
void
copy_values(ColumnCopier *copier)
{
	Form_pg_attribute attribute =
	TupleDescAttr(RelationGetDescr(copier->rel), copier->attnum - 1);
	char	   *expression;

	if (attribute->attidentity != '\0')
	{
		/* that of a partition goes with the parent's */
		if (!copier->is_partition)
			move_identity(copier,
						  compat_identity_sequence(RelationGetRelid(copier->rel),
												   copier->attnum),
						  attribute->attidentity);
		return;
	}
	if (!attribute->atthasdef)
		return;
	expression = default_of_column(copier);
	if (!copier->same_type)
		expression = try_default(copier, expression);
	if (expression != NULL)
		add_sql(&copier->values,
				psprintf("ALTER TABLE ONLY %s ALTER COLUMN %s SET DEFAULT %s",
						 copier->table, quote_identifier(copier->new_name),
						 expression));
}

static char *
default_of_column(ColumnCopier *copier)
{
	TupleConstr *constraints = RelationGetDescr(copier->rel)->constr;

	for (int i = 0; i < constraints->num_defval; i++)
		if (constraints->defval[i].adnum == copier->attnum)
			return deparse_expression(stringToNode(constraints->defval[i].adbin),
									  NIL, false, false);
	elog(ERROR, "default of column %d of table %s not found", copier->attnum,
		 copier->table);
}

/*
 * A sequence that is owned by the column, but not of an identity column: it
 * would go with the old one.
 */
void
copy_sequence(ColumnCopier *copier, Oid sequence)
{
	const char *name = relation_display_name(sequence);
	HeapTuple	tuple;
	Oid			type;

	if (TupleDescAttr(RelationGetDescr(copier->rel),
					  copier->attnum - 1)->attidentity != '\0' &&
		sequence == compat_identity_sequence(RelationGetRelid(copier->rel),
											 copier->attnum))
		return;
	add_sql(&copier->values, psprintf("ALTER SEQUENCE %s OWNED BY %s.%s", name,
									  copier->table,
									  quote_identifier(copier->new_name)));
	tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for sequence %u", sequence);
	type = ((Form_pg_sequence) GETSTRUCT(tuple))->seqtypid;
	ReleaseSysCache(tuple);

	/* a column that grows wants a sequence that does */
	if (is_integer(copier->new_type) && type != copier->new_type &&
		type == get_atttype(RelationGetRelid(copier->rel), copier->attnum))
		add_sql(&copier->values, psprintf("ALTER SEQUENCE %s AS %s", name,
										  format_type_be(copier->new_type)));
}

/*
 * PostgreSQL cannot hand the sequence of an identity column over: the new
 * column gets one alike, which goes on where the old one is.  Renaming that
 * first locks it, so that nobody takes a number from it any more.
 */
static void
move_identity(ColumnCopier *copier, Oid sequence, char kind)
{
	char	   *name = relation_display_name(sequence);
	Oid			namespace_oid = get_rel_namespace(sequence);
	char	   *parked = name_of_copy(copier, get_rel_name(sequence));
	char	   *parked_name = qualified_name(namespace_oid, parked);

	if (!is_integer(copier->new_type))
	{
		refuse_copy(copier,
					psprintf("column %s of table %s is an identity column, which type %s cannot be: drop its identity first",
							 quote_identifier(copier->old_name), copier->table,
							 format_type_be(copier->new_type)));
		return;
	}
	refuse_users_of_sequence(copier, sequence);
	require_creation(copier, namespace_oid);
	add_sql(&copier->values, psprintf("ALTER SEQUENCE %s RENAME TO %s", name,
									  quote_identifier(parked)));
	add_sql(&copier->values,
			psprintf("ALTER TABLE %s ALTER COLUMN %s ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %s%s)",
					 copier->table, quote_identifier(copier->new_name),
					 kind == ATTRIBUTE_IDENTITY_ALWAYS ? "ALWAYS" :
					 "BY DEFAULT", name, sequence_options(copier, sequence)));
	add_sql(&copier->values,
			psprintf("SELECT pg_catalog.setval(%s::pg_catalog.regclass, last_value, is_called) FROM %s",
					 quote_literal_cstr(name), parked_name));
	restore_sequence(copier, sequence);
}

/* A limit that only comes from the old type gives way to the new one's. */
static char *
sequence_options(ColumnCopier *copier, Oid sequence)
{
	HeapTuple	tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	Form_pg_sequence form;
	StringInfoData options;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for sequence %u", sequence);
	form = (Form_pg_sequence) GETSTRUCT(tuple);
	initStringInfo(&options);
	appendStringInfo(&options, " START WITH " INT64_FORMAT " INCREMENT BY " INT64_FORMAT,
					 form->seqstart, form->seqincrement);
	appendStringInfo(&options, " MINVALUE " INT64_FORMAT " MAXVALUE " INT64_FORMAT,
					 form->seqmin == lowest(form->seqtypid) ?
					 lowest(copier->new_type) : form->seqmin,
					 form->seqmax == highest(form->seqtypid) ?
					 highest(copier->new_type) : form->seqmax);
	appendStringInfo(&options, " CACHE " INT64_FORMAT "%s", form->seqcache,
					 form->seqcycle ? " CYCLE" : "");
	ReleaseSysCache(tuple);
	return options.data;
}

static int64
lowest(Oid type)
{
	return type == INT2OID ? PG_INT16_MIN :
		type == INT4OID ? PG_INT32_MIN : PG_INT64_MIN;
}

static int64
highest(Oid type)
{
	return type == INT2OID ? PG_INT16_MAX :
		type == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;
}

/* Those that name it by its number, which the new one does not have. */
static void
refuse_users_of_sequence(ColumnCopier *copier, Oid sequence)
{
	ObjectAddress address;
	ListCell   *cell;

	ObjectAddressSet(address, RelationRelationId, sequence);
	foreach(cell, direct_dependents(&address))
		refuse_copy(copier,
					psprintf("%s depends on sequence %s of the identity column: drop it first, and make it again after the contract",
							 describe_user(lfirst(cell)),
							 relation_display_name(sequence)));
}

/* Privileges and comment; the owner is always that of the table. */
static void
restore_sequence(ColumnCopier *copier, Oid sequence)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(sequence));
	char	   *object = psprintf("SEQUENCE %s",
								  relation_display_name(sequence));
	Datum		acl;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", sequence);
	acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
		add_privileges(&copier->values, acl, copier->rel->rd_rel->relowner, NULL,
					   object);
	ReleaseSysCache(tuple);
	add_comment(&copier->values, RelationRelationId, sequence, 0, object);
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}
