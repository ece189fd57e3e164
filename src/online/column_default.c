/*-------------------------------------------------------------------------
 *
 * column_default.c
 *	  What a column gets from an INSERT that does not name it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "nodes/primnodes.h"
#include "online/column_default.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static Node *default_of_ancestor(Oid relid, const char *column);
static Node *identity_default(Form_pg_attribute attribute);
static Node *stored_default(Oid relid, AttrNumber attnum);

/*
 * See column_default.h.
 */
List *
possible_defaults(Relation rel, AttrNumber attnum, List *ancestors)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel),
												attnum - 1);
	Node	   *expression = build_column_default(rel, attnum);
	List	   *expressions = expression == NULL ? NIL : list_make1(expression);
	ListCell   *cell;

	foreach(cell, ancestors)
	{
		expression = default_of_ancestor(lfirst_oid(cell),
										 NameStr(attribute->attname));
		if (expression != NULL)
			expressions = lappend(expressions, expression);
	}
	return expressions;
}

static Node *
default_of_ancestor(Oid relid, const char *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, column);
	Form_pg_attribute attribute;
	Node	   *expression = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	if (attribute->attidentity != '\0')
		expression = identity_default(attribute);
	else if (attribute->atthasdef && attribute->attgenerated == '\0')
		expression = stored_default(relid, attribute->attnum);
	ReleaseSysCache(tuple);
	return expression;
}

static Node *
identity_default(Form_pg_attribute attribute)
{
	NextValueExpr *expression = makeNode(NextValueExpr);

	expression->typeId = attribute->atttypid;
	return (Node *) expression;
}

static Node *
stored_default(Oid relid, AttrNumber attnum)
{
	Relation	defaults = table_open(AttrDefaultRelationId, AccessShareLock);
	Node	   *expression = NULL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_attrdef_adrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attrdef_adnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(attnum));
	scan = systable_beginscan(defaults, AttrDefaultIndexId, true, NULL, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_attrdef_adbin,
										 RelationGetDescr(defaults), &isnull);

		if (!isnull)
			expression = stringToNode(TextDatumGetCString(value));
	}
	systable_endscan(scan);
	table_close(defaults, AccessShareLock);
	return expression;
}
