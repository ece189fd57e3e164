/*-------------------------------------------------------------------------
 *
 * point_before.h
 *	  The restore point that is made before migrations run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_POINT_BEFORE_H
#define SAFE_MIGRATE_POINT_BEFORE_H

#include "postgres.h"

/*
 * Make a restore point whose label says before what, and tell its label; do
 * nothing where nothing is to be preserved.  Needs a transaction.
 */
extern void make_point_before(const char *what);

/* The same in a transaction of its own; the current context must outlive it. */
extern void make_committed_point_before(const char *what);

#endif							/* SAFE_MIGRATE_POINT_BEFORE_H */
