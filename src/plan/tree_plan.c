/*-------------------------------------------------------------------------
 *
 * tree_plan.c
 *	  Indexes and keys of a partitioned table, built part by part.
 *
 * First come the indexes of the partitioned tables, empty and invalid; then
 * those of the partitions, built CONCURRENTLY; and when all are there, each is
 * attached to that of its parent, which becomes valid with the last one.  A
 * partition that comes meanwhile gets its index by itself.
 *
 * Nothing is attached before all are built, because the data may not allow
 * one of them, and an attached index cannot be dropped by itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "nodes/nodeFuncs.h"
#include "partitioning/partdesc.h"
#include "plan/plan_names.h"
#include "plan/plan_text.h"
#include "plan/tree_plan.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* What is to be made for a partitioned table and all below it. */
typedef struct TreePlan
{
	SafePlan   *result;
	Oid			root;
	WantedIndex *wanted;
	bool		unique;
	Constraint *constraint;		/* NULL: an index alone */
	const char *definition;		/* of the index behind the table's name, or of
								 * the constraint behind its own */
	const char *key_options;	/* of the index of a key, behind its columns */
	const char *deferrable;		/* of a key */
	const char *columns;		/* joined for a name */
	List	   *used_names;
	SafePlan   *builds;			/* steps that come behind all of result */
	SafePlan   *attachments;	/* and behind those */
} TreePlan;

static bool plan_tree(TreePlan *plan, const RelationFacts *relation,
					  const char *name);
static bool plan_parts(TreePlan *plan, Oid parent, const char *index);
static bool plan_part(TreePlan *plan, Oid relid, const char *parent_index);
static bool tree_is_plannable(Oid root);
static char *index_name_of_part(TreePlan *plan, Oid relid);
static void add_parent_index(TreePlan *plan, Oid relid, const char *name);
static void add_leaf_index(TreePlan *plan, Oid relid, const char *name);
static List *partitions_of(Oid relid);
static char *qualified_index(Oid table, const char *name);
static bool names_more_than_columns(Node *node, void *relid);

/*
 * See tree_plan.h.
 */
SafePlan *
plan_partitioned_index(IndexStmt *stmt, const RelationFacts *relation,
					   const char *name, const char *source_text)
{
	TreePlan	plan = {0};
	Relation	rel;
	Oid			relid;

	/* ONLY: there is nothing to build */
	if (!stmt->relation->inh || is_changed_by_script(relation))
		return NULL;
	rel = try_relation_open(relation->relid, AccessShareLock);
	if (rel == NULL)
		return NULL;
	plan.wanted = wanted_index_of_statement(stmt, rel, source_text);
	relation_close(rel, AccessShareLock);
	relid = relation->relid;
	if (plan.wanted == NULL ||
		names_more_than_columns((Node *) stmt->indexParams, &relid) ||
		names_more_than_columns(stmt->whereClause, &relid))
		return NULL;
	plan.unique = stmt->unique;
	plan.definition = text_behind_name(source_text, stmt->relation->location);
	plan.columns = name_of_columns(index_column_names(stmt->indexParams,
													  stmt->indexIncludingParams));
	plan.result = palloc0(sizeof(SafePlan));
	plan.result->quick_steps = stmt->unique ? -1 : 0;
	return plan_tree(&plan, relation, name) ? plan.result : NULL;
}

/*
 * See tree_plan.h.
 */
bool
plan_partitioned_key(SafePlan *result, Constraint *constraint,
					 const RelationFacts *relation, const char *name,
					 const char *definition, const char *options,
					 const char *deferrable)
{
	TreePlan	plan = {0};
	Relation	rel;

	if (is_changed_by_script(relation))
		return false;
	rel = try_relation_open(relation->relid, AccessShareLock);
	if (rel == NULL)
		return false;
	plan.wanted = wanted_index_of_constraint(constraint, rel);
	relation_close(rel, AccessShareLock);
	if (plan.wanted == NULL)
		return false;
	plan.unique = true;
	plan.constraint = constraint;
	plan.definition = definition;
	plan.key_options = options;
	plan.deferrable = deferrable;
	plan.columns = constraint->contype == CONSTR_PRIMARY ? NULL :
		name_of_columns(list_concat_copy(constraint->keys,
										 constraint->including));
	plan.result = result;
	return plan_tree(&plan, relation, name);
}

static bool
plan_tree(TreePlan *plan, const RelationFacts *relation, const char *name)
{
	plan->root = relation->relid;
	plan->builds = palloc0(sizeof(SafePlan));
	plan->attachments = palloc0(sizeof(SafePlan));
	plan->used_names = list_make1(pstrdup(name));

	/* what is there must not be dropped when this fails */
	if (!tree_is_plannable(plan->root) ||
		OidIsValid(get_relname_relid(name, get_rel_namespace(plan->root))))
		return false;
	add_parent_index(plan, plan->root, name);
	if (!plan_parts(plan, plan->root, qualified_index(plan->root, name)))
		return false;
	plan->result->steps = list_concat(plan->result->steps,
									  plan->builds->steps);
	plan->result->steps = list_concat(plan->result->steps,
									  plan->attachments->steps);
	return true;
}

