/*-------------------------------------------------------------------------
 *
 * sql_text.c
 *	  What must not be in the text of a migration.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/errors.h"
#include "common/script.h"
#include "ledger/formats/sql_text.h"

/* So many words of a statement are looked at as its beginning. */
#define BEGINNING_WORDS 4

/* Where in a text the check is. */
typedef struct SqlCheck
{
	const char *path;
	const char *text;
	int			first_line;		/* of the file, with which it begins */
	int			words;			/* of this statement so far */
	SqlPiece	beginning[BEGINNING_WORDS];
	bool		creates_table;
	SqlPiece	previous;		/* no comment, no white space */
} SqlCheck;

static int	quoted_length(const char *text, char quote, bool escapes);
static int	dollar_quoted_length(const char *text);
static int	comment_length(const char *text);
static int	word_length(const char *text);
static bool is_word_start(char c);
static bool piece_is(const SqlPiece *piece, const char *word);
static void check_piece(SqlCheck *check, const SqlPiece *piece);
static void check_word(SqlCheck *check, const SqlPiece *piece);
static bool comes_after_type(const SqlPiece *previous);
static void check_backslash(const SqlCheck *check, const SqlPiece *piece);
static void check_backtick(const SqlCheck *check, const SqlPiece *piece);
static void count_word(SqlCheck *check, const SqlPiece *piece);
static int	line_of_piece(const SqlCheck *check, const SqlPiece *piece);
static void foreign_sql(const SqlCheck *check, const SqlPiece *piece,
						const char *complaint);

/*
 * See sql_text.h.
 */
SqlPiece
first_sql_piece(const char *text)
{
	SqlPiece	piece = {SQL_PIECE_END, text, 0};
	int			space = (int) strspn(text, " \t\r\n\f\v");

	if (text[0] == '\0')
		return piece;
	piece.kind = SQL_PIECE_OTHER;
	piece.length = 1;
	if (space > 0)
	{
		piece.kind = SQL_PIECE_SPACE;
		piece.length = space;
	}
	else if (comment_length(text) > 0)
	{
		piece.kind = SQL_PIECE_COMMENT;
		piece.length = comment_length(text);
	}
	else if (text[0] == '\'' || text[0] == '"')
	{
		piece.kind = SQL_PIECE_QUOTED;
		piece.length = quoted_length(text, text[0], false);
	}
	else if ((text[0] == 'e' || text[0] == 'E') && text[1] == '\'')
	{
		piece.kind = SQL_PIECE_QUOTED;
		piece.length = 1 + quoted_length(text + 1, '\'', true);
	}
	else if (dollar_quoted_length(text) > 0)
	{
		piece.kind = SQL_PIECE_QUOTED;
		piece.length = dollar_quoted_length(text);
	}
	else if (is_word_start(text[0]))
	{
		piece.kind = SQL_PIECE_WORD;
		piece.length = word_length(text);
	}
	else if (isdigit((unsigned char) text[0]))
		piece.length = (int) strspn(text, "0123456789");
	return piece;
}

/* A doubled quote does not end what is quoted. */
static int
quoted_length(const char *text, char quote, bool escapes)
{
	const char *at = text + 1;

	while (*at && (*at != quote || at[1] == quote))
	{
		if ((*at == quote || (escapes && *at == '\\')) && at[1])
			at++;
		at++;
	}
	return (int) (at - text) + (*at ? 1 : 0);
}

/* 0 if no dollar quote begins here. */
static int
dollar_quoted_length(const char *text)
{
	int			tag = 1;
	const char *at;

	if (text[0] != '$')
		return 0;
	if (is_word_start(text[1]))
		while (is_word_start(text[tag]) || isdigit((unsigned char) text[tag]))
			tag++;
	if (text[tag] != '$')
		return 0;
	tag++;
	for (at = text + tag; (at = strchr(at, '$')) != NULL; at++)
		if (strncmp(at, text, tag) == 0)
			return (int) (at - text) + tag;
	return (int) strlen(text);
}

/* 0 if no comment begins here; they nest. */
static int
comment_length(const char *text)
{
	const char *at = text;
	int			depth = 0;

	if (strncmp(text, "--", 2) == 0)
		return (int) strcspn(text, "\n");
	if (strncmp(text, "/*", 2) != 0)
		return 0;
	do
	{
		if (strncmp(at, "/*", 2) == 0)
			depth++;
		else if (strncmp(at, "*/", 2) == 0)
			depth--;
		else
		{
			at++;
			continue;
		}
		at += 2;
	} while (*at && depth > 0);
	return (int) (at - text);
}

static int
word_length(const char *text)
{
	int			length = 1;

	while (is_word_start(text[length]) || text[length] == '$' ||
		   isdigit((unsigned char) text[length]))
		length++;
	return length;
}

