/*-------------------------------------------------------------------------
 *
 * precheck.h
 *	  What cannot run in one transaction, told before anything runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PRECHECK_H
#define SAFE_MIGRATE_PRECHECK_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Throw if one of the pending migrations cannot run at all. */
extern void check_migrations(List *pending);

/* Throw if they cannot run in the caller's transaction. */
extern void check_migrations_for_apply(List *pending);

#endif							/* SAFE_MIGRATE_PRECHECK_H */
