/*-------------------------------------------------------------------------
 *
 * record.h
 *	  What was decided about a statement, kept although its transaction
 *	  aborts.
 *
 * A decision goes into a bounded queue in shared memory.  A launcher that
 * is connected to no database starts a short-lived worker in the database
 * concerned, which moves the decisions into a table.  The view
 * migrate.decisions shows both, so that a refusal is visible at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RECORD_H
#define SAFE_MIGRATE_RECORD_H

#include "postgres.h"

typedef enum DecisionOutcome
{
	DECISION_REJECTED,			/* refused, the statement did not run */
	DECISION_WARNED,			/* let through with a WARNING or NOTICE */
	DECISION_OBSERVED,			/* mode = observe: would have been refused */
	DECISION_REWRITTEN,			/* another statement ran instead */
	DECISION_REWRITE_FAILED,	/* it did not run to its end */
	DECISION_DEFERRED,			/* the slow part waits for the commit */
	DECISION_OVERRIDDEN,		/* would have been refused; a reason was given */
	DECISION_MIGRATION_FAILED,	/* migrate.apply(): the record of an attempt */
	DECISION_INTERNAL_ERROR,	/* our own code failed while judging */
	DECISION_MISPREDICTED		/* for developers: see src/observe */
} DecisionOutcome;

/* One decision.  Strings may be NULL; long ones are cut when queued. */
typedef struct Decision
{
	DecisionOutcome outcome;
	const char *rule;			/* name of the rule, or NULL */
	const char *command;		/* command tag, e.g. "ALTER TABLE" */
	const char *relation;		/* qualified name, or NULL */
	const char *statement;		/* what was asked */
	const char *executed;		/* what ran instead, or NULL */
	const char *message;		/* what the user was told */
	const char *reason;			/* the reason given with an override */
	bool		has_run;		/* the fields below are known */
	int64		duration_ms;	/* from its start to its end */
	int64		lock_wait_ms;	/* longest wait for the locks of one step */
	uint64		size_bytes;		/* of the relations concerned */
} Decision;

/*
 * To be called from _PG_init while shared_preload_libraries is processed, and
 * only then.  Neither throws.  The launcher is not registered in binary
 * upgrade.
 */
extern void record_request_shared_memory(void);
extern void record_register_launcher(void);

/*
 * Queue a decision for the current database, with the time, the roles, the
 * client and the top transaction's ID, if it has one by now.  So that the
 * outcome of the transaction can be told later, call this for a statement
 * that was let through only after an ID is assigned, or call
 * GetTopFullTransactionId() before.
 *
 * Takes one LWLock, waits for nothing else, needs no transaction state and
 * keeps none of the pointers.  Never throws: when the queue is full, or the
 * library is not preloaded, the loss is counted and the decision is written
 * to the server log instead.
 */
extern void record_decision(const Decision *decision);

/*
 * Count a statement whose effects were compared with what was predicted, and
 * the differences.  Never throws.
 */
extern void record_observed_statement(int mismatches);

/* Count that our own code failed while judging.  Never throws. */
extern void record_internal_error(void);

#endif							/* SAFE_MIGRATE_RECORD_H */
