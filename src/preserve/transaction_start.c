/*-------------------------------------------------------------------------
 *
 * transaction_start.c
 *	  What was there before the current transaction, and what it has counted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "miscadmin.h"
#include "preserve/transaction_start.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

/*
 * See transaction_start.h.  To a snapshot, rows of the own transaction are made
 * and deleted by commands: none of them came before the first.  What
 * RegisterSnapshot() returns is a copy.
 */
Snapshot
register_snapshot_before(void)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	snapshot->curcid = FirstCommandId;
	return snapshot;
}

/*
 * See transaction_start.h.
 */
List *
fetch_catalog_rows(Relation catalog, Oid index, AttrNumber column, Oid key,
				   Snapshot snapshot)
{
	List	   *rows = NIL;
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&scan_key, column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key));
	scan = systable_beginscan(catalog, index, true, snapshot, 1, &scan_key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		rows = lappend(rows, heap_copytuple(row));
	systable_endscan(scan);
	return rows;
}

/*
 * See transaction_start.h.
 */
HeapTuple
fetch_catalog_row(Relation catalog, Oid index, AttrNumber column, Oid key,
				  Snapshot snapshot)
{
	List	   *rows = fetch_catalog_rows(catalog, index, column, key, snapshot);

	return rows == NIL ? NULL : linitial(rows);
}
