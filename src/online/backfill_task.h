/*-------------------------------------------------------------------------
 *
 * backfill_task.h
 *	  A backfill that is left to the background.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_BACKFILL_TASK_H
#define SAFE_MIGRATE_BACKFILL_TASK_H

#include "online/backfill.h"

/*
 * Leave it to the background, as a task of one step, in the current
 * transaction, and tell its number.  Throws if the background cannot run it for
 * the current role.
 */
extern void defer_backfill(const BackfillRequest *request);

#endif							/* SAFE_MIGRATE_BACKFILL_TASK_H */
