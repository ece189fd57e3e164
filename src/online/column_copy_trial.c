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
#include "nodes/nodeFuncs.h"
#include "online/column_copy_internal.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
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
} Trial;

static bool check_index(void *arg);
static void give_new_type(ColumnCopier *copier);
static void check_key(ColumnCopier *copier, IndexStmt *stmt,
					  IndexElem *element);
static void check_immutable(ColumnCopier *copier, IndexStmt *stmt,
							Node *expression);
static bool check_default(void *arg);

/*
 * Throws what CREATE INDEX would throw.
 */
void
try_index(ColumnCopier *copier, const char *definition)
{
	Trial		trial = {copier, definition};
	ErrorData  *error = run_in_subtransaction(check_index, &trial);

	if (error != NULL)
		ReThrowError(error);
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
	check_immutable(copier, stmt, stmt->whereClause);
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
		check_immutable(copier, stmt, element->expr);
	}
	if (element->collation != NIL && !type_is_collatable(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("index %s has a collation, which type %s does not support: drop the index first",
						quote_identifier(stmt->idxname), format_type_be(type))));
	(void) ResolveOpClass(element->opclass, type, stmt->accessMethod,
						  get_index_am_oid(stmt->accessMethod, false));
}

static void
check_immutable(ColumnCopier *copier, IndexStmt *stmt, Node *expression)
{
	if (expression != NULL &&
		contain_mutable_functions((Node *) expression_planner((Expr *) expression)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("index %s is not immutable with type %s: drop the index first",
						quote_identifier(stmt->idxname),
						format_type_be(copier->new_type))));
}

/*
 * The expression as it is, or cast explicitly if it takes that.  Throws if it
 * cannot be cast either.
 */
char *
try_default(ColumnCopier *copier, const char *expression)
{
	Trial		trial = {copier, expression};
	char	   *type = format_type_with_typemod(copier->new_type,
												copier->new_typmod);
	ErrorData  *error = run_in_subtransaction(check_default, &trial);

	if (error != NULL && error->sqlerrcode == ERRCODE_DATATYPE_MISMATCH)
	{
		trial.text = psprintf("CAST(%s AS %s)", expression, type);
		error = run_in_subtransaction(check_default, &trial);
	}
	if (error != NULL)
		ReThrowError(error);
	return pstrdup(trial.text);
}

static bool
check_default(void *arg)
{
	const Trial *trial = arg;
	ParseState *pstate = make_parsestate(NULL);
	List	   *parsed = pg_parse_query(psprintf("SELECT %s", trial->text));
	SelectStmt *stmt = castNode(SelectStmt,
								linitial_node(RawStmt, parsed)->stmt);

	(void) cookDefault(pstate, linitial_node(ResTarget, stmt->targetList)->val,
					   trial->copier->new_type, trial->copier->new_typmod,
					   trial->copier->new_name, '\0');
	free_parsestate(pstate);
	return false;
}
