/*-------------------------------------------------------------------------
 *
 * oid_set.h
 *	  A set of OIDs, for more of them than a list is good for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OID_SET_H
#define SAFE_MIGRATE_OID_SET_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/* Empty, in the current memory context; name is for those who look at that. */
extern HTAB *make_oid_set(const char *name);

/* Returns false if it was in there already. */
extern bool add_to_oid_set(HTAB *set, Oid oid);

extern void add_list_to_oid_set(HTAB *set, const List *oids);

extern bool is_in_oid_set(HTAB *set, Oid oid);

/* As a list of OIDs in their order, in the current memory context. */
extern List *list_oid_set(HTAB *set);

#endif							/* SAFE_MIGRATE_OID_SET_H */
