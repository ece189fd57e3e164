/*-------------------------------------------------------------------------
 *
 * partition_plan.c
 *	  Safer sequences for partitions.
 *
 * Before a table becomes a partition, a CHECK proves that its rows belong
 * there, and another one that the default partition has none of them.  Both
 * are dropped afterwards.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parse_utilcmd.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "plan/partition_plan.h"
#include "plan/plan_names.h"
#include "plan/plan_text.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

static char *constraint_of_detached(Oid partition);
static bool add_attach_steps(SafePlan *plan, Relation parent, Oid partition,
							 AlterTableCmd *command, const char *attach);
static List *bound_condition(Relation parent, PartitionBoundSpec *bound);
static char *exclude_from_default(SafePlan *plan, Relation parent,
								  List *condition);
static char *prove(SafePlan *plan, Relation parent, Oid relid,
				   List *condition);
static bool add_missing_indexes(SafePlan *plan, Relation parent,
								Oid partition);
static bool add_missing_index(SafePlan *plan, Relation index, Oid partition,
							  List **taken);
static List *columns_of_relation(Relation rel);
static bool can_be_made_alike(CreateStmt *stmt, Relation parent);
static char *table_like(CreateStmt *stmt, const char *parent,
						const char *name, const char *options);
static void split_bound(CreateStmt *stmt, const char *source_text,
						char **bound, char **options);

/*
 * DETACH CONCURRENTLY, which PostgreSQL refuses beside a default partition.
 * It leaves a CHECK of the partition's bounds behind.
 */
SafePlan *
plan_detach(const RelationFacts *relation, AlterTableCmd *command,
			const char *prefix, const char *piece)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	int			offset;
	RangeVar   *name = ((PartitionCmd *) parse_piece(piece, &offset)->def)->name;
	Oid			partition = RangeVarGetRelid(name, NoLock, true);
	char	   *leftover;

	if (((PartitionCmd *) command->def)->concurrent ||
		!OidIsValid(partition) ||
		relation_has_default_partition(relation->relid))
		return NULL;
	plan->quick_steps = -1;
	leftover = constraint_of_detached(partition);
	add_step(plan, NULL, "%s %s CONCURRENTLY", prefix,
			 with_other_name(piece, name->location - offset,
							 relation_display_name(partition)));
	if (leftover != NULL)
		add_step(plan, NULL, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s",
				 relation_display_name(partition), quote_identifier(leftover));
	return plan;
}

/*
 * The name of that CHECK, as PostgreSQL will choose it: the first one that is
 * free now.  A constraint that gets the same name between this and DETACH, in
 * the moments until the step runs, would be taken for it; the steps are
 * statements, which cannot tell the two apart.  NULL if another constraint
 * makes it needless.
 */
static char *
constraint_of_detached(Oid partition)
{
	Relation	rel = try_relation_open(partition, AccessShareLock);
	RelationFacts facts = {0};
	List	   *condition;
	List	   *columns;
	char	   *name = NULL;

	if (rel == NULL)
		return NULL;
	condition = RelationGetPartitionQual(rel);
	if (condition != NIL)
	{
		condition = list_make1(make_ands_explicit(condition));
		columns = list_union(NIL, pull_var_clause((Node *) condition, 0));
		facts.relid = partition;
		if (!PartConstraintImpliedByRelConstraint(rel, condition))
			name = choose_constraint_name(names_of_table(&facts),
										  list_length(columns) != 1 ? NULL :
										  get_attname(partition,
													  linitial_node(Var, columns)->varattno,
													  true), "check");
	}
	relation_close(rel, AccessShareLock);
	return name;
}

/*
 * ATTACH PARTITION of a table of which PostgreSQL would read every row, or
 * build indexes on.
 */
SafePlan *
plan_attach(const RelationFacts *relation, AlterTableCmd *command,
			const char *prefix, const char *piece)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	int			offset;
	RangeVar   *name = ((PartitionCmd *) parse_piece(piece, &offset)->def)->name;
	Oid			partition = RangeVarGetRelid(name, NoLock, true);
	Relation	parent;
	bool		planned = false;

	if (!OidIsValid(partition) || is_changed_by_script(relation))
		return NULL;
	parent = relation_open(relation->relid, AccessShareLock);
	if (parent->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		planned = add_attach_steps(plan, parent, partition, command,
								   psprintf("%s %s", prefix,
											with_other_name(piece, name->location - offset,
															relation_display_name(partition))));
	relation_close(parent, AccessShareLock);
	plan->quick_steps = -1;
	return planned ? plan : NULL;
}

