/*-------------------------------------------------------------------------
 *
 * patience.c
 *	  Take the locks of a statement without making anybody wait behind us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/pg_prng.h"
#include "common/script.h"
#include "common/settings.h"
#include "lock/lock_internal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Milliseconds between two looks, doubled each time. */
#define FIRST_PAUSE			1
#define LONGEST_PAUSE		100

/* Microseconds after which the user is told who blocks. */
#define TELL_AFTER			USECS_PER_SEC

/* What DDL of others adds meanwhile is looked for so many times. */
#define MAX_ROUNDS			10

typedef struct PatientWait
{
	List	   *targets;		/* of LockTarget */
	const LockTarget *refused;	/* the one that was not free */
	List	   *blockers;		/* whose fault that is, in "context" */
	MemoryContext context;		/* reset before each look */
	const char *command;		/* for messages */
	CommandTag	tag;
	int			limit;			/* ms, 0: none */
	const char *limit_setting;	/* where that is set */
	TimestampTz since;			/* 0: all locks were free so far */
	TimestampTz deadline;		/* DT_NOEND: none */
	TimestampTz users_deadline; /* the same by lock_timeout */
	TimestampTz told_autovacuum;	/* when it was asked to go, or 0 */
	bool		told_user;
} PatientWait;

static const char *const lock_deadline_name = "safe_migrate.lock_deadline";
static int64 longest_wait = 0;

static List *effects_of_all(List *statements);
static void wait_until_free(PatientWait *wait, List *relids,
							LOCKMODE lockmode);
static void wait_for_concurrent_commands(const PatientWait *wait,
										 List *effects);
static void set_command(PatientWait *wait, Node *statement);
static bool has_all(PatientWait *wait, List *effects);
static bool take_at_once(List *targets);
static void raise_no_end(const PatientWait *wait);
static void wait_for_all(PatientWait *wait);
static const LockTarget *first_held(List *targets);
static const LockTarget *take_all_free(List *targets);
static void let_go_of_all(List *targets);
static void begin_waiting(PatientWait *wait);
static void poll_until_taken(PatientWait *wait);
static bool look_and_take(PatientWait *wait);
static void act_on_blockers(PatientWait *wait);
static void give_up(const PatientWait *wait);
static void raise_lock_timeout(const PatientWait *wait);
static void tell_user(PatientWait *wait);
static void dismiss_autovacuum(PatientWait *wait);
static void dismiss_if_autovacuum(int pid);
static bool stay_in_queue(PatientWait *wait);
static void pause_for(const PatientWait *wait, int milliseconds);
static bool drop_portal_snapshot(void);
static void restore_portal_snapshot(void);

/*
 * See lock.h.
 */
bool
take_locks_patiently(Node *statement, const EffectContext *context)
{
	PatientWait wait = {0};
	List	   *effects = context->effects;

	if (setting_mode == MODE_OFF || setting_mode == MODE_OBSERVE ||
		IsA(statement, LockStmt) || context->nowait)
		return false;
	set_command(&wait, statement);
	wait_for_concurrent_commands(&wait, effects);
	for (int round = 0; !has_all(&wait, effects); round++)
	{
		EffectContext again = {0};

		if (round == MAX_ROUNDS)
			raise_no_end(&wait);

		/* nobody is to wait for those that we have while we wait for others */
		let_go_of_all(wait.targets);
		wait.targets = find_lock_targets(effects);
		wait_for_all(&wait);

		/* others may have changed meanwhile what the statement concerns */
		AcceptInvalidationMessages();
		again.source_text = context->source_text;
		effects = describe_effects(statement, &again);
	}
	if (wait.since != 0)
		longest_wait = Max(longest_wait,
						   GetCurrentTimestamp() - wait.since);
	if (setting_observation)
		let_go_of_all(wait.targets);
	return wait.since != 0;
}

/*
 * See lock.h.
 */
