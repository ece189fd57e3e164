/*-------------------------------------------------------------------------
 *
 * directory.c
 *	  Directories of the server, or of files that a client has sent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "ledger/formats/formats.h"
#include "mb/pg_wchar.h"
#include "storage/fd.h"

static void check_directory(const char *path);
static int	compare_entries(const ListCell *a, const ListCell *b);

/*
 * Read a directory, without what begins with a period.  Throws PostgreSQL's
 * own errors if it cannot be read.
 */
Directory *
read_directory(const char *path)
{
	Directory  *directory = palloc0(sizeof(Directory));
	struct stat st;
	DIR		   *dir;
	struct dirent *file;

	directory->path = path;
	if (path_is_given(path))
	{
		directory->entries = given_entries(path);
		return directory;
	}

	check_directory(path);
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

static void
check_directory(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open directory \"%s\" of the database server: %m: give a directory that the server can read, or send the files from the client with pg_safe_migrate",
						path)));
	if (!S_ISDIR(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a directory: give the directory of the files",
						path)));
}

static int
compare_entries(const ListCell *a, const ListCell *b)
{
	return strcmp(((DirectoryEntry *) lfirst(a))->name,
				  ((DirectoryEntry *) lfirst(b))->name);
}
