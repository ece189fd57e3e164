/*-------------------------------------------------------------------------
 *
 * own_tables.h
 *	  SQL on the tables of the extension, with the rights of its owner.
 *
 * A role that may call a function of ours needs no privilege on the tables
 * that the function reads and writes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OWN_TABLES_H
#define SAFE_MIGRATE_OWN_TABLES_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* What is to be put back after our tables have been used. */
typedef struct OwnAccess
{
	Oid			user;
	int			security_context;
	bool		read_only;
	MemoryContext caller;
} OwnAccess;

/*
 * Has a table of the extension ever had a row, and not been emptied by a vacuum
 * since?  False without the extension.  Needs a transaction; costs little.
 */
extern bool own_table_has_pages(const char *name);

/* The parameters of a query. */
typedef struct OwnArguments
{
	int			count;
	Oid			types[30];
	Datum		values[30];
	char		nulls[30];
} OwnArguments;

/*
 * Become the owner of the extension, connect to SPI and take a snapshot; and
 * the reverse.  Needs a transaction.  An error on the way needs no care: the
 * end of the transaction, or of the subtransaction that catches it, puts the
 * user and the read-only mode back.
 */
extern void begin_own_access(OwnAccess *access);
extern void end_own_access(OwnAccess *access);

/*
 * Run a query, between the two; its text is a constant, qualified throughout.
 * It runs with search_path "pg_catalog, pg_temp", which an error on the way puts
 * back as the user.  The result is in SPI_tuptable.  Throws when the result code of SPI is not
 * the expected one.
 */
extern void run_own_query(const char *query, OwnArguments *arguments,
						  int expected);

extern void add_own_argument(OwnArguments *arguments, Oid type, Datum value,
							 bool isnull);

/* NULL is allowed. */
extern void add_own_text(OwnArguments *arguments, const char *value);

/* A text[] of a list of char *, an oid[] of one of OIDs; NIL is the empty array. */
extern void add_own_text_list(OwnArguments *arguments, List *values);
extern void add_own_oid_list(OwnArguments *arguments, const List *oids);

/* An xid[] of the subtransactions that were not rolled back. */
extern void add_own_subtransactions(OwnArguments *arguments);

/* A column of a row of the result: a copy in the caller's memory context. */
extern char *own_text_column(OwnAccess *access, uint64 row, int column);

/* Of a text[], as a list of char *; NIL for NULL. */
extern List *own_text_list_column(OwnAccess *access, uint64 row, int column);

/* An oid column of all rows, in the caller's memory context. */
extern List *own_oid_column(OwnAccess *access, int column);

/* false for NULL */
extern bool own_bool_column(uint64 row, int column);

/* 0 for NULL */
extern int	own_int_column(uint64 row, int column);
extern int64 own_bigint_column(uint64 row, int column);

#endif							/* SAFE_MIGRATE_OWN_TABLES_H */
