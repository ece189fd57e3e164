/*-------------------------------------------------------------------------
 *
 * adopt.h
 *	  Taking over what other migration tools have on record.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ADOPT_H
#define SAFE_MIGRATE_ADOPT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "ledger/adopt/tools.h"
#include "ledger/ledger.h"
#include "nodes/pg_list.h"

/* A ledger of another tool in this database. */
typedef struct ForeignLedger
{
	const ForeignTool *tool;
	Oid			relid;			/* InvalidOid: it is gone, or not followed */
	bool		changed;		/* the table is there, but is no ledger now */
	char	   *name;			/* qualified and quoted */
	bool		readable;		/* for the current role */
} ForeignLedger;

typedef enum ForeignState
{
	FOREIGN_APPLIED,
	FOREIGN_MARK,				/* it and all before it are applied */
	FOREIGN_ROLLED_BACK,
	FOREIGN_FAILED
} ForeignState;

/* What a ledger says of a migration. */
typedef struct ForeignRow
{
	char	   *key;			/* tells it from the others of its ledger */
	List	   *ids;			/* of char *: what its file may be called */
	char	   *name;			/* or NULL */
	bool		has_applied_at;
	TimestampTz applied_at;
	char	   *role;			/* or NULL */
	bool		has_duration;
	int64		duration_ms;
	char	   *checksum;		/* or NULL */
	char	   *body;			/* or NULL */
	ForeignState state;
	char	   *version;		/* registered migration that it was found to
								 * be, of rows that are in the archive */
	bool		in_archive;		/* as it is now */
	int			rank;			/* place in its ledger, from 0 */
} ForeignRow;

typedef enum ChecksumVerdict
{
	CHECKSUM_NONE,				/* the tool has stored none */
	CHECKSUM_SAME,
	CHECKSUM_OPAQUE,			/* nobody knows how to compute it */
	CHECKSUM_DIFFERENT
} ChecksumVerdict;

/* A row and the registered migration that it is about. */
typedef struct Adoption
{
	const ForeignRow *row;
	LedgerEntry *entry;			/* NULL if no such file was loaded */
	ChecksumVerdict verdict;
} Adoption;

/*
 * foreign_ledger.c: finding ledgers and reading them, with the privileges of
 * the current role.  Results are in the current memory context.
 */

/*
 * The ledgers of a tool, or of any (NULL); relid narrows it down to one
 * table, whose name need not be the usual one then.
 */
extern List *find_foreign_ledgers(const char *tool, Oid relid);

/* Is there a tool of that name? */
extern bool foreign_tool_exists(const char *tool);

/*
 * The rows of a ledger, of ForeignRow, in its order.  Throws whatever reading
 * it throws, and SM008 if it has more rows than it should.
 */
extern List *read_foreign_ledger(const ForeignLedger *ledger);

/* Throws SM008 while the tool is at work, or has left something half done. */
extern void refuse_unsettled_ledger(const ForeignLedger *ledger, List *rows);

/* match.c: which migrations the rows are about, as a list of Adoption. */
extern List *match_foreign_rows(const ForeignTool *tool, List *rows);

/*
 * The sort key of what somebody else may have written as a version, or NULL:
 * never throws, unlike version_sort_key().
 */
extern char *foreign_sort_key(const char *version);

/* Those of some versions that are after the mark of a tool that counts. */
extern List *versions_after_mark(const ForeignRow *row, List *versions);

/*
 * store.c: the extension's own tables of adopted ledgers.  Each function is a
 * query with the rights of the extension's owner, needs a transaction, and has
 * its result in the current memory context; what it does is told there.
 */
extern List *store_adopted_ledgers(void);	/* of ForeignLedger */
extern void store_remember_ledger(const ForeignLedger *ledger);
extern List *store_archived_rows(const char *ledger);
extern void store_archive_row(const ForeignLedger *ledger,
							  const ForeignRow *row, const char *version);
extern void store_adopted_attempt(const ForeignLedger *ledger,
								  const Adoption *adoption,
								  const char *checksum, const char *body);
extern bool store_revert_attempt(const ForeignLedger *ledger,
								 const char *version);
extern char *store_version_of_checksum(const char *checksum);
extern void store_migration_text(const char *version, char **tool_checksum,
								 char **body);
extern void store_forget_row(const ForeignLedger *ledger,
							 const ForeignRow *row);
extern List *store_versions_in_effect(const ForeignLedger *ledger);
extern bool store_forget_ledger(const char *ledger);

#endif							/* SAFE_MIGRATE_ADOPT_H */
