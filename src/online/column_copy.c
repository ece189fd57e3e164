/*-------------------------------------------------------------------------
 *
 * column_copy.c
 *	  What belongs to a column, made for the one that takes its place.
 *
 * PostgreSQL itself writes the definitions of the copies: in a subtransaction
 * that is rolled back, the old column gets the name of the new one, and then
 * pg_get_indexdef() and its like are asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_rewrite.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/hashfn.h"
#include "common/subtransaction.h"
#include "miscadmin.h"
#include "online/column_copy_internal.h"
#include "plan/plan.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void init_copier(ColumnCopier *copier, Oid relid, AttrNumber column);
static ColumnCopy *run_plan(ColumnCopier *copier);
static bool collect_copies(void *arg);
static void set_for_now(const char *name, const char *value);
static void look_at(ColumnCopier *copier, Oid relid,
					void (*look) (ColumnCopier *copier));
static void find_columns(ColumnCopier *copier);
static void hide_new_column(ColumnCopier *copier);
static void rename_column(ColumnCopier *copier);
static void set_column_name(ColumnCopier *copier, AttrNumber attnum,
							const char *name);
static void copy_all(ColumnCopier *copier);
static ColumnCopy *result_of(ColumnCopier *copier);
static void show_new_column(ColumnCopier *copier, List *statements);
static void remove_item(char *list, const char *item);

/*
 * See column_copy.h.
 */
ColumnCopy *
plan_column_copy(Oid relid, AttrNumber old_column, const char *new_name,
				 Oid new_type, int32 new_typmod, Oid new_collation,
				 int64 change_id)
{
	ColumnCopier copier = {0};

	init_copier(&copier, relid, old_column);
	copier.new_name = new_name;
	copier.same_type = copier.new_type == new_type &&
		copier.new_typmod == new_typmod &&
		copier.new_collation == new_collation;
	copier.new_type = new_type;
	copier.new_typmod = new_typmod;
	copier.new_collation = new_collation;
	copier.change_id = change_id;
	return run_plan(&copier);
}

/*
 * See column_copy.h.
 */
ColumnCopy *
plan_column_contract(Oid relid, AttrNumber old_column, AttrNumber new_column,
					 int64 change_id, List *begun)
{
	ColumnCopier copier = {0};
	Oid			old_type;
	int32		old_typmod;
	Oid			old_collation;

	init_copier(&copier, relid, old_column);
	old_type = copier.new_type;
	old_typmod = copier.new_typmod;
	old_collation = copier.new_collation;
	get_atttypetypmodcoll(relid, new_column, &copier.new_type,
						  &copier.new_typmod, &copier.new_collation);
	copier.same_type = copier.new_type == old_type &&
		copier.new_typmod == old_typmod &&
		copier.new_collation == old_collation;
	copier.new_name = get_attname(relid, new_column, false);
	copier.change_id = change_id;
	copier.at_contract = true;
	copier.begun = begun;
	copier.root_new_column = new_column;
	copier.hidden_name = psprintf("safe_migrate_hidden_" INT64_FORMAT, change_id);
	return run_plan(&copier);
}

static ColumnCopy *
run_plan(ColumnCopier *copier)
{
	ErrorData  *error = run_in_subtransaction(collect_copies, copier);

	if (error != NULL)
		ReThrowError(error);
	return result_of(copier);
}

/* With the type that the column has now. */
static void
init_copier(ColumnCopier *copier, Oid relid, AttrNumber column)
{
	copier->root = relid;
	copier->root_column = column;
	copier->old_name = get_attname(relid, column, false);
	get_atttypetypmodcoll(relid, column, &copier->new_type,
						  &copier->new_typmod, &copier->new_collation);
}

