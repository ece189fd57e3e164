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
static bool ran_in_transaction = false;

/*
 * See migration_flag.h.
 */
void
set_migration_running(bool running)
{
	is_running = running;
	ran_in_transaction |= running;
}

/*
 * See migration_flag.h.
 */
bool
migration_is_running(void)
{
	return is_running;
}

/*
 * See migration_flag.h.
 */
bool
migration_ran_in_transaction(void)
{
	return ran_in_transaction;
}

/*
 * See migration_flag.h.
 */
void
forget_migration_in_transaction(void)
{
	ran_in_transaction = false;
}
