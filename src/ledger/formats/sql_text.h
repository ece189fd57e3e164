/*-------------------------------------------------------------------------
 *
 * sql_text.h
 *	  What must not be in the text of a migration.
 *
 * The server's scanner would do for SQL, but what is looked for here is not
 * SQL, and the scanner cannot be built outside the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SQL_TEXT_H
#define SAFE_MIGRATE_SQL_TEXT_H

#include "postgres.h"

typedef enum SqlPieceKind
{
	SQL_PIECE_END,
	SQL_PIECE_SPACE,
	SQL_PIECE_COMMENT,
	SQL_PIECE_QUOTED,			/* a string or an identifier, in any quotes */
	SQL_PIECE_WORD,				/* a keyword or an identifier */
	SQL_PIECE_OTHER				/* one character, or a number */
} SqlPieceKind;

typedef struct SqlPiece
{
	SqlPieceKind kind;
	const char *start;
	int			length;
} SqlPiece;

/*
 * The piece that a text begins with.  Quotes and comments that have no end go
 * on to that of the text.  standard_conforming_strings is taken to be on.
 */
extern SqlPiece first_sql_piece(const char *text);

/*
 * Throws SM008 for commands of psql and the data of COPY, and for what is SQL
 * of SQLite or MySQL only, in a text that begins with some line of a file.
 */
extern void check_sql_text(const char *path, const char *text, int first_line);

/*
 * Throws SM008 if a text has that string, a placeholder of the tool, outside
 * of comments.
 */
extern void refuse_placeholder(const char *path, const char *text,
							   const char *placeholder, const char *tool);

#endif							/* SAFE_MIGRATE_SQL_TEXT_H */
