/*-------------------------------------------------------------------------
 *
 * effects.c
 *	  The table of statements that have effects, and the facts about the
 *	  relations they touch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "commands/sequence.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/new_relations.h"
#include "effects/describe.h"
#include "effects/ledgers.h"
#include "effects/overlay.h"
#include "miscadmin.h"
#include "parser/parse_node.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/*
 * The tree that was locked last.  It stays locked while a statement is
 * described, since most ask for the same one several times.
 */
typedef struct KeptTree
{
	bool		is_on;			/* a statement is being described */
	Oid			relid;
	List	   *relids;
	int			users;			/* that have not let go of it */
} KeptTree;

static KeptTree kept_tree;

typedef struct Describer
{
	NodeTag		tag;
	DescribeFunction describe;
} Describer;

static void describe_create_schema(Node *statement, EffectContext *context);

static const Describer describers[] =
{
	{T_AlterTableStmt, describe_alter_table},
	{T_IndexStmt, describe_create_index},
	{T_CreateStmt, describe_create_table},
	{T_CreateForeignTableStmt, describe_create_table},
	{T_CreateSchemaStmt, describe_create_schema},
	{T_DropStmt, describe_drop},
	{T_RenameStmt, describe_rename},
	{T_TruncateStmt, describe_truncate},
	{T_AlterObjectSchemaStmt, describe_set_schema},
	{T_CreateTrigStmt, describe_create_trigger},
	{T_ReindexStmt, describe_reindex},
	{T_RefreshMatViewStmt, describe_refresh},
	{T_VacuumStmt, describe_vacuum},
	{COMPAT_CLUSTER_TAG, describe_cluster},
	{T_AlterDomainStmt, describe_alter_domain},
	{T_AlterEnumStmt, describe_alter_enum},
	{T_AlterTableMoveAllStmt, describe_move_all},
	{T_DropOwnedStmt, describe_drop_owned},
	{T_ReassignOwnedStmt, describe_reassign_owned},
	{T_AlterOwnerStmt, describe_alter_owner},
	{T_RuleStmt, describe_rule},
	{T_ViewStmt, describe_view},
	{T_CreatePolicyStmt, describe_create_policy},
	{T_AlterPolicyStmt, describe_alter_policy},
	{T_CreateStatsStmt, describe_create_statistics},
	{T_CommentStmt, describe_comment},
	{T_SecLabelStmt, describe_security_label},
	{T_AlterSeqStmt, describe_alter_sequence},
	{T_AlterObjectDependsStmt, describe_depends},
	{T_LockStmt, describe_lock},
	{T_CreatePublicationStmt, describe_create_publication},
	{T_AlterPublicationStmt, describe_alter_publication},
	{T_DropdbStmt, describe_drop_database},
	{T_DropRoleStmt, describe_drop_role},
	{T_DropTableSpaceStmt, describe_drop_tablespace},
	{T_DropSubscriptionStmt, describe_drop_subscription},
	{T_DoStmt, describe_opaque},
	{T_CallStmt, describe_opaque},
};

static const char *const work_names[] = {
	[WORK_NONE] = "none",
	[WORK_SCAN] = "scan",
	[WORK_FK_SCAN] = "fk_scan",
	[WORK_INDEX_BUILD] = "index_build",
	[WORK_INDEX_REBUILD] = "index_rebuild",
	[WORK_REWRITE] = "rewrite",
	[WORK_UNKNOWN] = "unknown",
};

static const char *const risk_names[] = {
	[RISK_NONE] = "none",
	[RISK_BREAKS_CLIENTS] = "breaks_clients",
	[RISK_LOSES_DATA] = "loses_data",
};

static DescribeFunction describer_of(Node *statement);
static void unlock_relations(List *relids);
static RelationFacts *relation_in_script(RangeVar *relation,
										 TargetPermission permission,
										 EffectContext *context);
static RelationFacts *overlay_facts(OverlayRelation *entry,
									EffectContext *context);
static void take_overlay(RelationFacts *facts, OverlayRelation *entry);
static bool is_ours(Relation rel);
static bool is_locked_below(Oid relid, LOCKMODE lockmode,
							const EffectContext *context);

