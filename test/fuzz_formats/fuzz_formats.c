/*-------------------------------------------------------------------------
 *
 * fuzz_formats.c
 *	  Any bytes as a directory of migrations, read as migrate.load() does.
 *
 * The input has a line "=== <path>" before each file.  FUZZ_FORMAT in the
 * environment names the format, "auto" if it is not set.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "common/script.h"
#include "ledger/formats/names.h"
#include "shim.h"

#define FILE_LINE "=== "

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void give_input(char *input);
static void read_all(const char *format_name);
static void check_migrations(const MigrationFormat *format,
							 const MigrationFile *file);
static void check_section(const char *section, const char *text);
static int	count_lines(const char *text);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *format_name = getenv("FUZZ_FORMAT");

	shim_sqlstate = ERRCODE_SM_BAD_MIGRATION;
	shim_message[0] = '\0';
	if (setjmp(shim_error) == 0)
	{
		char	   *input = palloc(size + 1);

		memcpy(input, data, size);
		input[size] = '\0';
		give_input(input);
		read_all(format_name ? format_name : "auto");
	}
	else if (shim_sqlstate != ERRCODE_SM_BAD_MIGRATION ||
			 shim_message[0] == '\0')
		abort();
	forget_given_files();
	shim_free_all();
	return 0;
}

/* Cut the input into files. */
static void
give_input(char *input)
{
	int			count = 0;
	int			allocated = 16;
	const char **paths = palloc(allocated * sizeof(char *));
	Datum	   *texts = palloc(allocated * sizeof(Datum));
	char	   *at = input;

	while (at != NULL && strncmp(at, FILE_LINE, strlen(FILE_LINE)) == 0)
	{
		char	   *path = at + strlen(FILE_LINE);
		char	   *text = strchr(path, '\n');
		char	   *next;

		if (text == NULL)
			break;
		*text++ = '\0';
		next = strncmp(text, FILE_LINE, strlen(FILE_LINE)) == 0 ? text :
			strstr(text, "\n" FILE_LINE);
		if (next == text)
			text = pstrdup("");
		else if (next != NULL)
			*next++ = '\0';
		if (count == allocated)
		{
			allocated *= 2;
			paths = repalloc(paths, allocated * sizeof(char *));
			texts = repalloc(texts, allocated * sizeof(Datum));
		}
		paths[count] = path;
		texts[count++] = PointerGetDatum(text);
		at = next;
	}
	give_files(".", paths, texts, count);
}

/* As load_directory() does. */
static void
read_all(const char *format_name)
{
	Directory  *directory = read_directory(".");
	const MigrationFormat *format = find_format(format_name, directory);
	List	   *files = format->list(directory);
	ListCell   *cell;

	if (files != NIL && ((MigrationFile *) linitial(files))->listed_at == 0)
		list_by_version(files);
	foreach(cell, files)
		check_migrations(format, lfirst(cell));
}

static void
check_migrations(const MigrationFormat *format, const MigrationFile *file)
{
	char	   *text = normalize_newlines(read_raw_file(file->path));
	char	   *down_text = file->down_path ?
		read_migration_file(file->down_path) : NULL;
	ListCell   *cell;

	foreach(cell, read_migrations(format, file, text, down_text))
	{
		MigrationFile *migration = lfirst(cell);

		if (migration->version == NULL || migration->name == NULL ||
			migration->body == NULL)
			abort();
		check_section(migration->body, text);
		if (migration->down_body != NULL)
			check_section(migration->down_body, down_text ? down_text : text);
	}
}

/* A section has each of its lines at that place of the file. */
static void
check_section(const char *section, const char *text)
{
	if (count_lines(section) > count_lines(text))
		abort();
}

static int
count_lines(const char *text)
{
	int			lines = 0;

	for (const char *at = text; *at; at++)
		if (*at == '\n' || at[1] == '\0')
			lines++;
	return lines;
}
