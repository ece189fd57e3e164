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

/* Longest version, bytes; that of a file name. */
#define VERSION_MAX_BYTES	255

/* A migration that somebody wants to have registered. */
typedef struct MigrationText
{
	const char *version;
	const char *name;
	const char *format;			/* a MigrationFormat, or "sql" */
	const char *body;			/* normalized */
	int			body_line;		/* of the file, with which it begins */
	const char *down_body;		/* normalized, or NULL */
	int			down_line;		/* likewise */
	const char *tool_checksum;	/* as the tool of the format has it, or NULL */
	List	   *requires;		/* of char *, versions */
	int			listed_at;		/* place in a list; 0: ordered by version */
	bool		in_transaction; /* false: every statement by itself */
	bool		repeatable;		/* run again when its text has changed */
	const char *origin;			/* names the text in messages */
	const char *down_origin;	/* names down_body */
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
	int			body_line;		/* likewise: line of the file where it begins */
	char	   *attempted_body; /* likewise: what the last attempt ran */
	List	   *requires;		/* of char *, versions */
	bool		in_transaction;
	bool		repeatable;		/* run again when its text has changed */
	bool		missing;		/* its file is gone */
	bool		applied;		/* run, or marked as applied */
	bool		edited;			/* applied, but with another text */
	bool		repeat;			/* repeatable, and its text has changed since */

	/* the last attempt at a migration that is not applied */
	int64		attempt;		/* 0: there was none */
	bool		interrupted;	/* it ended without a word */
	int			statements;		/* what of it is committed */
	int			done_bytes;
	List	   *tasks;			/* of int64 *: what it has left to the
								 * background */

	const char *runs_after;		/* label of a later one that is applied
								 * already, if it is to run out of order */
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
	bool		out_of_order;	/* a later one was applied before */
	const char *error;
	const char *sqlstate;
	int			error_statement;	/* counted from 1; 0: not in a statement */
	int			error_line;
	const char *tool;			/* that had applied it, or NULL */
	const char *fingerprint;	/* of the schema after it, or NULL */
	List	   *tasks;			/* of int64 *: left to the background */
} Attempt;

/* version.c */
extern char *version_sort_key(const char *version);

/* ledger.c */
extern char *migration_label(const char *version, const char *name);
extern char *text_checksum(const char *body);
extern RegisterResult register_migration(MigrationText *migration);
extern const char *register_result_name(RegisterResult result);

/*
 * Write that the registered text of a migration counts as applied from now on,
 * or, with ATTEMPT_RESTARTED, that nothing of it does; whatever counted before
 * does so no longer.  Only to be called while holding the lock of the ledger.
 */
extern void mark_as_applied(LedgerEntry *entry, AttemptState state);

/*
 * ledger_store.c: all SQL that touches the tables.  It runs with the rights of
 * the extension's owner, because nobody else may write them.  Needs a
 * transaction.  Results are in the current memory context.
 */
extern List *ledger_read(void);
extern LedgerEntry *ledger_read_version(const char *version);

/*
 * The same with its bodies and without a lock; throws if it is not registered
 * any more.
 */
extern LedgerEntry *ledger_read_entry(const char *version);

/* Read its text, and that of the last attempt at it, into the entry. */
extern void ledger_read_body(LedgerEntry *entry);
extern MigrationText *ledger_read_text(const char *version);
extern int64 ledger_forget_target(const char *schema);
extern bool ledger_outlives_schema(const char *schema);
extern int	ledger_count_targets(char **first);
extern char *ledger_version_with_same_key(const char *version);
extern bool ledger_is_same(const MigrationText *migration,
						   const char *checksum);
extern bool ledger_insert_migration(const MigrationText *migration,
									const char *checksum);
extern bool ledger_delete_migration(const char *version);
extern void ledger_update_migration(const MigrationText *migration,
									const char *checksum);
extern List *ledger_mark_missing(const char *format, List *versions);
extern void ledger_write_attempt(Attempt *attempt);
extern void ledger_end_interrupted(const LedgerEntry *entry);
extern const char *attempt_state_name(AttemptState state);

