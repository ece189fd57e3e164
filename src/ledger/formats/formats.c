/*-------------------------------------------------------------------------
 *
 * formats.c
 *	  The layouts of directories of migrations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <sys/stat.h>

#include "common/errors.h"
#include "ledger/formats/formats.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "storage/fd.h"

static const MigrationFormat *const formats[] = {
	&plain_format,
	&prisma_format,
	&diesel_format
};

static int	compare_entries(const ListCell *a, const ListCell *b);
static const MigrationFormat *detect_format(const Directory *directory);
static const MigrationFormat *format_of_name(const char *name);
static void no_format(const Directory *directory);

/*
 * Read a directory of the server, or the files that a client has sent.
 */
Directory *
read_directory(const char *path)
{
	Directory  *directory = palloc0(sizeof(Directory));
	struct stat st;
	DIR		   *dir;
	struct dirent *file;

	directory->path = path;
	if (strcmp(path, GIVEN_ROOT) == 0)
	{
		directory->entries = given_entries();
		list_sort(directory->entries, compare_entries);
		return directory;
	}
	if (stat(path, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open directory \"%s\" of the database server: %m: give a directory that the server can read, or send the files with migrate.register()",
						path)));

	if (!S_ISDIR(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a directory: give the directory of the files",
						path)));

	dir = AllocateDir(path);
	while ((file = ReadDir(dir, path)) != NULL)
	{
		DirectoryEntry *entry;

		if (file->d_name[0] == '.')
			continue;
		entry = palloc0(sizeof(DirectoryEntry));
		/* a conversion that is not needed makes no copy */
		entry->name = pstrdup(pg_any_to_server(file->d_name,
											   strlen(file->d_name),
											   PG_UTF8));
		entry->path = psprintf("%s/%s", path, file->d_name);
		/* follows links, unlike d_type */
		entry->is_directory = stat(entry->path, &st) == 0 &&
			S_ISDIR(st.st_mode);
		directory->entries = lappend(directory->entries, entry);
	}
	FreeDir(dir);
	list_sort(directory->entries, compare_entries);
	return directory;
}

static int
compare_entries(const ListCell *a, const ListCell *b)
{
	return strcmp(((DirectoryEntry *) lfirst(a))->name,
				  ((DirectoryEntry *) lfirst(b))->name);
}

/*
 * The format of that name, or the one that the directory has if the name is
 * "auto".
 */
const MigrationFormat *
find_format(const char *name, const Directory *directory)
{
	const MigrationFormat *format = strcmp(name, "auto") == 0 ?
	detect_format(directory) : format_of_name(name);

	if (!format->detect(directory))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("directory \"%s\" has no migrations of format %s: looked for %s",
						directory->path, format->name, format->looks_for)));
	return format;
}

static const MigrationFormat *
detect_format(const Directory *directory)
{
	const MigrationFormat *found = NULL;

	for (int i = 0; i < lengthof(formats); i++)
	{
		if (!formats[i]->detect(directory))
			continue;
		if (found != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("directory \"%s\" has migrations of format %s and of format %s: name the one you mean, as in migrate.load(..., '%s')",
							directory->path, found->name, formats[i]->name,
							found->name)));
		found = formats[i];
	}
	if (found == NULL)
		no_format(directory);
	return found;
}

static void
no_format(const Directory *directory)
{
	StringInfoData looked_for;

	initStringInfo(&looked_for);
	for (int i = 0; i < lengthof(formats); i++)
		appendStringInfo(&looked_for, "%s%s (%s)", i > 0 ? ", " : "",
						 formats[i]->looks_for, formats[i]->name);
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("directory \"%s\" %s: looked for %s",
					directory->path,
					directory->entries == NIL ? "is empty" :
					"has no migrations of a known format",
					looked_for.data)));
}

static const MigrationFormat *
format_of_name(const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(formats); i++)
	{
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
		appendStringInfo(&names, ", %s", formats[i]->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("there is no format \"%s\": use one of auto%s", name,
					names.data)));
}

/* The path of a file in a directory that is an entry of another. */
char *
path_below(const DirectoryEntry *entry, const char *name)
{
	return psprintf("%s/%s", entry->path, name);
}

bool
any_directory_has(const Directory *directory, const char *name)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (entry->is_directory && file_exists(path_below(entry, name)))
			return true;
	}
	return false;
}

/*
 * For a directory in which a file is missing.  If its name begins with a
 * digit it is a migration, which must not be passed over.
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
 * Split "version_name" at the first underscore.
 */
void
split_version(const char *text, char **version, char **name)
{
	size_t		length = strcspn(text, "_");

	*version = pnstrdup(text, length);
	text += length;
	*name = pstrdup(text + strspn(text, "_"));
}
