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
#include "fmgr.h"
#include "funcapi.h"
#include "ledger/formats/formats.h"
#include "ledger/ledger.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

static void load_directory(FunctionCallInfo fcinfo, const char *path,
						   const char *format_name);
static void give_files(ArrayType *paths, ArrayType *texts);
static void check_access(const char *directory);
static int	compare_files(const ListCell *a, const ListCell *b);
static void refuse_duplicates(List *files);
static RegisterResult register_file(const MigrationFormat *format,
									const MigrationFile *file);

PG_FUNCTION_INFO_V1(migrate_load);
PG_FUNCTION_INFO_V1(migrate_load_files);

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
 * migrate.load_files(paths text[], texts text[], format text)
 *	  returns table (version text, name text, state text)
 */
Datum
migrate_load_files(PG_FUNCTION_ARGS)
{
	require_preloaded();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.load_files() needs paths, texts and a format, not NULL: use 'auto' to have the format found out")));
	PG_TRY();
	{
		give_files(PG_GETARG_ARRAYTYPE_P(0), PG_GETARG_ARRAYTYPE_P(1));
		load_directory(fcinfo, GIVEN_ROOT,
					   text_to_cstring(PG_GETARG_TEXT_PP(2)));
	}
	PG_FINALLY();
	{
		forget_given_files();
	}
	PG_END_TRY();
	return (Datum) 0;
}

static void
give_files(ArrayType *paths, ArrayType *texts)
{
	Datum	   *path_values;
	Datum	   *text_values;
	bool	   *path_nulls;
	bool	   *text_nulls;
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
	for (int i = 0; i < count; i++)
	{
		if (path_nulls[i] || text_nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("path or text %d given to migrate.load_files() is NULL",
							i + 1)));
		give_file(TextDatumGetCString(path_values[i]),
				  TextDatumGetCString(text_values[i]));
	}
}

/*
 * Register the migrations of a directory and return what became of each.
 */
static void
load_directory(FunctionCallInfo fcinfo, const char *path,
			   const char *format_name)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	Directory  *directory;
	const MigrationFormat *format;
	List	   *files;
	ListCell   *cell;

	PreventCommandIfReadOnly("migrate.load()");
	InitMaterializedSRF(fcinfo, 0);
	directory = read_directory(path);
	format = find_format(format_name, directory);
	files = format->list(directory);
	list_sort(files, compare_files);
	refuse_duplicates(files);

	context = AllocSetContextCreate(caller, "safe_migrate file",
									ALLOCSET_DEFAULT_SIZES);
	foreach(cell, files)
	{
		MigrationFile *file = lfirst(cell);
		RegisterResult state;
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		state = register_file(format, file);
		values[0] = CStringGetTextDatum(file->version);
		values[1] = CStringGetTextDatum(file->name);
		values[2] = CStringGetTextDatum(register_result_name(state));
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
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
				 errmsg("permission denied to read directory \"%s\" of the server: send the files with migrate.register(), or have pg_read_server_files granted",
						directory)));
	if (!is_absolute_path(directory))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("directory \"%s\" is a relative path: give the whole path on the server",
						directory)));
}

/* By version, so that complaints and the result come in that order. */
static int
compare_files(const ListCell *a, const ListCell *b)
{
	const MigrationFile *file_a = lfirst(a);
	const MigrationFile *file_b = lfirst(b);
	int			order = strcmp(version_sort_key(file_a->version),
							   version_sort_key(file_b->version));

	return order != 0 ? order : strcmp(file_a->path, file_b->path);
}

/* The second would replace the first. */
static void
refuse_duplicates(List *files)
{
	MigrationFile *previous = NULL;
	ListCell   *cell;

	foreach(cell, files)
	{
		MigrationFile *file = lfirst(cell);

		if (previous != NULL &&
			strcmp(version_sort_key(file->version),
				   version_sort_key(previous->version)) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("files \"%s\" and \"%s\" have the same version: give one of them another",
							previous->path, file->path)));
		previous = file;
	}
}

static RegisterResult
register_file(const MigrationFormat *format, const MigrationFile *file)
{
	MigrationText migration = {0};

	migration.version = file->version;
	migration.name = file->name;
	migration.format = format->name;
	migration.body = read_migration_file(file->path);
	if (file->down_path != NULL)
		migration.down_body = read_migration_file(file->down_path);
	migration.in_transaction = file->in_transaction;
	migration.origin = psprintf("file \"%s\"", file->path);
	if (format->check_text != NULL)
		format->check_text(file->path, migration.body);
	return register_migration(&migration);
}
