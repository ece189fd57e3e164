/*-------------------------------------------------------------------------
 *
 * liquibase.c
 *	  Format liquibase: formatted SQL, with a migration for each line
 *	  "--changeset <author>:<id>".
 *
 * The order is that of the files by their path and of the changesets in them.
 * Changelogs in XML, YAML and JSON are not read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/errors.h"
#include "ledger/formats/liquibase_attributes.h"
#include "ledger/formats/names.h"
#include "ledger/formats/sql_text.h"
#include "ledger/formats/text_lines.h"

#define HEADER "liquibase formatted sql"

/* A file that is being read. */
typedef struct LiquibaseReader
{
	const MigrationFile *source;
	List	   *changesets;		/* of MigrationFile */
	MigrationFile *changeset;	/* the last one, NULL before the first */
	bool		skipped;		/* it is for another database */
	Section		body;
	Section		rollback;
	bool		has_rollback;
	bool		in_block;		/* of a comment that holds a rollback */
} LiquibaseReader;

static int	find_liquibase_mark(const char *text);
static List *list_liquibase(const Directory *directory);
static void refuse_changelogs(const Directory *directory);
static List *read_liquibase(const MigrationFile *file, const char *text,
							const char *down_text);
static void read_changeset_line(LiquibaseReader *reader, const TextLine *line);
static bool read_block_line(LiquibaseReader *reader, const TextLine *line);
static char *after_word(char *comment, const char *word);
static void begin_changeset(LiquibaseReader *reader, const TextLine *line,
							char *rest);
static char *quoted_part(char **at, const char *ends);
static void end_changeset(LiquibaseReader *reader);
static void add_rollback(LiquibaseReader *reader, const TextLine *line,
						 char *sql);
static bool is_other_line(LiquibaseReader *reader, const TextLine *line,
						  char *comment);

const MigrationFormat liquibase_format = {
	.name = "liquibase",
	.looks_for = "<name>.sql that begins with \"--" HEADER "\"",
	.find_mark = find_liquibase_mark,
	.list = list_liquibase,
	.read = read_liquibase
};

/* It is the first line that is not empty. */
static int
find_liquibase_mark(const char *text)
{
	TextLine	line = {.next = text};

	while (next_line(&line))
	{
		char	   *comment;

		if (line_is_blank(&line))
			continue;
		comment = comment_of_line(&line, true);
		return comment != NULL &&
			pg_strncasecmp(comment, HEADER, strlen(HEADER)) == 0 ?
			line.number : 0;
	}
	return 0;
}

static List *
list_liquibase(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	refuse_changelogs(directory);
	foreach(cell, sql_files_below(directory))
	{
		DirectoryEntry *entry = lfirst(cell);
		MigrationFile *file = new_migration_file(entry->path);

		files = lappend(files, file);
		file->listed_at = list_length(files);
	}
	return files;
}

/* They tell the order, or have changes of their own. */
static void
refuse_changelogs(const Directory *directory)
{
	static const char *const suffixes[] = {".xml", ".yaml", ".yml", ".json"};
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		for (int i = 0; i < lengthof(suffixes); i++)
			if (!entry->is_directory && ends_with(entry->name, suffixes[i]))
				ereport(ERROR,
						(errcode(ERRCODE_SM_BAD_MIGRATION),
						 errmsg("file \"%s\" is a changelog that is not formatted SQL, which is all that is read: give a directory of SQL files whose names are in the order in which they are to run",
								entry->path)));
	}
}

static List *
read_liquibase(const MigrationFile *file, const char *text,
			   const char *down_text)
{
	LiquibaseReader reader = {file};
	TextLine	line = {.next = text};

	if (find_liquibase_mark(text) == 0)
		bad_line(file->path, 1,
				 "the file does not begin with \"--" HEADER "\", as others here do: add that line");
	refuse_placeholder(file->path, text, "${", "Liquibase");
	while (next_line(&line))
		read_changeset_line(&reader, &line);
	if (reader.in_block)
		bad_line(file->path, line.number,
				 "a comment with a rollback has no end: write a line \"*/\"");
	end_changeset(&reader);
	return reader.changesets;
}

static void
read_changeset_line(LiquibaseReader *reader, const TextLine *line)
{
	char	   *comment;
	char	   *rest;

	if (read_block_line(reader, line))
		return;
	comment = comment_of_line(line, true);
	if (comment != NULL && (rest = after_word(comment, "changeset")) != NULL)
	{
		end_changeset(reader);
		begin_changeset(reader, line, rest);
	}
	else if (comment != NULL && (rest = after_word(comment, "rollback")) != NULL)
		add_rollback(reader, line, rest);
	else if (comment != NULL && is_other_line(reader, line, comment))
		return;
	else if (reader->changeset != NULL)
		append_line(&reader->body, line);
	else if (!line_has_no_sql(line))
		bad_line(reader->source->path, line->number,
				 "there is SQL before the first line \"--changeset <author>:<id>\": put it behind that");
}

