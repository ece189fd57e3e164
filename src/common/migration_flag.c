/*-------------------------------------------------------------------------
 *
 * migration_flag.c
 *	  Whether what runs now is part of a migration of the ledger.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/migration_flag.h"

static bool is_running = false;
static bool ran_in_transaction = false;
static SubTransactionId ran_in;

/*
 * See migration_flag.h.
 */
void
set_migration_running(bool running)
{
	is_running = running;
	if (!running || ran_in_transaction)
		return;
	ran_in_transaction = true;
	ran_in = GetCurrentSubTransactionId();
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
end_subtransaction_of_migration(SubTransactionId ended,
								SubTransactionId parent, bool is_undone)
{
	if (!ran_in_transaction || ran_in != ended)
		return;
	ran_in = parent;
	if (is_undone)
		ran_in_transaction = false;
}

/*
 * See migration_flag.h.
 */
void
forget_migration_in_transaction(void)
{
	ran_in_transaction = false;
}
