/*-------------------------------------------------------------------------
 *
 * judge.c
 *	  A statement that is about to run: judge it, and act on the verdict.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_parameter_acl.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/fault.h"
#include "common/migration_flag.h"
#include "common/script.h"
#include "common/settings.h"
#include "common/subtransaction.h"
#include "effects/effects.h"
#include "lib/stringinfo.h"
#include "lock/lock.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "plan/online_call.h"
#include "plan/plan.h"
#include "policy/design.h"
#include "policy/opt_in.h"
#include "policy/policy.h"
#include "record/record.h"
#include "run/judge.h"
#include "run/lost_statistics.h"
#include "run/override.h"
#include "run/rewrite.h"
#include "run/run.h"
#include "run/step.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/memutils.h"

/* Relations that the DETAIL of a refusal lists. */
#define MAX_EFFECTS_SHOWN 10

/* Objects dropped along that it lists. */
#define MAX_DROPPED_SHOWN 20

/* What is known of the statement while the verdict is carried out. */
typedef struct Judgement
{
	PlannedStmt *pstmt;
	const char *query_string;
	QueryDescriber describe;	/* of a query, else NULL */
	void	   *arg;			/* for describe */
	HeavyWork  *work;			/* to be filled in, or NULL */
	const ScriptHost *host;		/* the script that it is of, or NULL */
	bool		in_transaction; /* it cannot commit */
	bool		is_step;		/* only its effects are asked for */
	bool		may_be_elsewhere;	/* query_string need not be what the
									 * client has sent */
	EffectContext context;
	List	   *findings;
	RuleAction	action;			/* the heaviest, before it was settled */
	const char *override;		/* reason to let it pass, or NULL */
	const char *refused_override;	/* why a reason given does not count */
	char	   *refused_deferral;	/* why it is not left for the commit */
	Replacement instead;		/* what is to be run */
} Judgement;

static StatementCheck statement_check = NULL;

static void judge(Judgement *judgement);
static void find_findings(Judgement *judgement);
static void take_locks(Judgement *judgement);
static void find_unfinished(Judgement *judgement);
static bool is_replaced(const Judgement *judgement);
static void choose_start(Judgement *judgement);
static void choose_task(Judgement *judgement,
						Task *(*choose) (const RewriteSource *source,
										 char **refusal));
static bool may_be_replaced(const Judgement *judgement);
static RewriteSource rewrite_source(Judgement *judgement);
static bool is_enforced(void);
static void carry_out(Judgement *judgement);
static bool still_counts(const Judgement *judgement, const Finding *finding);
static void check_statement(const Judgement *judgement);
static void find_replacement(Judgement *judgement);
static void find_effects(Judgement *judgement);
static void check_step(Judgement *judgement);
static List *find_design(Judgement *judgement);
static void find_effects_in_subtransaction(Judgement *judgement);
static bool find_effects_and_keep(void *arg);
static void report_internal_error(ErrorData *error);
static bool must_be_rethrown(const ErrorData *error);
static void act_on(Judgement *judgement, const Finding *finding);
static void find_override(Judgement *judgement);
static void record_finding(const Judgement *judgement, const Finding *finding,
						   DecisionOutcome outcome);
static void reject(const Judgement *judgement, const Finding *finding);
static const char *remedy_in_words(const Judgement *judgement,
								   const SafePlan *plan);
static const char *online_remedy_in_words(const Judgement *judgement,
										  const Finding *finding);
static const char *override_hint(void);
static char *effects_in_words(const EffectContext *context);
static int	report_position(const Judgement *judgement,
							const Finding *finding);
static int	error_position(const Judgement *judgement, const Finding *finding);

/*
 * See run.h.
 */
void
register_statement_check(StatementCheck check)
{
	statement_check = check;
}

/*
 * See judge.h.
 */
Replacement
judge_statement(PlannedStmt *pstmt, const char *query_string,
				StatementOrigin origin, const ScriptHost *host,
				HeavyWork *work)
{
	Judgement	judgement = {0};

	judgement.pstmt = pstmt;
	judgement.query_string = query_string;
	judgement.work = work;
	judgement.is_step = origin == ORIGIN_STEP;
	judgement.host = host;
	judgement.in_transaction = (host == NULL || host->divide == NULL) &&
		IsInTransactionBlock(origin == ORIGIN_TOP_LEVEL);
	judge(&judgement);
	return judgement.instead;
}

