/*-------------------------------------------------------------------------
 *
 * sequences.h
 *	  The sequences after a rollback.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SEQUENCES_H
#define SAFE_MIGRATE_SEQUENCES_H

#include "postgres.h"

#include "restore/storage.h"

/*
 * Let no sequence give a number twice: where one stands before the place that
 * it had at the restore point, or before the data of the column that owns it,
 * it goes on from the farther one.  None goes back: numbers that were given
 * out since may be known elsewhere.  To be called when the rows are back.
 */
extern void restore_sequences(const RestoreTarget *target);

#endif							/* SAFE_MIGRATE_SEQUENCES_H */
