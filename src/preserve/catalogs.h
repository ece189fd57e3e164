/*-------------------------------------------------------------------------
 *
 * catalogs.h
 *	  The system catalogs whose rows make up the schema of a database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CATALOGS_H
#define SAFE_MIGRATE_CATALOGS_H

#include "postgres.h"

#include "access/attnum.h"
#include "access/htup.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"
#include "utils/rel.h"

/* What can be told of the rows of a catalog; an attribute is 0 if it has none. */
typedef struct Catalog
{
	Oid			relid;
	AttrNumber	oid;
	AttrNumber	relation;		/* the relation that a row is about */
	AttrNumber	other_relation; /* parent, or referenced table */
	AttrNumber	namespace;
	AttrNumber	function;		/* of a trigger */
	AttrNumber	class_id;		/* the object that a row is about */
	AttrNumber	object_id;
	AttrNumber	referenced_class;
	AttrNumber	referenced_object;
	AttrNumber	database;		/* of a shared catalog */
} Catalog;

/* An object, as a key of a hash table. */
typedef struct CatalogObject
{
	Oid			class_id;
	Oid			object_id;
} CatalogObject;

/*
 * All of them, of Catalog, in the current memory context; in an order in which
 * what a row belongs to comes before it.  Not those with data, statistics or
 * the state of subscriptions.  Locks nothing but pg_class, for a moment.
 */
extern List *list_catalogs(void);

/* A column of a row that holds an OID, 0 for attribute 0. */
extern Oid	catalog_row_oid(Relation rel, HeapTuple row, AttrNumber attribute);

/*
 * The relation that a row is about, be it that the row describes, as pg_depend
 * does, any object; or InvalidOid.
 */
extern Oid	catalog_row_relation(const Catalog *catalog, Relation rel,
								 HeapTuple row);

/*
 * Objects that no restore point is about: temporary ones, large objects, and our
 * own.  To be
 * asked row by row, catalog by catalog, in the order of list_catalogs().  The
 * table is in the current memory context.
 */
extern HTAB *begin_left_out(void);
extern bool row_is_left_out(HTAB *left_out, const Catalog *catalog,
							Relation rel, HeapTuple row);

/*
 * A row in a form of which the bytes are equal where the values are: nothing
 * in it is compressed or out of line.  In the current memory context.
 */
extern HeapTuple plain_row(Relation rel, HeapTuple row);

#endif							/* SAFE_MIGRATE_CATALOGS_H */