static bool
add_attach_steps(SafePlan *plan, Relation parent, Oid partition,
				 AlterTableCmd *command, const char *attach)
{
	PartitionBoundSpec *bound = ((PartitionCmd *) command->def)->bound;
	List	   *condition;
	char	   *drop_proof = NULL;
	char	   *drop_exclusion = NULL;

	/* a foreign key of the parent would have to be validated before, too */
	if (get_rel_relkind(partition) != RELKIND_RELATION ||
		RelationGetFKeyList(parent) != NIL || bound->is_default)
		return false;
	condition = bound_condition(parent, bound);
	if (condition != NIL)
	{
		List	   *all = list_concat_copy(condition,
										   RelationGetPartitionQual(parent));

		all = (List *) eval_const_expressions(NULL, (Node *) all);
		drop_proof = prove(plan, parent, partition, all);
		drop_exclusion = exclude_from_default(plan, parent, condition);
	}
	if (!add_missing_indexes(plan, parent, partition))
		return false;
	add_step(plan, NULL, "%s", attach);
	if (drop_proof != NULL)
		add_step(plan, NULL, "%s", drop_proof);
	if (drop_exclusion != NULL)
		add_step(plan, NULL, "%s", drop_exclusion);
	return true;
}

/* What rows of a partition with these bounds fulfil. */
static List *
bound_condition(Relation parent, PartitionBoundSpec *bound)
{
	ParseState *pstate = make_parsestate(NULL);

	/* transformation scribbles on its input */
	return get_qual_from_partbound(parent,
								   transformPartitionBound(pstate, parent,
														   copyObject(bound)));
}

/*
 * Prove that the default partition has no such rows.  Returns the step that
 * drops the proof; NULL if none is needed.
 */
static char *
exclude_from_default(SafePlan *plan, Relation parent, List *condition)
{
	PartitionDesc descriptor = RelationGetPartitionDesc(parent, true);
	Oid			default_oid = get_default_oid_from_partdesc(descriptor);

	if (!OidIsValid(default_oid) || condition == NIL)
		return NULL;
	return prove(plan, parent, default_oid,
				 get_proposed_default_constraint(condition));
}

/* The same for a condition, in terms of parent, that rows of a table fulfil. */
static char *
prove(SafePlan *plan, Relation parent, Oid relid, List *condition)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	char	   *table = relation_display_name(relid);
	RelationFacts facts = {0};
	char	   *drop = NULL;

	condition = list_make1(make_ands_explicit(condition));
	condition = map_partition_varattnos(condition, 1, rel, parent);
	if (!PartConstraintImpliedByRelConstraint(rel, condition))
	{
		const char *name;
		char	   *text;

		facts.relid = relid;
		name = quote_identifier(choose_constraint_name(names_of_table(&facts),
													   NULL, "bound_proof"));
		text = deparse_expression(linitial(condition),
								  deparse_context_for(RelationGetRelationName(rel),
													  relid), false, false);
		drop = psprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", table,
						name);
		add_step(plan, pstrdup(drop),
				 "ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s) NOT VALID", table,
				 name, text);
		add_step(plan, NULL, "ALTER TABLE %s VALIDATE CONSTRAINT %s", table,
				 name);
	}
	relation_close(rel, AccessShareLock);
	return drop;
}

/* ATTACH finds them and builds none. */
static bool
add_missing_indexes(SafePlan *plan, Relation parent, Oid partition)
{
	List	   *taken = NIL;
	ListCell   *cell;
	bool		possible = true;

	foreach(cell, RelationGetIndexList(parent))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		possible = possible && add_missing_index(plan, index, partition,
												 &taken);
		relation_close(index, AccessShareLock);
	}
	return possible;
}

static bool
add_missing_index(SafePlan *plan, Relation index, Oid partition, List **taken)
{
	WantedIndex *wanted = wanted_index_of(index);
	RelationFacts facts = {0};
	NameChoice *names;
	char	   *definition;
	IndexStmt  *stmt;
	char	   *name;
	Oid			existing;

	wanted->only_valid = true;
	existing = index_to_attach(partition, index->rd_index->indrelid, wanted);

	/* two that are alike would need two, of which one would be chosen here */
	if (list_member_oid(*taken, existing))
		return false;
	if (OidIsValid(existing))
	{
		*taken = lappend_oid(*taken, existing);
		return true;
	}

	/* a key would need its constraint, with the name PostgreSQL chooses */
	if (OidIsValid(get_index_constraint(RelationGetRelid(index))))
		return false;
	definition = pg_get_indexdef_string(RelationGetRelid(index));
	stmt = castNode(IndexStmt,
					linitial_node(RawStmt, pg_parse_query(definition))->stmt);
	facts.relid = partition;
	names = names_of_table(&facts);
	name = choose_index_name(names, name_of_columns(columns_of_relation(index)),
							 "idx", false);
	add_step(plan, psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
							quote_qualified_identifier(get_namespace_name(names->namespace_oid),
													   name)),
			 "CREATE %sINDEX CONCURRENTLY %s ON %s %s",
			 stmt->unique ? "UNIQUE " : "", quote_identifier(name),
			 relation_display_name(partition),
			 text_behind_name(definition, stmt->relation->location));
	return true;
}

