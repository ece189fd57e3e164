/*-------------------------------------------------------------------------
 *
 * rewrite.h
 *	  Running something safer instead of a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_REWRITE_H
#define SAFE_MIGRATE_REWRITE_H

#include "effects/effects.h"
#include "nodes/params.h"
#include "policy/policy.h"
#include "run/host.h"
#include "task/task.h"
#include "tcop/cmdtag.h"
#include "tcop/dest.h"
#include "utils/queryenvironment.h"

/* A statement with its text, and where it was sent. */
typedef struct RewriteSource
{
	Node	   *statement;
	const char *text;			/* with the comments before it */
	List	   *effects;
	List	   *findings;
	bool		in_transaction; /* or in a function: no commit is possible */
} RewriteSource;

/*
 * The task that does a statement in a safer way, if the policy asks for that:
 * it is to be run now, or, if it is deferred, its quick part now and the rest
 * after the commit.  NULL when there is none, and *refusal may become why the
 * statement cannot be deferred.  The actions of the findings become what can
 * be done.  The task is in a memory context that lives as long as the current
 * portal.
 */
extern Task *choose_rewrite(const RewriteSource *source, char **refusal);

/*
 * The task that drops the foreign keys first, one at a time, for a DROP of a
 * table or column that is going to run and would lock the tables of all of
 * them at once; else NULL.  Only outside of a transaction; *refusal stays as
 * it is.  As above.
 */
extern Task *choose_careful_drop(const RewriteSource *source,
								 char **refusal);

/*
 * The task that carries out the plan of a statement, because of a finding, or
 * NULL if there is no plan.  As above.
 */
extern Task *make_rewrite(const RewriteSource *source,
						  const Finding *finding);

/*
 * The task which an earlier run of the same statement has left unfinished, or
 * NULL.  Only for statements outside of a transaction.  As above.
 */
extern Task *find_unfinished_rewrite(Node *statement, const char *text);

/* A NOTICE of what is going to run. */
extern void tell_rewrite(const Task *task);

/*
 * Run such a task, at top level: commits, leaves a transaction open, and
 * completes *qc, which may be NULL, with the tag of the statement.  If it is
 * of a script, that divides its transaction first, if it can; else host is
 * NULL.
 */
extern void run_rewrite(Task *task, const ScriptHost *host, CommandTag tag,
						QueryCompletion *qc);

/*
 * Run the quick part of a deferred task in the current transaction, and leave
 * the rest for after its commit.
 */
extern void defer_rewrite(Task *task, CommandTag tag, ParamListInfo params,
						  QueryEnvironment *query_env, QueryCompletion *qc);

#endif							/* SAFE_MIGRATE_REWRITE_H */
