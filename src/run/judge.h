/*-------------------------------------------------------------------------
 *
 * judge.h
 *	  A statement that is about to run: judge it, and act on the verdict.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_JUDGE_H
#define SAFE_MIGRATE_JUDGE_H

#include "effects/effects.h"
#include "effects/traits.h"
#include "nodes/plannodes.h"
#include "rates/rates.h"
#include "run/host.h"
#include "run/start_online.h"
#include "task/task.h"

/* Where a statement comes from. */
typedef enum StatementOrigin
{
	ORIGIN_TOP_LEVEL,			/* sent by a client as it is */
	ORIGIN_INSIDE,				/* in a function, a DO block, ... */
	ORIGIN_STEP					/* stands for one that was judged already */
} StatementOrigin;

/* What is to be run instead of a statement: one of these, or neither. */
typedef struct Replacement
{
	Task	   *task;			/* see rewrite.h */
	OnlineStart *online;		/* see start_online.h */
} Replacement;

/*
 * Judge a utility statement.  Returns what is to be run instead, which is
 * nothing if it may run; otherwise throws SM001.
 * Queues a decision for each finding that is not allowed silently, and sends
 * the WARNINGs and NOTICEs that the policy asks for.  *work becomes what can
 * be learned from running it.  Of a step, only that is found out.
 * host is the script that the statement is of, which may be able to divide its
 * transaction for it, or NULL.
 */
extern Replacement judge_statement(PlannedStmt *pstmt,
								   const char *query_string,
								   StatementOrigin origin,
								   const ScriptHost *host, HeavyWork *work);

/*
 * The same for a query, whose effects the function describes; arg is passed
 * to it.  An override is used up only by a query in which something is found.
 */
typedef void (*QueryDescriber) (PlannedStmt *pstmt, EffectContext *context,
								void *arg);

extern void judge_query(PlannedStmt *pstmt, const char *query_string,
						QueryDescriber describe, void *arg);

/* A trait that shows only after its statement, which ran with that text. */
extern void judge_late_trait(PlannedStmt *pstmt, const char *query_string,
							 Trait *trait);

/*
 * The text of one statement of a query string, with the comments before it,
 * palloc'd.
 */
extern char *statement_source(PlannedStmt *pstmt, const char *query_string);

/* Where that begins, comments included, in bytes. */
extern int	statement_start(PlannedStmt *pstmt, const char *query_string);

#endif							/* SAFE_MIGRATE_JUDGE_H */
