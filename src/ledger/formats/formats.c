/*-------------------------------------------------------------------------
 *
 * formats.c
 *	  The formats there are, and which of them a directory has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/sql_text.h"
#include "ledger/formats/text_lines.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

/* The one list of them; of those for which nothing else speaks, the first. */
static const MigrationFormat *const formats[] = {
	&golang_migrate_format,
	&dbmate_format,
	&goose_format,
	&sql_migrate_format,
	&flyway_format,
	&liquibase_format,
	&prisma_format,
	&drizzle_format,
	&diesel_format,
	&graphile_migrate_format,
	&sqitch_format,
	&tern_format,
	&node_pg_migrate_format,
	&postgrator_format,
	&atlas_format,
	&plain_format,
	&supabase_format,
	&wrangler_format
};

/*
 * The texts that are read, and further names that tell of a directory what it
 * is or that it has what cannot be run.
 */
const char *const format_file_patterns[] = {
	"*.sql", "*.sql.conf", "*.toml", "sqitch.plan", "atlas.sum",
	"*.json",
	"*.xml", "*.yaml", "*.yml",
	"*.js", "*.mjs", "*.cjs", "*.ts", "*.mts", "*.cts", "*.py", "*.rb", "*.go",
	"*.java", "*.kt", "*.kts", "*.php", "*.exs", "*.ex", "*.rs",
	NULL
};

static bool needs_sign(const MigrationFormat *format);
static bool has_sql_file(const Directory *directory);
static void read_marks(Directory *directory);
static void read_mark(DirectoryEntry *entry);
static const MigrationFormat *detect_format(Directory *directory);
static const MigrationFormat *detect_by_strong_signs(const Directory *directory);
static void refuse_unmarked(const MigrationFormat *format,
							const Directory *directory);
static const MigrationFormat *detect_by_weak_signs(const Directory *directory);
static const char *sign_of_format(const MigrationFormat *format,
								  const Directory *directory);
static const DirectoryEntry *find_marked(const MigrationFormat *format,
										 const Directory *directory);
static const MigrationFormat *format_of_name(const char *name);
static void no_format(const Directory *directory);
static bool has_code(const Directory *directory);
static void refuse_marks_of_others(const MigrationFormat *format,
								   const char *path, const char *text);
static void check_migration(const MigrationFile *migration, const char *text);
static bool is_blank(const char *text);

int
format_count(void)
{
	return lengthof(formats);
}

const MigrationFormat *
format_at(int index)
{
	return formats[index];
}

/*
 * See formats.h.
 */
const MigrationFormat *
find_format(const char *name, Directory *directory)
{
	const MigrationFormat *format;

	if (strcmp(name, "auto") == 0)
		return detect_format(directory);
	format = format_of_name(name);
	if (format->find_mark != NULL)
		read_marks(directory);
	if (sign_of_format(format, directory) == NULL &&
		(needs_sign(format) || !has_sql_file(directory)))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("directory \"%s\" has no migrations of format %s: looked for %s",
						directory->path, format->name, format->looks_for)));
	return format;
}

/* Can a directory of a format be without what tells of the format? */
static bool
needs_sign(const MigrationFormat *format)
{
	return format->detect != NULL ||
		(format->find_mark != NULL && !format->mark_is_weak &&
		 !format->mark_is_optional);
}

static bool
has_sql_file(const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
		if (is_sql_file(lfirst(cell)))
		return true;
	return false;
}

/* Look into all texts that lie in the directory itself. */
static void
read_marks(Directory *directory)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	ListCell   *cell;

	context = AllocSetContextCreate(caller, "safe_migrate marks",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (is_sql_file(entry))
			read_mark(entry);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* A strong mark beats a weak one; two strong ones are an error. */
static void
read_mark(DirectoryEntry *entry)
{
	char	   *text = read_migration_file(entry->path);

	for (int i = 0; i < lengthof(formats); i++)
	{
		const MigrationFormat *format = formats[i];
		int			line = format->find_mark ? format->find_mark(text) : 0;

		if (line == 0)
			continue;
		if (entry->marked != NULL && !entry->marked->mark_is_weak &&
			!format->mark_is_weak)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" is of format %s by line %d and of format %s by line %d: take one of these lines out",
							entry->path, entry->marked->name,
							entry->marked_line, format->name, line)));
		if (entry->marked == NULL || entry->marked->mark_is_weak)
		{
			entry->marked = format;
			entry->marked_line = line;
		}
	}
}

static const MigrationFormat *
detect_format(Directory *directory)
{
	const MigrationFormat *found;

	read_marks(directory);
	found = detect_by_strong_signs(directory);
	if (found != NULL)
		refuse_unmarked(found, directory);
	else
		found = detect_by_weak_signs(directory);
	if (found == NULL)
		no_format(directory);
	return found;
}