const char *
work_name(EffectWork work)
{
	return work_names[work];
}

const char *
risk_name(EffectRisk risk)
{
	return risk_names[risk];
}

/*
 * See effects.h.
 */
bool
statement_has_effects(Node *statement)
{
	return statement != NULL && describer_of(statement) != NULL;
}

/*
 * See effects.h.
 */
List *
describe_effects(Node *statement, EffectContext *context)
{
	DescribeFunction describe = describer_of(statement);
	KeptTree	outer_tree = kept_tree;

	if (describe == NULL)
		return context->effects;
	memset(&kept_tree, 0, sizeof(kept_tree));
	kept_tree.is_on = true;
	PG_TRY();
	{
		describe(statement, context);
		unlock_relations(kept_tree.relids);
	}
	PG_FINALLY();
	{
		kept_tree = outer_tree;
	}
	PG_END_TRY();
	return context->effects;
}

static DescribeFunction
describer_of(Node *statement)
{
	for (int i = 0; i < lengthof(describers); i++)
		if (describers[i].tag == nodeTag(statement))
			return describers[i].describe;
	return NULL;
}

/* The parts of CREATE SCHEMA arrive as sub-commands, which are not judged. */
static void
describe_create_schema(Node *statement, EffectContext *context)
{
	List	   *made = NIL;
	ListCell   *cell;

	/* what the schema will have hides relations of that name elsewhere */
	foreach(cell, castNode(CreateSchemaStmt, statement)->schemaElts)
	{
		Node	   *element = lfirst(cell);

		if (IsA(element, CreateStmt))
			made = lappend(made, ((CreateStmt *) element)->relation->relname);
		else if (IsA(element, ViewStmt))
			made = lappend(made, ((ViewStmt *) element)->view->relname);
	}
	context->made = made;
	foreach(cell, castNode(CreateSchemaStmt, statement)->schemaElts)
		(void) describe_effects(lfirst(cell), context);
	context->made = NIL;
}

/*
 * The relation that a statement names, or NULL when PostgreSQL is to speak:
 * it does not exist, or the user may not do that to it.  When a script is
 * checked nothing will speak later, so a missing relation is an error there.
 */
RelationFacts *
target_relation(RangeVar *relation, TargetPermission permission,
				EffectContext *context)
{
	Oid			relid;

	if (relation == NULL || (relation->schemaname == NULL &&
							 name_is_listed(context->made, relation->relname)))
		return NULL;
	if (context->overlay != NULL)
		return relation_in_script(relation, permission, context);
	relid = RangeVarGetRelidExtended(relation, NoLock, RVR_MISSING_OK,
									 NULL, NULL);
	if (!OidIsValid(relid) || !relation_is_permitted(relid, permission))
		return NULL;
	return relation_facts(relid, context);
}

/* The same for a script that is checked: PostgreSQL's errors are raised. */
static RelationFacts *
relation_in_script(RangeVar *relation, TargetPermission permission,
				   EffectContext *context)
{
	OverlayRelation *entry = overlay_find_relation(context->overlay, relation);

	if (entry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist",
						NameListToString(name_of_relation(relation)))));
	if (entry->dropped)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" was dropped or renamed by an earlier statement of the script",
						NameListToString(name_of_relation(relation)))));
	if (OidIsValid(entry->relid) && !relation_is_permitted(entry->relid, permission))
		aclcheck_error(permission == PERMISSION_TRUNCATE ? ACLCHECK_NO_PRIV :
					   ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(entry->relkind), entry->relname);
	return overlay_facts(entry, context);
}

/*
 * Ownership and privilege as PostgreSQL checks it before it locks, so that
 * nobody learns by our message, or waits by our lock, where PostgreSQL would
 * have refused at once.
 */
