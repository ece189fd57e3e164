/*-------------------------------------------------------------------------
 *
 * index_match.c
 *	  Is there such an index in a partition already?
 *
 * An index of a partitioned table takes equal ones of the partitions as its
 * parts, and is built only where there is none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Who and where the session was before it became a table's owner. */
typedef struct OwnerContext
{
	Oid			user;
	int			context;
	int			nest_level;
} OwnerContext;

static void become_owner(Relation rel, OwnerContext *saved);
static void end_owner(const OwnerContext *saved);
static WantedIndex *make_wanted_index(IndexStmt *stmt, Relation rel);
static List *simplified_predicate(Node *predicate);
static bool add_wanted_column(WantedIndex *wanted, IndexElem *element,
							  Relation rel, int column, Oid access_method,
							  const char *access_method_name);
static void find_tables_with_index(Oid parent, Oid table,
								   const WantedIndex *wanted, List **found);
static bool has_wanted_index(Oid relid, Oid table, const WantedIndex *wanted);
static bool index_matches(Relation index, Relation rel, Oid table,
						  const WantedIndex *wanted);

/* An index that exists. */
WantedIndex *
wanted_index_of(Relation index)
{
	WantedIndex *wanted = palloc0(sizeof(WantedIndex));
	int			nkeys = index->rd_index->indnkeyatts;
	OwnerContext saved;

	become_owner(index, &saved);
	wanted->info = BuildIndexInfo(index);
	end_owner(&saved);
	memcpy(wanted->collations, index->rd_indcollation, nkeys * sizeof(Oid));
	memcpy(wanted->opfamilies, index->rd_opfamily, nkeys * sizeof(Oid));
	wanted->is_constraint =
		OidIsValid(get_relation_idx_constraint_oid(index->rd_index->indrelid,
												   RelationGetRelid(index)));
	return wanted;
}

/*
 * The index that CREATE INDEX would make; NULL if PostgreSQL will refuse it.
 * The caller holds a lock on rel.  Throws what the analysis of expressions
 * throws.
 *
 * Simplifying the expressions calls immutable functions in them: as the
 * table's owner, restricted, as DefineIndex() does it.
 */
WantedIndex *
wanted_index_of_statement(IndexStmt *stmt, Relation rel,
						  const char *source_text)
{
	WantedIndex *wanted;
	OwnerContext saved;

	if (!stmt->transformed)
		stmt = transformIndexStmt(RelationGetRelid(rel), copyObject(stmt),
								  source_text);
	become_owner(rel, &saved);
	wanted = make_wanted_index(stmt, rel);
	end_owner(&saved);
	return wanted;
}

/*
 * Expressions of an index are simplified by calling immutable functions in
 * them, which are those of the table's owner.  An error ends this as well.
 */
static void
become_owner(Relation rel, OwnerContext *saved)
{
	saved->nest_level = NewGUCNestLevel();
	GetUserIdAndSecContext(&saved->user, &saved->context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   saved->context | SECURITY_RESTRICTED_OPERATION);
	compat_restrict_search_path();
}

static void
end_owner(const OwnerContext *saved)
{
	AtEOXact_GUC(false, saved->nest_level);
	SetUserIdAndSecContext(saved->user, saved->context);
}

static WantedIndex *
make_wanted_index(IndexStmt *stmt, Relation rel)
{
	WantedIndex *wanted = palloc0(sizeof(WantedIndex));
	IndexInfo  *info = makeNode(IndexInfo);
	Oid			access_method = get_index_am_oid(stmt->accessMethod, true);
	ListCell   *cell;

	if (!OidIsValid(access_method) ||
		list_length(stmt->indexParams) + list_length(stmt->indexIncludingParams) >
		INDEX_MAX_KEYS)
		return NULL;
	wanted->info = info;
	wanted->is_constraint = stmt->isconstraint;
	info->ii_Unique = stmt->unique;
	info->ii_NullsNotDistinct = stmt->nulls_not_distinct;
	info->ii_Am = access_method;
	info->ii_Predicate = simplified_predicate(stmt->whereClause);
	info->ii_NumIndexKeyAttrs = list_length(stmt->indexParams);
	foreach(cell, list_concat_copy(stmt->indexParams,
								   stmt->indexIncludingParams))
	{
		if (!add_wanted_column(wanted, lfirst_node(IndexElem, cell), rel,
							   info->ii_NumIndexAttrs++, access_method,
							   stmt->accessMethod))
			return NULL;
	}
	return wanted;
}

/* As RelationGetIndexPredicate() makes it. */
static List *
simplified_predicate(Node *predicate)
{
	if (predicate == NULL)
		return NIL;
	predicate = eval_const_expressions(NULL, copyObject(predicate));
	return make_ands_implicit(canonicalize_qual((Expr *) predicate, false));
}

static bool
add_wanted_column(WantedIndex *wanted, IndexElem *element, Relation rel,
				  int column, Oid access_method,
				  const char *access_method_name)
{
	Oid			type;
	Oid			collation;

	if (element->name != NULL)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), element->name);
		Form_pg_attribute attribute;

		if (attnum <= 0)
			return false;
		attribute = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		wanted->info->ii_IndexAttrNumbers[column] = attnum;
		type = attribute->atttypid;
		collation = attribute->attcollation;
	}
	else
	{
		Node	   *expression = element->expr;

		while (expression != NULL && IsA(expression, CollateExpr))
			expression = (Node *) ((CollateExpr *) expression)->arg;
		if (expression == NULL)
			return false;
		type = exprType(element->expr);
		collation = exprCollation(element->expr);
		if (IsA(expression, Var) && ((Var *) expression)->varattno > 0)
			wanted->info->ii_IndexAttrNumbers[column] =
				((Var *) expression)->varattno;
		else
			wanted->info->ii_Expressions =
				lappend(wanted->info->ii_Expressions,
						eval_const_expressions(NULL, expression));
	}
	if (column >= wanted->info->ii_NumIndexKeyAttrs)
		return true;
	if (element->collation != NIL)
		collation = get_collation_oid(element->collation, true);
	wanted->collations[column] = collation;
	wanted->opfamilies[column] =
		get_opclass_family(ResolveOpClass(element->opclass, type,
										  access_method_name, access_method));
	return true;
}