void
wait_until_readable(Node *statement)
{
	PatientWait wait = {0};

	if (setting_mode == MODE_OFF || setting_mode == MODE_OBSERVE ||
		IsA(statement, LockStmt))
		return;
	set_command(&wait, statement);
	wait_until_free(&wait, relations_named(statement), AccessShareLock);
}

/*
 * See lock_internal.h.
 */
void
wait_until_concurrent(const char *command, CommandTag tag, List *relids)
{
	PatientWait wait = {0};

	wait.command = command;
	wait.tag = tag;
	wait.limit = setting_concurrent_deadline;
	wait.limit_setting = "safe_migrate.concurrent_deadline";
	wait_until_free(&wait, relids, ShareUpdateExclusiveLock);
}

/*
 * See lock.h.
 */
void
lock_relations_patiently(CommandTag tag, const char *command, List *relids,
						 LOCKMODE lockmode)
{
	PatientWait wait = {0};
	ListCell   *cell;

	wait.command = command;
	wait.tag = tag;
	wait.limit = setting_lock_deadline;
	wait.limit_setting = lock_deadline_name;
	foreach(cell, relids)
	{
		LockTarget *target = palloc(sizeof(LockTarget));

		target->relid = lfirst_oid(cell);
		target->lockmode = lockmode;
		wait.targets = lappend(wait.targets, target);
	}
	if (wait.targets != NIL && !take_at_once(wait.targets))
		wait_for_all(&wait);
	AcceptInvalidationMessages();
	if (wait.since != 0)
		longest_wait = Max(longest_wait, GetCurrentTimestamp() - wait.since);
}

/*
 * See lock.h.
 */
void
lock_for_statements(CommandTag tag, const char *command, List *relids,
					List *statements)
{
	PatientWait wait = {0};
	List	   *missing;

	wait.command = command;
	wait.tag = tag;
	wait.limit = setting_lock_deadline;
	wait.limit_setting = lock_deadline_name;
	missing = find_lock_targets_with(relids, effects_of_all(statements));
	for (int round = 0; !take_at_once(missing); round++)
	{
		if (round == MAX_ROUNDS)
			raise_no_end(&wait);
		let_go_of_all(wait.targets);
		wait.targets = find_lock_targets_with(relids,
											  effects_of_all(statements));
		wait_for_all(&wait);

		/* others may have changed meanwhile what the statements concern */
		AcceptInvalidationMessages();
		missing = find_lock_targets_with(relids, effects_of_all(statements));
	}
	AcceptInvalidationMessages();
	if (wait.since != 0)
		longest_wait = Max(longest_wait, GetCurrentTimestamp() - wait.since);
}

static List *
effects_of_all(List *statements)
{
	List	   *effects = NIL;
	ListCell   *cell;

	foreach(cell, statements)
	{
		const char *text = lfirst(cell);
		EffectContext context = {0};
		ListCell   *part;

		context.source_text = text;
		foreach(part, parse_script(text, "statement", 1))
			effects = list_concat(effects,
								  list_copy(describe_effects(((ScriptStatement *) lfirst(part))->raw->stmt,
															 &context)));
	}
	return effects;
}

/* Wait until a lock could be had on each of them, and take none. */
static void
wait_until_free(PatientWait *wait, List *relids, LOCKMODE lockmode)
{
	ListCell   *cell;

	foreach(cell, relids)
	{
		LockTarget *target = palloc(sizeof(LockTarget));

		target->relid = lfirst_oid(cell);
		target->lockmode = lockmode;
		if (lock_is_held(target))
			wait->targets = lappend(wait->targets, target);
	}
	if (wait->targets == NIL)
		return;
	if (!take_at_once(wait->targets))
		wait_for_all(wait);
	let_go_of_all(wait->targets);
	AcceptInvalidationMessages();
	if (wait->since != 0)
		longest_wait = Max(longest_wait, GetCurrentTimestamp() - wait->since);
}

/*
 * A statement that excludes no reader and no writer, such as VALIDATE, may as
 * well wait in the queue; but not with its snapshot, for which a command with
 * CONCURRENTLY that has the lock would wait in turn.
 */
