/*-------------------------------------------------------------------------
 *
 * plan_text.h
 *	  Shared by the files of src/plan: steps made of the user's own text.
 *
 * All results are palloc'd in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PLAN_TEXT_H
#define SAFE_MIGRATE_PLAN_TEXT_H

#include "common/script.h"
#include "plan/plan.h"

/*
 * The text from start to end (-1: to its end), without white space and
 * comments at the outer ends and without a semicolon.
 */
extern char *statement_text(const char *source_text, int start, int end);

/*
 * The statement parsed again, so that its locations refer to the text; NULL
 * if it turns out to be of another kind than the statement, which is the case
 * for a part of CREATE SCHEMA.
 */
extern Node *parse_again(Node *statement, const char *source_text);

/* The text of each sub-command of an ALTER TABLE. */
extern List *split_subcommands(const char *source_text);

/*
 * A sub-command parsed by itself; its locations refer to the text of the
 * piece, once the offset is subtracted.
 */
extern AlterTableCmd *parse_piece(const char *piece, int *offset);

/* The text behind a relation's name, which begins at a location. */
extern char *text_behind_name(const char *source_text, int location);

/* The text with another name of the relation whose name is at a location. */
extern char *with_other_name(const char *text, int location,
							 const char *name);

/* Index of the token at a location, or of the first behind it. */
extern int	token_at(const SqlTokens *tokens, int location);

/* a, b, "C" of a list of String nodes. */
extern char *column_list(List *columns);

/* Add a step; undo as in PlanStep. */
extern void add_step(SafePlan *plan, char *undo, const char *format,...)
			pg_attribute_printf(3, 4);

#endif							/* SAFE_MIGRATE_PLAN_TEXT_H */
