/*-------------------------------------------------------------------------
 *
 * point.c
 *	  Restore points: making one, and which there are.
 *
 * Whoever makes a point and whoever destroys a file must not miss each other:
 * the one writes what nobody sees before its commit, the other looks for that.
 * So there is a lock, on our extension's row in a place where nothing else
 * locks.  Makers do not exclude each other, and take it before they look at
 * the catalog; those who destroy do not either, and keep it until they have
 * done so.  A maker waits for those, which are at their commit; they do not
 * wait for it, which may be at the beginning of a long transaction, but keep
 * everything.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catversion.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "common/settings.h"
#include "drift/catalog_state.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "preserve/catalog_image.h"
#include "preserve/point.h"
#include "preserve/point_state.h"
#include "storage/lock.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* objsubid of the lock; see ledger_lock.c for another one in that place */
#define LOCK_SUBID		2

/* Neither conflicts with itself, each does with the other. */
#define MAKER_LOCK		ShareLock
#define DESTROYER_LOCK	RowExclusiveLock

/* Room for what tells labels apart: a blank, and a number in parentheses. */
#define NUMBER_MAX_BYTES	8

/* Seconds. */
#define SHORT_LIFE		300

/* What is to become a row of migrate.restore_point_data. */
typedef struct NewPoint
{
	const char *label;
	const char *kind;
	const char *statement;		/* or NULL */
	XLogRecPtr	lsn;			/* or InvalidXLogRecPtr */
	Datum		data_snapshot;
} NewPoint;

static char *label_of_now(const char *prefix);
static void tell_of_short_life(void);
static void set_tag(LOCKTAG *tag);
static void check_label(const char *label);
static XLogRecPtr mark_wal(const char *label, const char *kind);
static Datum snapshot_now(void);
static uint64 full_xid(TransactionId xid, FullTransactionId next);
static int	compare_xids(const void *a, const void *b);
static int64 insert_point(const NewPoint *point);
static void add_point_arguments(OwnArguments *arguments,
								const NewPoint *point);
static void refuse_taken(const char *label);
static bool label_is_taken(const char *label);
static List *read_points(bool full_only);
static int	compare_points(const ListCell *a, const ListCell *b);
static Oid	points_relid(void);
static bool table_has_rows(const char *name);

PG_FUNCTION_INFO_V1(migrate_create_restore_point);

/*
 * See point.h.
 */
bool
preserving(void)
{
	return setting_restore_points && setting_mode != MODE_OFF &&
		points_are_possible();
}

/*
 * See point.h.
 */
bool
points_are_possible(void)
{
	return !setting_restoring && library_is_preloaded &&
		IsNormalProcessingMode() && IsTransactionState() &&
		OidIsValid(MyDatabaseId) && !IsBinaryUpgrade &&
		!RecoveryInProgress() && !IsParallelWorker() &&
		!compat_is_autovacuum_worker() && extension_is_created();
}

/*
 * migrate.create_restore_point(label text) returns text
 */
Datum
migrate_create_restore_point(PG_FUNCTION_ARGS)
{
	char	   *label = PG_ARGISNULL(0) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(0));

	require_preloaded();
	PreventCommandDuringRecovery("migrate.create_restore_point()");
	PreventCommandIfReadOnly("migrate.create_restore_point()");
	require_read_committed("migrate.create_restore_point()");
	if (!preserving())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a restore point would keep nothing: safe_migrate.restore_points is off, safe_migrate.mode is off, or safe_migrate.restoring is on"),
				 errhint("SET safe_migrate.restore_points = on;")));
	if (label == NULL)
		label = label_of_now("manual");
	(void) make_restore_point(label, POINT_MANUAL);
	PG_RETURN_TEXT_P(cstring_to_text(label));
}

/*
 * See point.h.
 */
int64
make_restore_point(const char *label, const char *kind)
{
	NewPoint	point = {0};
	LOCKTAG		tag;
	char	   *state;
	int64		id;

	check_label(label);
	if (label_is_taken(label))
		refuse_taken(label);
	set_tag(&tag);
	(void) LockAcquire(&tag, MAKER_LOCK, false, false);

	point.label = label;
	point.kind = kind;
	point.data_snapshot = snapshot_now();
	point.lsn = mark_wal(label, kind);
	id = insert_point(&point);
	tell_of_short_life();
	state = catalog_state();
	save_catalog_image(id);
	save_point_state(id, state);
	return id;
}

/*
 * See point.h.
 */
int64
make_statement_point(const char *statement)
{
	NewPoint	point = {0};

	/* others must neither be waited for nor be in the way at the same moment */
	point.label = label_of_now(psprintf("statement of %d,", MyProcPid));
	point.kind = POINT_STATEMENT;
	point.statement = statement;
	point.data_snapshot = snapshot_now();
	tell_of_short_life();
	return insert_point(&point);
}

/*
 * See point.h.
 */