/*
 * See judge.h.
 */
void
judge_query(PlannedStmt *pstmt, const char *query_string,
			QueryDescriber describe, void *arg)
{
	Judgement	judgement = {0};

	judgement.pstmt = pstmt;
	judgement.query_string = query_string;
	judgement.describe = describe;
	judgement.arg = arg;
	judgement.may_be_elsewhere = true;
	judge(&judgement);
}

/*
 * See judge.h.
 */
void
judge_late_trait(PlannedStmt *pstmt, const char *query_string, Trait *trait)
{
	Judgement	judgement = {0};

	judgement.pstmt = pstmt;
	judgement.query_string = query_string;
	judgement.may_be_elsewhere = true;
	judgement.findings = judge_traits(list_make1(trait));
	carry_out(&judgement);
}

static void
judge(Judgement *judgement)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;

	context = AllocSetContextCreate(caller, "safe_migrate judgement",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	if (judgement->describe == NULL)
		wait_until_readable(judgement->pstmt->utilityStmt);
	find_findings(judgement);
	if (judgement->describe == NULL || judgement->findings != NIL)
		use_override();
	carry_out(judgement);
	if (judgement->describe == NULL && !is_replaced(judgement))
		take_locks(judgement);
	if (judgement->work != NULL && !is_replaced(judgement))
		find_heavy_work(judgement->context.effects, judgement->work);
	if (judgement->describe == NULL && !is_replaced(judgement))
		renew_lost_statistics(judgement->context.effects);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

static void
find_findings(Judgement *judgement)
{
	memset(&judgement->context, 0, sizeof(EffectContext));
	judgement->context.source_text = judgement->query_string;
	if (setting_on_internal_error == INTERNAL_ERROR_PASS)
		find_effects_in_subtransaction(judgement);
	else
		find_effects(judgement);
}

/*
 * The locks first, for what runs under them is then as it was judged.  If they
 * had to be waited for it may be another thing: an empty table may have been
 * filled.  What was said before is not said again.
 */
static void
take_locks(Judgement *judgement)
{
	Node	   *statement = judgement->pstmt->utilityStmt;
	RuleAction	before = judgement->action;
	const Finding *now;

	stop_analyzing(judgement->context.effects);
	if (statement_needs_no_transaction(statement) ||
		!take_locks_patiently(statement, &judgement->context))
		return;
	find_findings(judgement);
	now = heaviest_finding(judgement->findings);
	if (now != NULL && now->action > before)
		carry_out(judgement);
}

/*
 * What is left of the same statement is gone on with.  It is judged before all
 * the same: what is refused now is not finished either.
 */
static void
find_unfinished(Judgement *judgement)
{
	if (judgement->describe != NULL || judgement->in_transaction ||
		judgement->is_step || judgement->pstmt->utilityStmt == NULL ||
		!is_enforced())
		return;
	judgement->instead.task =
		find_unfinished_rewrite(judgement->pstmt->utilityStmt,
								statement_source(judgement->pstmt,
												 judgement->query_string));
}

static bool
is_replaced(const Judgement *judgement)
{
	return judgement->instead.task != NULL || judgement->instead.online != NULL;
}

/* The start of an online change that is run instead, if there is one. */
static void
choose_start(Judgement *judgement)
{
	RewriteSource source;

	if (!may_be_replaced(judgement))
		return;
	source = rewrite_source(judgement);
	judgement->instead.online = choose_online(&source);
}

/*
 * The task that is run instead of the statement, if "choose" finds one.
 */
static void
choose_task(Judgement *judgement,
			Task *(*choose) (const RewriteSource *source, char **refusal))
{
	RewriteSource source;

	if (!may_be_replaced(judgement))
		return;
	source = rewrite_source(judgement);
	judgement->instead.task = choose(&source, &judgement->refused_deferral);
}

static bool
may_be_replaced(const Judgement *judgement)
{
	return judgement->describe == NULL && !judgement->is_step &&
		judgement->pstmt->utilityStmt != NULL && is_enforced() &&
		extension_is_created();
}

static RewriteSource
rewrite_source(Judgement *judgement)
{
	RewriteSource source = {0};

	source.statement = judgement->pstmt->utilityStmt;
	source.effects = judgement->context.effects;
	source.findings = judgement->findings;
	source.in_transaction = judgement->in_transaction;
	source.text = statement_source(judgement->pstmt, judgement->query_string);
	return source;
}

static bool
is_enforced(void)
{
	return setting_mode == MODE_AUTO || setting_mode == MODE_ENFORCE;
}

/* A refusal first, so that no warning goes before it. */
static void
carry_out(Judgement *judgement)
{
	Finding    *heaviest = heaviest_finding(judgement->findings);
	ListCell   *cell;

	judgement->action = heaviest == NULL ? ACTION_ALLOW : heaviest->action;
	if (judgement->action != ACTION_ONLINE)
		check_statement(judgement);
	if (judgement->action > ACTION_WARN)
	{
		find_override(judgement);
		if (judgement->action != ACTION_REJECT &&
			judgement->override == NULL)
			find_replacement(judgement);
		if (!is_replaced(judgement))
		{
			if (judgement->action == ACTION_ONLINE)
				check_statement(judgement);
			settle_online(judgement->findings, false);
			settle_actions(judgement->findings, false, false);
		}
		if (judgement->action != ACTION_REJECT)
			heaviest = heaviest_finding(judgement->findings);
	}
	if (heaviest != NULL)
		act_on(judgement, heaviest);
	foreach(cell, judgement->findings)
	{
		if (lfirst(cell) != heaviest && still_counts(judgement, lfirst(cell)))
			act_on(judgement, lfirst(cell));
	}

	/* it was not refused: it runs as it is, unless that locks many tables */
	if (!is_replaced(judgement) && !judgement->in_transaction)
	{
		find_unfinished(judgement);
		if (!is_replaced(judgement))
			choose_task(judgement, choose_careful_drop);
	}
}

/*
 * What is in its way; an online change finds out by itself what is in that of
 * a change.
 */
static void
check_statement(const Judgement *judgement)
{
	Node	   *statement = judgement->pstmt->utilityStmt;

	if (statement_check != NULL && statement != NULL && !judgement->is_step &&
		extension_is_created())
		statement_check(statement);
}

/* What the statement would do an online change does not. */
static bool
still_counts(const Judgement *judgement, const Finding *finding)
{
	return judgement->instead.online == NULL ||
		finding->rule->rule_class == RULE_DESIGN;
}

/* What an earlier run has left, what the policy asks for, or what can be done. */
static void
find_replacement(Judgement *judgement)
{
	find_unfinished(judgement);
	if (!is_replaced(judgement))
		choose_start(judgement);
	if (!is_replaced(judgement))
		choose_task(judgement, choose_rewrite);
}

/*
 * Describe and judge.  PostgreSQL's own errors (a default that divides by
 * zero, a USING clause of the wrong type) go out as they are, for the
 * statement would raise them as well; an internal error is ours.
 */
static void
find_effects(Judgement *judgement)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		reach_fault_point("judge");
		if (judgement->describe != NULL)
			judgement->describe(judgement->pstmt, &judgement->context,
								judgement->arg);
		else
			(void) describe_effects(judgement->pstmt->utilityStmt,
									&judgement->context);
		judgement->findings = judge_effects(judgement->context.effects);
		if (judgement->is_step)
			check_step(judgement);
		if (judgement->describe == NULL && !judgement->is_step &&
			design_rules_count())
			judgement->findings = list_concat(judgement->findings,
											  find_design(judgement));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_INTERNAL_ERROR)
			PG_RE_THROW();
		FlushErrorState();
		report_internal_error(error);
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("safe_migrate failed while judging the statement, which was not run: %s",
						error->message),
				 errhint("Set safe_migrate.on_internal_error to \"pass\" to let such statements run unjudged.")));
	}
	PG_END_TRY();
}

