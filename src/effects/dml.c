/*-------------------------------------------------------------------------
 *
 * dml.c
 *	  Effects of UPDATE, DELETE and MERGE, found in their plans.
 *
 * The plan is what runs, whether it was made now or is one of a prepared
 * statement or a function, and in it the planner has done all its
 * simplification.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "common/new_relations.h"
#include "effects/describe.h"
#include "effects/dml.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/rel.h"

/* Looks for columns of the target in an expression of a plan node. */
typedef struct MentionContext
{
	const Plan *plan;
	const Bitmapset *targets;	/* range table indexes */
} MentionContext;

static void describe_whole_table_change(PlannedStmt *pstmt, Plan *plan,
										EffectContext *context);
static Effect *add_dml_effect(PlannedStmt *pstmt, const ModifyTable *modify,
							  EffectCause cause, EffectContext *context);
static void measure_results(PlannedStmt *pstmt, const ModifyTable *modify,
							RelationFacts *facts);
static bool has_condition(const Plan *plan, const Bitmapset *targets);
static bool scan_has_condition(const Plan *plan, const Bitmapset *targets);
static bool any_has_condition(List *plans, const Bitmapset *targets);
static bool join_has_condition(const Plan *plan, const Bitmapset *targets);
static bool mentions_target(Node *expression, const Plan *plan,
							const Bitmapset *targets);
static bool mentions_target_walker(Node *node, MentionContext *context);
static bool variable_is_of_target(const Var *variable,
								  const MentionContext *context);
static const Plan *input_of(const Plan *plan, int varno);

/*
 * See dml.h.
 */
bool
query_changes_rows(const PlannedStmt *pstmt)
{
	return pstmt->commandType == CMD_UPDATE ||
		pstmt->commandType == CMD_DELETE || pstmt->commandType == CMD_MERGE ||
		pstmt->hasModifyingCTE;
}

/*
 * See dml.h.
 */
void
describe_whole_table_changes(PlannedStmt *pstmt, EffectContext *context)
{
	ListCell   *cell;

	describe_whole_table_change(pstmt, pstmt->planTree, context);
	foreach(cell, pstmt->subplans)
		describe_whole_table_change(pstmt, lfirst(cell), context);
}

static void
describe_whole_table_change(PlannedStmt *pstmt, Plan *plan,
							EffectContext *context)
{
	ModifyTable *modify = (ModifyTable *) plan;
	Bitmapset  *targets = NULL;
	Effect	   *effect;
	ListCell   *cell;

	if (plan == NULL || !IsA(plan, ModifyTable) ||
		(modify->operation != CMD_UPDATE && modify->operation != CMD_DELETE))
		return;
	foreach(cell, modify->resultRelations)
		targets = bms_add_member(targets, lfirst_int(cell));
	if (has_condition(outerPlan(plan), targets))
		return;
	effect = add_dml_effect(pstmt, modify,
							modify->operation == CMD_UPDATE ?
							CAUSE_UPDATE_ALL : CAUSE_DELETE_ALL, context);
	if (effect != NULL)
		effect->reason = modify->operation == CMD_UPDATE ?
			"changes every row of" : "removes every row of";
}

/*
 * See dml.h.
 */
void
describe_many_rows(PlannedStmt *pstmt, const ModifyTable *modify, int limit,
				   EffectContext *context)
{
	Effect	   *effect = add_dml_effect(pstmt, modify, CAUSE_ROW_LIMIT,
										context);

	if (effect == NULL)
		return;
	effect->object = modify->operation == CMD_UPDATE ? "UPDATE" :
		modify->operation == CMD_DELETE ? "DELETE" : "MERGE";
	effect->reason = psprintf("changes more than %d rows of", limit);
}

/*
 * About the table that the statement names.  NULL if it is gone, and for a
 * materialized view, in which REFRESH replaces what has changed.
 */
static Effect *
add_dml_effect(PlannedStmt *pstmt, const ModifyTable *modify,
			   EffectCause cause, EffectContext *context)
{
	RangeTblEntry *entry = rt_fetch(modify->nominalRelation, pstmt->rtable);
	RelationFacts *facts = relation_facts(entry->relid, context);
	Effect	   *effect;

	if (facts == NULL || facts->relkind == RELKIND_MATVIEW)
		return NULL;
	effect = add_effect(context, cause, facts, RowExclusiveLock);
	effect->alone = !entry->inh && facts->relkind == RELKIND_RELATION;
	effect->risk = RISK_LOSES_DATA;
	measure_results(pstmt, modify, facts);
	effect->size_bytes = effect_table_bytes(effect);
	return effect;
}

/*
 * Fill in the size of the tables that the plan changes, and no others: these
 * the statement has locked, while it would have to wait for a partition that
 * it leaves alone.  Of several such plans for a relation, the larger counts.
 */
