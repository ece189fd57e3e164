/*-------------------------------------------------------------------------
 *
 * change_arguments.h
 *	  Arguments of the functions that start a change.
 *
 * All results are palloc'd in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CHANGE_ARGUMENTS_H
#define SAFE_MIGRATE_CHANGE_ARGUMENTS_H

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "nodes/nodes.h"

/* A text that is needed: throws if it is null.  name is that of the argument. */
extern char *needed_text(FunctionCallInfo fcinfo, int number,
						 const char *name);

/* NULL for null. */
extern char *optional_text(FunctionCallInfo fcinfo, int number);

/* A text[] without nulls, as a list of char *; NIL for null. */
extern List *text_list(FunctionCallInfo fcinfo, int number, const char *name);

/*
 * The same for names of columns and constraints: cut to what a name may have,
 * with PostgreSQL's NOTICE, and refused if empty.
 */
extern char *needed_name(FunctionCallInfo fcinfo, int number,
						 const char *name);
extern char *optional_name(FunctionCallInfo fcinfo, int number);
extern List *name_list(FunctionCallInfo fcinfo, int number, const char *name);

/* The call as a statement, with all its arguments. */
extern char *call_as_text(FunctionCallInfo fcinfo, const char *kind);

/*
 * The single statement of a text that was put together with what the user has
 * written.  Throws a syntax error, or, if it has become more than one
 * statement or sub-command, that what says is not one.
 */
extern void require_single_subcommand(const char *statement, const char *what);

#endif							/* SAFE_MIGRATE_CHANGE_ARGUMENTS_H */
