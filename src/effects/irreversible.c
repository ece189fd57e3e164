/*-------------------------------------------------------------------------
 *
 * irreversible.c
 *	  What a restore point does not bring back.
 *
 * That matters in migrations, before which a restore point is made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "common/migration_flag.h"
#include "effects/describe.h"
#include "effects/dml.h"
#include "nodes/parsenodes.h"

/*
 * See describe.h.
 */
void
add_irreversible(EffectContext *context, RelationFacts *relation,
				 char *what)
{
	Effect	   *effect;

	if (context->overlay == NULL && !migration_is_running())
		return;
	effect = add_effect(context, CAUSE_IRREVERSIBLE, relation, NoLock);
	effect->reason = what;
}

/* Roles belong to all databases, and a restore point to one. */
void
describe_drop_role(Node *statement, EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, castNode(DropRoleStmt, statement)->roles)
	{
		RoleSpec   *role = lfirst_node(RoleSpec, cell);

		if (role->roletype == ROLESPEC_CSTRING)
			add_irreversible(context, NULL,
							 psprintf("role %s", quoted_name(role->rolename)));
	}
}

void
describe_drop_tablespace(Node *statement, EffectContext *context)
{
	DropTableSpaceStmt *stmt = castNode(DropTableSpaceStmt, statement);

	add_irreversible(context, NULL,
					 psprintf("tablespace %s",
							  quoted_name(stmt->tablespacename)));
}

void
describe_drop_subscription(Node *statement, EffectContext *context)
{
	DropSubscriptionStmt *stmt = castNode(DropSubscriptionStmt, statement);

	add_irreversible(context, NULL,
					 psprintf("subscription %s", quoted_name(stmt->subname)));
}

/*
 * See dml.h.
 */
bool
query_writes(const PlannedStmt *pstmt)
{
	return pstmt->commandType == CMD_INSERT || query_changes_rows(pstmt);
}

/*
 * See dml.h.
 */
void
describe_foreign_changes(PlannedStmt *pstmt, EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, pstmt->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		RelationFacts *facts;

		if (entry->rtekind != RTE_RELATION ||
			entry->relkind != RELKIND_FOREIGN_TABLE ||
			entry->rellockmode < RowExclusiveLock)
			continue;
		facts = relation_facts(entry->relid, context);
		if (facts != NULL)
			add_irreversible(context, facts,
							 psprintf("rows of %s, which are on another server",
									  facts->name));
	}
}
