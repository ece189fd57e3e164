/*-------------------------------------------------------------------------
 *
 * load.c
 *	  migrate.load(): registering the migrations of a directory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/script.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger/formats/names.h"
#include "ledger/ledger.h"
#include "ledger/tool_checksum.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* What is loaded, and what has become of it. */
typedef struct Load
{
	const MigrationFormat *format;
	ReturnSetInfo *result;
	int			listed;			/* migrations with a place in a list so far */
	List	   *versions;		/* of MigrationFile, without texts */
} Load;

static void load_directory(FunctionCallInfo fcinfo, const char *path,
						   const char *format_name);
static void give_arrays(const char *root, ArrayType *paths, ArrayType *texts);
static void check_access(const char *directory);
static void refuse_duplicates(List *files);
static void refuse_duplicate(const MigrationFile *first,
							 const MigrationFile *second);
static void load_one_file(Load *load, const MigrationFile *file,
						  MemoryContext keep);
static void register_file(Load *load, MigrationFile *file,
						  const char *raw_text);
static void put_row(Load *load, const char *version, const char *name,
					const char *state);
static void mark_missing(Load *load);

PG_FUNCTION_INFO_V1(migrate_load);
PG_FUNCTION_INFO_V1(migrate_load_files);
PG_FUNCTION_INFO_V1(migrate_formats);
PG_FUNCTION_INFO_V1(migrate_format_files);

/*
 * migrate.load(directory text, format text)
 *	  returns table (version text, name text, state text)
 */
Datum
migrate_load(PG_FUNCTION_ARGS)
{
	char	   *path;

	require_preloaded();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.load() needs a directory and a format, not NULL: use 'auto' to have the format found out")));
	path = text_to_cstring(PG_GETARG_TEXT_PP(0));
	check_access(path);
	canonicalize_path(path);
	load_directory(fcinfo, path, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	return (Datum) 0;
}

/*
 * migrate.load_files(paths text[], texts text[], format text, directory text)
 *	  returns table (version text, name text, state text)
 */
Datum
migrate_load_files(PG_FUNCTION_ARGS)
{
	char	   *root;

	require_preloaded();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
		PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.load_files() needs paths, texts, a format and a directory, not NULL: use 'auto' to have the format found out")));
	root = text_to_cstring(PG_GETARG_TEXT_PP(3));
	PG_TRY();
	{
		give_arrays(root, PG_GETARG_ARRAYTYPE_P(0), PG_GETARG_ARRAYTYPE_P(1));
		load_directory(fcinfo, root,
					   text_to_cstring(PG_GETARG_TEXT_PP(2)));
	}
	PG_FINALLY();
	{
		forget_given_files();
	}
	PG_END_TRY();
	return (Datum) 0;
}

/*
 * migrate.formats() returns table (format text, layout text)
 */
Datum
migrate_formats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < format_count(); i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		values[0] = CStringGetTextDatum(format_at(i)->name);
		values[1] = CStringGetTextDatum(format_at(i)->looks_for);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/*
 * migrate.format_files() returns text[]
 */
Datum
migrate_format_files(PG_FUNCTION_ARGS)
{
	int			count = 0;
	Datum	   *elements;

	while (format_file_patterns[count] != NULL)
		count++;
	elements = palloc(count * sizeof(Datum));
	for (int i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(format_file_patterns[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, count, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/* The texts stay in their array until they are read. */
static void
give_arrays(const char *root, ArrayType *paths, ArrayType *texts)
{
	Datum	   *path_values;
	Datum	   *text_values;
	bool	   *path_nulls;
	bool	   *text_nulls;
	const char **path_strings;
	int			count;
	int			text_count;

	deconstruct_array(paths, TEXTOID, -1, false, TYPALIGN_INT, &path_values,
					  &path_nulls, &count);
	deconstruct_array(texts, TEXTOID, -1, false, TYPALIGN_INT, &text_values,
					  &text_nulls, &text_count);
	if (count != text_count)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.load_files() has %d paths but %d texts: give one text for each path",
						count, text_count)));
	path_strings = palloc((count + 1) * sizeof(char *));
	for (int i = 0; i < count; i++)
	{
		if (path_nulls[i] || text_nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("path or text %d given to migrate.load_files() is NULL",
							i + 1)));
		path_strings[i] = TextDatumGetCString(path_values[i]);
	}
	give_files(root, path_strings, text_values, count);
}

/*
 * Register the migrations of a directory and return what became of each.
 */
static void
load_directory(FunctionCallInfo fcinfo, const char *path,
			   const char *format_name)
{
	Load		load = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	Directory  *directory;
	List	   *files;
	ListCell   *cell;

	PreventCommandIfReadOnly("migrate.load()");
	InitMaterializedSRF(fcinfo, 0);
	directory = read_directory(path);
	load.format = find_format(format_name, directory);
	files = load.format->list(directory);
	if (files != NIL && ((MigrationFile *) linitial(files))->listed_at == 0)
	{
		list_by_version(files);
		refuse_duplicates(files);
	}

	context = AllocSetContextCreate(caller, "safe_migrate file",
									ALLOCSET_DEFAULT_SIZES);
	foreach(cell, files)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		load_one_file(&load, lfirst(cell), caller);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	mark_missing(&load);
}

/*
 * Reading files of the server is for those who may do so with COPY.
 */
static void
check_access(const char *directory)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read directory \"%s\" of the server: send the files from the client with pg_safe_migrate, or have pg_read_server_files granted",
						directory)));
	if (!is_absolute_path(directory))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("directory \"%s\" is a relative path: give the whole path on the server",
						directory)));
}

