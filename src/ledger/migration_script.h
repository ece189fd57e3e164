/*-------------------------------------------------------------------------
 *
 * migration_script.h
 *	  The text of a migration as statements.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_MIGRATION_SCRIPT_H
#define SAFE_MIGRATE_MIGRATION_SCRIPT_H

#include "postgres.h"

#include "common/script.h"
#include "ledger/ledger.h"
#include "utils/guc.h"

typedef struct MigrationScript
{
	const LedgerEntry *entry;
	List	   *statements;		/* of ScriptStatement */
	bool		no_transaction; /* every statement by itself */

	/*
	 * The first statement that ends a transaction although others follow, or
	 * rolls it back; NULL if the script has no such statement.
	 */
	const ScriptStatement *commits_inside;
} MigrationScript;

/*
 * Parse a text, as parse_script() does.  origin names it in messages.
 */
extern List *parse_migration(const char *body, int first_line,
							 const char *origin);

/*
 * Parse a migration whose body has been read, and check that it can be run at
 * all.  Throws a syntax error, SM008 or SM009, with the line in the message.
 */
extern MigrationScript *read_migration_script(const LedgerEntry *entry);

/* True if an earlier attempt has committed the statement. */
extern bool statement_is_done(const LedgerEntry *entry,
							  const ScriptStatement *statement);

/*
 * True if the statement cannot run in a transaction as it is, and the utility
 * hook will not leave out its CONCURRENTLY.
 */
extern bool statement_must_run_alone(Node *statement);

/*
 * Set safe_migrate.override to the reason given with the statement, if there
 * is one, for the current transaction (GUC_ACTION_LOCAL) or until the GUC
 * nest level ends (GUC_ACTION_SAVE).
 */
extern void set_override(const ScriptStatement *statement, GucAction action);

/*
 * Tell in an error where in which migration it was raised.  statement is NULL
 * if it was raised by the commit.
 */
extern void locate_error(ErrorData *error, const LedgerEntry *entry,
						 const ScriptStatement *statement);

#endif							/* SAFE_MIGRATE_MIGRATION_SCRIPT_H */
