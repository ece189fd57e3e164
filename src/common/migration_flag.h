/*-------------------------------------------------------------------------
 *
 * migration_flag.h
 *	  Whether what runs now is part of a migration of the ledger.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_MIGRATION_FLAG_H
#define SAFE_MIGRATE_MIGRATION_FLAG_H

#include "postgres.h"

/* To be set to false again on every path. */
extern void set_migration_running(bool running);

/* True for all that a migration runs, in functions that it calls as well. */
extern bool migration_is_running(void);

#endif							/* SAFE_MIGRATE_MIGRATION_FLAG_H */
