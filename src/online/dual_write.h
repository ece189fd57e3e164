/*-------------------------------------------------------------------------
 *
 * dual_write.h
 *	  The trigger that keeps two shapes of a table's columns equal.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DUAL_WRITE_H
#define SAFE_MIGRATE_DUAL_WRITE_H

#include "postgres.h"

#include "online/row_expression.h"

/*
 * Have PostgreSQL refuse to drop what a trigger with migrate.dual_write()
 * writes, and what its expressions use, be it columns, functions or types, and
 * to change the type of those columns: by pg_depend, until the trigger is
 * dropped.  A clone of the trigger on a partition needs none.
 *
 * The trigger must be visible (CommandCounterIncrement()).  Takes AccessShareLock
 * on its table until the end of the transaction.  Throws when there is no such
 * trigger, or its arguments are wrong.
 */
extern void record_dual_write_dependencies(Oid trigger_oid);

#endif							/* SAFE_MIGRATE_DUAL_WRITE_H */