/* The names of all columns, of an index those that its name is made of. */
static List *
columns_of_relation(Relation rel)
{
	List	   *columns = NIL;

	for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
		columns = lappend(columns,
						  makeString(NameStr(TupleDescAttr(RelationGetDescr(rel),
														   i)->attname)));
	return columns;
}

/*
 * CREATE TABLE ... PARTITION OF beside a default partition: a table alike,
 * attached when the default partition is known to have none of its rows.
 */
SafePlan *
plan_create_partition(CreateStmt *stmt, const char *source_text)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	RangeVar   *parent_name = linitial_node(RangeVar, stmt->inhRelations);
	Oid			parent_oid = RangeVarGetRelid(parent_name, NoLock, true);
	Relation	parent = OidIsValid(parent_oid) ?
	try_relation_open(parent_oid, AccessShareLock) : NULL;
	char	   *name;
	char	   *drop;
	char	   *bound;
	char	   *options;

	if (parent == NULL)
		return NULL;
	if (!can_be_made_alike(stmt, parent))
	{
		relation_close(parent, AccessShareLock);
		return NULL;
	}
	plan->quick_steps = -1;
	name = quote_qualified_identifier(get_namespace_name(RangeVarGetCreationNamespace(stmt->relation)),
									  stmt->relation->relname);
	split_bound(stmt, source_text, &bound, &options);
	drop = exclude_from_default(plan, parent,
								bound_condition(parent, stmt->partbound));
	add_step(plan, psprintf("DROP TABLE IF EXISTS %s", name), "%s",
			 table_like(stmt, relation_display_name(parent_oid), name, options));
	add_step(plan, NULL, "ALTER TABLE %s ATTACH PARTITION %s %s",
			 relation_display_name(parent_oid), name, bound);
	if (drop != NULL)
		add_step(plan, NULL, "%s", drop);
	relation_close(parent, AccessShareLock);
	return plan;
}

/*
 * LIKE takes neither the tablespace nor the access method of the parent, and
 * columns with options of their own have no place beside it.
 */
static bool
can_be_made_alike(CreateStmt *stmt, Relation parent)
{
	return parent->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		!OidIsValid(get_relname_relid(stmt->relation->relname,
									  RangeVarGetCreationNamespace(stmt->relation))) &&
		stmt->tableElts == NIL && stmt->constraints == NIL &&
		!stmt->partbound->is_default &&
		stmt->relation->relpersistence != RELPERSISTENCE_TEMP &&
		parent->rd_rel->relpersistence != RELPERSISTENCE_TEMP &&
		!OidIsValid(parent->rd_rel->reltablespace) &&
		!OidIsValid(parent->rd_rel->relam) &&
		stmt->oncommit == ONCOMMIT_NOOP;
}

static char *
table_like(CreateStmt *stmt, const char *parent, const char *name,
		   const char *options)
{
	return psprintf("CREATE %sTABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION)%s%s",
					stmt->relation->relpersistence == RELPERSISTENCE_UNLOGGED ?
					"UNLOGGED " : "", name, parent,
					options[0] == '\0' ? "" : " ", options);
}

/* FOR VALUES ..., and what stands behind it. */
static void
split_bound(CreateStmt *stmt, const char *source_text, char **bound,
			char **options)
{
	SqlTokens  *tokens = scan_sql(source_text);
	int			first = token_at(tokens, stmt->partbound->location);
	int			lists = stmt->partbound->strategy ==
	PARTITION_STRATEGY_RANGE ? 2 : 1;
	int			depth = 0;
	int			i = first;
	int			end;

	/* it may be the location of FOR or of what is behind VALUES */
	while (first > 0 && !token_is(tokens, first, "for"))
		first--;
	for (; i < tokens->count; i++)
	{
		if (tokens->tokens[i].code == '(')
			depth++;
		else if (tokens->tokens[i].code == ')' && --depth == 0 &&
				 --lists == 0)
			break;
	}
	end = i < tokens->count ? tokens->tokens[i].location + 1 :
		(int) strlen(source_text);
	*bound = statement_text(source_text, tokens->tokens[first].location, end);
	*options = statement_text(source_text, end, -1);
}
