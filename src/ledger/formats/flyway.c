/*-------------------------------------------------------------------------
 *
 * flyway.c
 *	  Format flyway: V<version>__<name>.sql, U<version>__<name>.sql to revert
 *	  it, R__<name>.sql to be repeated, and <file>.conf.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/sql_text.h"
#include "ledger/formats/text_lines.h"

#define CONF_SUFFIX ".conf"
#define SEPARATOR "__"
#define VERSION_CHARACTERS "0123456789._"

/* What a .conf beside a file says. */
typedef struct FlywayOptions
{
	bool		in_transaction;
	bool		replace_placeholders;
} FlywayOptions;

static const char *detect_flyway(const Directory *directory);
static const char *find_flyway_file(const Directory *directory);
static char kind_of_name(const char *name);
static List *list_flyway(const Directory *directory);
static MigrationFile *file_of_entry(const DirectoryEntry *entry);
static bool is_callback(const char *name);
static List *read_flyway(const MigrationFile *file, const char *text,
						 const char *down_text);
static FlywayOptions options_of_file(const char *path);
static void read_option(const char *path, int number, char *line,
						FlywayOptions *options);

const MigrationFormat flyway_format = {
	.name = "flyway",
	.looks_for = "V<version>" SEPARATOR "<name>.sql",
	.detect = detect_flyway,
	.list = list_flyway,
	.read = read_flyway
};

/* Files may lie in directories; those of other formats begin with a digit. */
static const char *
detect_flyway(const Directory *directory)
{
	const char *found = find_flyway_file(directory);
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (found == NULL && entry->is_directory &&
			leading_digits(entry->name) == 0)
			found = find_flyway_file(read_directory(entry->path));
	}
	return found;
}

static const char *
find_flyway_file(const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (is_sql_file(entry) && kind_of_name(entry->name) != '\0')
			return entry->path;
	}
	return NULL;
}

/* The first letter of a name that is one of Flyway's, or NUL. */
static char
kind_of_name(const char *name)
{
	size_t		version = 0;

	if (name[0] == '\0' || strchr("VURB", name[0]) == NULL)
		return '\0';
	if (name[0] == 'R')
		return strncmp(name + 1, SEPARATOR, 2) == 0 ? 'R' : '\0';
	if (!isdigit((unsigned char) name[1]))
		return '\0';
	while (strchr(VERSION_CHARACTERS, name[1 + version]) != NULL &&
		   name[1 + version] != '\0' &&
		   strncmp(name + 1 + version, SEPARATOR, 2) != 0)
		version++;
	return strncmp(name + 1 + version, SEPARATOR, 2) == 0 ? name[0] : '\0';
}

static List *
list_flyway(const Directory *directory)
{
	List	   *files = NIL;
	List	   *downs = NIL;
	List	   *repeatable = NIL;
	ListCell   *cell;

	refuse_code_files(directory, "VUR");
	foreach(cell, sql_files_below(directory))
	{
		DirectoryEntry *entry = lfirst(cell);
		MigrationFile *file = file_of_entry(entry);

		if (file->repeatable)
			repeatable = lappend(repeatable, file);
		else if (entry->name[0] == 'U')
			downs = lappend(downs, file);
		else
			files = lappend(files, file);
	}
	attach_downs(files, downs);
	return list_concat(files, repeatable);
}

/*
 * A repeatable one has no version; Flyway tells them apart by their names.
 */
