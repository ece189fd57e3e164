/*-------------------------------------------------------------------------
 *
 * drift_functions.c
 *	  The functions of SQL that show the schema as hashes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "drift/manifest.h"
#include "effects/ledgers.h"
#include "fmgr.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(migrate_schema_objects);
PG_FUNCTION_INFO_V1(migrate_schema_fingerprint);
PG_FUNCTION_INFO_V1(migrate_belongs_to_runner);
PG_FUNCTION_INFO_V1(migrate_runner_writers);

/*
 * migrate.schema_objects(): kind, identity, unit, hash.
 */
Datum
migrate_schema_objects(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;
	List	   *rows;

	require_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	rows = read_manifest(InvalidOid, NIL);
	foreach(cell, rows)
	{
		ManifestRow *row = lfirst(cell);
		Datum		values[4];
		bool		nulls[4] = {0};

		values[0] = CStringGetTextDatum(row->kind);
		values[1] = CStringGetTextDatum(row->identity);
		values[2] = CStringGetTextDatum(row->unit);
		values[3] = CStringGetTextDatum(hash_in_words(row));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * migrate.schema_fingerprint(privileges boolean)
 */
Datum
migrate_schema_fingerprint(PG_FUNCTION_ARGS)
{
	bool		privileges = PG_GETARG_BOOL(0);
	ManifestSum sum = {0};
	ListCell   *cell;
	List	   *rows;

	require_preloaded();
	rows = read_manifest(InvalidOid, NIL);
	foreach(cell, rows)
	{
		ManifestRow *row = lfirst(cell);

		if (privileges || !row->is_privileges)
			add_to_sum(&sum, row);
	}
	PG_RETURN_TEXT_P(cstring_to_text(sum_in_words(&sum)));
}

/*
 * migrate.belongs_to_runner(relation oid)
 */
Datum
migrate_belongs_to_runner(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(has_shape_of_runner_ledger(PG_GETARG_OID(0)));
}

/*
 * migrate.runner_writers(relation oid): of another table nothing is told.  Each
 * row has the transaction that wrote it in its header.
 */
Datum
migrate_runner_writers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;
	TableScanDesc scan;
	TupleTableSlot *slot;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (!has_shape_of_runner_ledger(relid))
		return (Datum) 0;
	/* anybody may have made it, and locked it: nobody waits for that */
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return (Datum) 0;
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		return (Datum) 0;
	}
	slot = table_slot_create(rel, NULL);
	scan = compat_beginscan(rel, GetActiveSnapshot());
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		writer = slot_getsysattr(slot,
											 MinTransactionIdAttributeNumber,
											 &isnull);

		tuplestore_putvalues(result->setResult, result->setDesc, &writer,
							 &isnull);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	return (Datum) 0;
}