static void
wait_for_concurrent_commands(const PatientWait *wait, List *effects)
{
	List	   *relids = NIL;
	ListCell   *cell;

	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);

		if (effect->lockmode == ShareUpdateExclusiveLock &&
			effect->relation != NULL && OidIsValid(effect->relation->relid))
			relids = list_append_unique_oid(relids,
											effect->relation->relid);
	}
	if (relids != NIL)
		wait_until_concurrent(wait->command, wait->tag, relids);
}

static void
set_command(PatientWait *wait, Node *statement)
{
	wait->tag = CreateCommandTag(statement);
	wait->command = GetCommandTagName(wait->tag);
	wait->limit = setting_lock_deadline;
	wait->limit_setting = lock_deadline_name;
}

/*
 * See lock.h.
 */
void
reset_longest_lock_wait(void)
{
	longest_wait = 0;
}

/*
 * See lock.h.
 */
int64
longest_lock_wait_us(void)
{
	return longest_wait;
}

/*
 * True if we have, without a wait, what the statement needs by its effects as
 * they are now.  What they no longer need is let go of.
 */
static bool
has_all(PatientWait *wait, List *effects)
{
	List	   *missing = find_lock_targets(effects);
	List	   *needless = find_needless_targets(wait->targets, effects);

	let_go_of_all(needless);
	wait->targets = list_difference_ptr(wait->targets, needless);
	if (!take_at_once(missing))
		return false;
	wait->targets = list_concat(wait->targets, missing);
	return true;
}

/* All of them, if they are free, or none. */
static bool
take_at_once(List *targets)
{
	return first_held(targets) == NULL && take_all_free(targets) == NULL;
}

/* What DDL of others adds each time cannot be waited for. */
static void
raise_no_end(const PatientWait *wait)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_LOCK_DEADLINE),
			 errmsg("lock_deadline: %s waited %s for its locks, and each time others had changed meanwhile what it has to lock; repeat it when they have finished",
					wait->command,
					wait_in_words(GetCurrentTimestamp() - wait->since))));
}

/* Wait until all locks are taken. */
static void
wait_for_all(PatientWait *wait)
{
	bool		had_snapshot;

	begin_waiting(wait);
	had_snapshot = drop_portal_snapshot();
	PG_TRY();
	{
		poll_until_taken(wait);
	}
	PG_FINALLY();
	{
		withdraw_poller();
	}
	PG_END_TRY();
	MemoryContextDelete(wait->context);
	if (had_snapshot)
		restore_portal_snapshot();
}

/*
 * The first lock that somebody else holds.  Only to look assigns no
 * transaction ID, as the request of an AccessExclusiveLock does, which would
 * hold back VACUUM everywhere for as long as we wait.
 */
static const LockTarget *
first_held(List *targets)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		if (lock_is_held(lfirst(cell)))
			return lfirst(cell);
	}
	return NULL;
}

/*
 * All locks or none, so that nobody waits for those that we have while we wait
 * for the rest.  Returns the one that was refused, NULL if there is none.
 */
static const LockTarget *
take_all_free(List *targets)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		if (take_if_free(lfirst(cell)))
			continue;
		let_go_of_all(list_copy_head(targets, foreach_current_index(cell)));
		return lfirst(cell);
	}
	return NULL;
}

static void
let_go_of_all(List *targets)
{
	ListCell   *cell;

	foreach(cell, targets)
		let_go(lfirst(cell));
}

/* One deadline for all locks of the statement, however often it begins. */
static void
begin_waiting(PatientWait *wait)
{
	wait->context = AllocSetContextCreate(CurrentMemoryContext,
										  "safe_migrate lock wait",
										  ALLOCSET_SMALL_SIZES);
	if (wait->since != 0)
		return;
	wait->since = GetCurrentTimestamp();
	wait->deadline = wait->limit == 0 ? DT_NOEND :
		TimestampTzPlusMilliseconds(wait->since, wait->limit);
	wait->users_deadline = LockTimeout == 0 ? DT_NOEND :
		TimestampTzPlusMilliseconds(wait->since, LockTimeout);
}

