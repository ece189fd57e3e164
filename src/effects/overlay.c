/*-------------------------------------------------------------------------
 *
 * overlay.c
 *	  The overlay's objects by name: relations, and where names without a
 *	  schema are looked for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "effects/overlay_internal.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#define TEMP_SCHEMA "pg_temp"

typedef struct ObjectKey
{
	OverlayKind kind;
	NameData	nspname;
	NameData	name;
} ObjectKey;

typedef struct ObjectEntry
{
	ObjectKey	key;
	void	   *object;
} ObjectEntry;

typedef struct RelidEntry
{
	Oid			relid;
	OverlayRelation *relation;
} RelidEntry;

static void fill_key(ObjectKey *key, OverlayKind kind, const char *nspname,
					 const char *name);
static OverlayRelation *relation_in_schema(Overlay *overlay,
										   const char *nspname,
										   const char *relname);
static OverlayRelation *load_relation(Overlay *overlay, Oid relid);
static void load_owner(Overlay *overlay, OverlayRelation *relation);
static OverlayRelation *new_relation(Overlay *overlay, const char *nspname,
									 const char *relname, char relkind);

/*
 * See overlay.h.
 */
Overlay *
overlay_create(void)
{
	MemoryContext context;
	Overlay    *overlay;
	HASHCTL		control;

	context = AllocSetContextCreate(CurrentMemoryContext,
									"safe_migrate overlay",
									ALLOCSET_DEFAULT_SIZES);
	overlay = MemoryContextAllocZero(context, sizeof(Overlay));
	overlay->context = context;

	control.hcxt = context;
	control.keysize = sizeof(ObjectKey);
	control.entrysize = sizeof(ObjectEntry);
	overlay->objects = hash_create("safe_migrate overlay objects", 64,
								   &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(RelidEntry);
	overlay->relids = hash_create("safe_migrate overlay relations", 64,
								  &control,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return overlay;
}

/*
 * See overlay.h.
 */
void
overlay_free(Overlay *overlay)
{
	MemoryContextDelete(overlay->context);
}

/* The object of that name that the overlay has an entry for, or NULL. */
void *
overlay_get(Overlay *overlay, OverlayKind kind, const char *nspname,
			const char *name)
{
	ObjectKey	key;
	ObjectEntry *entry;

	fill_key(&key, kind, nspname, name);
	entry = hash_search(overlay->objects, &key, HASH_FIND, NULL);
	return entry ? entry->object : NULL;
}

/* From now on the name is that of object; NULL: the overlay has no entry. */
void
overlay_put(Overlay *overlay, OverlayKind kind, const char *nspname,
			const char *name, void *object)
{
	ObjectKey	key;
	ObjectEntry *entry;

	fill_key(&key, kind, nspname, name);
	if (object == NULL)
	{
		(void) hash_search(overlay->objects, &key, HASH_REMOVE, NULL);
		return;
	}
	entry = hash_search(overlay->objects, &key, HASH_ENTER, NULL);
	entry->object = object;
}

static void
fill_key(ObjectKey *key, OverlayKind kind, const char *nspname,
		 const char *name)
{
	/* hashed as a whole, padding included */
	memset(key, 0, sizeof(ObjectKey));
	key->kind = kind;
	namestrcpy(&key->nspname, nspname);
	namestrcpy(&key->name, name);
}

/* Names of the objects in a schema that the overlay has entries for. */
List *
overlay_names_in_schema(Overlay *overlay, OverlayKind kind,
						const char *nspname)
{
	HASH_SEQ_STATUS status;
	ObjectEntry *entry;
	List	   *names = NIL;

	hash_seq_init(&status, overlay->objects);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->key.kind == kind &&
			strcmp(NameStr(entry->key.nspname), nspname) == 0)
			names = lappend(names, pstrdup(NameStr(entry->key.name)));
	return names;
}

/*
 * Names of the schemas in which a name without a schema is looked for, in
 * order, those that PostgreSQL looks at without being told included.  Unlike
 * fetch_search_path() it has the schemas that the script made.
 */
List *
overlay_search_path(Overlay *overlay)
{
	char	   *setting = pstrdup(namespace_search_path);
	List	   *names;
	List	   *result = NIL;
	bool		has_temp = false;
	bool		has_catalog = false;
	ListCell   *cell;

	if (!SplitIdentifierString(setting, ',', &names))
		names = NIL;			/* the check hook has seen to it */
	foreach(cell, names)
	{
		char	   *name = lfirst(cell);

		if (strcmp(name, "$user") == 0)
			name = GetUserNameFromId(GetUserId(), true);
		if (name == NULL)
			continue;
		if (strcmp(name, TEMP_SCHEMA) == 0)
			has_temp = true;
		else if (strcmp(name, "pg_catalog") == 0)
			has_catalog = true;
		else if (!overlay_may_use_schema(overlay, name))
			continue;
		result = lappend(result, name);
	}
	if (!has_catalog)
		result = lcons(pstrdup("pg_catalog"), result);
	if (!has_temp)
		result = lcons(pstrdup(TEMP_SCHEMA), result);
	return result;
}

/*
 * See overlay.h.  The first schema that is named in search_path and exists, as
 * RangeVarGetCreationNamespace() has it.
 */
const char *
overlay_creation_schema(Overlay *overlay, const RangeVar *name)
{
	char	   *setting;
	List	   *names;
	ListCell   *cell;

	if (name->relpersistence == RELPERSISTENCE_TEMP)
		return TEMP_SCHEMA;
	if (name->schemaname != NULL)
	{
		if (!overlay_has_schema(overlay, name->schemaname) &&
			strcmp(name->schemaname, TEMP_SCHEMA) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_SCHEMA),
					 errmsg("schema \"%s\" does not exist",
							name->schemaname)));
		return name->schemaname;
	}

	setting = pstrdup(namespace_search_path);
	if (!SplitIdentifierString(setting, ',', &names))
		names = NIL;
	foreach(cell, names)
	{
		char	   *nspname = lfirst(cell);

		if (strcmp(nspname, "$user") == 0)
			nspname = GetUserNameFromId(GetUserId(), true);
		if (nspname != NULL && (strcmp(nspname, TEMP_SCHEMA) == 0 ||
								overlay_may_use_schema(overlay, nspname)))
			return nspname;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_SCHEMA),
			 errmsg("no schema has been selected to create in")));
	return NULL;				/* keep compiler quiet */
}

