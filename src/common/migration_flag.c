/*-------------------------------------------------------------------------
 *
 * migration_flag.c
 *	  Whether what runs now is part of a migration of the ledger.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/migration_flag.h"

static bool is_running = false;

/*
 * See migration_flag.h.
 */
void
set_migration_running(bool running)
{
	is_running = running;
}

/*
 * See migration_flag.h.
 */
bool
migration_is_running(void)
{
	return is_running;
}
