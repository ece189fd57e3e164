/*-------------------------------------------------------------------------
 *
 * trait_indexes.c
 *	  Traits of indexes and foreign keys, which the catalog decides.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "common/settings.h"
#include "effects/index_shape.h"
#include "effects/overlay.h"
#include "effects/trait_context.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static List *shapes_in_force(TraitContext *context);
static bool script_changed_index(TraitContext *context, Oid index);
static void look_at_index_width(TraitContext *context, const char *object,
								int nkeys, int location);
static void look_at_index_count(TraitContext *context, int location);
static void look_for_duplicate(TraitContext *context, IndexStmt *stmt,
							   int location);
static IndexStmt *index_of_constraint(const WrittenConstraint *written);
static void look_at_foreign_key(TraitContext *context,
								const WrittenConstraint *written);
static void add_key_trait(TraitContext *context, TraitKind kind,
						  const WrittenConstraint *written,
						  const char *detail);
static bool key_has_index(TraitContext *context, List *names);
static void look_at_referenced_types(TraitContext *context,
									 const WrittenConstraint *written);
static bool is_written_table(TraitContext *context, const RangeVar *relation);
static List *referenced_keys(TraitContext *context,
							 const Constraint *constraint, Oid relid);
static Oid	type_of_column(TraitContext *context, Oid relid, const char *name);
static Oid	type_in_statement(TraitContext *context, const char *name);

/* CREATE INDEX */
void
look_at_new_index(TraitContext *context)
{
	IndexStmt  *stmt = castNode(IndexStmt, context->statement);

	look_at_index_width(context, stmt->idxname, list_length(stmt->indexParams),
						stmt->relation->location);
	look_at_index_count(context, stmt->relation->location);
	look_for_duplicate(context, stmt, stmt->relation->location);
}

/* The indexes behind the UNIQUE and PRIMARY KEY of a statement. */
void
look_at_key_indexes(TraitContext *context)
{
	ListCell   *cell;

	foreach(cell, context->constraints)
	{
		const WrittenConstraint *written = lfirst(cell);
		const Constraint *constraint = written->constraint;

		if ((constraint->contype != CONSTR_UNIQUE &&
			 constraint->contype != CONSTR_PRIMARY) ||
			constraint->indexname != NULL)
			continue;
		look_at_index_width(context, constraint->conname,
							list_length(written_keys(written)),
							constraint->location);
		look_at_index_count(context, constraint->location);

		/* a column that is being added has no index */
		if (written->column == NULL)
			look_for_duplicate(context, index_of_constraint(written),
							   constraint->location);
	}
}

static void
look_at_index_width(TraitContext *context, const char *object, int nkeys,
					int location)
{
	Trait	   *trait = NULL;

	if (nkeys > setting_max_index_columns)
		trait = add_trait(context, TRAIT_WIDE_INDEX, object, location,
						  "has %d key columns, more than %d", nkeys,
						  setting_max_index_columns);
	if (trait != NULL && object == NULL)
		trait->object = pstrdup("without a name");
}

static void
look_at_index_count(TraitContext *context, int location)
{
	int			count;

	if (!context->wanted[TRAIT_MANY_INDEXES] ||
		!OidIsValid(context->relation->relid))
		return;
	count = list_length(shapes_in_force(context)) + 1;
	if (count > setting_max_indexes)
		add_trait(context, TRAIT_MANY_INDEXES, NULL, location,
				  "gets %d indexes, more than %d", count,
				  setting_max_indexes);
}

/* The indexes of the table, without those that the checked script dropped. */
static List *
shapes_in_force(TraitContext *context)
{
	List	   *shapes = NIL;
	ListCell   *cell;

	if (!OidIsValid(context->relation->relid))
		return NIL;
	foreach(cell, index_shapes(context->relation->relid))
	{
		IndexShape *shape = lfirst(cell);

		if (!script_changed_index(context, shape->index))
			shapes = lappend(shapes, shape);
	}
	return shapes;
}

static bool
script_changed_index(TraitContext *context, Oid index)
{
	OverlayRelation *entry = overlay_of(index, context->source->effects);

	return entry != NULL && entry->dropped;
}

/*
 * Is there an index already that does what the new one is to do?  A script
 * that changed the table may have renamed or retyped columns: then nothing is
 * said.
 */