void
forget_statement_point(int64 point)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(point), false);
	run_own_query("DELETE FROM migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_DELETE);
	end_own_access(&access);
}

/*
 * See point.h.
 */
bool
hold_restore_point(int64 point, bool exclusively)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		found;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(point), false);
	run_own_query(exclusively ?
				  "SELECT FROM migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1 FOR UPDATE" :
				  "SELECT FROM migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE",
				  &arguments, SPI_OK_SELECT);
	found = SPI_processed > 0;
	end_own_access(&access);
	return found;
}

/* The background comes by every five minutes, unless it is told. */
static void
tell_of_short_life(void)
{
	if (setting_restore_point_ttl > 0 &&
		setting_restore_point_ttl < SHORT_LIFE)
		task_after_commit();
}

static void
set_tag(LOCKTAG *tag)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, ExtensionRelationId,
					   migrate_extension_oid(false), LOCK_SUBID);
}

static void
check_label(const char *label)
{
	if (label[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a restore point needs a label: give one, or NULL to have one made up")));
	if (strlen(label) > LABEL_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the label of a restore point is at most %d bytes long, and \"%s...\" has %zu: choose a shorter one",
						LABEL_MAX_BYTES,
						pnstrdup(label, pg_mbcliplen(label, strlen(label), 30)),
						strlen(label))));
}

/* For those who go back with their backup; it costs one record. */
static XLogRecPtr
mark_wal(const char *label, const char *kind)
{
	if (XLogIsNeeded())
		return XLogRestorePoint(label);
	ereport(strcmp(kind, POINT_MANUAL) == 0 ? NOTICE : DEBUG1,
			(errmsg("restore point \"%s\" is not marked in the WAL, since wal_level is minimal",
					label)));
	return InvalidXLogRecPtr;
}

/*
 * As pg_current_snapshot() shows it, but that the own transaction is at work: it
 * is in no snapshot of itself, and would be taken to have ended before when a
 * younger one has.
 */
static Datum
snapshot_now(void)
{
	uint64		own = U64FromFullTransactionId(GetTopFullTransactionId());
	FullTransactionId next = ReadNextFullTransactionId();
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	uint64		xmax = full_xid(snapshot->xmax, next);
	uint64	   *running = palloc((snapshot->xcnt + 1) * sizeof(uint64));
	int			count = 0;
	StringInfoData text;

	for (uint32 i = 0; i < snapshot->xcnt; i++)
		running[count++] = full_xid(snapshot->xip[i], next);
	if (own < xmax)
		running[count++] = own;
	qsort(running, count, sizeof(uint64), compare_xids);

	initStringInfo(&text);
	appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":",
					 full_xid(snapshot->xmin, next), xmax);
	for (int i = 0; i < count; i++)
		appendStringInfo(&text, "%s" UINT64_FORMAT, i > 0 ? "," : "",
						 running[i]);
	UnregisterSnapshot(snapshot);
	return DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(text.data));
}

/* With the epoch of the last time that its number was given. */
static uint64
full_xid(TransactionId xid, FullTransactionId next)
{
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch,
																	 xid));
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		first = *(const uint64 *) a;
	uint64		second = *(const uint64 *) b;

	return first < second ? -1 : first > second;
}

/* Returns its number. */
static int64
insert_point(const NewPoint *point)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		id = 0;

	begin_own_access(&access);
	add_point_arguments(&arguments, point);
	run_own_query("INSERT INTO migrate.restore_point_data (label, kind, "
				  "created_by, statement, session, data_snapshot, lsn, "
				  "catalog_version, expires_at, ledger_position, "
				  "last_change, contracted) "
				  "SELECT $1, $2, $3, $4, $5, $6, $7, $8, "
				  "pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) "
				  "pg_catalog.make_interval(secs => $9), "
				  "COALESCE((SELECT pg_catalog.max(a.id) "
				  "FROM migrate.attempts a), 0), "
				  "COALESCE((SELECT pg_catalog.max(c.id) "
				  "FROM migrate.change_log c), 0), "
				  "ARRAY(SELECT c.id FROM migrate.change_log c "
				  "WHERE c.contracted_at IS NOT NULL) "
				  "ON CONFLICT (label) DO NOTHING RETURNING id",
				  &arguments, SPI_OK_INSERT_RETURNING);
	if (SPI_processed == 1)
		id = own_bigint_column(0, 1);
	end_own_access(&access);
	if (id == 0)
		refuse_taken(point->label);
	return id;
}

static void
add_point_arguments(OwnArguments *arguments, const NewPoint *point)
{
	add_own_text(arguments, point->label);
	add_own_text(arguments, point->kind);
	add_own_argument(arguments, NAMEOID,
					 DirectFunctionCall1(namein,
										 CStringGetDatum(GetUserNameFromId(GetSessionUserId(),
																		   false))),
					 false);
	add_own_text(arguments, point->statement);
	add_own_text(arguments, session_in_words());
	add_own_argument(arguments, PG_SNAPSHOTOID, point->data_snapshot, false);
	add_own_argument(arguments, PG_LSNOID, LSNGetDatum(point->lsn),
					 XLogRecPtrIsInvalid(point->lsn));
	add_own_text(arguments, catalog_version_in_words());
	add_own_argument(arguments, FLOAT8OID,
					 Float8GetDatum((double) setting_restore_point_ttl),
					 setting_restore_point_ttl == 0);
}

