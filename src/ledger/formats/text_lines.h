/*-------------------------------------------------------------------------
 *
 * text_lines.h
 *	  A text by its lines, and sections of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TEXT_LINES_H
#define SAFE_MIGRATE_TEXT_LINES_H

#include "postgres.h"

#include "lib/stringinfo.h"

/* Start with {.next = text}; see next_line(). */
typedef struct TextLine
{
	const char *next;			/* what comes behind the line, or NULL */
	const char *start;
	int			length;			/* without the line end */
	int			number;			/* from 1 */
} TextLine;

/* Go to the next line; false if there is none. */
extern bool next_line(TextLine *line);

extern bool line_is_blank(const TextLine *line);

/* Nothing or a comment that begins with two dashes? */
extern bool line_has_no_sql(const TextLine *line);

/*
 * The text of a comment that a line consists of, without the dashes and the
 * white space around it, or NULL.  Before the dashes there may be white space
 * only if indented is true.
 */
extern char *comment_of_line(const TextLine *line, bool indented);

/* The next word of a text up to white space, or NULL; *at moves behind it. */
extern char *next_word(char **at);

/* The text without the white space around it, in place. */
extern char *trimmed(char *text);

/* Lines of a text, each at its place; see MigrationFile. */
typedef struct Section
{
	StringInfoData text;
	int			first_line;		/* with which the text begins */
	int			lines;			/* of the file, up to here */
} Section;

extern void begin_section(Section *section);
extern void append_line(Section *section, const TextLine *line);

/* The same, with another text in the place of that line. */
extern void append_instead(Section *section, const TextLine *line,
						   const char *text);

/*
 * The text, with one line end behind what is in it, and the line of the file
 * with which it begins; empty if nothing is in it.
 */
extern void end_section(Section *section, char **text, int *first_line);

/* Throws SM008 for a line of a file. */
extern void bad_line(const char *path, int line, const char *complaint);

/*
 * What tells in a text that it is not to run in a transaction: for the way
 * back, which has no column of its own for that.
 */
#define NO_TRANSACTION_DIRECTIVE "/* safe_migrate: no-transaction */"

#endif							/* SAFE_MIGRATE_TEXT_LINES_H */
