/*-------------------------------------------------------------------------
 *
 * comment_rule.h
 *	  New tables without a comment, judged when their transaction commits.
 *
 * CREATE TABLE cannot bring a comment, so its absence is a fact only at the
 * end: the comment may come in any later statement of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COMMENT_RULE_H
#define SAFE_MIGRATE_COMMENT_RULE_H

#include "nodes/plannodes.h"

typedef struct NewTable NewTable;

/*
 * Called before a statement runs: what to pass to note_new_table() after it
 * has run, or NULL if it makes no table that the rule is about.  In memory
 * that ends with the transaction.
 */
extern NewTable *expect_new_table(PlannedStmt *pstmt,
								  const char *query_string);
extern void note_new_table(NewTable *table);

/*
 * Called from _PG_init, after register_override_callback(): of two callbacks
 * the one registered last is called first, and an override is to count here.
 */
extern void register_comment_rule(void);

#endif							/* SAFE_MIGRATE_COMMENT_RULE_H */
