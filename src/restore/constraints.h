/*-------------------------------------------------------------------------
 *
 * constraints.h
 *	  Do the rows fit the schema that has come back?
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CONSTRAINTS_H
#define SAFE_MIGRATE_CONSTRAINTS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/*
 * Check what has come back or was changed back, of differences, and all
 * foreign keys of tables whose rows were changed: constraints, NOT NULL, bounds
 * of partitions, values of columns whose type is narrower again.  Throws what
 * PostgreSQL says, or SM007, with the table and the number of rows.  The
 * caller holds the locks, and the catalogs are what they were.
 */
extern void check_constraints(List *differences, HTAB *relations,
							  List *changed_tables);

#endif							/* SAFE_MIGRATE_CONSTRAINTS_H */