static void
look_for_duplicate(TraitContext *context, IndexStmt *stmt, int location)
{
	Oid			relid = context->relation->relid;
	IndexShape *wanted;
	ListCell   *cell;

	if (!context->wanted[TRAIT_DUPLICATE_INDEX] || !OidIsValid(relid) ||
		(context->relation->overlay != NULL &&
		 context->relation->overlay->columns != NIL))
		return;
	wanted = shape_of_new_index(relid, stmt,
								context->source->effects->source_text);
	if (wanted == NULL)
		return;
	foreach(cell, shapes_in_force(context))
	{
		const IndexShape *shape = lfirst(cell);
		Trait	   *trait;

		if (!index_is_covered(wanted, shape))
			continue;
		trait = add_trait(context, TRAIT_DUPLICATE_INDEX, NULL, location,
						  "does nothing that %s on (%s) does not do",
						  relation_display_name(shape->index),
						  index_keys_in_words(shape, relid));
		trait->object = psprintf("%s%son (%s)",
								 stmt->idxname ? quote_identifier(stmt->idxname) : "",
								 stmt->idxname ? " " : "",
								 index_keys_in_words(wanted, relid));
		break;
	}
}

static IndexStmt *
index_of_constraint(const WrittenConstraint *written)
{
	const Constraint *constraint = written->constraint;
	IndexStmt  *stmt = makeNode(IndexStmt);
	ListCell   *cell;

	stmt->idxname = constraint->conname;
	stmt->unique = true;
	stmt->primary = constraint->contype == CONSTR_PRIMARY;
	stmt->nulls_not_distinct = constraint->nulls_not_distinct;
	foreach(cell, written_keys(written))
	{
		IndexElem  *element = makeNode(IndexElem);

		element->name = lfirst(cell);
		stmt->indexParams = lappend(stmt->indexParams, element);
	}
	foreach(cell, constraint->including)
	{
		IndexElem  *element = makeNode(IndexElem);

		element->name = strVal(lfirst(cell));
		stmt->indexIncludingParams = lappend(stmt->indexIncludingParams,
											 element);
	}
	return stmt;
}

void
look_at_foreign_keys(TraitContext *context)
{
	ListCell   *cell;

	foreach(cell, context->constraints)
	{
		const WrittenConstraint *written = lfirst(cell);

		if (written->constraint->contype == CONSTR_FOREIGN &&
			written->constraint->pktable != NULL)
			look_at_foreign_key(context, written);
	}
}

static void
look_at_foreign_key(TraitContext *context, const WrittenConstraint *written)
{
	const Constraint *constraint = written->constraint;
	List	   *names = written_keys(written);
	char	   *referenced = range_var_display_name(constraint->pktable);

	add_key_trait(context, TRAIT_FOREIGN_KEY, written,
				  psprintf("refers to %s", referenced));
	if (constraint->fk_del_action == FKCONSTR_ACTION_CASCADE)
		add_key_trait(context, TRAIT_CASCADING_FOREIGN_KEY, written,
					  psprintf("deletes rows when those of %s are deleted",
							   referenced));
	if (context->wanted[TRAIT_UNINDEXED_FOREIGN_KEY] &&
		!key_has_index(context, names))
		add_key_trait(context, TRAIT_UNINDEXED_FOREIGN_KEY, written,
					  psprintf("has no index that begins with %s",
							   joined_names(names)));
	if (context->wanted[TRAIT_FOREIGN_KEY_TYPE])
		look_at_referenced_types(context, written);
}

/* About a foreign key, by its name or by its columns. */
static void
add_key_trait(TraitContext *context, TraitKind kind,
			  const WrittenConstraint *written, const char *detail)
{
	Trait	   *trait = add_trait(context, kind, written->constraint->conname,
								  written->constraint->location, "%s", detail);

	if (trait != NULL && trait->object == NULL)
		trait->object = psprintf("on (%s)",
								 joined_names(written_keys(written)));
}

/*
 * See trait_context.h.
 */
char *
joined_names(List *names)
{
	StringInfoData joined;
	ListCell   *cell;

	initStringInfo(&joined);
	foreach(cell, names)
		appendStringInfo(&joined, "%s%s", joined.len > 0 ? ", " : "",
						 quote_identifier(lfirst(cell)));
	return joined.data;
}

/*
 * An index in the catalog, one that the statement makes for a key, or one that
 * the checked script made before.  An index that a later statement makes is
 * not seen: judged is what is there.
 */