static MigrationFile *
file_of_entry(const DirectoryEntry *entry)
{
	MigrationFile *file = new_migration_file(entry->path);
	char		kind = kind_of_name(entry->name);
	const char *name = kind == '\0' ? "" : strstr(entry->name, SEPARATOR);

	if (kind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg(is_callback(entry->name) ?
						"file \"%s\" is a callback of Flyway, which is not run here: put its SQL into the migrations, and move it to another directory" :
						"file \"%s\" is not named as Flyway has it: name it V<version>" SEPARATOR "<name>.sql, or move it to another directory",
						entry->path)));
	if (kind == 'B')
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\" is a baseline of Flyway, which stands for all migrations before it: name it V... and remove those, or remove it",
						entry->path)));
	if (kind == 'R')
	{
		file->version = pnstrdup(entry->name,
								 strlen(entry->name) - strlen(SQL_SUFFIX));
		file->repeatable = true;
	}
	else
	{
		file->version = pnstrdup(entry->name + 1, name - entry->name - 1);
		for (char *at = file->version; *at; at++)
			if (*at == '_')
				*at = '.';
	}
	name += strlen(SEPARATOR);
	file->name = ends_with(name, SQL_SUFFIX) ?
		pnstrdup(name, strlen(name) - strlen(SQL_SUFFIX)) : pstrdup("");
	return file;
}

/* beforeMigrate.sql, afterEachMigrate__audit.sql, createSchema.sql */
static bool
is_callback(const char *name)
{
	static const char *const beginnings[] = {"before", "after", "create"};

	for (int i = 0; i < lengthof(beginnings); i++)
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0 &&
			isupper((unsigned char) name[strlen(beginnings[i])]))
			return true;
	return false;
}

static List *
read_flyway(const MigrationFile *file, const char *text, const char *down_text)
{
	MigrationFile *result = copy_migration_file(file);
	FlywayOptions options = options_of_file(file->path);

	result->in_transaction = options.in_transaction;
	result->body = pstrdup(text);
	if (options.replace_placeholders)
		refuse_placeholder(file->path, text, "${", "Flyway");
	if (down_text == NULL)
		return list_make1(result);

	options = options_of_file(file->down_path);
	if (options.replace_placeholders)
		refuse_placeholder(file->down_path, down_text, "${", "Flyway");
	result->down_body = options.in_transaction ? pstrdup(down_text) :
		psprintf(NO_TRANSACTION_DIRECTIVE " %s", down_text);
	return list_make1(result);
}

static FlywayOptions
options_of_file(const char *path)
{
	FlywayOptions options = {true, true};
	char	   *conf = psprintf("%s" CONF_SUFFIX, path);
	TextLine	line = {0};

	if (!file_exists(conf))
		return options;
	line.next = read_migration_file(conf);
	while (next_line(&line))
		read_option(conf, line.number, pnstrdup(line.start, line.length),
					&options);
	return options;
}

/* A line "key = value", or a comment. */
static void
read_option(const char *path, int number, char *line, FlywayOptions *options)
{
	char	   *key = trimmed(line);
	char	   *value = strchr(key, '=');
	bool		is_true;

	if (key[0] == '\0' || key[0] == '#' || key[0] == '!')
		return;
	if (value == NULL)
		bad_line(path, number, "this is not a line <key>=<value>: write it so");
	*value++ = '\0';
	key = trimmed(key);
	value = trimmed(value);
	if (strcmp(key, "encoding") == 0)
	{
		if (pg_strcasecmp(value, "UTF-8") != 0)
			bad_line(path, number,
					 "files are read as UTF-8: save the file so, and take this line out");
		return;
	}
	is_true = pg_strcasecmp(value, "true") == 0;
	if (!is_true && pg_strcasecmp(value, "false") != 0)
		bad_line(path, number,
				 psprintf("\"%s\" must be true or false: nothing is computed here",
						  key));
	if (strcmp(key, "executeInTransaction") == 0)
		options->in_transaction = is_true;
	else if (strcmp(key, "placeholderReplacement") == 0)
		options->replace_placeholders = is_true;
	else if (strcmp(key, "shouldExecute") != 0)
		bad_line(path, number,
				 psprintf("\"%s\" is not known: take the line out", key));
	else if (!is_true)
		bad_line(path, number,
				 "a migration that is not to run must not be here: move it to another directory");
}