/* In the order in which PostgreSQL takes them, and so chooses names. */
static bool
plan_parts(TreePlan *plan, Oid parent, const char *index)
{
	ListCell   *cell;

	foreach(cell, partitions_of(parent))
	{
		if (!plan_part(plan, lfirst_oid(cell), index))
			return false;
	}
	return true;
}

static bool
plan_part(TreePlan *plan, Oid relid, const char *parent_index)
{
	Oid			existing = index_to_attach(relid, plan->root, plan->wanted);
	char	   *index;

	if (OidIsValid(existing))
	{
		/* its parent would be left invalid, too */
		if (!get_index_isvalid(existing))
			return false;
		index = relation_display_name(existing);
	}
	else
	{
		char	   *name = index_name_of_part(plan, relid);

		index = qualified_index(relid, name);
		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		{
			add_parent_index(plan, relid, name);
			if (!plan_parts(plan, relid, index))
				return false;
		}
		else
			add_leaf_index(plan, relid, name);
	}
	add_step(plan->attachments, NULL, "ALTER INDEX %s ATTACH PARTITION %s",
			 parent_index, index);
	return true;
}

/*
 * Foreign tables have no indexes, but PostgreSQL would count them when it
 * looks whether all parts are there.
 */
static bool
tree_is_plannable(Oid root)
{
	List	   *tree = find_all_inheritors(root, NoLock, NULL);
	ListCell   *cell;

	foreach(cell, tree)
	{
		char		relkind = get_rel_relkind(lfirst_oid(cell));

		if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
			return false;
		if (get_rel_persistence(lfirst_oid(cell)) == RELPERSISTENCE_TEMP)
			return false;
	}
	return true;
}

static char *
index_name_of_part(TreePlan *plan, Oid relid)
{
	RelationFacts facts = {0};
	NameChoice *names;
	char	   *name;

	facts.relid = relid;
	names = names_of_table(&facts);
	names->used = plan->used_names;
	name = choose_index_name(names, plan->columns,
							 plan->constraint == NULL ? "idx" :
							 plan->columns == NULL ? "pkey" : "key",
							 plan->constraint != NULL);
	plan->used_names = names->used;
	return name;
}

static void
add_parent_index(TreePlan *plan, Oid relid, const char *name)
{
	char	   *table = relation_display_name(relid);
	const char *quoted = quote_identifier(name);

	if (plan->constraint != NULL)
		add_step(plan->result,
				 psprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", table,
						  quoted),
				 "ALTER TABLE ONLY %s ADD CONSTRAINT %s %s", table, quoted,
				 plan->definition);
	else
		add_step(plan->result,
				 psprintf("DROP INDEX IF EXISTS %s", qualified_index(relid, name)),
				 "CREATE %sINDEX %s ON ONLY %s %s", plan->unique ? "UNIQUE " : "",
				 quoted, table, plan->definition);
}

static void
add_leaf_index(TreePlan *plan, Oid relid, const char *name)
{
	char	   *table = relation_display_name(relid);
	const char *quoted = quote_identifier(name);
	char	   *drop = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
								qualified_index(relid, name));

	if (plan->constraint == NULL)
	{
		add_step(plan->builds, drop, "CREATE %sINDEX CONCURRENTLY %s ON %s %s",
				 plan->unique ? "UNIQUE " : "", quoted, table,
				 plan->definition);
		return;
	}
	add_step(plan->builds, drop,
			 "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s)%s", quoted, table,
			 column_list(plan->constraint->keys), plan->key_options);
	add_step(plan->attachments, NULL,
			 "ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s%s", table,
			 quoted, plan->columns == NULL ? "PRIMARY KEY" : "UNIQUE", quoted,
			 plan->deferrable);
}

static List *
partitions_of(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	List	   *oids = NIL;
	PartitionDesc descriptor;

	if (rel == NULL)
		return NIL;
	descriptor = RelationGetPartitionDesc(rel, true);
	for (int i = 0; i < descriptor->nparts; i++)
		oids = lappend_oid(oids, descriptor->oids[i]);
	relation_close(rel, AccessShareLock);
	return oids;
}

static char *
qualified_index(Oid table, const char *name)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
									  name);
}

/* True for what cannot be said of a partition in the same words. */
static bool
names_more_than_columns(Node *node, void *relid)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		List	   *fields = ((ColumnRef *) node)->fields;

		return list_length(fields) > 1 || !IsA(linitial(fields), String) ||
			get_attnum(*(Oid *) relid, strVal(linitial(fields))) <= 0;
	}
	return raw_expression_tree_walker(node, names_more_than_columns, relid);
}
