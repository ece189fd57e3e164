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
 * To be called from _PG_init: have points dropped when they have expired, by
 * the background.
 */
extern void register_expiry(void);

#endif							/* SAFE_MIGRATE_POINT_DROP_H */