/* The lines of a rollback that is a block comment of its own. */
static bool
read_block_line(LiquibaseReader *reader, const TextLine *line)
{
	char	   *text = trimmed(pnstrdup(line->start, line->length));
	char	   *end;

	if (!reader->in_block)
	{
		char	   *rest = text + 2;
		char	   *word;

		if (reader->changeset == NULL || strncmp(text, "/*", 2) != 0 ||
			(word = next_word(&rest)) == NULL ||
			pg_strcasecmp(word, "liquibase") != 0 ||
			(word = next_word(&rest)) == NULL ||
			pg_strcasecmp(word, "rollback") != 0)
			return false;
		reader->has_rollback = true;
		reader->in_block = true;
		text = rest;
	}
	end = strstr(text, "*/");
	if (end != NULL)
	{
		*end = '\0';
		reader->in_block = false;
	}
	append_instead(&reader->rollback, line, text);
	return true;
}

/* What follows a word and the white space or colon behind it, or NULL. */
static char *
after_word(char *comment, const char *word)
{
	size_t		length = strlen(word);

	if (pg_strncasecmp(comment, word, length) != 0 ||
		(comment[length] != '\0' && comment[length] != ':' &&
		 !isspace((unsigned char) comment[length])))
		return NULL;
	comment += length;
	return comment + strspn(comment, ": \t");
}

static void
begin_changeset(LiquibaseReader *reader, const TextLine *line, char *rest)
{
	const char *path = reader->source->path;
	MigrationFile *changeset = copy_migration_file(reader->source);
	LiquibaseAttributes attributes;
	char	   *author = quoted_part(&rest, ":");
	char	   *id;

	if (*rest == ':')
		rest++;
	rest += strspn(rest, " \t");
	id = quoted_part(&rest, " \t");
	if (author[0] == '\0' || id[0] == '\0')
		bad_line(path, line->number,
				 "a changeset needs an author and an id: write \"--changeset <author>:<id>\"");
	attributes = read_liquibase_attributes(path, line->number, rest);
	changeset->version = psprintf("%s:%s", author, id);
	changeset->name = pstrdup("");
	changeset->section = psprintf("changeset %s", changeset->version);
	changeset->line = line->number;
	changeset->in_transaction = attributes.in_transaction;
	changeset->repeatable = attributes.repeatable;
	reader->changeset = changeset;
	reader->skipped = attributes.skipped;
	reader->has_rollback = false;
	begin_section(&reader->body);
	begin_section(&reader->rollback);
}

/* A part in double quotes, or up to one of the characters that end it. */
static char *
quoted_part(char **at, const char *ends)
{
	char	   *start = *at;
	size_t		length;

	if (start[0] == '"' && strchr(start + 1, '"') != NULL)
	{
		length = strcspn(start + 1, "\"");
		*at = start + length + 2;
		return pnstrdup(start + 1, length);
	}
	length = strcspn(start, ends);
	*at = start + length;
	return trimmed(pnstrdup(start, length));
}

static void
end_changeset(LiquibaseReader *reader)
{
	MigrationFile *changeset = reader->changeset;

	if (changeset == NULL || reader->skipped)
		return;
	end_section(&reader->body, &changeset->body, &changeset->body_line);
	if (reader->has_rollback)
		end_section(&reader->rollback, &changeset->down_body,
					&changeset->down_line);
	reader->changesets = lappend(reader->changesets, changeset);
}

/*
 * SQL, or that nothing is to be done.  Another changeset that is to be run
 * instead is not looked for.
 */
static void
add_rollback(LiquibaseReader *reader, const TextLine *line, char *sql)
{
	const char *path = reader->source->path;

	if (reader->changeset == NULL)
		bad_line(path, line->number,
				 "a rollback is before the first changeset: put it behind that");
	if (pg_strncasecmp(sql, "changesetId:", strlen("changesetId:")) == 0)
		bad_line(path, line->number,
				 "a rollback that names another changeset is not followed: write its SQL here");
	reader->has_rollback = true;
	if (pg_strcasecmp(sql, "empty") == 0 ||
		pg_strcasecmp(sql, "not required") == 0)
		return;
	append_instead(&reader->rollback, line, sql);
}

/*
 * Lines that are no SQL.  True for those that tell nothing of what is to run.
 */
static bool
is_other_line(LiquibaseReader *reader, const TextLine *line, char *comment)
{
	static const char *const harmless[] = {HEADER, "comment", "validCheckSum"};
	static const char *const refused[] = {
		"preconditions", "precondition-sql-check", "precondition-table-exists",
		"precondition-view-exists", "property name", "ignoreLines",
		"tagDatabase"
	};

	for (int i = 0; i < lengthof(harmless); i++)
		if (after_word(comment, harmless[i]) != NULL)
			return true;
	for (int i = 0; i < lengthof(refused); i++)
		if (after_word(comment, refused[i]) != NULL)
			bad_line(reader->source->path, line->number,
					 psprintf("\"%s\" is not understood here: nothing is run or left out on a condition; take it out, and make sure the changeset is right without it",
							  refused[i]));
	return false;
}
