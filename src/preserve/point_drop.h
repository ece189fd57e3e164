/*-------------------------------------------------------------------------
 *
 * point_drop.h
 *	  Dropping restore points, and what none of them needs any more.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_POINT_DROP_H
#define SAFE_MIGRATE_POINT_DROP_H

#include "postgres.h"

/*
 * Drop the oldest point that has expired, with what no other one needs, and say
 * so in the server log.  Returns false if there is none; then it has looked for
 * what earlier ones have left.  Waits for no lock: what somebody holds is left
 * for the next time.  To be called in a transaction of its own, READ COMMITTED;
 * runs SQL with the rights of the extension's owner.
 */
extern bool drop_expired_point(void);

/*
 * Milliseconds until the next one expires, at most INT_MAX; 0 if it has, -1 if
 * none ever does.
 */
extern int	time_to_next_expiry(void);

#endif							/* SAFE_MIGRATE_POINT_DROP_H */