/* The layout, and marks that nothing else has: only one format may have them. */
static const MigrationFormat *
detect_by_strong_signs(const Directory *directory)
{
	const MigrationFormat *found = NULL;
	const char *sign = NULL;

	for (int i = 0; i < lengthof(formats); i++)
	{
		const char *other;

		if (formats[i]->is_fallback || formats[i]->mark_is_weak)
			continue;
		other = sign_of_format(formats[i], directory);
		if (other == NULL)
			continue;
		if (found != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("directory \"%s\" has migrations of format %s (\"%s\") and of format %s (\"%s\"): name the one you mean, as in %s",
							directory->path, found->name, sign,
							formats[i]->name, other,
							psprintf(files_are_given() ?
									 "pg_safe_migrate --format %s" :
									 "migrate.load(..., '%s')", found->name))));
		found = formats[i];
		sign = other;
	}
	return found;
}

/* A file that lacks what the others have is of another tool, or a mistake. */
static void
refuse_unmarked(const MigrationFormat *format, const Directory *directory)
{
	const DirectoryEntry *marked = find_marked(format, directory);
	ListCell   *cell;

	if (marked == NULL || format->mark_is_optional)
		return;
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (is_sql_file(entry) && entry->marked != format)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" is of format %s by line %d, but \"%s\" has no such line: give each format a directory of its own",
							marked->path, format->name, marked->marked_line,
							entry->path)));
	}
}

static const MigrationFormat *
detect_by_weak_signs(const Directory *directory)
{
	for (int i = 0; i < lengthof(formats); i++)
		if ((formats[i]->is_fallback || formats[i]->mark_is_weak) &&
			sign_of_format(formats[i], directory) != NULL)
			return formats[i];
	return NULL;
}

/* A path that shows that the directory is of a format, or NULL. */
static const char *
sign_of_format(const MigrationFormat *format, const Directory *directory)
{
	const char *sign = format->detect ? format->detect(directory) : NULL;
	const DirectoryEntry *marked;

	if (sign != NULL)
		return sign;
	marked = find_marked(format, directory);
	return marked ? marked->path : NULL;
}

static const DirectoryEntry *
find_marked(const MigrationFormat *format, const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (entry->marked == format)
			return entry;
	}
	return NULL;
}

static void
no_format(const Directory *directory)
{
	StringInfoData names;

	if (has_code(directory))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("directory \"%s\" has code and no SQL: let its tool run it, which is judged as well, or have it print the SQL (alembic upgrade --sql, manage.py sqlmigrate) into files <version>_<name>.sql",
						directory->path)));
	initStringInfo(&names);
	for (int i = 0; i < lengthof(formats); i++)
		if (formats[i]->detect != NULL || formats[i]->find_mark != NULL)
			appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
							 formats[i]->name);
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("directory \"%s\" %s: looked for %s; %s",
					directory->path,
					directory->entries == NIL ? "is empty" :
					"has no migrations of a known format",
					names.data, files_are_given() ?
					"name the files <version>_<name>.sql, or as the tool whose format you want does" :
					"SELECT * FROM migrate.formats() tells what a directory of each has")));
}

/* Migrations of Django, Alembic, Rails, Kysely and the like. */
static bool
has_code(const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (!entry->is_directory && is_code_file(entry->name))
			return true;
	}
	return false;
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

/*
 * See formats.h.
 */
List *
read_migrations(const MigrationFormat *format, const MigrationFile *file,
				const char *text, const char *down_text)
{
	List	   *migrations;
	ListCell   *cell;

	refuse_marks_of_others(format, file->path, text);
	if (format->read != NULL)
		migrations = format->read(file, text, down_text);
	else
	{
		MigrationFile *migration = copy_migration_file(file);

		migration->body = pstrdup(text);
		migration->down_body = down_text ? pstrdup(down_text) : NULL;
		migrations = list_make1(migration);
	}
	foreach(cell, migrations)
		check_migration(lfirst(cell), text);
	return migrations;
}

/*
 * A file that has both ways in it would run both, one after the other.
 */
static void
refuse_marks_of_others(const MigrationFormat *format, const char *path,
					   const char *text)
{
	for (int i = 0; i < lengthof(formats); i++)
	{
		const MigrationFormat *other = formats[i];
		int			line;

		if (other == format || other->find_mark == NULL || other->mark_is_weak)
			continue;
		line = other->find_mark(text);
		if (line > 0)
			bad_line(path, line,
					 psprintf("this is a file of %s, not of %s: load it with that format, or take the line out",
							  other->name, format->name));
	}
}

static void
check_migration(const MigrationFile *migration, const char *text)
{
	/* of a file that has nothing at all the ledger complains */
	if (migration->section == NULL && is_blank(migration->body) &&
		!is_blank(text))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\" has nothing in the section that is to run: write its SQL, or a comment if nothing is to be done",
						migration->path)));
	check_sql_text(migration->path, migration->body, migration->body_line);
	if (migration->down_body != NULL)
		check_sql_text(migration->down_path ? migration->down_path :
					   migration->path, migration->down_body,
					   migration->down_line);
}

static bool
is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n\f\v")] == '\0';
}
