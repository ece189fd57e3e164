/*-------------------------------------------------------------------------
 *
 * subtransaction.c
 *	  Work whose errors are caught.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/subtransaction.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/*
 * Run work in a subtransaction, in the current memory context.  Returns the error
 * that it threw, in the same context, after it is rolled back; or NULL, after it
 * is kept or rolled back as work says.  Which errors may be swallowed is for the
 * caller to tell: ReThrowError() for the others, a request to cancel above all.
 */
ErrorData *
run_in_subtransaction(SubtransactionWork work, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (work(arg))
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/*
 * After an error that is to be rethrown: run work that writes down how all has
 * ended, in transactions of its own.  A cancel does not keep it from that, since
 * whoever is in a hurry sends two: it is run once more.  Returns the error that
 * did, or NULL, in the current memory context; no transaction is open then.
 */
ErrorData *
run_after_error(void (*work) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	for (int attempt = 0; attempt < 2; attempt++)
	{
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(context);
		PG_TRY();
		{
			error = NULL;
			work(arg);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(context);
			error = CopyErrorData();
			FlushErrorState();
			AbortOutOfAnyTransaction();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(context);
		if (error == NULL || error->sqlerrcode != ERRCODE_QUERY_CANCELED)
			break;
	}
	return error;
}
