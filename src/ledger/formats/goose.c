/*-------------------------------------------------------------------------
 *
 * goose.c
 *	  Formats goose and sql-migrate: sections "-- +goose Up" or "-- +migrate
 *	  Up", and Down.
 *
 * sql-migrate began as a copy of goose; its names of files are free, and its
 * options stand behind Up and Down.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/text_lines.h"

#define GOOSE_WORD "+goose"
#define SQL_MIGRATE_WORD "+migrate"

typedef enum GooseSection
{
	SECTION_NONE,
	SECTION_UP,
	SECTION_DOWN
} GooseSection;

/* A file that is being read. */
typedef struct GooseReader
{
	MigrationFile *file;
	const char *word;			/* of the tool */
	GooseSection section;
	Section		up;
	Section		down;
	int			statement_begin;	/* line of one without an end, or 0 */
	bool		down_in_transaction;
} GooseReader;

static int	find_goose_mark(const char *text);
static int	find_sql_migrate_mark(const char *text);
static int	find_word(const char *text, const char *word);
static List *list_sql_migrate(const Directory *directory);
static List *read_goose(const MigrationFile *file, const char *text,
						const char *down_text);
static List *read_sql_migrate(const MigrationFile *file, const char *text,
							  const char *down_text);
static List *read_sections(const MigrationFile *file, const char *text,
						   const char *word);
static char *command_of_line(const TextLine *line, const char *word);
static void read_command(GooseReader *reader, const TextLine *line,
						 char *command);
static void begin_direction(GooseReader *reader, const TextLine *line,
							GooseSection section, char *options);
static void read_goose_command(GooseReader *reader, const TextLine *line,
							   const char *command, char *rest);

const MigrationFormat goose_format = {
	.name = "goose",
	.looks_for = "<version>_<name>.sql with lines \"-- " GOOSE_WORD " Up\"",
	.find_mark = find_goose_mark,
	.list = list_numbered_files,
	.read = read_goose
};

const MigrationFormat sql_migrate_format = {
	.name = "sql-migrate",
	.looks_for = "<name>.sql with lines \"-- " SQL_MIGRATE_WORD " Up\"",
	.find_mark = find_sql_migrate_mark,
	.list = list_sql_migrate,
	.read = read_sql_migrate
};

static int
find_goose_mark(const char *text)
{
	return find_word(text, GOOSE_WORD);
}

static int
find_sql_migrate_mark(const char *text)
{
	return find_word(text, SQL_MIGRATE_WORD);
}

static int
find_word(const char *text, const char *word)
{
	TextLine	line = {.next = text};

	while (next_line(&line))
		if (command_of_line(&line, word) != NULL)
			return line.number;
	return 0;
}

/* What follows the word of the tool in a line, or NULL. */
static char *
command_of_line(const TextLine *line, const char *word)
{
	char	   *comment = comment_of_line(line, false);
	size_t		length = strlen(word);

	if (comment == NULL || pg_strncasecmp(comment, word, length) != 0 ||
		(comment[length] != '\0' && comment[length] != ' ' &&
		 comment[length] != '\t'))
		return NULL;
	return trimmed(comment + length);
}

/* The name of the file is what sql-migrate records, and orders by. */
static List *
list_sql_migrate(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	refuse_code_files(directory, "");
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);
		MigrationFile *file;
		char	   *number;

		if (!is_sql_file(entry))
			continue;
		file = new_migration_file(entry->path);
		file->version = pnstrdup(entry->name,
								 strlen(entry->name) - strlen(SQL_SUFFIX));
		split_version(file->version, &number, &file->name);
		files = lappend(files, file);
	}
	return files;
}

static List *
read_goose(const MigrationFile *file, const char *text, const char *down_text)
{
	return read_sections(file, text, GOOSE_WORD);
}

static List *
read_sql_migrate(const MigrationFile *file, const char *text,
				 const char *down_text)
{
	return read_sections(file, text, SQL_MIGRATE_WORD);
}

