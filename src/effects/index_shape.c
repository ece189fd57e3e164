/*-------------------------------------------------------------------------
 *
 * index_shape.c
 *	  What an index is, apart from its name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "effects/describe.h"
#include "effects/index_shape.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_utilcmd.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

static IndexShape *shape_of_tuple(HeapTuple tuple, TupleDesc descriptor);
static Oid	access_method_of(Oid index);
static Node *stored_expression(HeapTuple tuple, TupleDesc descriptor,
							   int column);
static IndexShape *shape_of_statement(Oid relid, IndexStmt *stmt);
static void allocate_columns(IndexShape *shape, int nkeys, int ncolumns);
static bool add_key(IndexShape *shape, int position, Oid relid,
					const IndexElem *element, const char *method);
static int16 key_options(const IndexElem *element);
static bool keys_agree(const IndexShape *wanted, const IndexShape *other);
static bool options_agree(const IndexShape *wanted, const IndexShape *other);
static bool has_column(const IndexShape *shape, AttrNumber column);
static int	compare_shapes(const ListCell *a, const ListCell *b);
static bool predicate_is_not_null(const IndexShape *shape, int nkeys);

/*
 * See index_shape.h.
 */
List *
index_shapes(Oid relid)
{
	List	   *shapes = NIL;
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		IndexShape *shape = shape_of_tuple(tuple, RelationGetDescr(rel));

		if (shape != NULL)
			shapes = lappend(shapes, shape);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(shapes, compare_shapes);
	return shapes;
}

static int
compare_shapes(const ListCell *a, const ListCell *b)
{
	Oid			left = ((const IndexShape *) lfirst(a))->index;
	Oid			right = ((const IndexShape *) lfirst(b))->index;

	return left < right ? -1 : left > right;
}

/* NULL when the index is just being dropped. */
static IndexShape *
shape_of_tuple(HeapTuple tuple, TupleDesc descriptor)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
	IndexShape *shape = palloc0(sizeof(IndexShape));
	bool		isnull;
	oidvector  *classes;
	oidvector  *collations;
	int2vector *options;

	shape->index = form->indexrelid;
	shape->access_method = access_method_of(form->indexrelid);
	if (!OidIsValid(shape->access_method))
		return NULL;
	shape->is_unique = form->indisunique;
	shape->nulls_not_distinct = form->indnullsnotdistinct;
	shape->is_primary = form->indisprimary;
	shape->is_valid = form->indisvalid && form->indislive;
	shape->is_exclusion = form->indisexclusion;
	shape->is_needed = form->indisreplident ||
		OidIsValid(get_index_constraint(form->indexrelid));

	allocate_columns(shape, form->indnkeyatts, form->indnatts);
	classes = (oidvector *)
		DatumGetPointer(heap_getattr(tuple, Anum_pg_index_indclass,
									 descriptor, &isnull));
	collations = (oidvector *)
		DatumGetPointer(heap_getattr(tuple, Anum_pg_index_indcollation,
									 descriptor, &isnull));
	options = (int2vector *)
		DatumGetPointer(heap_getattr(tuple, Anum_pg_index_indoption,
									 descriptor, &isnull));
	for (int i = 0; i < shape->ncolumns; i++)
		shape->columns[i] = form->indkey.values[i];
	for (int i = 0; i < shape->nkeys; i++)
	{
		shape->families[i] = get_opclass_family(classes->values[i]);
		shape->collations[i] = collations->values[i];
		shape->options[i] = options->values[i];
	}
	shape->expressions = (List *) stored_expression(tuple, descriptor,
													Anum_pg_index_indexprs);
	shape->predicate =
		make_ands_implicit((Expr *)
						   stored_expression(tuple, descriptor,
											 Anum_pg_index_indpred));
	return shape;
}

static Oid
access_method_of(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Oid			access_method;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	access_method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	return access_method;
}

/*
 * Expressions and predicates are compared as they are stored: to simplify
 * them, as RelationGetIndexExpressions() and RelationGetIndexPredicate() do,
 * runs the IMMUTABLE functions in them, which belong to somebody else, with
 * the rights of whoever asks.
 */
static Node *
stored_expression(HeapTuple tuple, TupleDesc descriptor, int column)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, column, descriptor, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(datum));
}

