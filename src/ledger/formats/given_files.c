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
#include "utils/builtins.h"

typedef struct GivenFile
{
	const char *path;			/* below given_root */
	Datum		text;
} GivenFile;

/* Sorted by path; NULL while the server's own files are read. */
static GivenFile *given_files = NULL;
static int	given_count = 0;

/* What the client calls the directory whose files it has sent. */
static const char *given_root = NULL;

static const char *path_below_root(const char *path);
static int	compare_files(const void *a, const void *b);
static const GivenFile *find_given_file(const char *path);
static int	compare_with_path(const void *path, const void *file);
static int	first_below(const char *prefix);
static int	compare_entries(const ListCell *a, const ListCell *b);

bool
path_is_given(const char *path)
{
	return given_files != NULL &&
		strncmp(path, given_root, strlen(given_root)) == 0 &&
		(path[strlen(given_root)] == '\0' || path[strlen(given_root)] == '/');
}

/* Does a client send the files, so that its directory is not the server's? */
bool
files_are_given(void)
{
	return given_files != NULL;
}

/*
 * From now on, until forget_given_files(), paths below root are these
 * files.  The paths are relative, with "/" between their parts; the texts are
 * of type text, and must live that long.  Throws SM008 for paths that are not
 * so, or given twice.
 */
void
give_files(const char *root, const char *const *paths, const Datum *texts,
		   int count)
{
	GivenFile  *files = palloc((count + 1) * sizeof(GivenFile));

	given_root = root;
	for (int i = 0; i < count; i++)
	{
		files[i].path = path_below_root(paths[i]);
		files[i].text = texts[i];
	}
	qsort(files, count, sizeof(GivenFile), compare_files);
	for (int i = 1; i < count; i++)
		if (strcmp(files[i - 1].path, files[i].path) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("path \"%s\" of a migration file is given twice",
							files[i].path + strlen(root) + 1)));
	given_files = files;
	given_count = count;
}

static const char *
path_below_root(const char *path)
{
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
	return psprintf("%s/%s", given_root, path);
}

static int
compare_files(const void *a, const void *b)
{
	return strcmp(((const GivenFile *) a)->path, ((const GivenFile *) b)->path);
}

void
forget_given_files(void)
{
	given_files = NULL;
	given_count = 0;
	given_root = NULL;
}

bool
given_file_exists(const char *path)
{
	return find_given_file(path) != NULL;
}

/* The text of a given file, a copy; NULL if there is none of that path. */
char *
given_text(const char *path)
{
	const GivenFile *file = find_given_file(path);

	return file ? TextDatumGetCString(file->text) : NULL;
}

static const GivenFile *
find_given_file(const char *path)
{
	return given_count == 0 ? NULL :
		bsearch(path, given_files, given_count, sizeof(GivenFile),
				compare_with_path);
}

static int
compare_with_path(const void *path, const void *file)
{
	return strcmp(path, ((const GivenFile *) file)->path);
}

/*
 * The entries of given_root or a directory below it, sorted by name.
 */
List *
given_entries(const char *directory)
{
	char	   *prefix = psprintf("%s/", directory);
	size_t		length = strlen(prefix);
	List	   *entries = NIL;

	for (int i = first_below(prefix); i < given_count; i++)
	{
		const char *path = given_files[i].path;
		DirectoryEntry *last = entries ? llast(entries) : NULL;
		DirectoryEntry *entry;
		const char *name;
		size_t		name_length;

		if (strncmp(path, prefix, length) != 0)
			break;
		name = path + length;
		name_length = strcspn(name, "/");
		/* what lies in one directory comes one after the other */
		if (last != NULL && last->is_directory &&
			strlen(last->name) == name_length &&
			strncmp(last->name, name, name_length) == 0)
			continue;
		entry = palloc0(sizeof(DirectoryEntry));
		entry->name = pnstrdup(name, name_length);
		entry->path = pnstrdup(path, length + name_length);
		entry->is_directory = name[name_length] == '/';
		entries = lappend(entries, entry);
	}
	list_sort(entries, compare_entries);
	return entries;
}

/* The number of the first file whose path is not before a text. */
static int
first_below(const char *prefix)
{
	int			low = 0;
	int			high = given_count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (strcmp(given_files[middle].path, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
compare_entries(const ListCell *a, const ListCell *b)
{
	return strcmp(((DirectoryEntry *) lfirst(a))->name,
				  ((DirectoryEntry *) lfirst(b))->name);
}
