/*-------------------------------------------------------------------------
 *
 * rolled_back.h
 *	  The ledger after a rollback.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ROLLED_BACK_H
#define SAFE_MIGRATE_ROLLED_BACK_H

#include "postgres.h"

#include "restore/storage.h"

/*
 * Throws if the background has not finished what such migrations have left to
 * it.
 */
extern void require_no_tasks(const RestoreTarget *target);

/*
 * Throw SM007 if an online change of columns was started and contracted since
 * the point: where only its new shape is, the old one cannot be told from it.
 */
extern void require_no_later_contracts(const RestoreTarget *target);

/*
 * What was applied since the restore point is so no longer, what was reverted
 * or run again since is so again; migrate.history says who has rolled back.
 * Needs the lock of the ledger.
 */
extern void record_rollback(const RestoreTarget *target, const List *merged);

/*
 * The part of it that is not about migrations: what this transaction does to
 * rows is not to be undone by a rollback to the same point, or an earlier one.
 */
extern void note_rollback(const RestoreTarget *target, const List *merged);

#endif							/* SAFE_MIGRATE_ROLLED_BACK_H */
