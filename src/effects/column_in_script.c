/*-------------------------------------------------------------------------
 *
 * column_in_script.c
 *	  ADD COLUMN and ALTER COLUMN TYPE in a script that is only checked, where
 *	  earlier statements made or changed the types, functions or columns.
 *
 * What they made cannot be analysed, because the catalog does not have it.
 * Where that leaves a doubt, the heavier answer is given.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"

static bool type_is_of_script(Overlay *overlay, const TypeName *name);
static char *conversion_reason(const OverlayColumn *column, Oid type,
							   int32 typmod);

/*
 * Whether the script decides if a new column rewrites the table: it made or
 * changed the type, or a function of the default.  Then *reason says why it is
 * rewritten, NULL for not.  overlay and value, a raw expression, may be NULL.
 * Throws if the script dropped the type.
 */
bool
script_decides_default(Overlay *overlay, const TypeName *type_name,
					   Node *value, const char **reason)
{
	OverlayType *type;

	if (overlay == NULL || (!type_is_of_script(overlay, type_name) &&
							!overlay_concerns_expression(overlay, value)))
		return false;
	*reason = NULL;
	type = overlay_find_type(overlay, type_name);
	if (type != NULL && type_name->arrayBounds == NIL &&
		(type->constrained || (OidIsValid(type->oid) &&
							   compat_domain_has_constraints(type->oid))))
		*reason = "the type is a domain with constraints, which are checked row by row";
	else if (value != NULL && overlay_expression_is_volatile(overlay, value))
		*reason = "its default is volatile, so each row gets a value of its own";
	return true;
}

static bool
type_is_of_script(Overlay *overlay, const TypeName *name)
{
	OverlayType *type = overlay_find_type(overlay, name);

	return type != NULL && !type->dropped &&
		(!OidIsValid(type->oid) || type->renamed || type->changed);
}

/*
 * Describe ALTER COLUMN TYPE if the script made or changed what it is about;
 * returns true then.  Otherwise the definition to be looked at has the names
 * of columns and type that the catalog knows.
 */
bool
script_decides_type(AlterContext *alter, Effect *effect,
					ColumnDef **definition)
{
	Overlay    *overlay = alter->effects->overlay;
	OverlayRelation *relation = alter->relation->overlay;
	OverlayColumn *column;
	Node	   *conversion = (*definition)->raw_default;
	const char *reason = "each value is converted";
	Oid			type;
	int32		typmod;

	if (overlay == NULL || relation == NULL)
		return false;
	column = overlay_find_column(relation, alter->command->name);
	if (!overlay_resolve_type(overlay, (*definition)->typeName, &type,
							  &typmod))
		reason = "each value is converted to a type that the script makes";
	else if (conversion != NULL)
	{
		if (!overlay_concerns_expression(overlay, conversion))
			conversion = overlay_catalog_names(relation, conversion);
		else
			conversion = NULL;
		if (conversion != NULL &&
			(column == NULL || (!column->made && !column->retyped)))
			reason = NULL;
	}
	else if (column != NULL && (column->made || column->retyped))
	{
		reason = conversion_reason(column, type, typmod);
		if (reason == NULL)
			return true;
	}
	else
		reason = NULL;

	if (reason == NULL)
	{
		*definition = copyObject(*definition);
		(*definition)->typeName = makeTypeNameFromOid(type, typmod);
		(*definition)->raw_default = conversion;
		return false;
	}
	set_work(effect, WORK_REWRITE, reason);
	return true;
}

/* Why the values of a column that the script made or retyped are converted. */
static char *
conversion_reason(const OverlayColumn *column, Oid type, int32 typmod)
{
	if (!OidIsValid(column->type))
		return pstrdup("each value is converted from a type that the script makes");
	return type_change_rewrite_reason(column->type, column->typmod, type,
									  typmod);
}