bool
relation_is_permitted(Oid relid, TargetPermission permission)
{
	switch (permission)
	{
		case PERMISSION_ANYBODY:
			return true;
		case PERMISSION_OWNER:
			return compat_owns_relation(relid, GetUserId());
		case PERMISSION_DROP:
			return compat_owns_relation(relid, GetUserId()) ||
				compat_owns_namespace(get_rel_namespace(relid), GetUserId());
		case PERMISSION_TRUNCATE:
			return pg_class_aclcheck(relid, GetUserId(),
									 ACL_TRUNCATE) == ACLCHECK_OK;
		case PERMISSION_MAINTAIN:
			return compat_may_maintain(relid, GetUserId()) ||
				compat_owns_database(MyDatabaseId, GetUserId());
		case PERMISSION_LOCK:
			return pg_class_aclcheck(relid, GetUserId(),
									 ACL_SELECT | ACL_INSERT | ACL_UPDATE |
									 ACL_DELETE | ACL_TRUNCATE |
									 COMPAT_ACL_MAINTAIN) == ACLCHECK_OK;
	}
	return true;
}

/* Facts about a relation that the checked script made or changed. */
static RelationFacts *
overlay_facts(OverlayRelation *entry, EffectContext *context)
{
	RelationFacts *facts;
	ListCell   *cell;

	if (OidIsValid(entry->relid))
	{
		facts = relation_facts(entry->relid, context);
		if (facts != NULL && facts->overlay == NULL)
			take_overlay(facts, entry);
		return facts;
	}
	foreach(cell, context->relations)
	{
		facts = lfirst(cell);
		if (facts->overlay == entry)
			return facts;
	}
	facts = palloc0(sizeof(RelationFacts));
	facts->is_new = true;
	facts->relkind = entry->relkind;
	facts->measured = true;
	take_overlay(facts, entry);
	context->relations = lappend(context->relations, facts);
	return facts;
}

/* Name, size and lock as the earlier statements of the script leave them. */
static void
take_overlay(RelationFacts *facts, OverlayRelation *entry)
{
	facts->overlay = entry;
	facts->name = quote_qualified_identifier(entry->nspname, entry->relname);
	facts->held_lockmode = entry->held_lockmode;
	if (entry->emptied)
		facts->measured = true;
}

/*
 * What a checked script changed of a relation; NULL for nothing, or when a
 * statement is about to run.
 */
OverlayRelation *
overlay_of(Oid relid, const EffectContext *context)
{
	return context->overlay ? overlay_find_relid(context->overlay, relid) :
		NULL;
}

/*
 * Facts about a relation of the catalog, from the context if they have been
 * asked for before.  NULL when it is gone.  Sizes are read when needed, see
 * measure_relation().
 */
RelationFacts *
relation_facts(Oid relid, EffectContext *context)
{
	RelationFacts *facts;
	Relation	rel;
	ListCell   *cell;

	foreach(cell, context->relations)
	{
		facts = lfirst(cell);
		if (facts->relid == relid)
			return facts;
	}

	if (overlay_of(relid, context) != NULL &&
		overlay_of(relid, context)->dropped)
		return NULL;
	if (context->nowait && !ConditionalLockRelationOid(relid, AccessShareLock))
		return NULL;
	rel = try_relation_open(relid, context->nowait ? NoLock : AccessShareLock);
	if (rel == NULL)
	{
		if (context->nowait)
			UnlockRelationOid(relid, AccessShareLock);
		return NULL;
	}
	facts = palloc0(sizeof(RelationFacts));
	facts->relid = relid;
	facts->name = relation_display_name(relid);
	facts->relkind = rel->rd_rel->relkind;
	facts->is_new = rel->rd_createSubid != InvalidSubTransactionId ||
		relation_is_remembered(relid);
	facts->is_temp = RelationUsesLocalBuffers(rel);
	facts->is_protected = IsCatalogRelation(rel) || is_runner_ledger(rel) ||
		is_ours(rel);
	relation_close(rel, AccessShareLock);

	if (overlay_of(relid, context) != NULL)
		take_overlay(facts, overlay_of(relid, context));
	context->relations = lappend(context->relations, facts);
	return facts;
}

/* The namespace first: it is in the cache, the dependencies are not. */
static bool
is_ours(Relation rel)
{
	return RelationGetNamespace(rel) ==
		get_namespace_oid(MIGRATE_SCHEMA, true) &&
		extension_owns_relation(RelationGetRelid(rel));
}

/*
 * OIDs of a table and of all that inherit from it, with AccessShareLock on
 * each so that none goes away meanwhile; NIL if it is gone.  Let go of them by
 * unlock_tree(), and do not change the list.
 */