static bool
collect_copies(void *arg)
{
	ColumnCopier *copier = arg;
	List	   *tree;
	ListCell   *cell;

	use_portable_settings();
	refuse_tables(copier);
	if (copier->refused != NIL)
		return false;
	tree = find_all_inheritors(copier->root, AccessShareLock, NULL);
	foreach(cell, tree)
		look_at(copier, lfirst_oid(cell), remember_triggers);
	if (copier->at_contract)
	{
		foreach(cell, tree)
			look_at(copier, lfirst_oid(cell), hide_new_column);
		CommandCounterIncrement();
	}
	foreach(cell, tree)
		look_at(copier, lfirst_oid(cell), rename_column);
	CommandCounterIncrement();
	copier->is_renamed = true;
	foreach(cell, tree)
		look_at(copier, lfirst_oid(cell), copy_all);
	if (copier->at_contract)
	{
		foreach(cell, tree)
			look_at(copier, lfirst_oid(cell), refuse_left_copies);
		refuse_left_references(copier);
	}
	return false;
}

/*
 * What is written must be read in the same way by any session: as pg_dump
 * does.  The subtransaction, or nest level, puts the settings back.
 */
void
use_portable_settings(void)
{
	set_for_now("search_path", "pg_catalog");
	set_for_now("DateStyle", "ISO, YMD");
	set_for_now("IntervalStyle", "postgres");
	set_for_now("extra_float_digits", "3");
}

static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
look_at(ColumnCopier *copier, Oid relid, void (*look) (ColumnCopier *copier))
{
	copier->rel = table_open(relid, AccessShareLock);
	copier->table = relation_display_name(relid);
	copier->is_partition = relid != copier->root;
	copier->attnum = copier->root_column;
	copier->new_attnum = copier->root_new_column;
	if (copier->is_partition)
		find_columns(copier);
	look(copier);
	table_close(copier->rel, AccessShareLock);
	copier->rel = NULL;
}

/*
 * The columns of a partition have the names of those of the root, but other
 * numbers.
 */
static void
find_columns(ColumnCopier *copier)
{
	Oid			relid = RelationGetRelid(copier->rel);

	copier->attnum = get_attnum(relid, copier->is_renamed ?
								copier->new_name : copier->old_name);
	if (copier->at_contract)
	{
		copier->new_attnum = get_attnum(relid, copier->hidden_name);
		if (copier->new_attnum == InvalidAttrNumber)
			copier->new_attnum = get_attnum(relid, copier->new_name);
	}
}

static void
hide_new_column(ColumnCopier *copier)
{
	set_column_name(copier, copier->new_attnum, copier->hidden_name);
}

static void
rename_column(ColumnCopier *copier)
{
	set_column_name(copier, copier->attnum, copier->new_name);
}

/* In the catalog alone: nobody is told, and nobody ever sees it. */
static void
set_column_name(ColumnCopier *copier, AttrNumber attnum, const char *name)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopyAttNum(RelationGetRelid(copier->rel),
												 attnum);

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for attribute %d of relation %u",
			 attnum, RelationGetRelid(copier->rel));
	namestrcpy(&((Form_pg_attribute) GETSTRUCT(tuple))->attname, name);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	table_close(catalog, RowExclusiveLock);
}

static void
copy_all(ColumnCopier *copier)
{
	copy_attributes(copier);
	copy_constraints(copier);
	copy_values(copier);
	copy_indexes(copier);
	copy_users(copier);
}

/* The order is that of what needs what. */
static ColumnCopy *
result_of(ColumnCopier *copier)
{
	ColumnCopy *copy = palloc0(sizeof(ColumnCopy));

	copy->start = copier->start;
	copy->start_undo = copier->start_undo;
	copy->builds = list_concat(copier->index_builds.steps,
							   copier->validations.steps);
	copy->builds = list_concat(copy->builds, copier->reference_builds.steps);
	copy->contract_before = list_concat(copier->switches, copier->drops);
	copy->contract_before = list_concat(copy->contract_before, copier->values);
	copy->contract_before = list_concat(copy->contract_before, copier->keys);
	copy->contract_after = copier->after;
	copy->refused = copier->refused;
	if (copier->at_contract)
	{
		show_new_column(copier, copy->contract_before);
		show_new_column(copier, copy->contract_after);
	}
	return copy;
}

