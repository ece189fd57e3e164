/*-------------------------------------------------------------------------
 *
 * given_files.c
 *	  Files that a client has sent, read as if they were on the server.
 *
 * A client's directory is not the server's.  The formats look for files by
 * path and know nothing of where those come from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/formats.h"

typedef struct GivenFile
{
	const char *path;			/* below GIVEN_ROOT */
	const char *text;
} GivenFile;

/* NIL while the server's own files are read. */
static List *given_files = NIL;

static DirectoryEntry *find_entry(List *entries, const char *name, int length);

/*
 * From now on, until forget_given_files(), paths below GIVEN_ROOT are these
 * files.  path is relative, with "/" between its parts; both strings must
 * live that long.
 */
void
give_file(const char *path, const char *text)
{
	GivenFile  *file = palloc(sizeof(GivenFile));

	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if (path[0] == '/' || path[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("path \"%s\" of a migration file is not relative to its directory",
						path)));
	if (path[0] == '.' || strstr(path, "/.") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("path \"%s\" of a migration file has a part that begins with a period",
						path)));
	file->path = psprintf("%s/%s", GIVEN_ROOT, path);
	file->text = text;
	if (given_text(file->path) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("path \"%s\" of a migration file is given twice",
						path)));
	given_files = lappend(given_files, file);
}

void
forget_given_files(void)
{
	given_files = NIL;
}

/* The text of a given file, or NULL if there is none of that path. */
const char *
given_text(const char *path)
{
	ListCell   *cell;

	foreach(cell, given_files)
	{
		GivenFile  *file = lfirst(cell);

		if (strcmp(file->path, path) == 0)
			return file->text;
	}
	return NULL;
}

/* The entries of GIVEN_ROOT: first parts of the paths, each once. */
List *
given_entries(void)
{
	List	   *entries = NIL;
	ListCell   *cell;

	foreach(cell, given_files)
	{
		const char *below = ((GivenFile *) lfirst(cell))->path +
		strlen(GIVEN_ROOT) + 1;
		int			length = strcspn(below, "/");
		DirectoryEntry *entry;

		if (below[0] == '.' || find_entry(entries, below, length) != NULL)
			continue;
		entry = palloc0(sizeof(DirectoryEntry));
		entry->name = pnstrdup(below, length);
		entry->path = psprintf("%s/%s", GIVEN_ROOT, entry->name);
		entry->is_directory = below[length] == '/';
		entries = lappend(entries, entry);
	}
	return entries;
}

static DirectoryEntry *
find_entry(List *entries, const char *name, int length)
{
	ListCell   *cell;

	foreach(cell, entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (strlen(entry->name) == length &&
			strncmp(entry->name, name, length) == 0)
			return entry;
	}
	return NULL;
}
