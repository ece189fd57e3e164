/*-------------------------------------------------------------------------
 *
 * script.h
 *	  SQL text as tokens, comments and statements.
 *
 * The server's own scanner and parser do the work, so that quoting,
 * dollar quotes, nested comments and standard_conforming_strings are read as
 * the server reads them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SCRIPT_H
#define SAFE_MIGRATE_SCRIPT_H

#include "postgres.h"

#include "nodes/parsenodes.h"

typedef struct SqlToken
{
	int			code;			/* the character for single-character tokens */
	int			location;		/* byte offset in the text */
	int			length;			/* bytes */
} SqlToken;

typedef struct SqlTokens
{
	const char *text;
	int			count;
	SqlToken   *tokens;
} SqlTokens;

typedef struct ScriptStatement
{
	RawStmt    *raw;			/* locations refer to the whole script */
	const char *text;			/* the statement alone, without its semicolon,
								 * but with the comments before it */
	int			offset;			/* of text in the script, bytes */
	int			line;			/* of the first token */
	int			end;			/* offset behind the statement's semicolon */
} ScriptStatement;

/* Largest script that is read, bytes. */
#define SCRIPT_MAX_BYTES	(100 * 1024 * 1024)

/*
 * Split text into tokens.  Throws the scanner's syntax errors.  Allocated in
 * the current memory context.
 */
extern SqlTokens *scan_sql(const char *text);

/* True if the token is that keyword or unquoted identifier, in any case. */
extern bool token_is(const SqlTokens *tokens, int index, const char *word);

/* Offset of the first token, skipping white space and comments. */
extern int	first_token_offset(const char *text);

/*
 * Parse a script into a list of ScriptStatement, in the current memory
 * context; first_line is the number of its first line, where it is a part of a
 * file.  A syntax error is thrown as PostgreSQL throws it, with the line
 * number in the message and, unless the script is long, the position in an
 * internal query; what names the script in messages ("script", "migration
 * 12").  An empty script gives NIL.
 * A script over SCRIPT_MAX_BYTES throws SM008.
 */
extern List *parse_script(const char *text, const char *what, int first_line);

/*
 * The value of a directive in the comments of a statement, "safe_migrate:
 * word value".  Returns a palloc'd string, empty if the word stands alone, or
 * NULL if there is no such directive.  Line comments count too.
 */
extern char *find_directive(const char *text, const char *word);

/* A directive in a comment, where it is the first thing on a line of that. */
typedef struct ScriptDirective
{
	char	   *word;
	char	   *value;			/* empty if there is none */
	int			line;			/* counted from 1 */
	bool		first;			/* nothing but comments is before it */
	bool		has_statement;	/* in a statement, or before one */
	bool		behind_statement;	/* in a line comment that follows the end
									 * of a statement on its line */
} ScriptDirective;

/*
 * All directives of a script, in order, palloc'd.  Throws the scanner's syntax
 * errors as parse_script() does.
 */
extern List *list_directives(const char *text, const char *what,
							 int first_line);

/* Line number, from 1, of a byte offset. */
extern int	line_of_offset(const char *text, int offset);

/* LF line ends, no byte order mark; palloc'd. */
extern char *normalize_newlines(const char *text);

#endif							/* SAFE_MIGRATE_SCRIPT_H */
