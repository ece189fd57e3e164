/*-------------------------------------------------------------------------
 *
 * index_shape.h
 *	  What an index is, apart from its name: whether one is as good as
 *	  another, and what it serves.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_INDEX_SHAPE_H
#define SAFE_MIGRATE_INDEX_SHAPE_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/parsenodes.h"

typedef struct IndexShape
{
	Oid			index;			/* InvalidOid: to be made */
	Oid			access_method;
	bool		is_unique;
	bool		nulls_not_distinct;
	bool		is_primary;
	bool		is_valid;
	bool		is_exclusion;
	bool		is_needed;		/* a constraint or replication is based on it */
	int			nkeys;
	int			ncolumns;		/* with those of INCLUDE, behind the keys */
	AttrNumber *columns;		/* 0: the next of the expressions */
	Oid		   *families;		/* of operators, one a key */
	Oid		   *collations;		/* one a key */
	int16	   *options;		/* one a key: DESC, NULLS FIRST */
	List	   *expressions;
	List	   *predicate;		/* implicit AND list */
} IndexShape;

/*
 * The indexes of a table, from pg_index alone: no lock is taken on the table
 * or on its indexes, and no function in them is run.  A list of IndexShape in the current memory context,
 * sorted by OID.
 */
extern List *index_shapes(Oid relid);

/*
 * The index that a CREATE INDEX on a table of the catalog would make.  NULL
 * when PostgreSQL will refuse it, or the table is gone.  Throws what the
 * analysis of its expressions throws.  Takes AccessShareLock for a moment.
 */
extern IndexShape *shape_of_new_index(Oid relid, const IndexStmt *stmt,
									  const char *source_text);

/*
 * True if whatever the wanted index is for, the other one does as well: it
 * has the same keys, or a B-tree has them as its first ones, in the same or
 * entirely reversed order, with the same access method, operator families,
 * collations and predicate, and all columns that the wanted one includes.  A
 * unique index is only covered by a unique one with the same keys.
 */
extern bool index_is_covered(const IndexShape *wanted,
							 const IndexShape *other);

/*
 * True if the index finds the rows for given values of those columns (names of
 * the table relid): its first keys are these, in whatever order, and it leaves
 * no row out but those that are NULL there.
 */
extern bool index_serves_columns(const IndexShape *shape, Oid relid,
								 List *names);

/* True if the first of the keys (names) are the wanted ones, in any order. */
extern bool begins_with_names(List *keys, List *wanted);

/* "a, lower(b)": the keys of an index of the catalog, for messages. */
extern char *index_keys_in_words(const IndexShape *shape, Oid relid);

#endif							/* SAFE_MIGRATE_INDEX_SHAPE_H */
