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

#include "access/htup_details.h"
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
	Oid			classid;		/* InvalidOid: everything may be concerned */
	bool		by_oid;			/* else all objects of the class may be */
} WatchedCache;

static const WatchedCache watched_caches[] = {
	{AUTHOID, InvalidOid, false},
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
} CacheHit;

/* Which of the objects that are known gave a message. */
typedef struct KnownSearch
{
	HTAB	   *left;			/* of CacheHit */
	int			cache;			/* that is searched for now */
	List	   *found;			/* of CacheHit, among these */
} KnownSearch;

static bool is_on = false;
static MemoryContext context = NULL;
static HTAB *objects = NULL;	/* of TouchedObject */
static HTAB *hits = NULL;		/* of CacheHit */
static MemoryContext lasting = NULL;	/* until the end: */
static HTAB *answered = NULL;	/* of CacheHit, for objects of our own */
static List *classes = NIL;
static bool all_touched = false;
static ObjectWatch watch;

static void register_callbacks(void);
static void reset_touched(void);
static HTAB *make_set(MemoryContext parent, Size size);
static void note_object(ObjectAccessType access, Oid classid, Oid objid,
						int32 subid, bool is_internal, void *arg);
static void touch(Oid classid, Oid objid);
static void touch_constraint(Oid constraint);
static void note_relation(Datum arg, Oid relid);
static void note_hit(Datum arg, int cacheid, uint32 hash);
static void resolve_hits(Touched *touched, KnownObjects known);
static HTAB *hits_of_touched(void);
static CacheHit hit_of_object(int cache, Oid objid);
static void resolve_by_known(HTAB *left, KnownObjects known);
static void compare_known(Oid objid, void *arg);
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
	answered = make_set(lasting, sizeof(CacheHit));
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
	objects = make_set(context, sizeof(TouchedObject));
	hits = make_set(context, sizeof(CacheHit));
	classes = NIL;
	all_touched = false;
}

static HTAB *
make_set(MemoryContext parent, Size size)
{
	HASHCTL		control = {0};

	control.hcxt = parent;
	control.keysize = control.entrysize = size;
	return hash_create("safe_migrate touched", 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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
			/* it may have got members, or lost them */
			all_touched = true;
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
	if (!OidIsValid(watched_caches[hit.cache].classid) ||
		(hash == 0 && watched_caches[hit.cache].by_oid))
		all_touched = true;
	else
		(void) hash_search(hits, &hit, HASH_ENTER, NULL);
}

/*
 * See touched.h.
 */
Touched *
take_touched(KnownObjects known)
{
	Touched    *touched = palloc0(sizeof(Touched));
	HASH_SEQ_STATUS status;
	TouchedObject *object;

	/* looking things up may touch more, for the next call */
	touched->all = all_touched;
	touched->classes = list_copy(classes);
	if (!touched->all)
		resolve_hits(touched, known);
	hash_seq_init(&status, objects);
	while ((object = hash_seq_search(&status)) != NULL)
		touched->objects = lappend(touched->objects,
								   memcpy(palloc(sizeof(*object)), object,
										  sizeof(*object)));
	reset_touched();
	if (!touched->all)
	{
		List	   *found = touched->objects;
		ListCell   *cell;

		touched->objects = NIL;
		foreach(cell, found)
			add_object(touched, lfirst(cell));
	}
	return touched;
}

/*
 * Whose entry was it?  Most often of an object that is touched anyway; else
 * of one that is known; else of one that another session has made.
 */
static void
resolve_hits(Touched *touched, KnownObjects known)
{
	HTAB	   *ours = hits_of_touched();
	HTAB	   *left = make_set(CurrentMemoryContext, sizeof(CacheHit));
	HASH_SEQ_STATUS status;
	CacheHit   *hit;

	hash_seq_init(&status, hits);
	while ((hit = hash_seq_search(&status)) != NULL)
	{
		if (!watched_caches[hit->cache].by_oid)
			touched->classes = list_append_unique_oid(touched->classes,
													  watched_caches[hit->cache].classid);
		else if (hash_search(ours, hit, HASH_FIND, NULL) != NULL)
			(void) hash_search(answered, hit, HASH_ENTER, NULL);
		else
			(void) hash_search(left, hit, HASH_ENTER, NULL);
	}
	hash_destroy(ours);
	resolve_by_known(left, known);

	/* what we have sent ourselves comes back after the commit */
	hash_seq_init(&status, left);
	while ((hit = hash_seq_search(&status)) != NULL)
	{
		if (hash_search(answered, hit, HASH_FIND, NULL) == NULL)
			touched->classes = list_append_unique_oid(touched->classes,
													  watched_caches[hit->cache].classid);
	}
	hash_destroy(left);
}

/* The messages that the objects which are touched would give. */
static HTAB *
hits_of_touched(void)
{
	HTAB	   *result = make_set(CurrentMemoryContext, sizeof(CacheHit));
	HASH_SEQ_STATUS status;
	TouchedObject *object;

	hash_seq_init(&status, objects);
	while ((object = hash_seq_search(&status)) != NULL)
	{
		for (int i = 0; i < lengthof(watched_caches); i++)
		{
			CacheHit	hit;

			if (!watched_caches[i].by_oid ||
				watched_caches[i].classid != object->classid)
				continue;
			hit = hit_of_object(i, object->objid);
			(void) hash_search(result, &hit, HASH_ENTER, NULL);
		}
	}
	return result;
}

static CacheHit
hit_of_object(int cache, Oid objid)
{
	CacheHit	hit;

	memset(&hit, 0, sizeof(hit));
	hit.cache = cache;
	hit.hash = GetSysCacheHashValue1(watched_caches[cache].cacheid,
									 ObjectIdGetDatum(objid));
	return hit;
}

/* Of what is left, takes away what belongs to an object that is known. */
static void
resolve_by_known(HTAB *left, KnownObjects known)
{
	bool		has_left[lengthof(watched_caches)] = {false};
	KnownSearch search = {left};
	HASH_SEQ_STATUS status;
	CacheHit   *hit;
	ListCell   *cell;

	hash_seq_init(&status, left);
	while ((hit = hash_seq_search(&status)) != NULL)
		has_left[hit->cache] = true;
	for (search.cache = 0; search.cache < lengthof(watched_caches); search.cache++)
	{
		if (has_left[search.cache])
			known(watched_caches[search.cache].classid, compare_known, &search);
	}
	foreach(cell, search.found)
		(void) hash_search(left, lfirst(cell), HASH_REMOVE, NULL);
}

static void
compare_known(Oid objid, void *arg)
{
	KnownSearch *search = arg;
	CacheHit	hit = hit_of_object(search->cache, objid);
	CacheHit   *found = hash_search(search->left, &hit, HASH_FIND, NULL);

	if (found == NULL)
		return;
	touch(watched_caches[search->cache].classid, objid);
	search->found = lappend(search->found,
							memcpy(palloc(sizeof(hit)), &hit, sizeof(hit)));
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