static void
poll_until_taken(PatientWait *wait)
{
	int			pause = FIRST_PAUSE;

	while (!look_and_take(wait))
	{
		act_on_blockers(wait);
		if (is_short(oldest_transaction(wait->blockers)))
		{
			if (stay_in_queue(wait))
				return;
			/* those who stood behind us first */
			pause = Max(pause, Min(2 * setting_lock_queue_time, LONGEST_PAUSE));
		}
		pause_for(wait, pause);
		pause = Min(2 * pause, LONGEST_PAUSE);
	}
}

/* True if all locks are taken; else it is known who is in the way. */
static bool
look_and_take(PatientWait *wait)
{
	MemoryContext old = MemoryContextSwitchTo(wait->context);

	MemoryContextReset(wait->context);
	wait->refused = first_held(wait->targets);
	if (wait->refused == NULL)
		wait->refused = take_all_free(wait->targets);
	if (wait->refused != NULL)
		wait->blockers = find_blockers(wait->refused);
	MemoryContextSwitchTo(old);
	return wait->refused == NULL;
}

/* Tell the others, then see whether to go on at all. */
static void
act_on_blockers(PatientWait *wait)
{
	MemoryContext old = MemoryContextSwitchTo(wait->context);
	TimestampTz now = GetCurrentTimestamp();

	publish_poller(wait->refused, wait->tag, wait->since, wait->deadline,
				   wait->blockers);
	raise_deadlock(wait->blockers, wait->refused);
	if (now >= wait->users_deadline &&
		wait->users_deadline <= wait->deadline)
		raise_lock_timeout(wait);
	if (now >= wait->deadline)
		give_up(wait);
	if (!wait->told_user && now - wait->since >= TELL_AFTER)
		tell_user(wait);
	if (now - wait->since >= Min(DeadlockTimeout, 1000) * INT64CONST(1000))
		dismiss_autovacuum(wait);
	MemoryContextSwitchTo(old);
}

static void
give_up(const PatientWait *wait)
{
	char	   *queries = queries_of_blockers(wait->blockers);
	char	   *remedy = remedy_for_blockers(wait->blockers);
	int64		waited = GetCurrentTimestamp() - wait->since;

	ereport(ERROR,
			(errcode(ERRCODE_SM_LOCK_DEADLINE),
			 errmsg("lock_deadline: %s waited %s for %s on %s, which is held by %s; end that transaction, or raise %s",
					wait->command,
					wait_in_words(waited),
					GetLockmodeName(DEFAULT_LOCKMETHOD, wait->refused->lockmode),
					relation_display_name(wait->refused->relid),
					blockers_in_words(wait->blockers), wait->limit_setting),
			 queries[0] != '\0' ? errdetail("%s", queries) : 0,
			 wait->limit_setting == lock_deadline_name &&
			 oldest_transaction(wait->blockers) < waited ?
			 errhint("Short transactions follow each other there: a longer safe_migrate.lock_queue_time lets the statement stand in line behind them.") :
			 remedy != NULL ? errhint("%s", remedy) : 0));
}

/* PostgreSQL's own error, for the user's own limit. */
static void
raise_lock_timeout(const PatientWait *wait)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("canceling statement due to lock timeout"),
			 errdetail("%s on %s is held by %s.",
					   GetLockmodeName(DEFAULT_LOCKMETHOD,
									   wait->refused->lockmode),
					   relation_display_name(wait->refused->relid),
					   blockers_in_words(wait->blockers))));
}

