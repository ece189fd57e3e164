/*-------------------------------------------------------------------------
 *
 * start_online.c
 *	  Starting an online change instead of running a statement.
 *
 * The call takes the place of the statement where it stands: the change starts
 * with the transaction of that, and goes on in the background when it has
 * committed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "drift/ddl_record.h"
#include "plan/online_call.h"
#include "plan/plan_text.h"
#include "preserve/destruction.h"
#include "record/record.h"
#include "run/start_online.h"
#include "run/step.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/portal.h"

struct OnlineStart
{
	MemoryContext context;
	char	   *call;			/* SELECT ... */
	Decision	decision;
};

static OnlineStart *make_start(const RewriteSource *source,
							   const Finding *finding, const char *call);

/*
 * See start_online.h.
 */
OnlineStart *
choose_online(const RewriteSource *source)
{
	const Finding *heaviest = heaviest_finding(source->findings);
	char	   *call;

	if (heaviest->action != ACTION_ONLINE)
		return NULL;
	call = online_call(source->statement, source->text);
	settle_online(source->findings, call != NULL);
	heaviest = heaviest_finding(source->findings);
	if (heaviest->action == ACTION_ONLINE)
		return make_start(source, heaviest, call);
	settle_online(source->findings, false);
	return NULL;
}

/* The caller's memory ends with the judgement. */
static OnlineStart *
make_start(const RewriteSource *source, const Finding *finding,
		   const char *call)
{
	MemoryContext context = AllocSetContextCreate(PortalContext,
												  "safe_migrate online start",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	OnlineStart *start = palloc0(sizeof(OnlineStart));
	const RelationFacts *relation = finding->effect->relation;

	start->context = context;
	start->call = psprintf("SELECT %s", call);
	start->decision.outcome = DECISION_REWRITTEN;
	start->decision.rule = finding->rule->name;
	start->decision.command =
		GetCommandTagName(CreateCommandTag(source->statement));
	start->decision.relation = relation ? pstrdup(relation->name) : NULL;
	start->decision.statement = statement_text(source->text, 0, -1);
	start->decision.executed = start->call;
	start->decision.message = pstrdup(finding->message);
	MemoryContextSwitchTo(caller);
	return start;
}

/*
 * See start_online.h.
 */
void
start_online(OnlineStart *start, CommandTag tag, QueryCompletion *qc)
{
	ereport(NOTICE,
			(errmsg("%s: %s is run instead", start->decision.rule,
					start->call)));
	run_statement_in_function(start->call);
	/* it has a record of its own, and what it has tried to drop is there */
	disregard_ddl_record();
	disregard_destruction();
	(void) GetTopFullTransactionId();
	record_decision(&start->decision);
	if (qc != NULL)
		SetQueryCompletion(qc, tag, 0);
	MemoryContextDelete(start->context);
}
