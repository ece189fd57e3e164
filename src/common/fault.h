/*-------------------------------------------------------------------------
 *
 * fault.h
 *	  Places at which tests make a process fail.
 *
 * They exist only in a build with FAULT_POINTS=1.  There the setting
 * safe_migrate.fault_point names one, and after a colon what happens at it:
 * "error" (the default) raises an internal error, "kill" ends the process as
 * kill -9 does, "wait" says so in the server log and waits for a signal.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_FAULT_H
#define SAFE_MIGRATE_FAULT_H

#include "postgres.h"

#ifdef SAFE_MIGRATE_FAULT_POINTS

extern void define_fault_point_setting(void);

/* Do what the setting says of this place, if it does. */
extern void reach_fault_point(const char *name);

/* True if the setting names it: for what has to behave differently. */
extern bool fault_point_is_set(const char *name);

#else

#define define_fault_point_setting() ((void) 0)
#define reach_fault_point(name) ((void) (name))
#define fault_point_is_set(name) false

#endif							/* SAFE_MIGRATE_FAULT_POINTS */

#endif							/* SAFE_MIGRATE_FAULT_H */
