/*-------------------------------------------------------------------------
 *
 * publication.c
 *	  Effects of CREATE and ALTER PUBLICATION: a lock on each table, which
 *	  only other DDL and VACUUM wait for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_publication.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "utils/lsyscache.h"

static void lock_tables(List *objects, EffectContext *context);

void
describe_create_publication(Node *statement, EffectContext *context)
{
	lock_tables(castNode(CreatePublicationStmt, statement)->pubobjects,
				context);
}

/* The tables that it has already are locked to be removed, or compared. */
void
describe_alter_publication(Node *statement, EffectContext *context)
{
	AlterPublicationStmt *stmt = castNode(AlterPublicationStmt, statement);
	Publication *publication = NULL;
	ListCell   *cell;

	lock_tables(stmt->pubobjects, context);
	if (stmt->pubobjects == NIL || stmt->action != AP_SetObjects)
		return;
	publication = GetPublicationByName(stmt->pubname, true);
	if (publication == NULL)
		return;
	foreach(cell, compat_publication_relations(publication->oid))
		add_lock_on(context, lfirst_oid(cell), ShareUpdateExclusiveLock);
}

static void
lock_tables(List *objects, EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, objects)
	{
		PublicationObjSpec *object = lfirst_node(PublicationObjSpec, cell);
		RelationFacts *facts;

		if (object->pubtable == NULL || object->pubtable->relation == NULL)
			continue;
		facts = target_relation(object->pubtable->relation,
								PERMISSION_ANYBODY, context);

		/* the partitions belong to it anyway */
		if (facts != NULL)
			add_lock(context, facts, ShareUpdateExclusiveLock,
					 object->pubtable->relation->inh &&
					 facts->relkind != RELKIND_PARTITIONED_TABLE);
	}
}
