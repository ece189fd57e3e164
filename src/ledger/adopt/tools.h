/*-------------------------------------------------------------------------
 *
 * tools.h
 *	  How other migration tools keep their records in a database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ADOPT_TOOLS_H
#define SAFE_MIGRATE_ADOPT_TOOLS_H

#include "postgres.h"

#define TOOL_MAX_COLUMNS	10

/* A column that a ledger must have, of one of these types: "int4|int8". */
typedef struct ForeignColumn
{
	const char *name;
	const char *types;
} ForeignColumn;

/* The table with which a tool keeps others out. */
typedef struct ForeignLock
{
	const char *relname;		/* beside the ledger; NULL: the tool has none */
	const char *column;
	Oid			type;
	const char *query;			/* of %1$s: who has it, a row if it is taken */
	const char *remedy;
} ForeignLock;

typedef struct ForeignTool
{
	const char *tool;
	const char *relname;		/* of its ledger, unless it is set up
								 * otherwise */
	const char *nspname;		/* only in this schema; NULL: in any */
	ForeignColumn columns[TOOL_MAX_COLUMNS];
	bool		only_these;		/* columns are all there are */
	const char *beside;			/* table that must be in the same schema */
	const char *not_beside;		/* and that must not */

	/*
	 * What the ledger %1$s says, one row a migration, in the tool's order:
	 * key, ids, name, applied_at, role, duration_ms, checksum, body, state.
	 * ids are the names by which a registered migration may go, the likeliest
	 * first; state is a ForeignState.  Names are qualified, and operators
	 * too.
	 */
	const char *rows;
	const char *single_row;		/* remedy if there are several rows */
	const char *failed;			/* remedy if one of them has failed */
	ForeignLock lock;

	const char *checksum_format;	/* for tool_checksum(), or NULL */
	bool		checksum_has_name;	/* of file name and text together */
	bool		by_checksum;	/* the ledger has no names, only checksums */
	bool		keeps_text;		/* body is the whole text of a file */
} ForeignTool;

extern const ForeignTool foreign_tools[];
extern const int foreign_tool_count;

#endif							/* SAFE_MIGRATE_ADOPT_TOOLS_H */
