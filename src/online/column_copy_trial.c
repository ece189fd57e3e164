/*-------------------------------------------------------------------------
 *
 * column_copy_trial.c
 *	  Does what a definition says make sense with the new type?
 *
 * PostgreSQL is asked, in a subtransaction in which the column has that type.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "common/subtransaction.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "online/column_copy_internal.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parse_utilcmd.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* What is tried. */
typedef struct Trial
{
	ColumnCopier *copier;
	const char *text;
	Oid			relid;			/* whose columns a condition names */
	Node	   *condition;		/* not analyzed */
	bool		is_of_trigger;
} Trial;

static bool is_refused(ColumnCopier *copier, ErrorData *error,
					   const char *object);
static bool check_index(void *arg);
static void give_new_type(ColumnCopier *copier);
static void check_key(ColumnCopier *copier, IndexStmt *stmt,
					  IndexElem *element);
static void check_immutable(IndexStmt *stmt, Node *expression);
static bool check_condition(void *arg);
static void add_relation(ParseState *pstate, Relation rel, const char *alias,
						 bool is_of_trigger);
static bool check_default(void *arg);

/*
 * True if CREATE INDEX would take a definition, of which object is the name;
 * otherwise it is refused.
 */
bool
try_index(ColumnCopier *copier, const char *definition, const char *object)
{
	Trial		trial = {copier, definition};

	return !is_refused(copier, run_in_subtransaction(check_index, &trial),
					   object);
}

/*
 * What PostgreSQL says of a definition that makes no sense becomes a refusal,
 * all else is thrown again.
 */
static bool
is_refused(ColumnCopier *copier, ErrorData *error, const char *object)
{
	int			category;

	if (error == NULL)
		return false;
	category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
	if (category != ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED))
		ReThrowError(error);
	refuse_copy(copier,
				psprintf("%s does not go with type %s (%s): drop it first, and make it again after the contract",
						 object, format_type_with_typemod(copier->new_type,
														  copier->new_typmod),
						 error->message));
	return true;
}

static bool
check_index(void *arg)
{
	const Trial *trial = arg;
	ColumnCopier *copier = trial->copier;
	IndexStmt  *stmt = castNode(IndexStmt,
								linitial_node(RawStmt,
											  pg_parse_query(trial->text))->stmt);
	ListCell   *cell;

	give_new_type(copier);
	stmt = transformIndexStmt(RelationGetRelid(copier->rel), stmt,
							  trial->text);
	foreach(cell, stmt->indexParams)
		check_key(copier, stmt, lfirst_node(IndexElem, cell));
	check_immutable(stmt, stmt->whereClause);
	return false;
}

static void
give_new_type(ColumnCopier *copier)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopyAttNum(RelationGetRelid(copier->rel),
												 copier->attnum);
	HeapTuple	type_tuple = SearchSysCache1(TYPEOID,
											 ObjectIdGetDatum(copier->new_type));
	Form_pg_attribute attribute;
	Form_pg_type type;

	if (!HeapTupleIsValid(tuple) || !HeapTupleIsValid(type_tuple))
		elog(ERROR, "cache lookup failed for column %d of relation %u, or its type %u",
			 copier->attnum, RelationGetRelid(copier->rel), copier->new_type);
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	type = (Form_pg_type) GETSTRUCT(type_tuple);
	attribute->atttypid = copier->new_type;
	attribute->atttypmod = copier->new_typmod;
	attribute->attcollation = copier->new_collation;
	attribute->attlen = type->typlen;
	attribute->attbyval = type->typbyval;
	attribute->attalign = type->typalign;
	attribute->attstorage = type->typstorage;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	ReleaseSysCache(type_tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/* As ComputeIndexAttrs() does. */
static void
check_key(ColumnCopier *copier, IndexStmt *stmt, IndexElem *element)
{
	Oid			type;

	if (element->name != NULL)
		type = get_atttype(RelationGetRelid(copier->rel),
						   get_attnum(RelationGetRelid(copier->rel),
									  element->name));
	else
	{
		type = exprType(element->expr);
		check_immutable(stmt, element->expr);
	}
	if (element->collation != NIL && !type_is_collatable(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("collations are not supported by type %s",
						format_type_be(type))));
	(void) ResolveOpClass(element->opclass, type, stmt->accessMethod,
						  get_index_am_oid(stmt->accessMethod, false));
}

static void
check_immutable(IndexStmt *stmt, Node *expression)
{
	if (expression != NULL &&
		contain_mutable_functions((Node *) expression_planner((Expr *) expression)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("functions in an index must be immutable")));
}

/*
 * The same for a condition on the columns of a table, or on OLD and NEW of it.
 */
bool
try_condition(ColumnCopier *copier, Oid relid, Node *condition,
			  bool is_of_trigger, const char *object)
{
	Trial		trial = {copier, NULL, relid, condition, is_of_trigger};

	return !is_refused(copier, run_in_subtransaction(check_condition, &trial),
					   object);
}

static bool
check_condition(void *arg)
{
	const Trial *trial = arg;
	ParseState *pstate = make_parsestate(NULL);
	Relation	rel;

	give_new_type(trial->copier);
	rel = table_open(trial->relid, AccessShareLock);
	if (trial->is_of_trigger)
	{
		add_relation(pstate, rel, "old", true);
		add_relation(pstate, rel, "new", true);
	}
	else
		add_relation(pstate, rel, NULL, false);

	/* of all kinds of expressions this one allows the most */
	(void) transformWhereClause(pstate, copyObject(trial->condition),
								EXPR_KIND_POLICY, "condition");
	free_parsestate(pstate);
	table_close(rel, AccessShareLock);
	return false;
}

static void
add_relation(ParseState *pstate, Relation rel, const char *alias,
			 bool is_of_trigger)
{
	ParseNamespaceItem *item =
	addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
								  alias == NULL ? NULL :
								  makeAlias(alias, NIL), false, false);

	addNSItemToQuery(pstate, item, false, true, !is_of_trigger);
}

/* An expression that stands alone, not analyzed. */
Node *
parse_expression(const char *expression)
{
	List	   *parsed = pg_parse_query(psprintf("SELECT %s", expression));
	SelectStmt *stmt = castNode(SelectStmt,
								linitial_node(RawStmt, parsed)->stmt);

	return linitial_node(ResTarget, stmt->targetList)->val;
}

/*
 * The expression as it is, or cast explicitly if it takes that.  Refuses it,
 * and returns NULL, if it cannot be cast either.
 */
char *
try_default(ColumnCopier *copier, const char *expression)
{
	Trial		trial = {copier, expression};
	ErrorData  *error = run_in_subtransaction(check_default, &trial);

	if (error != NULL && error->sqlerrcode == ERRCODE_DATATYPE_MISMATCH)
	{
		trial.text = psprintf("CAST(%s AS %s)", expression,
							  format_type_with_typemod(copier->new_type,
													   copier->new_typmod));
		error = run_in_subtransaction(check_default, &trial);
	}
	if (is_refused(copier, error, psprintf("the default of column %s of table %s",
										   quote_identifier(copier->old_name),
										   copier->table)))
		return NULL;
	return pstrdup(trial.text);
}

static bool
check_default(void *arg)
{
	const Trial *trial = arg;
	ParseState *pstate = make_parsestate(NULL);

	(void) cookDefault(pstate, parse_expression(trial->text),
					   trial->copier->new_type, trial->copier->new_typmod,
					   trial->copier->new_name, '\0');
	free_parsestate(pstate);
	return false;
}