/*
 * A step is there to avoid long work under a strong lock.  If it would do such
 * work, others have changed the table since the plan was made.
 */
static void
check_step(Judgement *judgement)
{
	ListCell   *cell;

	foreach(cell, judgement->findings)
	{
		const Finding *finding = lfirst(cell);

		if (finding->rule->rule_class == RULE_WORK &&
			finding->action > ACTION_WARN)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the table was changed while the safe way was run, so that a step is not safe any more: %s",
							finding->message)));
	}
	judgement->findings = NIL;
}

static List *
find_design(Judgement *judgement)
{
	TraitSource source = {0};

	source.effects = &judgement->context;
	source.by_migration = migration_is_running();
	source.text = statement_source(judgement->pstmt, judgement->query_string);
	source.offset = statement_start(judgement->pstmt, judgement->query_string);
	return judge_design(judgement->pstmt->utilityStmt, &source);
}

/* on_internal_error = pass: an error is swallowed, so it needs a subtransaction. */
static void
find_effects_in_subtransaction(Judgement *judgement)
{
	ErrorData  *error = run_in_subtransaction(find_effects_and_keep, judgement);

	if (error == NULL)
		return;
	if (must_be_rethrown(error))
		ReThrowError(error);
	judgement->findings = NIL;
	judgement->context.effects = NIL;
}