static void
tell_user(PatientWait *wait)
{
	bool		users = wait->users_deadline <= wait->deadline;
	TimestampTz end = users ? wait->users_deadline : wait->deadline;

	ereport(NOTICE,
			(errmsg("%s waits for %s on %s, which is held by %s",
					wait->command,
					GetLockmodeName(DEFAULT_LOCKMETHOD, wait->refused->lockmode),
					relation_display_name(wait->refused->relid),
					blockers_in_words(wait->blockers)),
			 errdetail("Others do not have to wait behind it. %s",
					   end == DT_NOEND ?
					   psprintf("It waits without a limit (%s).",
								wait->limit_setting) :
					   psprintf("It gives up after %s (%s).",
								wait_in_words(end - wait->since),
								users ? "lock_timeout" : wait->limit_setting))));
	wait->told_user = true;
}

/*
 * Autovacuum gives way only to those who have stood in the queue for
 * deadlock_timeout.  As one cancel may come too early or too late, it is
 * repeated.
 */
static void
dismiss_autovacuum(PatientWait *wait)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *cell;

	if (wait->told_autovacuum != 0 &&
		now - wait->told_autovacuum < USECS_PER_SEC)
		return;
	wait->told_autovacuum = now;
	foreach(cell, wait->blockers)
		dismiss_if_autovacuum(((const Blocker *) lfirst(cell))->pid);
}

/* As the lock manager does it: not if wraparound threatens. */
static void
dismiss_if_autovacuum(int pid)
{
	PGPROC	   *process;
	uint8		flags = 0;

	if (pid == 0)
		return;
	LWLockAcquire(ProcArrayLock, LW_SHARED);
	process = BackendPidGetProcWithLock(pid);
	if (process != NULL)
		flags = ProcGlobal->statusFlags[process->pgxactoff];
	LWLockRelease(ProcArrayLock);
	if ((flags & PROC_IS_AUTOVACUUM) == 0 ||
		(flags & PROC_VACUUM_FOR_WRAPAROUND) != 0)
		return;
	ereport(DEBUG1,
			(errmsg_internal("sending cancel to blocking autovacuum PID %d",
							 pid)));
	if (kill(pid, SIGINT) < 0 && errno != ESRCH)
		ereport(WARNING,
				(errmsg("could not send signal to process %d: %m", pid)));
}

/* Not beyond what is left until a deadline. */
static bool
stay_in_queue(PatientWait *wait)
{
	TimestampTz end = Min(wait->deadline, wait->users_deadline);
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													   end);

	left = Min(left, setting_lock_queue_time);
	return left > 0 && queue_for_locks(wait->targets, (int) left);
}

/*
 * Up to so long, but not at the same pace as others.  A catalog snapshot would
 * make CREATE INDEX CONCURRENTLY wait for us.
 */
static void
pause_for(const PatientWait *wait, int milliseconds)
{
	TimestampTz end = Min(wait->deadline, wait->users_deadline);
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													   end);
	double		jitter = 0.75 + pg_prng_double(&pg_global_prng_state) / 2;
	long		pause = Max((long) (milliseconds * jitter), 1);

	InvalidateCatalogSnapshotConditionally();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Min(pause, Max(left, 1)), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Give up the snapshot that the portal of a statement at top level has taken
 * for it, since others may have to wait for it to go.  Returns false where
 * there is none, or it is needed further: in a function, or in a transaction
 * with one snapshot for all statements.
 */
static bool
drop_portal_snapshot(void)
{
	if (ActivePortal == NULL || ActivePortal->portalSnapshot == NULL ||
		!ActiveSnapshotSet() || IsolationUsesXactSnapshot() ||
		GetActiveSnapshot() != ActivePortal->portalSnapshot)
		return false;
	PopActiveSnapshot();
	ActivePortal->portalSnapshot = NULL;
	InvalidateCatalogSnapshot();
	return true;
}

/* Below it there may be that of an outer portal. */
static void
restore_portal_snapshot(void)
{
	if (ActiveSnapshotSet())
	{
		PushActiveSnapshotWithLevel(GetTransactionSnapshot(),
									ActivePortal->createLevel);
		ActivePortal->portalSnapshot = GetActiveSnapshot();
	}
	else
		EnsurePortalSnapshotExists();
}