static List *
read_sections(const MigrationFile *file, const char *text, const char *word)
{
	GooseReader reader = {copy_migration_file(file), word};
	TextLine	line = {.next = text};

	reader.down_in_transaction = true;
	begin_section(&reader.up);
	begin_section(&reader.down);
	while (next_line(&line))
	{
		char	   *command = command_of_line(&line, word);

		if (command != NULL)
			read_command(&reader, &line, command);
		else if (reader.section == SECTION_UP)
			append_line(&reader.up, &line);
		else if (reader.section == SECTION_DOWN)
			append_line(&reader.down, &line);
		else if (!line_has_no_sql(&line))
			bad_line(file->path, line.number,
					 psprintf("there is SQL before the line \"-- %s Up\": put it behind that",
							  word));
	}
	if (reader.section == SECTION_NONE)
		bad_line(file->path, 1,
				 psprintf("there is no line \"-- %s Up\", as other files here have: add it",
						  word));
	if (reader.statement_begin > 0)
		bad_line(file->path, reader.statement_begin,
				 "StatementBegin has no StatementEnd: add it");
	end_section(&reader.up, &reader.file->body, &reader.file->body_line);
	if (reader.section == SECTION_DOWN || reader.down.lines > 0)
		end_section(&reader.down, &reader.file->down_body,
					&reader.file->down_line);
	return list_make1(reader.file);
}

static void
read_command(GooseReader *reader, const TextLine *line, char *command)
{
	const char *path = reader->file->path;
	char	   *rest = command;
	char	   *first = next_word(&rest);

	if (first == NULL)
		bad_line(path, line->number,
				 psprintf("\"%s\" is without a command: write Up or Down",
						  reader->word));
	if (pg_strcasecmp(first, "Up") == 0)
		begin_direction(reader, line, SECTION_UP, rest);
	else if (pg_strcasecmp(first, "Down") == 0)
		begin_direction(reader, line, SECTION_DOWN, rest);
	else if (pg_strcasecmp(first, "StatementBegin") == 0)
	{
		if (reader->section == SECTION_NONE || reader->statement_begin > 0)
			bad_line(path, line->number,
					 "StatementBegin is not in a section, or in another one: take it out");
		reader->statement_begin = line->number;
	}
	else if (pg_strcasecmp(first, "StatementEnd") == 0)
	{
		if (reader->statement_begin == 0)
			bad_line(path, line->number,
					 "StatementEnd has no StatementBegin: take it out, or add that");
		reader->statement_begin = 0;
	}
	else
		read_goose_command(reader, line, first, rest);
}

/* Up or Down; that of sql-migrate may come again, and has an option. */
static void
begin_direction(GooseReader *reader, const TextLine *line,
				GooseSection section, char *options)
{
	const char *path = reader->file->path;
	bool		is_goose = strcmp(reader->word, GOOSE_WORD) == 0;
	char	   *option = next_word(&options);

	if (reader->statement_begin > 0)
		bad_line(path, reader->statement_begin,
				 "StatementBegin has no StatementEnd: add it");
	if (is_goose && section <= reader->section)
		bad_line(path, line->number,
				 "a section begins for the second time: put it into a file of its own");
	if (is_goose && section == SECTION_DOWN && reader->section == SECTION_NONE)
		bad_line(path, line->number,
				 "the section Down is before Up: put it behind that");
	reader->section = section;
	if (section == SECTION_DOWN)
		append_instead(&reader->down, line,
					   reader->down_in_transaction && option == NULL ? "" :
					   NO_TRANSACTION_DIRECTIVE);
	if (option == NULL)
		return;
	if (is_goose || strcmp(option, "notransaction") != 0)
		bad_line(path, line->number,
				 psprintf("option \"%s\" is not known: leave it out", option));
	if (section == SECTION_UP)
		reader->file->in_transaction = false;
}

/* Those of goose that are more than one word. */
static void
read_goose_command(GooseReader *reader, const TextLine *line,
				   const char *command, char *rest)
{
	const char *path = reader->file->path;

	if (strcmp(reader->word, GOOSE_WORD) == 0 &&
		pg_strcasecmp(command, "NO") == 0 &&
		pg_strcasecmp(trimmed(rest), "TRANSACTION") == 0)
	{
		if (reader->section == SECTION_DOWN)
			bad_line(path, line->number,
					 "NO TRANSACTION is for the whole file: write it at the top");
		reader->file->in_transaction = false;
		reader->down_in_transaction = false;
		return;
	}
	if (pg_strncasecmp(command, "ENVSUB", strlen("ENVSUB")) == 0)
	{
		if (pg_strcasecmp(trimmed(rest), "OFF") == 0)
			return;
		bad_line(path, line->number,
				 "ENVSUB puts variables of the environment into the text, which are not known here: write their values, and take this line out");
	}
	bad_line(path, line->number,
			 psprintf("\"%s %s\" is not known: take it out", reader->word,
					  command));
}