/* The index behind ADD UNIQUE or PRIMARY KEY, with the columns it names. */
WantedIndex *
wanted_index_of_constraint(Constraint *constraint, Relation rel)
{
	IndexStmt  *stmt = makeNode(IndexStmt);
	ListCell   *cell;

	stmt->accessMethod = DEFAULT_INDEX_TYPE;
	stmt->unique = true;
	stmt->nulls_not_distinct = constraint->nulls_not_distinct;
	stmt->isconstraint = true;
	stmt->transformed = true;
	foreach(cell, constraint->keys)
	{
		IndexElem  *element = makeNode(IndexElem);

		element->name = strVal(lfirst(cell));
		stmt->indexParams = lappend(stmt->indexParams, element);
	}
	foreach(cell, constraint->including)
	{
		IndexElem  *element = makeNode(IndexElem);

		element->name = strVal(lfirst(cell));
		stmt->indexIncludingParams = lappend(stmt->indexIncludingParams,
											 element);
	}
	return wanted_index_of_statement(stmt, rel, NULL);
}

/*
 * OIDs of the tables below one, with all below them, where nothing has to be
 * built since they have such an index.  table is the one that the wanted index
 * is described for.
 */
List *
tables_with_index(Oid parent, Oid table, const WantedIndex *wanted)
{
	List	   *found = NIL;
	List	   *tree;

	if (wanted == NULL)
		return NIL;
	tree = lock_tree(parent);
	find_tables_with_index(parent, table, wanted, &found);
	unlock_tree(tree);
	return found;
}

static void
find_tables_with_index(Oid parent, Oid table, const WantedIndex *wanted,
					   List **found)
{
	ListCell   *cell;

	foreach(cell, find_inheritance_children(parent, NoLock))
	{
		Oid			child = lfirst_oid(cell);

		if (has_wanted_index(child, table, wanted))
			*found = list_concat(*found, find_all_inheritors(child, NoLock,
															 NULL));
		else
			find_tables_with_index(child, table, wanted, found);
	}
}

/* Only one that is not part of another index yet. */
static bool
has_wanted_index(Oid relid, Oid table, const WantedIndex *wanted)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		found = false;
	ListCell   *cell;

	if (rel == NULL)
		return false;
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index;

		if (found || get_rel_relispartition(lfirst_oid(cell)))
			continue;
		index = relation_open(lfirst_oid(cell), AccessShareLock);
		if (index_matches(index, rel, table, wanted))
		{
			found = true;
			if (wanted->used != NULL)
				*wanted->used = lappend_oid(*wanted->used, lfirst_oid(cell));
		}
		relation_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return found;
}

static bool
index_matches(Relation index, Relation rel, Oid table,
			  const WantedIndex *wanted)
{
	Relation	table_rel;
	OwnerContext saved;
	AttrMap    *map;
	bool		matches;

	if (wanted->is_constraint &&
		!OidIsValid(get_relation_idx_constraint_oid(RelationGetRelid(rel),
													RelationGetRelid(index))))
		return false;
	if (wanted->only_valid && !index->rd_index->indisvalid)
		return false;
	if (wanted->used != NULL &&
		list_member_oid(*wanted->used, RelationGetRelid(index)))
		return false;
	table_rel = try_relation_open(table, AccessShareLock);
	if (table_rel == NULL)
		return false;
	map = build_attrmap_by_name(RelationGetDescr(rel),
								RelationGetDescr(table_rel)
								COMPAT_ATTRMAP_MISSING_OK);
	become_owner(rel, &saved);
	matches = CompareIndexInfo(BuildIndexInfo(index), wanted->info,
							   index->rd_indcollation,
							   (Oid *) wanted->collations, index->rd_opfamily,
							   (Oid *) wanted->opfamilies, map);
	end_owner(&saved);
	free_attrmap(map);
	relation_close(table_rel, AccessShareLock);
	return matches;
}

/*
 * The same for a table that is to become a partition: NIL, the tables below it
 * that have the index, or all if it has it itself.
 */
List *
tables_with_index_in(Oid root, Oid table, WantedIndex *wanted)
{
	wanted->only_valid = true;
	if (has_wanted_index(root, table, wanted))
		return find_all_inheritors(root, NoLock, NULL);
	wanted->only_valid = false;
	return tables_with_index(root, table, wanted);
}

/*
 * OID of the index of relid that CREATE INDEX on its parent would take instead
 * of building one; InvalidOid if there is none.  table is the one that the
 * wanted index is described for.  Takes AccessShareLock for a moment.
 */
Oid
index_to_attach(Oid relid, Oid table, WantedIndex *wanted)
{
	List	   *used = NIL;
	bool		found;

	wanted->used = &used;
	found = has_wanted_index(relid, table, wanted);
	wanted->used = NULL;
	return found ? linitial_oid(used) : InvalidOid;
}
