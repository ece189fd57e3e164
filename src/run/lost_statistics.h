/*-------------------------------------------------------------------------
 *
 * lost_statistics.h
 *	  What a statement that may run means for ANALYZE in the background.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LOST_STATISTICS_H
#define SAFE_MIGRATE_LOST_STATISTICS_H

#include "effects/effects.h"

/*
 * Have the tables analyzed, after the commit, whose statistics the statement
 * is about to lose, unless safe_migrate.renew_statistics is off.  Needs a transaction;
 * takes no lock.
 */
extern void renew_lost_statistics(List *effects);

/* Stop an ANALYZE in the background that the statement would wait for. */
extern void stop_analyzing(List *effects);

#endif							/* SAFE_MIGRATE_LOST_STATISTICS_H */