List *
lock_tree(Oid relid)
{
	Relation	rel;
	List	   *relids;
	List	   *parents;
	ListCell   *cell;
	ListCell   *count;

	if (kept_tree.relids != NIL && kept_tree.relid == relid)
	{
		kept_tree.users++;
		return kept_tree.relids;
	}
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return NIL;
	relids = find_all_inheritors(relid, AccessShareLock, &parents);
	relation_close(rel, NoLock);

	/* a child is locked once for each of its parents */
	forboth(cell, relids, count, parents)
		for (int i = 1; i < lfirst_int(count); i++)
		UnlockRelationOid(lfirst_oid(cell), AccessShareLock);

	/* only one is kept: there is not room for the locks of many */
	if (kept_tree.is_on && kept_tree.users == 0)
	{
		unlock_relations(kept_tree.relids);
		kept_tree.relid = relid;
		kept_tree.relids = relids;
		kept_tree.users = 1;
	}
	return relids;
}

/*
 * The same without waiting: *busy becomes a list of those that others have
 * locked, which are not in the result.
 */
List *
lock_free_tree(Oid relid, List **busy)
{
	List	   *free = NIL;
	ListCell   *cell;

	*busy = NIL;
	if (kept_tree.relids != NIL && kept_tree.relid == relid)
		return lock_tree(relid);
	foreach(cell, find_all_inheritors(relid, NoLock, NULL))
	{
		if (ConditionalLockRelationOid(lfirst_oid(cell), AccessShareLock))
			free = lappend_oid(free, lfirst_oid(cell));
		else
			*busy = lappend_oid(*busy, lfirst_oid(cell));
	}
	return free;
}

void
unlock_tree(List *relids)
{
	if (relids != NIL && relids == kept_tree.relids)
		kept_tree.users--;
	else
		unlock_relations(relids);
}

static void
unlock_relations(List *relids)
{
	ListCell   *cell;

	foreach(cell, relids)
		UnlockRelationOid(lfirst_oid(cell), AccessShareLock);
}

/*
 * Add an effect that is a lock and a catalog change; set_work() and
 * set_risk() add what makes it heavier.
 */
Effect *
add_effect(EffectContext *context, EffectCause cause,
		   RelationFacts *relation, LOCKMODE lockmode)
{
	Effect	   *effect = palloc0(sizeof(Effect));

	effect->cause = cause;
	effect->relation = relation;
	effect->lockmode = lockmode;
	effect->subcommand = -1;
	effect->location = -1;
	context->effects = lappend(context->effects, effect);
	if (relation != NULL)
		relation->lockmode = Max(relation->lockmode, lockmode);
	return effect;
}

/*
 * Add a lock, with "below" on all that inherits from the relation as well,
 * unless the effects so far have it.  Takes NULL for a relation that is gone.
 */
void
add_lock(EffectContext *context, RelationFacts *relation, LOCKMODE lockmode,
		 bool below)
{
	Effect	   *effect;

	if (relation == NULL ||
		(relation->lockmode >= lockmode &&
		 (!below || relation->lockmode_below >= lockmode)))
		return;
	effect = add_effect(context, CAUSE_METADATA, relation, lockmode);
	if (below)
		relation->lockmode_below = effect->lockmode_below = lockmode;
}

void
add_lock_on(EffectContext *context, Oid relid, LOCKMODE lockmode)
{
	if (OidIsValid(relid) && !is_locked_below(relid, lockmode, context))
		add_lock(context, relation_facts(relid, context), lockmode, false);
}

/* Whether an effect locks the whole tree that a relation is in. */
static bool
is_locked_below(Oid relid, LOCKMODE lockmode, const EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, context->relations)
	{
		const RelationFacts *facts = lfirst(cell);

		if (facts->lockmode_below >= lockmode && facts->relid != relid &&
			is_measured(facts, relid))
			return true;
	}
	return false;
}

/*
 * The tables that a command reaches which goes down from table to table, and
 * not below one for which stops() is true: a list of OIDs without relid
 * itself.
 */