/*
 * See overlay.h.  A dropped relation is what the name means only if there is
 * no other one further along the path.
 */
OverlayRelation *
overlay_find_relation(Overlay *overlay, const RangeVar *name)
{
	OverlayRelation *dropped = NULL;
	ListCell   *cell;

	if (name->schemaname != NULL)
		return relation_in_schema(overlay, name->schemaname, name->relname);
	foreach(cell, overlay_search_path(overlay))
	{
		OverlayRelation *relation = relation_in_schema(overlay, lfirst(cell),
													   name->relname);

		if (relation != NULL && !relation->dropped)
			return relation;
		if (dropped == NULL)
			dropped = relation;
	}
	return dropped;
}

/* The relation of the overlay, or one of the catalog taken into it. */
static OverlayRelation *
relation_in_schema(Overlay *overlay, const char *nspname, const char *relname)
{
	OverlayRelation *relation = overlay_get(overlay, OVERLAY_RELATION,
											nspname, relname);
	Oid			nspoid;
	Oid			relid;

	if (relation != NULL)
		return relation;
	nspoid = overlay_schema_oid(overlay, nspname);
	if (!OidIsValid(nspoid))
		return NULL;
	relid = get_relname_relid(relname, nspoid);
	if (!OidIsValid(relid))
		return NULL;
	relation = load_relation(overlay, relid);
	if (relation != NULL && overlay_schema_is_dropped(overlay, nspname))
		relation->dropped = true;
	return relation;
}

/* Take a relation of the catalog into the overlay, unchanged. */
static OverlayRelation *
load_relation(Overlay *overlay, Oid relid)
{
	OverlayRelation *relation = overlay_find_relid(overlay, relid);
	RelidEntry *entry;
	char	   *relname;

	if (relation != NULL)
		return relation;
	relname = get_rel_name(relid);
	if (relname == NULL)
		return NULL;
	relation = new_relation(overlay,
							overlay_schema_name(overlay,
												get_rel_namespace(relid)),
							relname, get_rel_relkind(relid));
	relation->relid = relid;
	overlay_put(overlay, OVERLAY_RELATION, relation->nspname,
				relation->relname, relation);
	entry = hash_search(overlay->relids, &relid, HASH_ENTER, NULL);
	entry->relation = relation;
	load_owner(overlay, relation);
	return relation;
}

/* An index or a serial column's sequence goes where its table goes. */
static void
load_owner(Overlay *overlay, OverlayRelation *relation)
{
	Oid			owner = InvalidOid;
	OverlayRelation *table;

	if (relation->relkind == RELKIND_INDEX ||
		relation->relkind == RELKIND_PARTITIONED_INDEX)
		owner = IndexGetRelation(relation->relid, true);
	else if (relation->relkind == RELKIND_SEQUENCE)
	{
		int32		column;

		if (!sequenceIsOwned(relation->relid, DEPENDENCY_AUTO, &owner,
							 &column) &&
			!sequenceIsOwned(relation->relid, DEPENDENCY_INTERNAL, &owner,
							 &column))
			owner = InvalidOid;
	}
	if (!OidIsValid(owner))
		return;
	table = load_relation(overlay, owner);
	if (table == NULL)
		return;
	overlay_own(table, relation);
	relation->dropped = table->dropped;
}

