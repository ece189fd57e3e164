/*-------------------------------------------------------------------------
 *
 * kept_size.c
 *	  How much room restore points take, and the limit of it.
 *
 * The views migrate.kept and migrate.kept_by_point do most of it.  Sizes are
 * looked up in the file system: a lock on what is kept would have to be waited
 * for while a rollback is at work.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "common/settings.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "preserve/catalog_image.h"
#include "preserve/kept_size.h"
#include "preserve/park.h"
#include "preserve/parked_size.h"
#include "preserve/preserve.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

/* Points that the refusal names. */
#define MAX_NAMED 5

static int64 bytes_of_images(void);
static void refuse_more(int64 kept, int64 limit);
static char *largest_points(char **remedy);

PG_FUNCTION_INFO_V1(migrate_files_of_point);

/*
 * migrate.files_of_point(point bigint) returns table (relid oid, filenode oid)
 */
Datum
migrate_files_of_point(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, load_catalog_rows(PG_GETARG_INT64(0), RelationRelationId))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT((HeapTuple) lfirst(cell));
		Datum		values[2];
		bool		nulls[2] = {false};

		if (!OidIsValid(form->relfilenode))
			continue;
		values[0] = ObjectIdGetDatum(form->oid);
		values[1] = ObjectIdGetDatum(form->relfilenode);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/*
 * See kept_size.h.
 */
void
check_kept_size(void)
{
	int64		limit = (int64) setting_restore_point_limit * 1024 * 1024;
	int64		kept;

	if (limit == 0)
		return;
	kept = kept_bytes() + bytes_of_images();
	if (kept > limit)
		refuse_more(kept, limit);
}

/*
 * See kept_size.h.
 */
int64
kept_bytes(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		bytes;

	begin_own_access(&access);
	run_own_query("SELECT ((SELECT COALESCE(pg_catalog.sum(s.bytes), 0) "
				  "FROM migrate.parked_storage s) OPERATOR(pg_catalog.+) "
				  "(SELECT COALESCE(pg_catalog.sum(c.bytes), 0) "
				  "FROM migrate.changed_rows c))::pg_catalog.int8",
				  &arguments, SPI_OK_SELECT);
	bytes = own_bigint_column(0, 1);
	end_own_access(&access);
	return bytes;
}

static int64
bytes_of_images(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		bytes;

	begin_own_access(&access);
	run_own_query("SELECT pg_catalog.pg_table_size('migrate.restore_catalog')",
				  &arguments, SPI_OK_SELECT);
	bytes = own_bigint_column(0, 1);
	end_own_access(&access);
	return bytes;
}

static void
refuse_more(int64 kept, int64 limit)
{
	char	   *remedy;
	char	   *largest = largest_points(&remedy);

	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("restore points would keep %s in this database, and safe_migrate.restore_point_limit is %s: %sSET safe_migrate.restore_points = off for this transaction, or raise the limit",
					size_in_words(kept), size_in_words(limit), remedy),
			 largest[0] != '\0' ? errdetail("What dropping a restore point frees: %s.",
											largest) : 0));
}

/*
 * Those which free most, of those that others can drop.  *remedy is the call
 * for the first of them, up to the next remedy; empty if there is none.
 */
static char *
largest_points(char **remedy)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	StringInfoData words;
	uint64		row;

	initStringInfo(&words);
	*remedy = "";
	add_own_argument(&arguments, INT8OID, Int64GetDatum(point_of_rollback()),
					 false);
	begin_own_access(&access);
	run_own_query("SELECT v.label, v.own_bytes FROM migrate.restore_points v "
				  "JOIN migrate.restore_point_data p "
				  "ON p.label OPERATOR(pg_catalog.=) v.label "
				  "WHERE p.creator OPERATOR(pg_catalog.<>) "
				  "pg_catalog.pg_current_xact_id() "
				  "AND p.id OPERATOR(pg_catalog.<>) $1 "
				  "ORDER BY v.own_bytes DESC, p.id",
				  &arguments, SPI_OK_SELECT);
	for (row = 0; row < SPI_processed && row < MAX_NAMED; row++)
	{
		char	   *label = own_text_column(&access, row, 1);
		char	   *size = size_in_words(own_bigint_column(row, 2));
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		appendStringInfo(&words, "%s\"%s\" %s", words.len > 0 ? ", " : "",
						 label, size);
		if (row == 0)
			*remedy = psprintf("SELECT migrate.drop_restore_point(%s), which frees %s, ",
							   quote_literal_cstr(label), size);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return words.data;
}
