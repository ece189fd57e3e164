/*-------------------------------------------------------------------------
 *
 * target_pending.c
 *	  Is there anything to do in any schema?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/subtransaction.h"
#include "ledger/ledger.h"
#include "target/target_internal.h"

/* The question about one schema, and its answer. */
typedef struct PendingQuestion
{
	const char *schema;
	const char *version;
	bool		is_pending;
} PendingQuestion;

static bool look_for_pending(void *arg);

/*
 * See target_internal.h.
 */
bool
any_schema_is_behind(List *targets, const char *version)
{
	PendingQuestion question = {.version = version};
	MemoryContext context = CurrentMemoryContext;
	ListCell   *cell;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	foreach(cell, targets)
	{
		ErrorData  *error;

		question.schema = ((Target *) lfirst(cell))->schema;
		error = run_in_subtransaction(look_for_pending, &question);
		ledger_set_target_schema("");
		if (error != NULL &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		if (question.is_pending)
			break;
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return question.is_pending;
}

/* Where it throws, the worker of that schema says why, and nothing runs. */
static bool
look_for_pending(void *arg)
{
	PendingQuestion *question = arg;

	ledger_set_target_schema(question->schema);
	question->is_pending = pending_migrations(question->version) != NIL;
	return false;
}