static bool
find_effects_and_keep(void *arg)
{
	find_effects(arg);
	return true;
}

/* Somebody wants the statement to stop: that is not about our judgement. */
static bool
must_be_rethrown(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_INSUFFICIENT_RESOURCES:
			return true;
		default:
			return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
				error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
	}
}

static void
report_internal_error(ErrorData *error)
{
	record_internal_error();
	ereport(LOG,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("safe_migrate failed while judging a statement: %s",
					error->message),
			 errdetail("Raised in %s, %s:%d.",
					   error->funcname ? error->funcname : "?",
					   error->filename ? error->filename : "?",
					   error->lineno)));
}

/* Carry out the action that is in force for one finding. */
static void
act_on(Judgement *judgement, const Finding *finding)
{
	switch (finding->action)
	{
		case ACTION_ALLOW:
			break;
		case ACTION_NOTE:
			if (setting_mode != MODE_OBSERVE)
				ereport(NOTICE, (errmsg("%s", finding->message)));
			break;
		case ACTION_WARN:
			record_finding(judgement, finding, DECISION_WARNED);
			if (setting_mode != MODE_OBSERVE)
				ereport(WARNING,
						(errcode(ERRCODE_SM_REJECTED_BY_RULE),
						 errmsg("%s", finding->message)));
			break;

		case ACTION_REWRITE:
		case ACTION_DEFER:
		case ACTION_ONLINE:
			/* told and recorded when that is run */
			Assert(is_replaced(judgement));
			break;
		case ACTION_REJECT:
			if (judgement->override != NULL)
				record_finding(judgement, finding, DECISION_OVERRIDDEN);
			else if (setting_mode == MODE_OBSERVE)
				record_finding(judgement, finding, DECISION_OBSERVED);
			else if (setting_mode == MODE_WARN)
			{
				record_finding(judgement, finding, DECISION_WARNED);
				ereport(WARNING,
						(errcode(ERRCODE_SM_REJECTED_BY_RULE),
						 errmsg("%s", finding->message)));
			}
			else
				reject(judgement, finding);
			break;
	}
}

/* A reason to let the statement pass. */
static void
find_override(Judgement *judgement)
{
	judgement->override = find_valid_override(judgement->pstmt,
											  judgement->query_string,
											  &judgement->refused_override);
}

static void
record_finding(const Judgement *judgement, const Finding *finding,
			   DecisionOutcome outcome)
{
	Decision	decision = {0};
	const RelationFacts *relation = finding->effect->relation;

	decision.outcome = outcome;
	decision.rule = finding->rule->name;
	decision.command =
		GetCommandTagName(CreateCommandTag((Node *) judgement->pstmt));
	decision.relation = relation ? relation->name : NULL;
	decision.statement = statement_source(judgement->pstmt,
										  judgement->query_string);
	decision.message = finding->message;
	if (outcome == DECISION_OVERRIDDEN)
		decision.reason = judgement->override;

	/* the record says what became of the transaction, so it needs an ID */
	if (outcome != DECISION_REJECTED)
		(void) GetTopFullTransactionId();
	record_decision(&decision);
}

static void
reject(const Judgement *judgement, const Finding *finding)
{
	Node	   *statement = judgement->pstmt->utilityStmt;
	char	   *effects = effects_in_words(&judgement->context);
	SafePlan   *plan = NULL;
	char	   *script;

	if (statement != NULL && finding->effect->cause != CAUSE_DESIGN)
		plan = plan_statement(statement, judgement->context.effects,
							  statement_source(judgement->pstmt,
											   judgement->query_string));
	script = plan_as_script(plan);
	record_finding(judgement, finding, DECISION_REJECTED);
	ereport(ERROR,
			(errcode(ERRCODE_SM_REJECTED_BY_RULE),
			 errmsg("%s%s", finding->message,
					plan != NULL ? remedy_in_words(judgement, plan) :
					online_remedy_in_words(judgement, finding)),
			 judgement->refused_override || judgement->refused_deferral ?
			 errdetail("%s\n%s", effects,
					   judgement->refused_override ?
					   judgement->refused_override :
					   judgement->refused_deferral) :
			 effects[0] != '\0' ? errdetail("%s", effects) : 0,
			 script ? errhint("%s", script) :
			 statement != NULL && statement_needs_no_transaction(statement) ?
			 errhint("SET safe_migrate.override = 'reason'; before it lets it pass once, and is recorded.") :
			 errhint("%s", override_hint()),
			 report_position(judgement, finding)));
}

