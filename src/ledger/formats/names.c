/*-------------------------------------------------------------------------
 *
 * names.c
 *	  What the formats have in common in looking at names of files.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/ledger.h"

/* Files that only a tool can run. */
static const char *const code_suffixes[] = {
	".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".py", ".rb", ".go", ".java",
	".kt", ".kts", ".php", ".exs", ".ex", ".rs"
};

static int	compare_versions(const ListCell *a, const ListCell *b);
static void refuse_down_of_nothing(const MigrationFile *down);
static List *append_sql_files(List *files, const Directory *directory);

bool
ends_with(const char *text, const char *suffix)
{
	size_t		length = strlen(text);

	return length > strlen(suffix) &&
		strcmp(text + length - strlen(suffix), suffix) == 0;
}

bool
is_sql_file(const DirectoryEntry *entry)
{
	return !entry->is_directory && ends_with(entry->name, SQL_SUFFIX);
}

/*
 * See names.h.
 */
int
leading_digits(const char *text)
{
	return (int) strspn(text, "0123456789");
}

/*
 * See names.h.
 */
char *
path_below(const DirectoryEntry *entry, const char *name)
{
	return psprintf("%s/%s", entry->path, name);
}

/*
 * See names.h.
 */
char *
path_if_exists(const Directory *directory, const char *name)
{
	char	   *path = psprintf("%s/%s", directory->path, name);

	return file_exists(path) ? path : NULL;
}

/*
 * See names.h.
 */
char *
any_directory_has(const Directory *directory, const char *name)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);
		char	   *path;

		if (!entry->is_directory)
			continue;
		path = path_below(entry, name);
		if (file_exists(path))
			return path;
		pfree(path);
	}
	return NULL;
}

/*
 * See names.h.
 */
void
refuse_stray_file(const DirectoryEntry *entry)
{
	if (is_sql_file(entry))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\" is none of the migrations, which are directories here: move it into one, or to another directory",
						entry->path)));
}

/*
 * See names.h.
 */
void
refuse_migration_without(const DirectoryEntry *entry, const char *name)
{
	if (isdigit((unsigned char) entry->name[0]))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("directory \"%s\" has no file %s: add it, or remove the directory",
						entry->path, name)));
}

/*
 * See names.h.
 */
void
split_version(const char *text, char **version, char **name)
{
	size_t		length = strcspn(text, "_");

	*version = pnstrdup(text, length);
	text += length;
	*name = pstrdup(text + strspn(text, "_"));
}

/*
 * See names.h.
 */
MigrationFile *
new_migration_file(char *path)
{
	MigrationFile *file = palloc0(sizeof(MigrationFile));

	file->path = path;
	file->in_transaction = true;
	file->body_line = file->down_line = 1;
	return file;
}

MigrationFile *
copy_migration_file(const MigrationFile *file)
{
	return memcpy(palloc(sizeof(MigrationFile)), file, sizeof(MigrationFile));
}

/*
 * See names.h.
 */
List *
list_numbered_files(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	refuse_code_files(directory, "");
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);
		int			digits = leading_digits(entry->name);
		MigrationFile *file;
		const char *name;

		if (!is_sql_file(entry))
			continue;
		if (digits == 0)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" has no version: name it <version>_<name>.sql, or move it to another directory",
							entry->path)));
		file = new_migration_file(entry->path);
		file->version = pnstrdup(entry->name, digits);
		name = entry->name + digits;
		name += strspn(name, "_-");
		file->name = strcmp(name, SQL_SUFFIX) == 0 ? pstrdup("") :
			pnstrdup(name, strlen(name) - strlen(SQL_SUFFIX));
		files = lappend(files, file);
	}
	return files;
}

/*
 * See names.h.
 */
void
refuse_code_files(const Directory *directory, const char *letters)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);
		const char *name = entry->name;

		if (name[0] != '\0' && strchr(letters, name[0]) != NULL)
			name++;
		if (!entry->is_directory && is_code_file(entry->name) &&
			leading_digits(name) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" is code, which only its own tool can run: put a file with its SQL in its place, or run all with that tool",
							entry->path)));
	}
}

/*
 * See names.h.
 */
bool
is_code_file(const char *name)
{
	for (int i = 0; i < lengthof(code_suffixes); i++)
		if (ends_with(name, code_suffixes[i]))
			return true;
	return false;
}

/*
 * See names.h.
 */
List *
sql_files_below(const Directory *directory)
{
	/* the order of a path is that of the directories on its way */
	return append_sql_files(NIL, directory);
}

static List *
append_sql_files(List *files, const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (entry->is_directory)
			files = append_sql_files(files, read_directory(entry->path));
		else if (is_sql_file(entry))
			files = lappend(files, entry);
	}
	return files;
}

/*
 * See names.h.
 */
void
list_by_version(List *files)
{
	ListCell   *cell;

	foreach(cell, files)
	{
		MigrationFile *file = lfirst(cell);

		if (file->sort_key == NULL)
			file->sort_key = version_sort_key(file->version);
	}
	list_sort(files, compare_versions);
}

static int
compare_versions(const ListCell *a, const ListCell *b)
{
	const MigrationFile *file_a = lfirst(a);
	const MigrationFile *file_b = lfirst(b);
	int			order = strcmp(file_a->sort_key, file_b->sort_key);

	return order != 0 ? order : strcmp(file_a->path, file_b->path);
}

/*
 * See names.h.
 */
void
attach_downs(List *files, List *downs)
{
	ListCell   *cell;
	int			at = 0;

	list_by_version(files);
	list_by_version(downs);
	foreach(cell, downs)
	{
		MigrationFile *down = lfirst(cell);
		MigrationFile *file = NULL;

		while (at < list_length(files))
		{
			file = list_nth(files, at);
			if (strcmp(file->sort_key, down->sort_key) >= 0)
				break;
			at++;
		}
		if (at >= list_length(files) ||
			strcmp(file->sort_key, down->sort_key) != 0)
			refuse_down_of_nothing(down);
		if (file->down_path != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("files \"%s\" and \"%s\" both revert version %s: remove one of them",
							file->down_path, down->path, file->version)));
		file->down_path = down->path;
	}
}

static void
refuse_down_of_nothing(const MigrationFile *down)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("file \"%s\" reverts version %s, of which there is no file: add it, or remove this one",
					down->path, down->version)));
}
