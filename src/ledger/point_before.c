/*-------------------------------------------------------------------------
 *
 * point_before.c
 *	  The restore point that is made before migrations run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "ledger/point_before.h"
#include "preserve/point.h"
#include "preserve/preserve.h"

/*
 * See point_before.h.
 */
void
make_point_before(const char *what)
{
	char	   *label;

	if (!preserving())
		return;
	label = unused_label(psprintf("before %s", what));
	(void) make_restore_point(label, POINT_MIGRATION);
	note_point_in_transaction();
	ereport(NOTICE,
			(errmsg("restore point: %s", label)));
}

/*
 * See point_before.h.  What destroys something meanwhile need not wait for the
 * end of a migration to know what the point needs.
 */
void
make_committed_point_before(const char *what)
{
	MemoryContext context = CurrentMemoryContext;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	make_point_before(what);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}
