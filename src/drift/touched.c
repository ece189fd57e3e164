/*-------------------------------------------------------------------------
 *
 * touched.c
 *	  Which objects may have changed since one has last asked.
 *
 * Three sources, none of which is enough by itself.  The object access hook
 * tells of what is made, altered and dropped, but not of GRANT, nor of new
 * values of an enum.  The relation cache is invalidated by each change of a
 * relation or of what belongs to it.  The caches of other classes tell of
 * each change, but only by the hash of the key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "common/object_watch.h"
#include "drift/touched.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/*
 * The caches that tell of what the hook does not.  There are places for few
 * such callbacks in the server.
 */
typedef struct WatchedCache
{
	int			cacheid;
	Oid			classid;
	bool		by_oid;			/* else all objects of the class may be
								 * concerned; of roles only a new name matters */
} WatchedCache;

static const WatchedCache watched_caches[] = {
	{AUTHOID, AuthIdRelationId, false},
	{DEFACLROLENSPOBJ, DefaultAclRelationId, false},
	{ENUMOID, TypeRelationId, false},
	{EVENTTRIGGEROID, EventTriggerRelationId, true},
	{FOREIGNDATAWRAPPEROID, ForeignDataWrapperRelationId, true},
	{FOREIGNSERVEROID, ForeignServerRelationId, true},
	{LANGOID, LanguageRelationId, true},
	{NAMESPACEOID, NamespaceRelationId, true},
	{OPEROID, OperatorRelationId, true},
	{PROCOID, ProcedureRelationId, true},
	{SEQRELID, RelationRelationId, true},
	{TYPEOID, TypeRelationId, true},
};

/* A message of such a cache. */
typedef struct CacheHit
{
	int			cache;			/* index into watched_caches */
	uint32		hash;
	bool		is_resolved;	/* its object is found; no part of the key */
} CacheHit;

#define HIT_KEY_SIZE offsetof(CacheHit, is_resolved)

/* A role, as it was called when we began. */
typedef struct KnownRole
{
	Oid			oid;
	NameData	name;
} KnownRole;

static bool is_on = false;
static MemoryContext context = NULL;
static HTAB *objects = NULL;	/* of TouchedObject */
static HTAB *hits = NULL;		/* of CacheHit */
static MemoryContext lasting = NULL;	/* until the end: */
static HTAB *answered = NULL;	/* of CacheHit, for objects of our own */
static List *classes = NIL;
static bool all_touched = false;
static HTAB *roles = NULL;		/* of KnownRole */
static ObjectWatch watch;

static void register_callbacks(void);
static void reset_touched(void);
static HTAB *make_set(MemoryContext parent, Size keysize, Size entrysize);
static bool visit_roles(bool (*visit) (Form_pg_authid role));
static bool remember_role(Form_pg_authid role);
static bool role_has_its_name(Form_pg_authid role);
static void note_object(ObjectAccessType access, Oid classid, Oid objid,
						int32 subid, bool is_internal, void *arg);
static void touch(Oid classid, Oid objid);
static void touch_constraint(Oid constraint);
static void note_relation(Datum arg, Oid relid);
static void note_hit(Datum arg, int cacheid, uint32 hash);
static void resolve_hits(Touched *touched, KnownObjects known);
static void resolve_by_oid(Touched *touched, int cache, KnownObjects known);
static bool resolve_hit(int cache, Oid objid, bool answers);
static void touch_if_hit(Oid objid, void *arg);
static bool has_open_hits(int cache, bool count_answered);
static void add_object(Touched *touched, const TouchedObject *object);
static bool is_made_along(Oid type);

/*
 * See touched.h.
 */
void
begin_touched(void)
{
	register_callbacks();
	end_touched();
	context = AllocSetContextCreate(TopMemoryContext,
									"safe_migrate touched objects",
									ALLOCSET_DEFAULT_SIZES);
	lasting = AllocSetContextCreate(TopMemoryContext,
									"safe_migrate answered cache entries",
									ALLOCSET_DEFAULT_SIZES);
	answered = make_set(lasting, HIT_KEY_SIZE, sizeof(CacheHit));
	roles = make_set(lasting, sizeof(Oid), sizeof(KnownRole));
	visit_roles(remember_role);
	reset_touched();
	watch.watcher = note_object;
	begin_object_watch(&watch);
	is_on = true;
}

/*
 * See touched.h.
 */
void
end_touched(void)
{
	if (!is_on)
		return;
	is_on = false;
	end_object_watch(&watch);
	MemoryContextDelete(context);
	MemoryContextDelete(lasting);
}