static void
measure_results(PlannedStmt *pstmt, const ModifyTable *modify,
				RelationFacts *facts)
{
	uint64		bytes = 0;
	ListCell   *cell;

	foreach(cell, modify->resultRelations)
	{
		Oid			relid = rt_fetch(lfirst_int(cell), pstmt->rtable)->relid;
		Relation	rel;

		/* one that was pruned when execution began may not be locked */
		if (!ConditionalLockRelationOid(relid, AccessShareLock))
			continue;
		rel = try_relation_open(relid, NoLock);
		if (rel != NULL)
		{
			if (RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind))
			{
				uint64		size = (uint64) RelationGetNumberOfBlocks(rel) * BLCKSZ;

				bytes += size;
				if (relid == facts->relid)
					facts->own_bytes = size;

				/* a new parent does not make new what was put below it */
				if (rel->rd_createSubid == InvalidSubTransactionId &&
					!relation_is_remembered(relid))
					facts->is_new = false;
			}
			relation_close(rel, NoLock);
		}
		UnlockRelationOid(relid, AccessShareLock);
	}
	facts->table_bytes = Max(facts->table_bytes, bytes);
	facts->measured = true;
}

/*
 * Is there anything in a plan that decides which rows of the targets come out
 * of it?  A node that is not known is taken to do so.
 */
static bool
has_condition(const Plan *plan, const Bitmapset *targets)
{
	if (plan == NULL)
		return false;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_IndexScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
			return scan_has_condition(plan, targets);

			/* what is below a sub-select, or no table, is not the target */
		case T_SampleScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_TableFuncScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_WorkTableScan:
			return false;

			/* has no tuple IDs, so it is not the target either */
		case T_IndexOnlyScan:
			return bms_is_member(((const Scan *) plan)->scanrelid, targets);
		case T_Append:
			return any_has_condition(((const Append *) plan)->appendplans,
									 targets);
		case T_MergeAppend:
			return any_has_condition(((const MergeAppend *) plan)->mergeplans,
									 targets);
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			return join_has_condition(plan, targets);
		case T_Result:
			return ((const Result *) plan)->resconstantqual != NULL ||
				mentions_target((Node *) plan->qual, plan, targets) ||
				has_condition(outerPlan(plan), targets);
		case T_Material:
		case T_Memoize:
		case T_Sort:
		case T_IncrementalSort:
		case T_Hash:
		case T_Agg:
		case T_Group:
		case T_Unique:
		case T_ProjectSet:
		case T_LockRows:
		case T_Gather:
		case T_GatherMerge:
			return mentions_target((Node *) plan->qual, plan, targets) ||
				has_condition(outerPlan(plan), targets);
		default:
			return true;
	}
}

static bool
scan_has_condition(const Plan *plan, const Bitmapset *targets)
{
	if (!bms_is_member(((const Scan *) plan)->scanrelid, targets))
		return false;
	if (plan->qual != NIL)
		return true;
	/* a bitmap is made for a condition, and so is a list of tuple IDs */
	if (IsA(plan, IndexScan))
		return ((const IndexScan *) plan)->indexqual != NIL;
	return !IsA(plan, SeqScan);
}

static bool
any_has_condition(List *plans, const Bitmapset *targets)
{
	ListCell   *cell;

	foreach(cell, plans)
	{
		if (has_condition(lfirst(cell), targets))
			return true;
	}
	return false;
}

static bool
join_has_condition(const Plan *plan, const Bitmapset *targets)
{
	const Join *join = (const Join *) plan;
	List	   *clauses = NIL;
	ListCell   *cell;

	if (IsA(plan, MergeJoin))
		clauses = ((const MergeJoin *) plan)->mergeclauses;
	else if (IsA(plan, HashJoin))
		clauses = ((const HashJoin *) plan)->hashclauses;
	if (mentions_target((Node *) clauses, plan, targets) ||
		mentions_target((Node *) join->joinqual, plan, targets) ||
		mentions_target((Node *) plan->qual, plan, targets))
		return true;

	/* a column of the target goes into the condition of the inner scan */
	if (IsA(plan, NestLoop))
	{
		foreach(cell, ((const NestLoop *) plan)->nestParams)
		{
			if (mentions_target((Node *) lfirst_node(NestLoopParam,
													 cell)->paramval,
								plan, targets))
				return true;
		}
	}
	return has_condition(outerPlan(plan), targets) ||
		has_condition(innerPlan(plan), targets);
}

static bool
mentions_target(Node *expression, const Plan *plan, const Bitmapset *targets)
{
	MentionContext context = {plan, targets};

	return mentions_target_walker(expression, &context);
}

static bool
mentions_target_walker(Node *node, MentionContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return variable_is_of_target((Var *) node, context);
	return expression_tree_walker(node, mentions_target_walker, context);
}

/* Above a scan, a variable is the number of a column of the plan below. */
static bool
variable_is_of_target(const Var *variable, const MentionContext *context)
{
	const Plan *input = input_of(context->plan, variable->varno);

	if (input == NULL)
		return bms_is_member(variable->varno, context->targets);
	if (variable->varattno < 1 ||
		variable->varattno > list_length(input->targetlist))
		return false;
	return mentions_target((Node *)
						   list_nth_node(TargetEntry, input->targetlist,
										 variable->varattno - 1)->expr,
						   input, context->targets);
}

/* The plan below that a variable refers to; NULL if it is of a table. */
static const Plan *
input_of(const Plan *plan, int varno)
{
	if (varno == INNER_VAR)
		return innerPlan(plan);
	if (varno != OUTER_VAR)
		return NULL;
	if (IsA(plan, Append))
		return linitial(((const Append *) plan)->appendplans);
	if (IsA(plan, MergeAppend))
		return linitial(((const MergeAppend *) plan)->mergeplans);
	return outerPlan(plan);
}
