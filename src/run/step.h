/*-------------------------------------------------------------------------
 *
 * step.h
 *	  Running one statement of a script.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_STEP_H
#define SAFE_MIGRATE_STEP_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/* What a statement means for the transactions of the script it is in. */
typedef enum StatementRole
{
	STATEMENT_ORDINARY,
	STATEMENT_BEGIN,			/* BEGIN, START TRANSACTION */
	STATEMENT_COMMIT,			/* COMMIT, END */
	STATEMENT_ROLLBACK,
	STATEMENT_SAVEPOINT,
	STATEMENT_RELEASE,
	STATEMENT_ROLLBACK_TO,
	STATEMENT_PREPARE,			/* PREPARE TRANSACTION */
	STATEMENT_SET_TRANSACTION	/* SET TRANSACTION, SET transaction_... */
} StatementRole;

extern StatementRole statement_role(Node *statement);

/*
 * True if PostgreSQL refuses the statement inside a transaction block.
 * CALL and DO are not known before they run.  Looks names up: needs a
 * transaction.
 */
extern bool statement_needs_no_transaction(Node *statement);

/*
 * Run one statement as if a client had sent it, discarding its result.  Needs
 * a transaction without an active snapshot, and a current memory context that
 * outlives the commits which the statement may do; leaves a transaction open.
 * Not for use inside a function.
 */
extern void run_statement_at_top_level(const char *text);

/*
 * Qualified name of the invalid index that an earlier run of the statement, a
 * CREATE INDEX CONCURRENTLY, has left behind, or NULL.
 */
extern char *find_invalid_index(Node *statement);

/* Run one statement inside a function, discarding its result. */
extern void run_statement_in_function(const char *text);

/*
 * The savepoints of a script, the innermost first, in a list that is kept in
 * the current memory context; NIL before the first.  They are
 * subtransactions, because real savepoints exist only in blocks that the
 * client began.  Returns the new list.
 */
extern List *run_savepoint_statement(List *savepoints, TransactionStmt *stmt);
extern void release_all_savepoints(List *savepoints);

#endif							/* SAFE_MIGRATE_STEP_H */
