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
#include "nodes/pg_list.h"
#include "utils/memutils.h"

static bool remembering = false;
static List *relations = NIL;
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
	remembering = true;
}

/*
 * See new_relations.h.
 */
void
end_new_relations(void)
{
	remembering = false;
	list_free(relations);
	relations = NIL;
}

/*
 * See new_relations.h.  That the transaction which made a relation may have
 * been rolled back does no harm: no other relation gets its OID so soon.
 */
bool
relation_is_remembered(Oid relid)
{
	return relations != NIL && list_member_oid(relations, relid);
}

static void
remember_relation(ObjectAccessType access, Oid class_oid, Oid object_oid,
				  int sub_id, void *arg)
{
	if (next_object_access)
		next_object_access(access, class_oid, object_oid, sub_id, arg);

	if (remembering && access == OAT_POST_CREATE &&
		class_oid == RelationRelationId && sub_id == 0)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		relations = lappend_oid(relations, object_oid);
		MemoryContextSwitchTo(old);
	}
}