List *
tables_reached(Oid relid, TreePredicate stops, void *arg)
{
	bool		one_parent = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	List	   *reached = NIL;
	List	   *level = list_make1_oid(relid);

	while (level != NIL)
	{
		List	   *next = NIL;
		ListCell   *cell;

		foreach(cell, level)
		{
			List	   *children = find_inheritance_children(lfirst_oid(cell),
															 NoLock);
			ListCell   *inner;

			reached = one_parent ? list_concat(reached, children) :
				list_concat_unique_oid(reached, children);
			foreach(inner, children)
			{
				if (!stops(lfirst_oid(inner), arg))
					next = lappend_oid(next, lfirst_oid(inner));
			}
		}
		level = next;
	}
	return reached;
}

/*
 * The tables that a command reaches which takes something from a table and,
 * with it, from those that have it from there alone: sources() tells from how
 * many parents a table has it, 0 if it has it of its own too.  *lost becomes
 * the list of those that lose it.  ATExecDropColumn() goes the same way.
 */
List *
tables_let_go(Oid relid, SourceCount sources, void *arg, List **lost)
{
	List	   *reached = NIL;
	List	   *visits = NIL;	/* a table as often as it was come by */
	List	   *level = list_make1_oid(relid);

	*lost = NIL;
	while (level != NIL)
	{
		List	   *next = NIL;
		ListCell   *cell;

		foreach(cell, level)
		{
			ListCell   *inner;

			foreach(inner, find_inheritance_children(lfirst_oid(cell), NoLock))
			{
				Oid			child = lfirst_oid(inner);
				int			count = 0;
				ListCell   *visit;

				reached = list_append_unique_oid(reached, child);
				visits = lappend_oid(visits, child);
				foreach(visit, visits)
					count += lfirst_oid(visit) == child;
				if (count != sources(child, arg))
					continue;
				*lost = lappend_oid(*lost, child);
				next = lappend_oid(next, child);
			}
		}
		level = next;
	}
	return reached;
}

/* The members of a tree, its root included, for which a predicate is true. */
List *
tables_that(Oid relid, TreePredicate predicate, void *arg)
{
	List	   *tree = lock_tree(relid);
	List	   *members = NIL;
	ListCell   *cell;

	foreach(cell, tree)
	{
		if (predicate(lfirst_oid(cell), arg))
			members = lappend_oid(members, lfirst_oid(cell));
	}
	unlock_tree(tree);
	return members;
}

/*
 * Say what work an effect does.  A scan reads the table, a rewrite writes the
 * table and all its indexes, an index is built from the table.
 */
void
set_work(Effect *effect, EffectWork work, const char *reason)
{
	effect->work = work;
	effect->reason = reason ? pstrdup(reason) : NULL;
	if (effect->relation == NULL || work == WORK_NONE)
		return;
	measure_relation(effect->relation);

	/* an index, or the storage of a table, is not made for its children */
	if (effect->relation->relkind == RELKIND_RELATION &&
		effect->lockmode_below == NoLock)
		effect->alone = true;
	if (!effect->alone)
		effect->spared_bytes = measured_bytes(effect->relation, effect->spared);
	effect->size_bytes = effect_table_bytes(effect);
	if (work == WORK_REWRITE)
		effect->size_bytes += measure_indexes(effect->relation);
}

void
set_risk(Effect *effect, EffectRisk risk)
{
	effect->risk = risk;
	if (effect->relation == NULL)
		return;
	measure_relation(effect->relation);
	if (effect->work == WORK_NONE)
		effect->size_bytes = effect_table_bytes(effect);
}

/*
 * See effects.h.
 */
uint64
effect_table_bytes(const Effect *effect)
{
	uint64		bytes = effect->alone ? effect->relation->own_bytes :
	effect->relation->table_bytes;

	return bytes - Min(bytes, effect->spared_bytes);
}

char *
quoted_name(const char *name)
{
	return name ? pstrdup(quote_identifier(name)) : NULL;
}

/*
 * For the analysis of an expression, so that PostgreSQL's own errors about it
 * have the position that they have without us.
 */
ParseState *
parse_state(const EffectContext *context)
{
	ParseState *pstate = make_parsestate(NULL);

	pstate->p_sourcetext = context->source_text;
	return pstate;
}
