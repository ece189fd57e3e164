/*-------------------------------------------------------------------------
 *
 * backfill_store.c
 *	  The rows of a backfill in the log, and its lock.
 *
 * How far a table is stands in a row that the transaction of a batch writes
 * with it: so whatever ends it, what is known is what is done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "common/session_lock.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "online/backfill_internal.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define FIND_QUERY \
	"SELECT l.id, l.pass FROM migrate.backfill_log l " \
	"WHERE l.state OPERATOR(pg_catalog.<>) 'done' " \
	"AND l.relid OPERATOR(pg_catalog.=) $1 " \
	"AND l.set_list OPERATOR(pg_catalog.=) $2 " \
	"AND ARRAY[l.condition] OPERATOR(pg_catalog.=) ARRAY[$3] " \
	"AND l.role_oid OPERATOR(pg_catalog.=) $4 " \
	"AND l.columns OPERATOR(pg_catalog.=) $5 " \
	"ORDER BY l.id DESC LIMIT 1"

#define INSERT_QUERY \
	"INSERT INTO migrate.backfill_log (relid, set_list, condition, role_oid, " \
	"columns, relation, role, pid, state, pass, started_at, run_started_at) " \
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'running', 1, " \
	"pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp()) RETURNING id"

#define RESUME_QUERY \
	"UPDATE migrate.backfill_log SET state = 'running', relation = $2, " \
	"pid = $3, waits_for = NULL, error = NULL, sqlstate = NULL, " \
	"finished_at = NULL, run_started_at = pg_catalog.clock_timestamp(), " \
	"(run_rows, run_pages) = (SELECT COALESCE(pg_catalog.sum(t.rows), 0), " \
	"COALESCE(pg_catalog.sum(t.next_page), 0) " \
	"FROM migrate.backfill_table_log t " \
	"WHERE t.backfill OPERATOR(pg_catalog.=) $1) " \
	"WHERE id OPERATOR(pg_catalog.=) $1"

/* The holder of the lock, as the view finds him. */
#define RUNNER_QUERY \
	"SELECT k.pid FROM pg_catalog.pg_locks k " \
	"WHERE k.locktype OPERATOR(pg_catalog.=) 'object' " \
	"AND k.classid OPERATOR(pg_catalog.=) " \
	"'migrate.backfill_log'::pg_catalog.regclass " \
	"AND k.objid OPERATOR(pg_catalog.=) " \
	"($1 OPERATOR(pg_catalog.&) 4294967295::bigint)::pg_catalog.oid " \
	"AND k.database OPERATOR(pg_catalog.=) (SELECT d.oid " \
	"FROM pg_catalog.pg_database d WHERE d.datname " \
	"OPERATOR(pg_catalog.=) pg_catalog.current_database()) AND k.granted"

#define LEAF_QUERY \
	"SELECT next_page, pages FROM migrate.backfill_table_log " \
	"WHERE backfill OPERATOR(pg_catalog.=) $1 " \
	"AND relid OPERATOR(pg_catalog.=) $2"

#define INSERT_LEAF_QUERY \
	"INSERT INTO migrate.backfill_table_log (backfill, relid, relation, " \
	"pages) VALUES ($1, $2, $3, $4)"

#define BATCH_QUERY \
	"UPDATE migrate.backfill_table_log SET next_page = $3, " \
	"rows = rows OPERATOR(pg_catalog.+) $4 " \
	"WHERE backfill OPERATOR(pg_catalog.=) $1 " \
	"AND relid OPERATOR(pg_catalog.=) $2"

#define PASS_QUERY \
	"UPDATE migrate.backfill_log SET pass = $2 " \
	"WHERE id OPERATOR(pg_catalog.=) $1"

#define WAIT_QUERY \
	"UPDATE migrate.backfill_log SET waits_for = $2, " \
	"state = CASE WHEN $2 IS NULL THEN 'running' ELSE 'paused' END " \
	"WHERE id OPERATOR(pg_catalog.=) $1"

#define END_QUERY \
	"UPDATE migrate.backfill_log SET state = $2, error = $3, sqlstate = $4, " \
	"waits_for = NULL, finished_at = pg_catalog.clock_timestamp() " \
	"WHERE id OPERATOR(pg_catalog.=) $1"

/* Of what batches have done, in a time in which the log cannot be pruned. */
#define STORE_INTERVAL_MS 200

static void find_or_insert(Backfill *b, bool *is_resumed);
static Datum columns_of_root(const Backfill *b);
static void lock_backfill(const Backfill *b);
static LOCKTAG backfill_tag(const Backfill *b);
static Oid	log_relid(void);

/*
 * Find the unfinished one, or insert a row; b->id and b->pass are set, and its
 * lock is held from now on.  Throws if another session runs it.
 */
void
store_backfill_begin(Backfill *b, bool *is_resumed)
{
	/* not two sessions at once, which would both find none */
	LockRelationOid(log_relid(), ShareUpdateExclusiveLock);
	find_or_insert(b, is_resumed);
	lock_backfill(b);
	if (*is_resumed)
	{
		OwnAccess	access;
		OwnArguments arguments = {0};

		begin_own_access(&access);
		add_own_argument(&arguments, INT8OID, Int64GetDatum(b->id), false);
		add_own_text(&arguments, relation_display_name(b->relid));
		add_own_argument(&arguments, INT4OID, Int32GetDatum(MyProcPid), false);
		run_own_query(RESUME_QUERY, &arguments, SPI_OK_UPDATE);
		end_own_access(&access);
	}
}

