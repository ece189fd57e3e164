/*-------------------------------------------------------------------------
 *
 * new_relations.c
 *	  Relations that the deploy which is running has made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "common/new_relations.h"
#include "utils/hsearch.h"

/* Big enough to begin with; it grows. */
#define INITIAL_RELATIONS	64

static HTAB *relations = NULL;	/* of Oid; NULL while no deploy runs */
static object_access_hook_type next_object_access = NULL;

static void remember_relation(ObjectAccessType access, Oid class_oid,
							  Oid object_oid, int sub_id, void *arg);

/*
 * See new_relations.h.  The hook stays when it is set, because others may be
 * chained to it by then.
 */
void
begin_new_relations(void)
{
	static bool hook_is_set = false;

	if (!hook_is_set)
	{
		next_object_access = object_access_hook;
		object_access_hook = remember_relation;
		hook_is_set = true;
	}
	if (relations == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(Oid);
		relations = hash_create("safe_migrate new relations",
								INITIAL_RELATIONS, &control,
								HASH_ELEM | HASH_BLOBS);
	}
}

/*
 * See new_relations.h.
 */
void
end_new_relations(void)
{
	hash_destroy(relations);
	relations = NULL;
}

/*
 * See new_relations.h.  That the transaction which made a relation may have
 * been rolled back does no harm: no other relation gets its OID so soon.
 */
bool
relation_is_remembered(Oid relid)
{
	return relations != NULL &&
		hash_search(relations, &relid, HASH_FIND, NULL) != NULL;
}

static void
remember_relation(ObjectAccessType access, Oid class_oid, Oid object_oid,
				  int sub_id, void *arg)
{
	if (next_object_access)
		next_object_access(access, class_oid, object_oid, sub_id, arg);

	if (relations != NULL && access == OAT_POST_CREATE &&
		class_oid == RelationRelationId && sub_id == 0)
		(void) hash_search(relations, &object_oid, HASH_ENTER, NULL);
}
