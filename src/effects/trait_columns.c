/*-------------------------------------------------------------------------
 *
 * trait_columns.c
 *	  Traits of the columns that a statement writes down: their types.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/settings.h"
#include "effects/index_shape.h"
#include "effects/overlay.h"
#include "effects/trait_context.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

static void look_at_type(TraitContext *context, const WrittenColumn *column,
						 Oid type, int32 typmod);
static bool type_is_forbidden(Oid type);
static Oid	serial_type(const TypeName *type_name);
static char *primary_key_column(TraitContext *context,
								const WrittenConstraint *written);
static Oid	column_type(TraitContext *context, const char *name);

void
look_at_columns(TraitContext *context)
{
	ListCell   *cell;

	foreach(cell, context->columns)
	{
		const WrittenColumn *column = lfirst(cell);
		int32		typmod;
		Oid			type;

		if (column->type_name == NULL)
			continue;
		if (type_is_serial(column->type_name))
		{
			add_trait(context, TRAIT_SERIAL, column->name, column->location,
					  "is of type %s", TypeNameToString(column->type_name));
			continue;
		}
		type = written_type(context, column->type_name, &typmod);
		if (OidIsValid(type))
			look_at_type(context, column, type, typmod);
	}
}

/*
 * The type behind aliases, domains and arrays.  InvalidOid for one that the
 * checked script makes.
 */
Oid
written_type(TraitContext *context, const TypeName *type_name, int32 *typmod)
{
	Oid			type = serial_type(type_name);
	Oid			element;

	*typmod = -1;
	if (OidIsValid(type))
		return type;
	if (!overlay_resolve_type(context->source->effects->overlay, type_name,
							  &type, typmod))
		return InvalidOid;
	type = getBaseTypeAndTypmod(type, typmod);
	element = get_element_type(type);
	return OidIsValid(element) ? getBaseTypeAndTypmod(element, typmod) : type;
}

static Oid
serial_type(const TypeName *type_name)
{
	const char *name;

	if (!type_is_serial(type_name))
		return InvalidOid;
	name = strVal(linitial(type_name->names));
	if (strcmp(name, "smallserial") == 0 || strcmp(name, "serial2") == 0)
		return INT2OID;
	if (strcmp(name, "bigserial") == 0 || strcmp(name, "serial8") == 0)
		return INT8OID;
	return INT4OID;
}

static void
look_at_type(TraitContext *context, const WrittenColumn *column, Oid type,
			 int32 typmod)
{
	TraitKind	kind = TRAIT_NONE;

	switch (type)
	{
		case TIMESTAMPOID:
			kind = TRAIT_TIMESTAMP;
			break;
		case BPCHAROID:
			/* without a length it is a text that ignores blanks at its end */
			kind = typmod >= 0 ? TRAIT_CHAR : TRAIT_NONE;
			break;
		case VARCHAROID:
			kind = typmod >= 0 ? TRAIT_VARCHAR_LENGTH : TRAIT_NONE;
			break;
		case CASHOID:
			kind = TRAIT_MONEY;
			break;
		case FLOAT4OID:
		case FLOAT8OID:
			kind = TRAIT_FLOAT;
			break;
		case JSONOID:
			kind = TRAIT_JSON;
			break;
		default:
			break;
	}
	if (kind != TRAIT_NONE)
		add_trait(context, kind, column->name, column->location,
				  "is of type %s", format_type_with_typemod(type, typmod));
	if (typmod == 0 && (type == TIMESTAMPOID || type == TIMESTAMPTZOID ||
						type == TIMEOID || type == TIMETZOID))
		add_trait(context, TRAIT_ZERO_PRECISION, column->name,
				  column->location, "rounds to whole seconds");
	if (context->wanted[TRAIT_FORBIDDEN_TYPE] && type_is_forbidden(type))
		add_trait(context, TRAIT_FORBIDDEN_TYPE, column->name,
				  column->location, "is of type %s",
				  format_type_be(type));
}

/* A name of safe_migrate.forbidden_types that no type has here means nothing. */
static bool
type_is_forbidden(Oid type)
{
	char	   *names = pstrdup(setting_forbidden_types);
	char	   *rest;

	for (char *name = strtok_r(names, ",", &rest); name != NULL;
		 name = strtok_r(NULL, ",", &rest))
	{
		name += strspn(name, " \t\r\n");
		if (*name != '\0' && compat_type_of_text(name) == type)
			return true;
	}
	return false;
}

/*
 * A primary key of one column that will run out of values.  Those of several
 * columns are made of references, whose range is that of what they refer to.
 */
void
look_at_primary_key(TraitContext *context)
{
	ListCell   *cell;

	if (!context->wanted[TRAIT_SMALL_PRIMARY_KEY])
		return;
	foreach(cell, context->constraints)
	{
		const WrittenConstraint *written = lfirst(cell);
		char	   *name;
		Oid			type;

		if (written->constraint->contype != CONSTR_PRIMARY)
			continue;
		name = primary_key_column(context, written);
		type = name ? column_type(context, name) : InvalidOid;
		if (type == INT4OID || type == INT2OID)
			add_trait(context, TRAIT_SMALL_PRIMARY_KEY, name,
					  written->constraint->location,
					  "is of type %s, which ends at %s", format_type_be(type),
					  type == INT4OID ? "2147483647" : "32767");
	}
}

/* NULL if there are several, or none that is known. */
static char *
primary_key_column(TraitContext *context, const WrittenConstraint *written)
{
	List	   *keys = written_keys(written);
	Oid			index;
	ListCell   *cell;

	if (written->constraint->indexname == NULL)
		return list_length(keys) == 1 ? linitial(keys) : NULL;
	if (!OidIsValid(context->relation->relid))
		return NULL;
	index = get_relname_relid(written->constraint->indexname,
							  get_rel_namespace(context->relation->relid));
	foreach(cell, index_shapes(context->relation->relid))
	{
		const IndexShape *shape = lfirst(cell);

		if (shape->index == index && shape->nkeys == 1 &&
			shape->columns[0] > 0)
			return get_attname(context->relation->relid, shape->columns[0],
							   true);
	}
	return NULL;
}

/* The type as the statement writes it, or as the catalog has it. */
static Oid
column_type(TraitContext *context, const char *name)
{
	AttrNumber	attnum;
	int32		typmod;
	ListCell   *cell;

	foreach(cell, context->columns)
	{
		const WrittenColumn *column = lfirst(cell);

		if (strcmp(column->name, name) == 0 && column->type_name != NULL)
			return written_type(context, column->type_name, &typmod);
	}
	if (!OidIsValid(context->relation->relid))
		return InvalidOid;
	attnum = get_attnum(context->relation->relid, name);
	if (attnum == InvalidAttrNumber)
		return InvalidOid;
	return getBaseType(get_atttype(context->relation->relid, attnum));
}