/*
 * See point.h.
 */
char *
catalog_version_in_words(void)
{
	return psprintf("%s %u", COMPAT_MAJOR_VERSION, CATALOG_VERSION_NO);
}

/*
 * See point.h.  A PID may be given twice.
 */
char *
session_in_words(void)
{
	return psprintf("%d " INT64_FORMAT, MyProcPid, MyStartTimestamp);
}

static void
refuse_taken(const char *label)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("there is a restore point \"%s\" already: choose another label, or SELECT migrate.drop_restore_point(%s) first",
					label, quote_literal_cstr(label))));
}

/*
 * See point.h.
 */
char *
unused_label(const char *wanted)
{
	char	   *room = pnstrdup(wanted, pg_mbcliplen(wanted, strlen(wanted),
													 LABEL_MAX_BYTES -
													 NUMBER_MAX_BYTES));
	char	   *label = room;

	for (int number = 2; label_is_taken(label); number++)
		label = psprintf("%s (%d)", room, number);
	return label;
}

/* By day and time to the millisecond, palloc'd. */
static char *
label_of_now(const char *prefix)
{
	return unused_label(psprintf("%s %.23s", prefix,
								 timestamptz_to_str(GetCurrentTimestamp())));
}

static bool
label_is_taken(const char *label)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		taken;

	begin_own_access(&access);
	add_own_text(&arguments, label);
	run_own_query("SELECT FROM migrate.restore_point_data p "
				  "WHERE p.label OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	taken = SPI_processed > 0;
	end_own_access(&access);
	return taken;
}

/*
 * See point.h.
 */
List *
living_points(void)
{
	return read_points(false);
}

/*
 * See point.h.
 */
List *
full_points(void)
{
	return read_points(true);
}

/* With the latest snapshot, which SQL would not use in every transaction. */
static List *
read_points(bool full_only)
{
	Relation	rel = table_open(points_relid(), AccessShareLock);
	AttrNumber	id_column = get_attnum(RelationGetRelid(rel), "id");
	AttrNumber	kind_column = get_attnum(RelationGetRelid(rel), "kind");
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = compat_beginscan(rel, snapshot);
	List	   *points = NIL;
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		kind = heap_getattr(tuple, kind_column,
										RelationGetDescr(rel), &isnull);
		int64	   *id;

		if (full_only &&
			strcmp(TextDatumGetCString(kind), POINT_STATEMENT) == 0)
			continue;
		id = palloc(sizeof(int64));
		*id = DatumGetInt64(heap_getattr(tuple, id_column,
										 RelationGetDescr(rel), &isnull));
		points = lappend(points, id);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	list_sort(points, compare_points);
	return points;
}

static int
compare_points(const ListCell *a, const ListCell *b)
{
	int64		first = *(int64 *) lfirst(a);
	int64		second = *(int64 *) lfirst(b);

	return first < second ? -1 : first > second;
}

static Oid
points_relid(void)
{
	return get_relname_relid("restore_point_data",
							 get_namespace_oid(MIGRATE_SCHEMA, false));
}

/*
 * See point.h.
 */
bool
restore_points_may_exist(void)
{
	return extension_is_created() &&
		(own_table_has_pages("restore_point_data") ||
		 own_table_has_pages("parked_storage") || own_table_has_pages("changed_rows"));
}

/*
 * See point.h.
 */
bool
restore_data_exists(void)
{
	return extension_is_created() &&
		(table_has_rows("restore_point_data") ||
		 table_has_rows("parked_storage") || table_has_rows("changed_rows"));
}

static bool
table_has_rows(const char *name)
{
	Oid			relid = get_relname_relid(name,
										  get_namespace_oid(MIGRATE_SCHEMA,
															true));
	Relation	rel;
	Snapshot	snapshot;
	TableScanDesc scan;
	bool		result;

	if (!OidIsValid(relid) || !extension_owns_relation(relid))
		return false;
	rel = table_open(relid, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = compat_beginscan(rel, snapshot);
	result = heap_getnext(scan, ForwardScanDirection) != NULL;
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * See point.h.
 */
bool
point_is_being_made(void)
{
	LOCKTAG		tag;

	set_tag(&tag);
	return LockAcquire(&tag, DESTROYER_LOCK, false, true) ==
		LOCKACQUIRE_NOT_AVAIL;
}

/*
 * See point.h.
 */
void
let_points_be_made(void)
{
	LOCKTAG		tag;

	set_tag(&tag);
	(void) LockRelease(&tag, DESTROYER_LOCK, false);
}