static void
find_or_insert(Backfill *b, bool *is_resumed)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	Datum		columns = columns_of_root(b);

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(b->relid), false);
	add_own_text(&arguments, b->request->set);
	add_own_text(&arguments, b->request->condition);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(access.user), false);
	add_own_argument(&arguments, INT2ARRAYOID, columns, false);
	run_own_query(FIND_QUERY, &arguments, SPI_OK_SELECT);
	*is_resumed = SPI_processed > 0;
	if (*is_resumed)
		b->pass = own_int_column(0, 2);
	else
	{
		add_own_text(&arguments, relation_display_name(b->relid));
		add_own_text(&arguments, GetUserNameFromId(access.user, false));
		add_own_argument(&arguments, INT4OID, Int32GetDatum(MyProcPid), false);
		run_own_query(INSERT_QUERY, &arguments, SPI_OK_INSERT_RETURNING);
		b->pass = 1;
	}
	b->id = own_bigint_column(0, 1);
	end_own_access(&access);
}

/* Those that the texts name; one that has the name of another later is another. */
static Datum
columns_of_root(const Backfill *b)
{
	List	   *columns = columns_of_texts(b->request, b->relid, b->alias);
	Datum	   *numbers = palloc(list_length(columns) * sizeof(Datum));
	ListCell   *cell;

	foreach(cell, columns)
		numbers[foreach_current_index(cell)] =
		Int16GetDatum(((BackfillColumn *) lfirst(cell))->attnum);
	return PointerGetDatum(construct_array(numbers, list_length(columns),
										   INT2OID, sizeof(int16), true,
										   TYPALIGN_SHORT));
}

/* For the session, as that of a task: see task_lock.c. */
static void
lock_backfill(const Backfill *b)
{
	LOCKTAG		tag = backfill_tag(b);
	OwnAccess	access;
	OwnArguments arguments = {0};
	int			pid;

	release_session_locks_at_exit();
	if (LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
		return;
	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(b->id), false);
	run_own_query(RUNNER_QUERY, &arguments, SPI_OK_SELECT);
	pid = SPI_processed > 0 ? own_int_column(0, 1) : 0;
	end_own_access(&access);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("backfill " INT64_FORMAT " of %s is being run by process %d; migrate.progress shows how far it is",
					b->id, relation_display_name(b->relid), pid)));
}

/* An error in a transaction has let go of it already. */
void
unlock_backfill(const Backfill *b)
{
	LOCKTAG		tag = backfill_tag(b);

	if (compat_lock_held_by_me(&tag, ExclusiveLock))
		(void) LockRelease(&tag, ExclusiveLock, true);
}

static LOCKTAG
backfill_tag(const Backfill *b)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, log_relid(), (Oid) b->id, 0);
	return tag;
}

static Oid
log_relid(void)
{
	return get_relname_relid("backfill_log",
							 get_namespace_oid(MIGRATE_SCHEMA, false));
}

/*
 * How far a table is; it gets a row if it has none.
 */
void
store_backfill_leaf(Backfill *b, BackfillLeaf *leaf)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(b->id), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(leaf->relid), false);
	run_own_query(LEAF_QUERY, &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		leaf->next = own_bigint_column(0, 1);
		leaf->pages = own_bigint_column(0, 2);
	}
	else
	{
		add_own_text(&arguments, relation_display_name(leaf->relid));
		add_own_argument(&arguments, INT8OID, Int64GetDatum(leaf->pages), false);
		run_own_query(INSERT_LEAF_QUERY, &arguments, SPI_OK_INSERT);
	}
	end_own_access(&access);
}

/*
 * A batch has set so many rows, and all pages before next are done.
 */
void
store_backfill_batch(const Backfill *b, const BackfillLeaf *leaf,
					 BlockNumber next, uint64 rows)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(b->id), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(leaf->relid), false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(next), false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(rows), false);
	run_own_query(BATCH_QUERY, &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * While old versions of rows are kept, those of the row in the log are as well,
 * and each batch has to go through all of them: so it is told some times a second.
 * What is not told yet is done again after a crash, with nothing to be set.
 */
bool
is_to_be_stored(const BackfillLeaf *leaf)
{
	return !prune_is_behind(leaf, 0) ||
		TimestampDifferenceExceeds(leaf->stored_at, GetCurrentTimestamp(),
								   STORE_INTERVAL_MS);
}

void
note_stored(BackfillLeaf *leaf, bool is_stored, uint64 rows)
{
	leaf->unstored_rows = is_stored ? 0 : leaf->unstored_rows + rows;
	if (is_stored)
		leaf->stored_at = GetCurrentTimestamp();
}

void
store_unstored_rows(Backfill *b)
{
	ListCell   *cell;

	foreach(cell, b->leaves)
	{
		BackfillLeaf *leaf = lfirst(cell);

		if (leaf->unstored_rows > 0)
			store_backfill_batch(b, leaf, leaf->next, leaf->unstored_rows);
		note_stored(leaf, true, 0);
	}
}

void
store_backfill_pass(const Backfill *b)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(b->id), false);
	add_own_argument(&arguments, INT4OID, Int32GetDatum(b->pass), false);
	run_own_query(PASS_QUERY, &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * What it waits for; NULL if it goes on.
 */
void
store_backfill_wait(const Backfill *b, const char *reason)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(b->id), false);
	add_own_text(&arguments, reason);
	run_own_query(WAIT_QUERY, &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * It has ended, with an error or without.
 */
void
store_backfill_end(const Backfill *b, const char *state, const ErrorData *error)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(b->id), false);
	add_own_text(&arguments, state);
	add_own_text(&arguments, error != NULL ? error->message : NULL);
	add_own_text(&arguments, error != NULL ?
				 unpack_sql_state(error->sqlerrcode) : NULL);
	run_own_query(END_QUERY, &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}