/* ledger_change.c: likewise, for what changes the record of what has run */
extern bool ledger_end_effect(const LedgerEntry *entry, AttemptState state);
extern void ledger_forget_migration(const LedgerEntry *entry);
extern void ledger_release_tasks(const LedgerEntry *entry);
extern List *ledger_half_done_elsewhere(const LedgerEntry *entry);
extern List *ledger_read_tasks(const LedgerEntry *entry);
extern char *ledger_read_down_body(const LedgerEntry *entry, int *line);

/*
 * The schema whose history all of the above read and write; empty, as at
 * first, for that of the database.  Whoever sets it puts it back.
 */
extern void ledger_set_target_schema(const char *schema);
extern const char *ledger_target_schema(void);

/*
 * pending.c: the migrations that are to be run, in order, repeatable ones last;
 * all, or those up to a version; what tools whose ledgers were adopted have
 * applied since is taken over before.  Their bodies are not read yet: there may
 * be ten thousand of them.  Throws if what is registered does not fit what has
 * been applied: SM003 edited, SM004 out of order or a required one is missing,
 * SM008 its file is gone, SM009.  Needs a transaction, and the ledger's lock;
 * the result is in the current memory context.
 */
extern List *pending_migrations(const char *target);

/* The same for one of them: a list of one, or NIL if it is applied. */
extern List *pending_single_migration(const char *version);

/*
 * Throws unless others may get the history: SM003 if some of it was edited, SM008
 * if the file of what is pending is gone.
 */
extern void refuse_unsettled_history(List *entries);

/*
 * Throws if the history has only ever been applied to schemas: it would be built
 * once more, in the one that search_path names first.
 */
extern void refuse_history_of_schemas(List *entries);

/*
 * Read a pending one anew with its bodies, when its turn comes.  Throws SM003
 * if the part of it that has run was changed.
 */
extern LedgerEntry *read_pending(const LedgerEntry *entry);

/* A NOTICE if it runs out of order. */
extern void tell_late(const LedgerEntry *entry);

/*
 * Find a migration by its version, by another spelling of it, or by the part
 * of it before an underscore.  Throws if there is none, or more than one.
 */
extern LedgerEntry *find_migration(List *entries, const char *target);

/*
 * Does the text of a migration that has run in part no longer begin with that
 * part?  Its bodies must have been read.
 */
extern bool done_part_was_changed(const LedgerEntry *entry);

/*
 * ledger_lock.c: one deploy or apply at a time in a database, or in each of the
 * schemas that ledger_set_target_schema() names
 */
extern void lock_ledger_for_session(void);
extern void keep_ledger_lock(void);
extern void keep_extension(void);
extern void unlock_ledger_for_session(void);
extern void lock_ledger_for_transaction(void);

/*
 * deploy.c
 *
 * Run what is pending, all or up to a version, each migration in transactions
 * of its own; *applied counts those that are done, also if one throws.  This
 * is CALL migrate.deploy() without the CALL: for whoever is at top level,
 * outside of a transaction, such as a background worker that deploys to one of
 * many schemas.  The history, the lock and the place in migrate.deploy_progress
 * are those of ledger_target_schema(), and every migration starts with that
 * schema, then public, as its search_path.  Waits for the lock; throws outside of a
 * transaction.  The current memory context must outlive transactions; nothing
 * is left in it.
 */
extern void deploy_pending(const char *target, int *applied);
extern void register_ledger_procedures(void);

/*
 * adopt/adopt.c: take over what tools whose ledgers were adopted have applied
 * since.  To be called before it is decided what is pending, while holding the
 * lock of the ledger; one look at an empty table if nothing was adopted.  Reads
 * as the current role.  Throws SM008 while such a tool is at
 * work or has left something half done, and SM009 if its ledger may not be read.
 */
extern void ledger_adopt_new_rows(void);

/* Does that look at any ledger? */
extern bool ledger_follows_tools(void);

#endif							/* SAFE_MIGRATE_LEDGER_H */