/* They stay for the life of the session. */
static void
register_callbacks(void)
{
	static bool done = false;

	if (done)
		return;
	CacheRegisterRelcacheCallback(note_relation, (Datum) 0);
	for (int i = 0; i < lengthof(watched_caches); i++)
		CacheRegisterSyscacheCallback(watched_caches[i].cacheid, note_hit,
									  Int32GetDatum(i));
	done = true;
}

static void
reset_touched(void)
{
	MemoryContextReset(context);
	objects = make_set(context, sizeof(TouchedObject), sizeof(TouchedObject));
	hits = make_set(context, HIT_KEY_SIZE, sizeof(CacheHit));
	classes = NIL;
	all_touched = false;
}

static HTAB *
make_set(MemoryContext parent, Size keysize, Size entrysize)
{
	HASHCTL		control = {0};

	control.hcxt = parent;
	control.keysize = keysize;
	control.entrysize = entrysize;
	return hash_create("safe_migrate touched", 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* False when visit has said so of one of them. */
static bool
visit_roles(bool (*visit) (Form_pg_authid role))
{
	Relation	rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	bool		result = true;
	HeapTuple	tuple;

	while (result && HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = visit((Form_pg_authid) GETSTRUCT(tuple));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static bool
remember_role(Form_pg_authid role)
{
	KnownRole  *known = hash_search(roles, &role->oid, HASH_ENTER, NULL);

	known->name = role->rolname;
	return true;
}

/* Nothing was about one that is new, and nothing is about one that is gone. */
static bool
role_has_its_name(Form_pg_authid role)
{
	KnownRole  *known = hash_search(roles, &role->oid, HASH_FIND, NULL);

	return known == NULL ||
		strcmp(NameStr(known->name), NameStr(role->rolname)) == 0;
}

/* Of parts of a table, the relation cache tells; not of what a part is. */
static void
note_object(ObjectAccessType access, Oid classid, Oid objid, int32 subid,
			bool is_internal, void *arg)
{
	switch (classid)
	{
		case AttrDefaultRelationId:
		case PolicyRelationId:
		case RewriteRelationId:
		case TriggerRelationId:
			break;
		case ConstraintRelationId:
			touch_constraint(objid);
			break;
		case IndexRelationId:
		case InheritsRelationId:
			touch(RelationRelationId, objid);
			break;
		case AccessMethodOperatorRelationId:
		case AccessMethodProcedureRelationId:
			touch(OperatorFamilyRelationId, InvalidOid);
			break;
		case DefaultAclRelationId:
			touch(DefaultAclRelationId, InvalidOid);
			break;
		case PublicationRelRelationId:
		case PublicationNamespaceRelationId:
			touch(PublicationRelationId, InvalidOid);
			break;
		case ExtensionRelationId:
			/* later on it may get members that were there, or lose some */
			if (access == OAT_POST_ALTER)
				all_touched = true;
			touch(classid, objid);
			break;
		default:
			touch(classid, objid);
	}
}

/* objid = InvalidOid: any of the class. */
static void
touch(Oid classid, Oid objid)
{
	TouchedObject object;

	if (!OidIsValid(objid))
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		classes = list_append_unique_oid(classes, classid);
		MemoryContextSwitchTo(old);
		return;
	}
	memset(&object, 0, sizeof(object));
	object.classid = classid;
	object.objid = objid;
	(void) hash_search(objects, &object, HASH_ENTER, NULL);
}

/* One that is being made is not visible yet, but what it belongs to is told. */
static void
touch_constraint(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (OidIsValid(form->conrelid))
		touch(RelationRelationId, form->conrelid);
	if (OidIsValid(form->contypid))
		touch(TypeRelationId, form->contypid);
	ReleaseSysCache(tuple);
}

/* relcache callback: no catalog access here. */
static void
note_relation(Datum arg, Oid relid)
{
	if (!is_on)
		return;
	if (!OidIsValid(relid))
		all_touched = true;
	else if (relid >= FirstNormalObjectId)
		touch(RelationRelationId, relid);
}

/* syscache callback: no catalog access here. */
static void
note_hit(Datum arg, int cacheid, uint32 hash)
{
	CacheHit	hit;

	if (!is_on)
		return;
	memset(&hit, 0, sizeof(hit));
	hit.cache = DatumGetInt32(arg);
	hit.hash = hash;
	if (hash == 0 && watched_caches[hit.cache].by_oid)
		all_touched = true;
	else
		((CacheHit *) hash_search(hits, &hit, HASH_ENTER, NULL))->is_resolved = false;
}

/*
 * See touched.h.
 */
Touched *
take_touched(KnownObjects known)
{
	Touched    *touched = palloc0(sizeof(Touched));
	List	   *found = NIL;
	HASH_SEQ_STATUS status;
	TouchedObject *object;
	ListCell   *cell;

	/* looking things up may touch more, for the next call */
	touched->all = all_touched;
	touched->classes = list_copy(classes);
	if (!touched->all)
		resolve_hits(touched, known);
	if (!touched->all)
	{
		hash_seq_init(&status, objects);
		while ((object = hash_seq_search(&status)) != NULL)
			found = lappend(found, memcpy(palloc(sizeof(*object)), object,
										  sizeof(*object)));
	}
	reset_touched();
	foreach(cell, found)
		add_object(touched, lfirst(cell));
	return touched;
}

/*
 * Whose entries were they?  Most often of objects that are touched anyway;
 * else of known ones that are at hand; else of others that are known; else of
 * some that another session has made.
 */
static void
resolve_hits(Touched *touched, KnownObjects known)
{
	bool		hit_caches[lengthof(watched_caches)] = {false};
	HASH_SEQ_STATUS status;
	CacheHit   *hit;

	hash_seq_init(&status, hits);
	while ((hit = hash_seq_search(&status)) != NULL)
		hit_caches[hit->cache] = true;
	for (int i = 0; i < lengthof(watched_caches); i++)
	{
		Oid			classid = watched_caches[i].classid;

		if (!hit_caches[i])
			continue;
		if (watched_caches[i].by_oid)
			resolve_by_oid(touched, i, known);
		else if (classid != AuthIdRelationId)
			touched->classes = list_append_unique_oid(touched->classes, classid);
		else if (!visit_roles(role_has_its_name))
		{
			visit_roles(remember_role);
			touched->all = true;
		}
	}
}

static void
resolve_by_oid(Touched *touched, int cache, KnownObjects known)
{
	Oid			classid = watched_caches[cache].classid;
	HASH_SEQ_STATUS status;
	TouchedObject *object;

	hash_seq_init(&status, objects);
	while ((object = hash_seq_search(&status)) != NULL)
	{
		if (object->classid == classid)
			(void) resolve_hit(cache, object->objid, true);
	}
	if (!has_open_hits(cache, true))
		return;
	known(classid, false, touch_if_hit, &cache);
	if (!has_open_hits(cache, false))
		return;
	known(classid, true, touch_if_hit, &cache);
	if (has_open_hits(cache, false))
		touched->classes = list_append_unique_oid(touched->classes, classid);
}

/* False if no message was about this object. */
static bool
resolve_hit(int cache, Oid objid, bool answers)
{
	CacheHit	key = {0};
	CacheHit   *hit;

	key.cache = cache;
	key.hash = GetSysCacheHashValue1(watched_caches[cache].cacheid,
									 ObjectIdGetDatum(objid));
	hit = hash_search(hits, &key, HASH_FIND, NULL);
	if (hit == NULL)
		return false;
	hit->is_resolved = true;
	if (answers)
		(void) hash_search(answered, &key, HASH_ENTER, NULL);
	return true;
}

static void
touch_if_hit(Oid objid, void *arg)
{
	int			cache = *(int *) arg;

	if (resolve_hit(cache, objid, false))
		touch(watched_caches[cache].classid, objid);
}

/* What we have sent ourselves comes back after the commit. */
static bool
has_open_hits(int cache, bool count_answered)
{
	HASH_SEQ_STATUS status;
	CacheHit   *hit;

	hash_seq_init(&status, hits);
	while ((hit = hash_seq_search(&status)) != NULL)
	{
		if (hit->cache != cache || hit->is_resolved ||
			(!count_answered &&
			 hash_search(answered, hit, HASH_FIND, NULL) != NULL))
			continue;
		hash_seq_term(&status);
		return true;
	}
	return false;
}

/* An index stands for its table. */
static void
add_object(Touched *touched, const TouchedObject *object)
{
	TouchedObject *copy = palloc(sizeof(*copy));
	char		relkind;

	*copy = *object;
	if (object->classid == RelationRelationId)
	{
		relkind = get_rel_relkind(object->objid);
		if (relkind == RELKIND_TOASTVALUE)
			return;
		if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
			copy->objid = IndexGetRelation(object->objid, true);
	}
	else if (object->classid == TypeRelationId &&
			 is_made_along(object->objid))
		return;
	touched->objects = lappend(touched->objects, copy);
}

/* The row type of a table, or the array that every type has. */
static bool
is_made_along(Oid type)
{
	Oid			relid = get_typ_typrelid(type);

	return OidIsValid(get_element_type(type)) ||
		(OidIsValid(relid) &&
		 get_rel_relkind(relid) != RELKIND_COMPOSITE_TYPE);
}
