/*-------------------------------------------------------------------------
 *
 * touched_keys.h
 *	  Which rows were written since a snapshot was taken.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TOUCHED_KEYS_H
#define SAFE_MIGRATE_TOUCHED_KEYS_H

#include "postgres.h"

#include "access/attnum.h"
#include "utils/snapshot.h"

/*
 * Insert the keys of rows that one of the two snapshots sees and the other one
 * does not into a table with a column for each attribute of the key, in that
 * order.  The first snapshot has been registered all the time, so that no row
 * that it sees was removed, and no page that a later writer has touched is
 * marked all-visible: the others are not read.  The heap is locked against
 * writers.  Returns the number of rows.
 */
extern int64 collect_touched_keys(Oid relid, Snapshot before, Snapshot now,
								  const AttrNumber *key, int key_count,
								  Oid destination);

#endif							/* SAFE_MIGRATE_TOUCHED_KEYS_H */