/*
 * The second would replace the first.  The files are sorted by version.
 */
static void
refuse_duplicates(List *files)
{
	MigrationFile *previous = NULL;
	ListCell   *cell;

	foreach(cell, files)
	{
		MigrationFile *file = lfirst(cell);

		if (previous != NULL &&
			strcmp(file->sort_key, previous->sort_key) == 0)
			refuse_duplicate(previous, file);
		previous = file;
	}
}

static void
refuse_duplicate(const MigrationFile *first, const MigrationFile *second)
{
	if (second->section != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\", line %d: %s is also in file \"%s\", line %d: give one of them another id",
						second->path, second->line, second->section,
						first->path, first->line)));
	if (strcmp(first->path, second->path) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\" is listed twice: take it out of the list once",
						first->path)));
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("files \"%s\" and \"%s\" have the same version: give one of them another",
					first->path, second->path)));
}

/*
 * Register what is in a file.  All but what is to be kept is in the current
 * memory context.
 */
static void
load_one_file(Load *load, const MigrationFile *file, MemoryContext keep)
{
	char	   *raw = read_raw_file(file->path);
	char	   *text = normalize_newlines(raw);
	char	   *down_text = file->down_path ?
	read_migration_file(file->down_path) : NULL;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext registering = AllocSetContextCreate(context,
													  "safe_migrate migration",
													  ALLOCSET_DEFAULT_SIZES);
	ListCell   *cell;

	foreach(cell, read_migrations(load->format, file, text, down_text))
	{
		MigrationFile *migration = lfirst(cell);
		MemoryContext old;
		MigrationFile *kept;

		if (file->listed_at > 0)
			migration->listed_at = ++load->listed;
		MemoryContextSwitchTo(registering);
		register_file(load, migration, raw);
		MemoryContextSwitchTo(context);
		MemoryContextReset(registering);

		old = MemoryContextSwitchTo(keep);
		kept = copy_migration_file(migration);
		kept->version = pstrdup(migration->version);
		kept->section = migration->section ? pstrdup(migration->section) : NULL;
		/* where a list tells the order, versions are but names */
		if (file->listed_at > 0)
			kept->sort_key = kept->version;
		load->versions = lappend(load->versions, kept);
		MemoryContextSwitchTo(old);
	}
}

static void
register_file(Load *load, MigrationFile *file, const char *raw_text)
{
	MigrationText migration = {0};
	RegisterResult state;

	migration.version = file->version;
	migration.name = file->name;
	migration.format = load->format->name;
	migration.body = file->body;
	migration.body_line = file->body_line;
	migration.down_body = file->down_body;
	migration.down_line = file->down_line;
	migration.tool_checksum = tool_checksum(load->format->name, raw_text,
											file->section ? file->body : NULL);
	migration.requires = file->requires;
	migration.listed_at = file->listed_at;
	migration.in_transaction = file->in_transaction;
	migration.repeatable = file->repeatable;
	migration.origin = file->section ?
		psprintf("file \"%s\", %s", file->path, file->section) :
		psprintf("file \"%s\"", file->path);
	migration.down_origin = file->down_path ?
		psprintf("file \"%s\"", file->down_path) : migration.origin;
	state = register_migration(&migration);
	put_row(load, file->version, file->name, register_result_name(state));
}

static void
put_row(Load *load, const char *version, const char *name, const char *state)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	values[0] = CStringGetTextDatum(version);
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(state);
	tuplestore_putvalues(load->result->setResult, load->result->setDesc,
						 values, nulls);
}

/*
 * What was loaded in the same format before, and is not there now.
 */
static void
mark_missing(Load *load)
{
	List	   *versions = NIL;
	List	   *missing;
	LedgerEntry *first;
	ListCell   *cell;

	/* of those from texts nobody has looked yet */
	list_by_version(load->versions);
	refuse_duplicates(load->versions);
	foreach(cell, load->versions)
		versions = lappend(versions, ((MigrationFile *) lfirst(cell))->version);

	missing = ledger_mark_missing(load->format->name, versions);
	foreach(cell, missing)
	{
		LedgerEntry *entry = lfirst(cell);

		put_row(load, entry->version, entry->name, "missing");
	}
	if (missing == NIL)
		return;
	first = linitial(missing);
	ereport(WARNING,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 list_length(missing) == 1 ?
			 errmsg("migration %s is registered, but its file is gone: put it back, or, if it has never run, forget it with SELECT migrate.unregister(%s)",
					first->label, quote_literal_cstr(first->version)) :
			 errmsg("migration %s and %d more are registered, but their files are gone: put them back, or, if they have never run, forget each as with SELECT migrate.unregister(%s)",
					first->label, list_length(missing) - 1,
					quote_literal_cstr(first->version))));
}
