/*-------------------------------------------------------------------------
 *
 * star_queries.h
 *	  Statements that a new column breaks where they are prepared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_STAR_QUERIES_H
#define SAFE_MIGRATE_STAR_QUERIES_H

#include "postgres.h"

/*
 * Look for statements that take all columns of a table by an asterisk, in
 * SELECT or RETURNING, among those that are known: of the sessions that there
 * are, and of pg_stat_statements where that is installed; as far as the current
 * user may see them.  Names them in a WARNING.  Throws nothing because of them.
 */
extern void warn_of_star_queries(Oid relid);

#endif							/* SAFE_MIGRATE_STAR_QUERIES_H */
