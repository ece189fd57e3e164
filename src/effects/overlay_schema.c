/*-------------------------------------------------------------------------
 *
 * overlay_schema.c
 *	  Schemas that a checked script made, renamed or dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/compat.h"
#include "effects/overlay_internal.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

typedef struct OverlaySchema
{
	char	   *name;
	Oid			oid;			/* in the catalog; InvalidOid: made by the
								 * script, or called otherwise now */
	bool		dropped;		/* or called otherwise now */
} OverlaySchema;

static OverlaySchema *find_schema(Overlay *overlay, const char *name);
static OverlaySchema *add_schema(Overlay *overlay, const char *name, Oid oid);

/* The latest entry of that name, which may be that of a dropped schema. */
static OverlaySchema *
find_schema(Overlay *overlay, const char *name)
{
	ListCell   *cell;

	foreach(cell, overlay->schemas)
	{
		OverlaySchema *schema = lfirst(cell);

		if (strcmp(schema->name, name) == 0)
			return schema;
	}
	return NULL;
}

static OverlaySchema *
add_schema(Overlay *overlay, const char *name, Oid oid)
{
	MemoryContext old_context = MemoryContextSwitchTo(overlay->context);
	OverlaySchema *schema = palloc0(sizeof(OverlaySchema));

	schema->name = pstrdup(name);
	schema->oid = oid;
	overlay->schemas = lcons(schema, overlay->schemas);
	MemoryContextSwitchTo(old_context);
	return schema;
}

/*
 * See overlay.h.
 */
bool
overlay_has_schema(Overlay *overlay, const char *name)
{
	OverlaySchema *schema = find_schema(overlay, name);

	if (schema != NULL)
		return !schema->dropped;
	return OidIsValid(LookupNamespaceNoError(name));
}

/* Names are not looked for in a schema that the user may not use. */
bool
overlay_may_use_schema(Overlay *overlay, const char *name)
{
	Oid			oid = overlay_schema_oid(overlay, name);

	return overlay_has_schema(overlay, name) &&
		(!OidIsValid(oid) || compat_may_use_namespace(oid, GetUserId()));
}

bool
overlay_schema_is_dropped(Overlay *overlay, const char *name)
{
	OverlaySchema *schema = find_schema(overlay, name);

	return schema != NULL && schema->dropped;
}

/*
 * See overlay.h.  The OID of a dropped schema is found, so that its relations
 * can be told from those that never were.
 */
Oid
overlay_schema_oid(Overlay *overlay, const char *name)
{
	OverlaySchema *schema = find_schema(overlay, name);

	return schema ? schema->oid : LookupNamespaceNoError(name);
}

/* What a schema of the catalog is called now. */
char *
overlay_schema_name(Overlay *overlay, Oid oid)
{
	ListCell   *cell;

	foreach(cell, overlay->schemas)
	{
		OverlaySchema *schema = lfirst(cell);

		if (schema->oid == oid && !schema->dropped)
			return schema->name;
	}
	return get_namespace_name_or_temp(oid);
}

/* CREATE SCHEMA */
void
overlay_make_schema(Overlay *overlay, const char *name)
{
	(void) add_schema(overlay, name, InvalidOid);
}

/* ALTER SCHEMA … RENAME: everything in it moves along. */
void
overlay_rename_schema(Overlay *overlay, const char *old_name,
					  const char *new_name)
{
	Oid			oid = overlay_schema_oid(overlay, old_name);
	ListCell   *cell;

	add_schema(overlay, old_name, InvalidOid)->dropped = true;
	new_name = add_schema(overlay, new_name, oid)->name;

	for (int kind = OVERLAY_RELATION; kind <= OVERLAY_FUNCTION; kind++)
	{
		foreach(cell, overlay_names_in_schema(overlay, kind, old_name))
		{
			const char *name = lfirst(cell);
			OverlayObject *object = overlay_get(overlay, kind, old_name, name);

			overlay_put(overlay, kind, old_name, name, NULL);
			object->nspname = unconstify(char *, new_name);
			overlay_put(overlay, kind, new_name, name, object);
			if (kind == OVERLAY_RELATION &&
				((OverlayRelation *) object)->index_of != NULL)
				((OverlayRelation *) object)->index_of->schemaname =
					object->nspname;
		}
	}
}

/* DROP SCHEMA, with all that is in it */
void
overlay_drop_schema(Overlay *overlay, const char *name)
{
	Oid			oid = overlay_schema_oid(overlay, name);
	ListCell   *cell;

	add_schema(overlay, name, oid)->dropped = true;

	for (int kind = OVERLAY_RELATION; kind <= OVERLAY_FUNCTION; kind++)
		foreach(cell, overlay_names_in_schema(overlay, kind, name))
	{
		OverlayObject *object = overlay_get(overlay, kind, name,
											lfirst(cell));

		object->dropped = true;
	}
}