/* For the message: how to have the plan carried out. */
static const char *
remedy_in_words(const Judgement *judgement, const SafePlan *plan)
{
	if (judgement->host == NULL)
		return "; CALL migrate.run('...') does it so";
	if (judgement->host->remedy == NULL)
		return "";
	return psprintf("; %s%s", judgement->host->remedy,
					plan->quick_steps >= 0 &&
					setting_in_transaction == IN_TRANSACTION_REJECT ?
					"; safe_migrate.in_transaction = defer would leave the slow part for after the commit" : "");
}

/* For the message where there is no plan: the online change, if there is one. */
static const char *
online_remedy_in_words(const Judgement *judgement, const Finding *finding)
{
	Node	   *statement = judgement->pstmt->utilityStmt;
	char	   *call = NULL;

	if (statement != NULL && rule_may_go_online(finding->rule) &&
		extension_is_created())
		call = online_call(statement,
						   statement_source(judgement->pstmt,
											judgement->query_string));
	return call == NULL ? "" :
		psprintf("; %s", online_remedy(statement, call));
}

/* How to let it pass, for those who may. */
static const char *
override_hint(void)
{
	if (pg_parameter_aclcheck(OVERRIDE_SETTING, GetUserId(),
							  ACL_SET) != ACLCHECK_OK)
		return "Superusers, and roles with GRANT SET ON PARAMETER safe_migrate.override, can let it pass.";
	return "To let it pass, and have the reason recorded: /* safe_migrate: override <reason> */ before the statement, or SET LOCAL safe_migrate.override in its transaction.";
}

/* For the DETAIL: lock, work and risk of each relation. */
static char *
effects_in_words(const EffectContext *context)
{
	StringInfoData words;
	char	   *dropped = dropped_in_words(context, MAX_DROPPED_SHOWN);
	int			count = 0;
	ListCell   *cell;

	initStringInfo(&words);
	foreach(cell, context->effects)
	{
		const Effect *effect = lfirst(cell);

		if (effect->relation != NULL && effect->relation->is_protected)
			continue;
		if (++count > MAX_EFFECTS_SHOWN)
			continue;
		appendStringInfo(&words, "%s%s%s: %s, work %s, risk %s.",
						 words.len > 0 ? "\n" : "",
						 effect->relation ? effect->relation->name :
						 effect->object ? effect->object : "database",
						 effect->relation && effect->object ?
						 psprintf(" (%s)", effect->object) : "",
						 effect->lockmode == NoLock ? "no lock" :
						 GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lockmode),
						 work_name(effect->work), risk_name(effect->risk));
	}
	if (count > MAX_EFFECTS_SHOWN)
		appendStringInfo(&words, "\nAnd %d more.", count - MAX_EFFECTS_SHOWN);
	if (dropped != NULL)
		appendStringInfo(&words, "\nDropped with it: %s.", dropped);
	return words.data;
}

/*
 * A position in what the client has sent, or in another text: that of a
 * prepared statement, or of a query in a function.
 */
static int
report_position(const Judgement *judgement, const Finding *finding)
{
	if (!judgement->may_be_elsewhere || debug_query_string == NULL ||
		strcmp(debug_query_string, judgement->query_string) == 0)
		return errposition(error_position(judgement, finding));
	internalerrposition(error_position(judgement, finding));
	return internalerrquery(judgement->query_string);
}

/* Position of what is refused in the query string, in characters from 1. */
static int
error_position(const Judgement *judgement, const Finding *finding)
{
	int			location = finding->effect->location;

	if (location < 0)
	{
		location = Max(judgement->pstmt->stmt_location, 0);
		location += first_token_offset(judgement->query_string + location);
	}
	return pg_mbstrlen_with_len(judgement->query_string, location) + 1;
}