static bool
key_has_index(TraitContext *context, List *names)
{
	ListCell   *cell;

	foreach(cell, shapes_in_force(context))
	{
		if (index_serves_columns(lfirst(cell), context->relation->relid,
								 names))
			return true;
	}
	foreach(cell, context->constraints)
	{
		const WrittenConstraint *written = lfirst(cell);

		if ((written->constraint->contype == CONSTR_UNIQUE ||
			 written->constraint->contype == CONSTR_PRIMARY) &&
			begins_with_names(written_keys(written), names))
			return true;
	}
	if (context->relation->overlay == NULL)
		return false;
	foreach(cell, context->relation->overlay->owned)
	{
		const OverlayRelation *owned = lfirst(cell);

		if (!owned->dropped && begins_with_names(owned->key_columns, names))
			return true;
	}
	return false;
}

/*
 * Compare the types of both sides.  What the checked script made or changed
 * cannot be looked up, and is passed over.
 */
static void
look_at_referenced_types(TraitContext *context,
						 const WrittenConstraint *written)
{
	const Constraint *constraint = written->constraint;
	bool		is_self = is_written_table(context, constraint->pktable);
	Oid			relid = is_self ? context->relation->relid :
	RangeVarGetRelid(constraint->pktable, NoLock, true);
	ListCell   *cell;
	ListCell   *inner;

	if ((!is_self && !OidIsValid(relid)) ||
		(OidIsValid(relid) &&
		 overlay_of(relid, context->source->effects) != NULL))
		return;
	forboth(cell, written_keys(written),
			inner, referenced_keys(context, constraint, relid))
	{
		Oid			type = type_in_statement(context, lfirst(cell));
		Oid			referenced = InvalidOid;

		if (!OidIsValid(type))
			type = type_of_column(context, context->relation->relid,
								  lfirst(cell));
		if (is_self)
			referenced = type_in_statement(context, lfirst(inner));
		if (!OidIsValid(referenced))
			referenced = type_of_column(context, relid, lfirst(inner));
		if (OidIsValid(type) && OidIsValid(referenced) && type != referenced)
			add_key_trait(context, TRAIT_FOREIGN_KEY_TYPE, written,
						  psprintf("compares %s of type %s with %s of type %s",
								   quote_identifier(lfirst(cell)),
								   format_type_be(type),
								   quote_identifier(lfirst(inner)),
								   format_type_be(referenced)));
	}
}

/* The table may refer to itself, before it is there. */
static bool
is_written_table(TraitContext *context, const RangeVar *relation)
{
	return strcmp(relation->relname, context->relname) == 0 &&
		(relation->schemaname == NULL || context->nspname == NULL ||
		 strcmp(relation->schemaname, context->nspname) == 0) &&
		(relation->schemaname != NULL ||
		 RangeVarGetRelid(relation, NoLock, true) ==
		 context->relation->relid);
}

/* Names: as written, or the primary key. */
static List *
referenced_keys(TraitContext *context, const Constraint *constraint, Oid relid)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, constraint->pk_attrs)
		names = lappend(names, strVal(lfirst(cell)));
	if (names != NIL)
		return names;
	if (!OidIsValid(relid))
	{
		foreach(cell, context->constraints)
		{
			const WrittenConstraint *written = lfirst(cell);

			if (written->constraint->contype == CONSTR_PRIMARY)
				return written_keys(written);
		}
		return NIL;
	}
	foreach(cell, index_shapes(relid))
	{
		const IndexShape *shape = lfirst(cell);

		for (int i = 0; shape->is_primary && i < shape->nkeys; i++)
		{
			char	   *name = get_attname(relid, shape->columns[i], true);

			/* the table is just being dropped */
			if (name == NULL)
				return NIL;
			names = lappend(names, name);
		}
	}
	return names;
}

static Oid
type_of_column(TraitContext *context, Oid relid, const char *name)
{
	AttrNumber	attnum;

	if (!OidIsValid(relid) ||
		(context->relation->overlay != NULL &&
		 overlay_find_column(context->relation->overlay, name) != NULL))
		return InvalidOid;
	attnum = get_attnum(relid, name);
	if (attnum <= 0)
		return InvalidOid;
	return getBaseType(get_atttype(relid, attnum));
}

static Oid
type_in_statement(TraitContext *context, const char *name)
{
	ListCell   *cell;
	int32		typmod;

	foreach(cell, context->columns)
	{
		const WrittenColumn *column = lfirst(cell);

		if (strcmp(column->name, name) == 0 && column->type_name != NULL)
			return written_type(context, column->type_name, &typmod);
	}
	return InvalidOid;
}
