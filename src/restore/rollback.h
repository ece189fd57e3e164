/*-------------------------------------------------------------------------
 *
 * rollback.h
 *	  Going back to a restore point.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ROLLBACK_H
#define SAFE_MIGRATE_ROLLBACK_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "restore/storage.h"

/* Register CALL migrate.rollback_to().  Called once, from _PG_init. */
extern void register_rollback_procedures(void);

/*
 * The restore point with that label.  Throws SM007 if there is none, or if it
 * was made by another version of the server.  Needs a transaction; the result
 * is in the current memory context.
 */
extern RestoreTarget *find_restore_target(const char *label,
										  RollbackMode mode);

/*
 * The same for who is going back to it: nobody drops the point, or, exclusively,
 * goes back to it as well, before the end of the transaction.
 */
extern RestoreTarget *hold_restore_target(const char *label, RollbackMode mode,
										  bool exclusively);

/* Throws SM007, and names them, if nobody has kept what tables were. */
extern void refuse_lost_files(const RestoreTarget *target, HTAB *relations);

#endif							/* SAFE_MIGRATE_ROLLBACK_H */