/*
 * Take the indexes and sequences of a catalog table into the overlay, because
 * they are to follow it.
 */
void
overlay_load_owned(Overlay *overlay, OverlayRelation *table)
{
	Relation	rel;
	List	   *relids;
	ListCell   *cell;

	if (!OidIsValid(table->relid) ||
		(table->relkind != RELKIND_RELATION &&
		 table->relkind != RELKIND_PARTITIONED_TABLE &&
		 table->relkind != RELKIND_MATVIEW))
		return;
	rel = try_relation_open(table->relid, AccessShareLock);
	if (rel == NULL)
		return;
	relids = list_concat(RelationGetIndexList(rel),
						 getOwnedSequences(table->relid));
	relation_close(rel, AccessShareLock);
	foreach(cell, relids)
		(void) load_relation(overlay, lfirst_oid(cell));
}

/* owned is an index or a sequence of table. */
void
overlay_own(OverlayRelation *table, OverlayRelation *owned)
{
	MemoryContext old_context;

	old_context = MemoryContextSwitchTo(GetMemoryChunkContext(table));
	if (owned->relkind != RELKIND_SEQUENCE)
		owned->index_of = makeRangeVar(pstrdup(table->nspname),
									   pstrdup(table->relname), -1);
	table->owned = lappend(table->owned, owned);
	MemoryContextSwitchTo(old_context);
}

/*
 * See overlay.h.
 */
OverlayRelation *
overlay_find_relid(Overlay *overlay, Oid relid)
{
	RelidEntry *entry = hash_search(overlay->relids, &relid, HASH_FIND, NULL);

	return entry ? entry->relation : NULL;
}

/*
 * See overlay.h.
 */
bool
overlay_has_relation(Overlay *overlay, const RangeVar *name)
{
	OverlayRelation *relation = overlay_find_relation(overlay, name);

	return relation != NULL && !relation->dropped;
}

/* The script makes a relation; what had the name before is forgotten. */
OverlayRelation *
overlay_make_relation(Overlay *overlay, const char *nspname,
					  const char *relname, char relkind)
{
	OverlayRelation *relation = new_relation(overlay, nspname, relname,
											 relkind);

	overlay_put(overlay, OVERLAY_RELATION, nspname, relname, relation);
	return relation;
}

static OverlayRelation *
new_relation(Overlay *overlay, const char *nspname, const char *relname,
			 char relkind)
{
	OverlayRelation *relation;

	relation = MemoryContextAllocZero(overlay->context,
									  sizeof(OverlayRelation));
	relation->nspname = MemoryContextStrdup(overlay->context, nspname);
	relation->relname = MemoryContextStrdup(overlay->context, relname);
	relation->relkind = relkind;
	return relation;
}

/* Another name or schema; the old name is left behind as a dropped one. */
void
overlay_move_relation(Overlay *overlay, OverlayRelation *relation,
					  const char *nspname, const char *relname)
{
	OverlayRelation *left = overlay_make_relation(overlay, relation->nspname,
												  relation->relname,
												  relation->relkind);
	ListCell   *cell;

	left->dropped = true;
	relation->nspname = MemoryContextStrdup(overlay->context, nspname);
	relation->relname = MemoryContextStrdup(overlay->context, relname);
	overlay_put(overlay, OVERLAY_RELATION, nspname, relname, relation);

	foreach(cell, relation->owned)
	{
		OverlayRelation *owned = lfirst(cell);

		if (owned->index_of != NULL)
		{
			owned->index_of->schemaname = relation->nspname;
			owned->index_of->relname = relation->relname;
		}
	}
}

/* With its indexes and sequences. */
void
overlay_drop_relation(OverlayRelation *relation)
{
	ListCell   *cell;

	relation->dropped = true;
	foreach(cell, relation->owned)
		((OverlayRelation *) lfirst(cell))->dropped = true;
}

/*
 * See overlay.h.
 */
void
overlay_hold_lock(Overlay *overlay, OverlayRelation *relation,
				  LOCKMODE lockmode)
{
	MemoryContext old_context;

	if (relation->held_lockmode == NoLock)
	{
		old_context = MemoryContextSwitchTo(overlay->context);
		overlay->locked = lappend(overlay->locked, relation);
		MemoryContextSwitchTo(old_context);
	}
	relation->held_lockmode = Max(relation->held_lockmode, lockmode);
}

/*
 * See overlay.h.
 */
void
overlay_release_locks(Overlay *overlay)
{
	ListCell   *cell;

	foreach(cell, overlay->locked)
		((OverlayRelation *) lfirst(cell))->held_lockmode = NoLock;
	list_free(overlay->locked);
	overlay->locked = NIL;
}

/*
 * See overlay.h.
 */
int
overlay_opaque_line(const Overlay *overlay, const char **command)
{
	*command = overlay->opaque_command;
	return overlay->opaque_line;
}
