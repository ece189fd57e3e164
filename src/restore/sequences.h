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

#include "nodes/pg_list.h"
#include "restore/storage.h"
#include "utils/hsearch.h"

/*
 * How far the data of the columns has come that own the sequences of the label,
 * before anything is locked against clients.  Leaves out tables that somebody
 * has locked; takes AccessShareLock on the others.  In the current memory
 * context.
 */
extern HTAB *read_owned_data(const RestoreTarget *target);

/*
 * Let no sequence give a number twice: where one stands before the place that
 * it had at the restore point, or before the data of the column that owns it,
 * it goes on from the farther one.  None goes back: numbers that were given
 * out since may be known elsewhere.  To be called when the rows are back; only
 * those of changed_tables, and of tables that read_owned_data() has left out,
 * are read again.
 */
extern void restore_sequences(const RestoreTarget *target, HTAB *owned_data,
							  const List *changed_tables);

#endif							/* SAFE_MIGRATE_SEQUENCES_H */
