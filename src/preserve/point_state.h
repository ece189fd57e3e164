/*-------------------------------------------------------------------------
 *
 * point_state.h
 *	  What a restore point knows besides the catalog: the manifest, and the
 *	  states of the sequences.
 *
 * All of it runs SQL with the rights of the extension's owner, and needs a
 * transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_POINT_STATE_H
#define SAFE_MIGRATE_POINT_STATE_H

#include "postgres.h"

/*
 * Save that of a point whose image of the catalog has just been saved; before
 * is what catalog_state() had said before that.  What cannot be read because
 * somebody holds a lock is left out, and the point says so; the manifest also
 * if the state of the catalog is another one by now.  Waits for nobody for
 * longer than 100 ms.
 */
extern void save_point_state(int64 point, const char *before);

/*
 * Where a sequence stands; false if it is not there.  Waits for who has locked
 * it, and keeps no lock.
 */
extern bool read_sequence(Oid relid, int64 *last_value, bool *is_called);

#endif							/* SAFE_MIGRATE_POINT_STATE_H */
