/*-------------------------------------------------------------------------
 *
 * new_relations.c
 *	  Relations that the deploy which is running has made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "common/new_relations.h"
#include "common/object_watch.h"
#include "utils/hsearch.h"

/* Big enough to begin with; it grows. */
#define INITIAL_RELATIONS	64

static HTAB *relations = NULL;	/* of Oid; NULL while no deploy runs */

static void remember_relation(ObjectAccessType access, Oid classid, Oid objid,
							  int32 subid, bool is_internal, void *arg);

static ObjectWatch watch = {NULL, remember_relation, NULL};

/*
 * See new_relations.h.
 */
void
begin_new_relations(void)
{
	HASHCTL		control = {0};

	if (relations != NULL)
		return;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Oid);
	relations = hash_create("safe_migrate new relations", INITIAL_RELATIONS,
							&control, HASH_ELEM | HASH_BLOBS);
	begin_object_watch(&watch);
}

/*
 * See new_relations.h.
 */
void
end_new_relations(void)
{
	end_object_watch(&watch);
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
remember_relation(ObjectAccessType access, Oid classid, Oid objid,
				  int32 subid, bool is_internal, void *arg)
{
	if (access == OAT_POST_CREATE && classid == RelationRelationId &&
		subid == 0)
		(void) hash_search(relations, &objid, HASH_ENTER, NULL);
}
