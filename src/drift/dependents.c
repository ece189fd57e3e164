/*-------------------------------------------------------------------------
 *
 * dependents.c
 *	  Objects whose definitions name others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "drift/dependents.h"
#include "drift/touched.h"
#include "executor/spi.h"
#include "utils/array.h"

static List *objects_of_query(const char *query, OwnArguments *arguments);
static void add_oids(OwnArguments *arguments, List *objects, size_t offset);

/*
 * See dependents.h.
 */
List *
dependents_of(List *objects)
{
	OwnArguments arguments = {0};

	if (objects == NIL)
		return NIL;
	add_oids(&arguments, objects, offsetof(TouchedObject, classid));
	add_oids(&arguments, objects, offsetof(TouchedObject, objid));
	return objects_of_query("SELECT DISTINCT d.classid, d.objid "
							"FROM ROWS FROM (pg_catalog.unnest($1), "
							"pg_catalog.unnest($2)) o (classid, objid), "
							"migrate.dependents(o.classid, o.objid) d",
							&arguments);
}

/*
 * See dependents.h.
 */
List *
views_of(List *relations)
{
	OwnArguments arguments = {0};

	if (relations == NIL)
		return NIL;
	add_oids(&arguments, relations, offsetof(TouchedObject, objid));
	return objects_of_query("SELECT DISTINCT p.refclassid, r.ev_class "
							"FROM pg_catalog.pg_depend p "
							"JOIN pg_catalog.pg_rewrite r "
							"ON r.oid OPERATOR(pg_catalog.=) p.objid "
							"WHERE p.refclassid OPERATOR(pg_catalog.=) "
							"'pg_catalog.pg_class'::pg_catalog.regclass "
							"AND p.refobjid OPERATOR(pg_catalog.=) ANY ($1) "
							"AND p.classid OPERATOR(pg_catalog.=) "
							"'pg_catalog.pg_rewrite'::pg_catalog.regclass",
							&arguments);
}

static List *
objects_of_query(const char *query, OwnArguments *arguments)
{
	OwnAccess	access;
	List	   *objects = NIL;
	bool		isnull;

	begin_own_access(&access);
	run_own_query(query, arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(access.caller);
		TouchedObject *object = palloc0(sizeof(TouchedObject));

		object->classid =
			DatumGetObjectId(SPI_getbinval(tuple, tupdesc, 1, &isnull));
		object->objid =
			DatumGetObjectId(SPI_getbinval(tuple, tupdesc, 2, &isnull));
		objects = lappend(objects, object);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return objects;
}

/* One member of each, as an oid[]. */
static void
add_oids(OwnArguments *arguments, List *objects, size_t offset)
{
	List	   *oids = NIL;
	ListCell   *cell;

	foreach(cell, objects)
		oids = lappend_oid(oids, *(Oid *) ((char *) lfirst(cell) + offset));
	add_own_oid_list(arguments, oids);
}