/*
 * Where something speaks of both columns, it speaks of the new one alone then.
 */
static void
show_new_column(ColumnCopier *copier, List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		Datum		replaced =
		DirectFunctionCall3Coll(replace_text, C_COLLATION_OID,
								CStringGetTextDatum(lfirst(cell)),
								CStringGetTextDatum(copier->hidden_name),
								CStringGetTextDatum(quote_identifier(copier->new_name)));

		lfirst(cell) = TextDatumGetCString(replaced);
	}
}

/*
 * The same for a list of columns, in which each stands once; also within a
 * statement, where other places name them behind a dot.  Changes the list.
 */
char *
without_hidden(ColumnCopier *copier, char *list)
{
	if (copier->at_contract)
	{
		remove_item(list, psprintf(", %s", copier->hidden_name));
		remove_item(list, psprintf("%s, ", copier->hidden_name));
	}
	return list;
}

static void
remove_item(char *list, const char *item)
{
	size_t		length = strlen(item);

	for (char *found = strstr(list, item); found != NULL;
		 found = strstr(found + 1, item))
	{
		if (found > list && found[-1] == '.')
			continue;
		memmove(found, found + length, strlen(found + length) + 1);
		break;
	}
}

/* What others have made since the start would go with the old column. */
void
refuse_newcomer(ColumnCopier *copier, const char *object, const char *copy)
{
	refuse_copy(copier,
				psprintf("%s has come since the change began: make the same for column %s with the name %s, or drop it",
						 object, quote_identifier(copier->new_name), copy));
}

/* Add a statement, which is palloc'd. */
void
add_sql(List **list, char *statement)
{
	*list = lappend(*list, statement);
}

/* A sentence that says what cannot be carried, and what to do. */
void
refuse_copy(ColumnCopier *copier, char *sentence)
{
	if (!name_is_listed(copier->refused, sentence))
		copier->refused = lappend(copier->refused, sentence);
}

/* Who makes or renames an object needs the right to do so in its schema. */
void
require_creation(ColumnCopier *copier, Oid namespace_oid)
{
	if (!compat_may_create_in_namespace(namespace_oid, GetUserId()))
		refuse_copy(copier,
					psprintf("role %s may not create objects in schema %s, where the copies would be: grant it CREATE there",
							 quote_identifier(GetUserNameFromId(GetUserId(), false)),
							 quote_identifier(get_namespace_name(namespace_oid))));
}

/* A view instead of its rule. */
char *
describe_user(const ObjectAddress *object)
{
	ObjectAddress view;

	if (object->classId == RewriteRelationId)
	{
		bool		is_select;
		Oid			relid = relation_of_rule(object->objectId, &is_select);

		ObjectAddressSet(view, RelationRelationId, relid);
		if (is_select)
			object = &view;
	}
	return getObjectDescription(object, false);
}

/*
 * The name of the copy of an object, not quoted.  A name that has to be cut
 * gets a hash, so that two long ones remain different.
 */
char *
name_of_copy(ColumnCopier *copier, const char *name)
{
	char	   *label = psprintf("sm" INT64_FORMAT, copier->change_id);

	if (strlen(name) + 1 + strlen(label) >= NAMEDATALEN)
		label = psprintf("%08x_%s",
						 hash_bytes((const unsigned char *) name, strlen(name)),
						 label);
	label = makeObjectName(name, NULL, label);
	if (copier->at_contract)
		note_copy(copier, label);
	return label;
}

/* A name in a schema, quoted. */
char *
qualified_name(Oid namespace_oid, const char *name)
{
	return quote_qualified_identifier(get_namespace_name(namespace_oid), name);
}

/* COMMENT ON of an object like that one, if it has a comment. */
void
add_comment(List **list, Oid class_oid, Oid oid, int32 sub_id,
			const char *object)
{
	const char *comment = GetComment(oid, class_oid, sub_id);

	if (comment != NULL)
		add_sql(list, psprintf("COMMENT ON %s IS %s", object,
							   quote_literal_cstr(comment)));
}
