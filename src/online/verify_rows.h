/*-------------------------------------------------------------------------
 *
 * verify_rows.h
 *	  Whether a table has rows that it should not have.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_VERIFY_ROWS_H
#define SAFE_MIGRATE_VERIFY_ROWS_H

#include "postgres.h"

/*
 * True if a row of the table alone, not of those below it, fulfils the condition,
 * in which its name is alias; false if it was dropped.  Takes AccessShareLock, and the newest snapshot.
 * Throws if the current user may not read all rows.
 */
extern bool table_has_row(Oid relid, const char *alias, const char *condition);

#endif							/* SAFE_MIGRATE_VERIFY_ROWS_H */