static void
allocate_columns(IndexShape *shape, int nkeys, int ncolumns)
{
	shape->nkeys = nkeys;
	shape->ncolumns = ncolumns;
	shape->columns = palloc0(ncolumns * sizeof(AttrNumber));
	shape->families = palloc0(nkeys * sizeof(Oid));
	shape->collations = palloc0(nkeys * sizeof(Oid));
	shape->options = palloc0(nkeys * sizeof(int16));
}

/*
 * See index_shape.h.
 */
IndexShape *
shape_of_new_index(Oid relid, const IndexStmt *stmt, const char *source_text)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	IndexShape *shape;

	if (rel == NULL)
		return NULL;
	/* transformation scribbles on its input */
	shape = shape_of_statement(relid,
							   transformIndexStmt(relid,
												  copyObject(unconstify(IndexStmt *, stmt)),
												  source_text));
	relation_close(rel, AccessShareLock);
	return shape;
}

static IndexShape *
shape_of_statement(Oid relid, IndexStmt *stmt)
{
	IndexShape *shape = palloc0(sizeof(IndexShape));
	const char *method = stmt->accessMethod ? stmt->accessMethod :
	DEFAULT_INDEX_TYPE;
	int			position = 0;
	ListCell   *cell;

	shape->access_method = get_index_am_oid(method, true);
	if (!OidIsValid(shape->access_method))
		return NULL;
	shape->is_unique = stmt->unique || stmt->primary;
	shape->nulls_not_distinct = stmt->nulls_not_distinct;
	shape->is_primary = stmt->primary;
	shape->is_exclusion = stmt->excludeOpNames != NIL;
	shape->is_valid = true;
	allocate_columns(shape, list_length(stmt->indexParams),
					 list_length(stmt->indexParams) +
					 list_length(stmt->indexIncludingParams));
	foreach(cell, stmt->indexParams)
	{
		if (!add_key(shape, position++, relid, lfirst_node(IndexElem, cell),
					 method))
			return NULL;
	}
	foreach(cell, stmt->indexIncludingParams)
	{
		const char *name = lfirst_node(IndexElem, cell)->name;

		if (name != NULL)
			shape->columns[position] = get_attnum(relid, name);
		if (shape->columns[position++] == InvalidAttrNumber)
			return NULL;
	}
	shape->predicate = make_ands_implicit((Expr *) stmt->whereClause);
	return shape;
}

/*
 * As ComputeIndexAttrs() does, so that what is written equals what would be
 * stored.  False for a column that is not there.
 */
static bool
add_key(IndexShape *shape, int position, Oid relid, const IndexElem *element,
		const char *method)
{
	Node	   *expression = element->expr;
	Oid			type;
	int32		typmod;
	Oid			opclass;

	if (element->name != NULL)
	{
		shape->columns[position] = get_attnum(relid, element->name);
		if (shape->columns[position] <= 0)
			return false;
		get_atttypetypmodcoll(relid, shape->columns[position], &type, &typmod,
							  &shape->collations[position]);
	}
	else
	{
		type = exprType(expression);
		shape->collations[position] = exprCollation(expression);
		while (IsA(expression, CollateExpr))
			expression = (Node *) ((CollateExpr *) expression)->arg;
		if (IsA(expression, Var) && ((Var *) expression)->varattno > 0)
			shape->columns[position] = ((Var *) expression)->varattno;
		else
			shape->expressions = lappend(shape->expressions, expression);
	}
	if (element->collation != NIL)
		shape->collations[position] = get_collation_oid(element->collation,
														false);
	opclass = ResolveOpClass(element->opclass, type, method,
							 shape->access_method);
	shape->families[position] = get_opclass_family(opclass);
	shape->options[position] = key_options(element);
	return true;
}

static int16
key_options(const IndexElem *element)
{
	int16		options = 0;

	if (element->ordering == SORTBY_DESC)
		options |= INDOPTION_DESC;
	if (element->nulls_ordering == SORTBY_NULLS_FIRST ||
		(element->nulls_ordering == SORTBY_NULLS_DEFAULT &&
		 element->ordering == SORTBY_DESC))
		options |= INDOPTION_NULLS_FIRST;
	return options;
}

/*
 * See index_shape.h.
 */
