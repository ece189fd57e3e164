/*-------------------------------------------------------------------------
 *
 * loss.h
 *	  What is lost to restore points, for one because nothing is to be kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LOSS_H
#define SAFE_MIGRATE_LOSS_H

#include "postgres.h"

/*
 * At the end of a transaction in which restore points are switched off: mark
 * those as incomplete that need a file which is about to go; all that hold the
 * whole catalog, if it is one of a migration, which may have changed rows.
 * Runs SQL with the rights of the extension's owner.  Where points are, it
 * waits for others who are about to mark the same.
 */
extern void mark_losses(bool by_migration);

/* In place of the number of a point: all that hold the whole catalog. */
#define ALL_FULL_POINTS	0

/*
 * From now on the point does not bring everything back, for this reason, which
 * follows others.
 */
extern void mark_incomplete(int64 point, const char *problem);

#endif							/* SAFE_MIGRATE_LOSS_H */
