/*-------------------------------------------------------------------------
 *
 * ledger.h
 *	  The ledger: migrations, and the attempts to apply them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LEDGER_H
#define SAFE_MIGRATE_LEDGER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lock.h"

/* A migration that somebody wants to have registered. */
typedef struct MigrationText
{
	const char *version;
	const char *name;
	const char *format;			/* a MigrationFormat, or "sql" */
	const char *body;			/* normalized */
	const char *down_body;		/* normalized, or NULL */
	const char *tool_checksum;	/* as the tool of the format has it, or NULL */
	List	   *requires;		/* of char *, versions */
	int			listed_at;		/* place in a list; 0: ordered by version */
	bool		in_transaction; /* false: every statement by itself */
	bool		repeatable;		/* run again when its text has changed */
	const char *origin;			/* names the text in messages */
} MigrationText;

typedef enum RegisterResult
{
	REGISTER_NEW,
	REGISTER_UNCHANGED,
	REGISTER_CHANGED,			/* pending, its text was replaced */
	REGISTER_EDITED,			/* not the text that was applied */
	REGISTER_RESTORED			/* the text that was applied, once more */
} RegisterResult;

/* A registered migration and what has become of it. */
typedef struct LedgerEntry
{
	char	   *version;
	char	   *name;
	char	   *label;			/* version and name, for messages */
	char	   *checksum;
	char	   *body;			/* NULL until ledger_read_body() */
	char	   *attempted_body; /* likewise: what the last attempt ran */
	List	   *requires;		/* of char *, versions */
	bool		in_transaction;
	bool		repeatable;		/* run again when its text has changed */
	bool		missing;		/* its file is gone */
	bool		applied;		/* run, or marked as applied */
	bool		edited;			/* applied, but with another text */

	/* the last attempt at a migration that is not applied */
	int64		attempt;		/* 0: there was none */
	bool		interrupted;	/* it ended without a word */
	int			statements;		/* what of it is committed */
	int			done_bytes;
} LedgerEntry;

typedef enum AttemptState
{
	ATTEMPT_RUNNING,
	ATTEMPT_APPLIED,
	ATTEMPT_FAILED,
	/* marked as applied without running it: */
	ATTEMPT_BASELINE,
	ATTEMPT_ADOPTED,
	ATTEMPT_REPAIRED,
	/* was one of those before: */
	ATTEMPT_REVERTED,
	ATTEMPT_SUPERSEDED,
	/* had failed half way, and is to begin anew */
	ATTEMPT_RESTARTED
} AttemptState;

typedef enum AttemptKind
{
	ATTEMPT_APPLY,
	ATTEMPT_REVERT
} AttemptKind;

/* An attempt to apply a migration. */
typedef struct Attempt
{
	const LedgerEntry *entry;
	int64		id;				/* 0 until it is written */
	AttemptKind kind;
	AttemptState state;
	const char *role;
	TimestampTz started_at;
	int			statements;		/* done, of this attempt and earlier ones */
	int			done_bytes;		/* how much of the body that is */
	const char *error;
	const char *sqlstate;
	int			error_statement;	/* counted from 1; 0: not in a statement */
	int			error_line;
	const char *tool;			/* that had applied it, or NULL */
	const char *fingerprint;	/* of the schema after it, or NULL */
} Attempt;

/* version.c */
extern char *version_sort_key(const char *version);

/* ledger.c */
extern char *migration_label(const char *version, const char *name);
extern char *text_checksum(const char *body);
extern RegisterResult register_migration(MigrationText *migration);
extern const char *register_result_name(RegisterResult result);

/*
 * ledger_store.c: all SQL that touches the tables.  It runs with the rights of
 * the extension's owner, because nobody else may write them.  Needs a
 * transaction.  Results are in the current memory context.
 */
extern List *ledger_read(void);
extern LedgerEntry *ledger_read_version(const char *version);
extern void ledger_read_body(LedgerEntry *entry);
extern char *ledger_version_with_same_key(const char *version);
extern bool ledger_is_same(const MigrationText *migration,
						   const char *checksum);
extern bool ledger_insert_migration(const MigrationText *migration,
									const char *checksum);
extern bool ledger_delete_migration(const char *version);
extern void ledger_update_migration(const MigrationText *migration,
									const char *checksum);
extern void ledger_write_attempt(Attempt *attempt);
extern void ledger_end_interrupted(const LedgerEntry *entry);

/*
 * The schema whose history all of the above read and write; empty, as at
 * first, for that of the database.  Whoever sets it puts it back.
 */
extern void ledger_set_target_schema(const char *schema);
extern const char *ledger_target_schema(void);

/*
 * pending.c: the migrations that are to be run, with their bodies, in order.
 * Throws if what is registered does not fit what has been applied.
 */
extern List *pending_migrations(const char *target);
extern List *pending_single_migration(const char *version);
extern LedgerEntry *find_migration(List *entries, const char *target);
extern bool done_part_was_changed(const LedgerEntry *entry);

/* ledger_lock.c: one deploy or apply at a time in a database */
extern void lock_ledger_for_session(void);
extern void keep_ledger_lock(void);
extern void keep_extension(void);
extern void unlock_ledger_for_session(void);
extern void lock_ledger_for_transaction(void);

/* deploy.c */
extern void register_ledger_procedures(void);

#endif							/* SAFE_MIGRATE_LEDGER_H */