bool
index_is_covered(const IndexShape *wanted, const IndexShape *other)
{
	if (!other->is_valid || wanted->is_exclusion || other->is_exclusion ||
		wanted->access_method != other->access_method ||
		!equal(wanted->predicate, other->predicate))
		return false;
	if (wanted->nkeys > other->nkeys ||
		(wanted->nkeys < other->nkeys &&
		 (wanted->is_unique || wanted->access_method != BTREE_AM_OID)))
		return false;
	if (wanted->is_unique &&
		(!other->is_unique ||
		 wanted->nulls_not_distinct != other->nulls_not_distinct))
		return false;
	if (!keys_agree(wanted, other) || !options_agree(wanted, other))
		return false;
	for (int i = wanted->nkeys; i < wanted->ncolumns; i++)
		if (!has_column(other, wanted->columns[i]))
			return false;
	return true;
}

static bool
keys_agree(const IndexShape *wanted, const IndexShape *other)
{
	int			expression = 0;

	for (int i = 0; i < wanted->nkeys; i++)
	{
		if (wanted->columns[i] != other->columns[i] ||
			wanted->families[i] != other->families[i] ||
			wanted->collations[i] != other->collations[i])
			return false;
		if (wanted->columns[i] != InvalidAttrNumber)
			continue;
		if (!equal(list_nth(wanted->expressions, expression),
				   list_nth(other->expressions, expression)))
			return false;
		expression++;
	}
	return true;
}

/* A B-tree can be read from both ends. */
static bool
options_agree(const IndexShape *wanted, const IndexShape *other)
{
	int16		both = INDOPTION_DESC | INDOPTION_NULLS_FIRST;
	bool		same = true;
	bool		reversed = wanted->access_method == BTREE_AM_OID;

	for (int i = 0; i < wanted->nkeys; i++)
	{
		if (wanted->options[i] != other->options[i])
			same = false;
		if (wanted->options[i] != (other->options[i] ^ both))
			reversed = false;
	}
	return same || reversed;
}

static bool
has_column(const IndexShape *shape, AttrNumber column)
{
	for (int i = 0; i < shape->ncolumns; i++)
		if (shape->columns[i] == column)
			return true;
	return false;
}

/*
 * See index_shape.h.
 */
bool
index_serves_columns(const IndexShape *shape, Oid relid, List *names)
{
	List	   *keys = NIL;

	if (!shape->is_valid || shape->nkeys < list_length(names) ||
		(shape->access_method != BTREE_AM_OID &&
		 shape->access_method != HASH_AM_OID) ||
		!predicate_is_not_null(shape, list_length(names)))
		return false;
	for (int i = 0; i < list_length(names); i++)
	{
		char	   *key = shape->columns[i] > 0 ?
		get_attname(relid, shape->columns[i], true) : NULL;

		if (key == NULL)
			return false;
		keys = lappend(keys, key);
	}
	return begins_with_names(keys, names);
}

/*
 * True if there is no predicate, or one that excludes nothing but NULL in the
 * first keys, which no comparison with a value would find.
 */
static bool
predicate_is_not_null(const IndexShape *shape, int nkeys)
{
	ListCell   *cell;

	foreach(cell, shape->predicate)
	{
		NullTest   *test = (NullTest *) lfirst(cell);
		bool		is_key = false;

		if (!IsA(test, NullTest) || test->nulltesttype != IS_NOT_NULL ||
			!IsA(test->arg, Var))
			return false;
		for (int i = 0; i < nkeys; i++)
			if (shape->columns[i] == ((Var *) test->arg)->varattno)
				is_key = true;
		if (!is_key)
			return false;
	}
	return true;
}

/*
 * See index_shape.h.
 */
bool
begins_with_names(List *keys, List *wanted)
{
	ListCell   *cell;

	if (list_length(keys) < list_length(wanted))
		return false;
	foreach(cell, wanted)
	{
		bool		found = false;

		for (int i = 0; i < list_length(wanted); i++)
			if (strcmp(list_nth(keys, i), lfirst(cell)) == 0)
				found = true;
		if (!found)
			return false;
	}
	return true;
}

/*
 * See index_shape.h.
 */
char *
index_keys_in_words(const IndexShape *shape, Oid relid)
{
	StringInfoData words;
	int			expression = 0;
	char	   *relname = get_rel_name(relid);

	initStringInfo(&words);
	for (int i = 0; i < shape->nkeys; i++)
	{
		char	   *key;

		if (shape->columns[i] != InvalidAttrNumber)
			key = quoted_name(get_attname(relid, shape->columns[i], true));
		else
			key = deparse_expression(list_nth(shape->expressions, expression++),
									 deparse_context_for(relname ? relname : "",
														 relid),
									 false, false);
		appendStringInfo(&words, "%s%s", i > 0 ? ", " : "", key ? key : "?");
	}
	return words.data;
}
