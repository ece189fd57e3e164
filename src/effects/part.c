/*-------------------------------------------------------------------------
 *
 * part.c
 *	  Effects of statements about what belongs to a relation: triggers, rules,
 *	  policies, statistics, comments; and of views and sequences.
 *
 * None of them works for long, but each locks the relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "utils/lsyscache.h"

/* CREATE TRIGGER: writers wait, for a moment. */
void
describe_create_trigger(Node *statement, EffectContext *context)
{
	CreateTrigStmt *stmt = castNode(CreateTrigStmt, statement);
	RelationFacts *relation = target_relation(stmt->relation,
											  PERMISSION_ANYBODY, context);
	Effect	   *effect;

	if (relation == NULL)
		return;
	effect = add_effect(context, CAUSE_CREATE_TRIGGER, relation,
						ShareRowExclusiveLock);
	effect->object = quoted_name(stmt->trigname);

	/* a row trigger is made for each partition */
	if (stmt->row && relation->relkind == RELKIND_PARTITIONED_TABLE)
		effect->lockmode_below = ShareRowExclusiveLock;
}

/* CREATE RULE: before 16, ON SELECT may make an empty table a view. */
void
describe_rule(Node *statement, EffectContext *context)
{
	RuleStmt   *stmt = castNode(RuleStmt, statement);
	RelationFacts *relation = target_relation(stmt->relation,
											  PERMISSION_OWNER, context);
	Effect	   *effect;

	if (relation == NULL)
		return;
	effect = add_effect(context, CAUSE_METADATA, relation,
						AccessExclusiveLock);
	if (COMPAT_RULE_MAKES_VIEW && stmt->event == CMD_SELECT &&
		relation->relkind == RELKIND_RELATION)
		set_work(effect, WORK_SCAN, "it is seen to be empty");
}

void
describe_create_policy(Node *statement, EffectContext *context)
{
	add_lock(context,
			 target_relation(castNode(CreatePolicyStmt, statement)->table,
							 PERMISSION_OWNER, context),
			 AccessExclusiveLock, false);
}

void
describe_alter_policy(Node *statement, EffectContext *context)
{
	add_lock(context,
			 target_relation(castNode(AlterPolicyStmt, statement)->table,
							 PERMISSION_OWNER, context),
			 AccessExclusiveLock, false);
}

/* CREATE STATISTICS; the data are gathered by ANALYZE. */
void
describe_create_statistics(Node *statement, EffectContext *context)
{
	CreateStatsStmt *stmt = castNode(CreateStatsStmt, statement);
	ListCell   *cell;

	foreach(cell, stmt->relations)
	{
		if (IsA(lfirst(cell), RangeVar))
			add_lock(context, target_relation(lfirst(cell), PERMISSION_OWNER,
											  context),
					 ShareUpdateExclusiveLock, false);
	}
}

/* COMMENT ON and SECURITY LABEL ON a relation or column. */
static void
describe_note(ObjectType type, Node *object, EffectContext *context)
{
	List	   *name;

	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_COLUMN:
			break;
		default:				/* no relation is locked for the others */
			return;
	}
	name = castNode(List, object);
	if (type == OBJECT_COLUMN)
		name = list_truncate(list_copy(name), list_length(name) - 1);
	if (name != NIL)
		add_lock(context, target_relation(makeRangeVarFromNameList(name),
										  PERMISSION_OWNER, context),
				 ShareUpdateExclusiveLock, false);
}

void
describe_comment(Node *statement, EffectContext *context)
{
	CommentStmt *stmt = castNode(CommentStmt, statement);

	describe_note(stmt->objtype, stmt->object, context);
}

void
describe_security_label(Node *statement, EffectContext *context)
{
	SecLabelStmt *stmt = castNode(SecLabelStmt, statement);

	describe_note(stmt->objtype, stmt->object, context);
}

/* CREATE OR REPLACE VIEW: nobody reads it meanwhile. */
void
describe_view(Node *statement, EffectContext *context)
{
	ViewStmt   *stmt = castNode(ViewStmt, statement);

	if (!stmt->replace || stmt->view == NULL ||
		(context->overlay == NULL &&
		 !OidIsValid(RangeVarGetRelid(stmt->view, NoLock, true))) ||
		(context->overlay != NULL &&
		 !overlay_has_relation(context->overlay, stmt->view)))
		return;
	add_lock(context, target_relation(stmt->view, PERMISSION_OWNER, context),
			 AccessExclusiveLock, false);
}

/* DEPENDS ON EXTENSION of an index or materialized view, or of a trigger. */
void
describe_depends(Node *statement, EffectContext *context)
{
	AlterObjectDependsStmt *stmt = castNode(AlterObjectDependsStmt, statement);

	add_lock(context, target_relation(stmt->relation, PERMISSION_OWNER,
									  context),
			 stmt->objectType == OBJECT_TRIGGER ? AccessShareLock :
			 AccessExclusiveLock, false);
}

void
describe_alter_sequence(Node *statement, EffectContext *context)
{
	AlterSeqStmt *stmt = castNode(AlterSeqStmt, statement);

	if (stmt->missing_ok &&
		!OidIsValid(RangeVarGetRelid(stmt->sequence, NoLock, true)))
		return;
	add_lock(context, target_relation(stmt->sequence, PERMISSION_OWNER,
									  context),
			 ShareRowExclusiveLock, false);
}
