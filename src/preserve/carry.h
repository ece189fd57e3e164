/*-------------------------------------------------------------------------
 *
 * carry.h
 *	  Keeping the values of dropped columns in rows that are updated.
 *
 * DROP COLUMN leaves all values where they are; only an UPDATE of a row writes
 * it without them.  A trigger puts them into the new version.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CARRY_H
#define SAFE_MIGRATE_CARRY_H

#include "postgres.h"

#include "utils/snapshot.h"

/*
 * At the end of a transaction: add the trigger to tables of which it has dropped
 * a column that a restore point knows, and that have kept their file.  Their
 * partitions and children have dropped it as well, and get their own.  Takes
 * the lock that CREATE TRIGGER takes, on tables that are locked for DROP COLUMN
 * anyway.  Reads all columns of the database.
 */
extern void add_carry_triggers(void);

/*
 * False if this transaction has not dropped a column for sure; but for what a
 * rollback does, which writes the catalogs in another way.  To be called outside
 * of subtransactions.  Costs nothing where no catalog was changed.
 */
extern bool columns_were_dropped(void);

/*
 * Remove those that no restore point needs.  Needs a transaction.  Takes
 * AccessExclusiveLock on their tables without waiting for it: one that is in
 * use keeps its trigger until the next call.
 */
extern void remove_carry_triggers(void);

/*
 * True if a table has the trigger, to the eyes of a snapshot; NULL is the
 * catalog as it is now.
 */
extern bool relation_is_carried(Oid relid, Snapshot snapshot);

#endif							/* SAFE_MIGRATE_CARRY_H */