static bool
is_word_start(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
piece_is(const SqlPiece *piece, const char *word)
{
	return piece->length == (int) strlen(word) &&
		pg_strncasecmp(piece->start, word, piece->length) == 0;
}

/*
 * See sql_text.h.
 */
void
check_sql_text(const char *path, const char *text, int first_line)
{
	SqlCheck	check = {path, text, first_line};
	const char *at = text;

	for (;;)
	{
		SqlPiece	piece = first_sql_piece(at);

		check_piece(&check, &piece);
		if (piece.kind == SQL_PIECE_END)
			break;
		at += piece.length;
	}
}

static void
check_piece(SqlCheck *check, const SqlPiece *piece)
{
	if (piece->kind == SQL_PIECE_SPACE || piece->kind == SQL_PIECE_COMMENT)
		return;
	if (check->creates_table && piece_is(&check->previous, "STRICT") &&
		(piece->kind == SQL_PIECE_END || piece_is(piece, ";") || piece_is(piece, ",")))
		foreign_sql(check, &check->previous,
					"STRICT tables are SQLite, not PostgreSQL: leave it out");
	switch (piece->kind)
	{
		case SQL_PIECE_WORD:
			check_word(check, piece);
			count_word(check, piece);
			break;
		case SQL_PIECE_OTHER:
			if (piece_is(piece, "\\"))
				check_backslash(check, piece);
			if (piece_is(piece, "`"))
				check_backtick(check, piece);
			if (piece_is(piece, ";"))
			{
				check->words = 0;
				check->creates_table = false;
			}
			break;
		case SQL_PIECE_QUOTED:
		case SQL_PIECE_SPACE:
		case SQL_PIECE_COMMENT:
		case SQL_PIECE_END:
			break;
	}
	check->previous = *piece;
}

static void
check_word(SqlCheck *check, const SqlPiece *piece)
{
	static const char *const conflict_words[] = {
		"REPLACE", "IGNORE", "ABORT", "FAIL", "ROLLBACK"
	};

	if (check->words == 0 && piece_is(piece, "PRAGMA"))
		foreign_sql(check, piece,
					"PRAGMA is SQLite, not PostgreSQL: leave it out");
	if (check->words == 1 && piece_is(&check->beginning[0], "REPLACE") &&
		piece_is(piece, "INTO"))
		foreign_sql(check, piece,
					"REPLACE INTO is SQLite or MySQL, not PostgreSQL: write INSERT ... ON CONFLICT DO UPDATE");
	if (check->words == 2 && piece_is(&check->beginning[0], "INSERT") &&
		piece_is(&check->beginning[1], "OR"))
		for (int i = 0; i < lengthof(conflict_words); i++)
			if (piece_is(piece, conflict_words[i]))
				foreign_sql(check, piece,
							psprintf("INSERT OR %s is SQLite, not PostgreSQL: write INSERT ... ON CONFLICT",
									 conflict_words[i]));
	if (check->creates_table && comes_after_type(&check->previous))
	{
		if (piece_is(piece, "AUTOINCREMENT"))
			foreign_sql(check, piece,
						"AUTOINCREMENT is SQLite, not PostgreSQL: write GENERATED ALWAYS AS IDENTITY");
		if (piece_is(piece, "AUTO_INCREMENT"))
			foreign_sql(check, piece,
						"AUTO_INCREMENT is MySQL, not PostgreSQL: write GENERATED ALWAYS AS IDENTITY");
	}
	if (check->creates_table && piece_is(piece, "ROWID") &&
		piece_is(&check->previous, "WITHOUT"))
		foreign_sql(check, piece,
					"WITHOUT ROWID is SQLite, not PostgreSQL: leave it out");
}

/* Those words may also be names of columns. */
static bool
comes_after_type(const SqlPiece *previous)
{
	static const char *const words[] = {
		"KEY", "ASC", "DESC", "NULL", "INT", "INTEGER", "BIGINT", "UNSIGNED"
	};

	for (int i = 0; i < lengthof(words); i++)
		if (piece_is(previous, words[i]))
			return true;
	return false;
}

static void
count_word(SqlCheck *check, const SqlPiece *piece)
{
	if (check->words >= BEGINNING_WORDS)
		return;
	check->beginning[check->words++] = *piece;
	/* CREATE TABLE, CREATE LOCAL TEMP TABLE */
	if (check->words > 1 && piece_is(&check->beginning[0], "CREATE") &&
		piece_is(piece, "TABLE"))
		check->creates_table = true;
}

/* Outside of quotes SQL has no backslash. */
static void
check_backslash(const SqlCheck *check, const SqlPiece *piece)
{
	char	   *command = pnstrdup(piece->start, strcspn(piece->start, " \t\n"));

	if (strcmp(command, "\\.") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\", line %d: the data of COPY FROM STDIN cannot be part of a migration: write INSERT, or copy from a file of the server",
						check->path,
						line_of_piece(check, piece))));
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("file \"%s\", line %d: %s is a command of psql, which the server does not know: put what it stands for in its place",
					check->path,
					line_of_piece(check, piece),
					command)));
}

/* A backtick alone may be an operator. */
static void
check_backtick(const SqlCheck *check, const SqlPiece *piece)
{
	size_t		length = strcspn(piece->start + 1, "`\n");

	if (piece->start[length + 1] == '`' && is_word_start(piece->start[1]))
		foreign_sql(check, piece,
					"names in backticks are SQLite or MySQL, not PostgreSQL: write them in double quotes");
}

static int
line_of_piece(const SqlCheck *check, const SqlPiece *piece)
{
	return check->first_line - 1 +
		line_of_offset(check->text, piece->start - check->text);
}

static void
foreign_sql(const SqlCheck *check, const SqlPiece *piece, const char *complaint)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("file \"%s\", line %d: %s", check->path,
					line_of_piece(check, piece),
					complaint)));
}

/*
 * See sql_text.h.
 */
void
refuse_placeholder(const char *path, const char *text, const char *placeholder,
				   const char *tool)
{
	const char *at = text;
	const char *found = strstr(text, placeholder);

	while (found != NULL)
	{
		SqlPiece	piece = first_sql_piece(at);

		at += piece.length;
		if (at <= found)
			continue;
		if (piece.kind != SQL_PIECE_COMMENT)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\", line %d: \"%s\" is a placeholder of %s, whose value is not known here: write the value itself",
							path, line_of_offset(text, found - text),
							pnstrdup(found, strcspn(found, " \t\n;,)'")),
							tool)));
		found = strstr(at, placeholder);
	}
}
