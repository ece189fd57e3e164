/*-------------------------------------------------------------------------
 *
 * ledger_lock.c
 *	  One deploy or apply at a time in a database.
 *
 * The lock is on our extension's row, or on that of the schema deployed to, in
 * a place where nothing else locks, and no SQL function can take it: a user
 * without the right to deploy cannot be in the way.  It is of the kind that
 * advisory locks are, because a lock of the session has to survive a rollback
 * inside a migration.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/fault.h"
#include "common/migration_flag.h"
#include "executor/spi.h"
#include "ledger/deploy_progress.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Time between two tries, and until the holder is named, ms. */
#define FIRST_PAUSE 50
#define LONGEST_PAUSE 500
#define SILENT_WAIT 1000

/* objsubid of the lock; the server itself locks an extension with 0 */
#define LOCK_SUBID 1

static LOCKTAG session_tag;

static void set_tag(LOCKTAG *tag, const char *schema);
static void refuse_recursion(void);
static void give_back_at_exit(int code, Datum arg);
static bool try_session_lock(void);
static LOCKTAG default_tag_of(const LOCKTAG *tag);
static void lock_target_for_transaction(const char *schema);
static void wait_a_moment(long pause);
static void name_holder(void);
static void tell_holder(void);
static char *describe_holder(const LOCKTAG *tag);
static void lock_timed_out(void);

static void
set_tag(LOCKTAG *tag, const char *schema)
{
	if (schema[0] == '\0')
		SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, ExtensionRelationId,
						   migrate_extension_oid(false), LOCK_SUBID);
	else
		SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, NamespaceRelationId,
						   get_namespace_oid(schema, false), LOCK_SUBID);
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

/*
 * A migration that deploys migrations would run itself.
 */
static void
refuse_recursion(void)
{
	if (migration_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a migration cannot apply migrations: take the call of migrate.apply() or migrate.deploy() out of its text")));
}

/*
 * Wait for the lock and take it for the session.  To be called, and returns,
 * outside of a transaction: while we wait we hold no snapshot and no lock
 * that another deploy's CREATE INDEX CONCURRENTLY could wait for.
 */
void
lock_ledger_for_session(void)
{
	static bool exit_registered = false;
	TimestampTz start = GetCurrentTimestamp();
	long		pause = FIRST_PAUSE;
	bool		named = false;
	bool		told = false;

	Assert(!IsTransactionState());
	refuse_recursion();
	if (!exit_registered)
	{
		before_shmem_exit(give_back_at_exit, (Datum) 0);
		exit_registered = true;
	}

	StartTransactionCommand();
	set_tag(&session_tag, ledger_target_schema());
	CommitTransactionCommand();

	while (!try_session_lock())
	{
		TimestampTz now = GetCurrentTimestamp();

		if (LockTimeout > 0 && now - start > (int64) LockTimeout * 1000)
			lock_timed_out();
		if (!named)
			name_holder();
		named = true;
		if (!told && now - start > (int64) SILENT_WAIT * 1000)
		{
			tell_holder();
			told = true;
		}
		wait_a_moment(pause);
		pause = Min(pause * 2, LONGEST_PAUSE);
	}
	if (named)
		progress_waits_for(NULL);
}

/*
 * PostgreSQL does not release a session's lock of the default method when the
 * process ends outside of a transaction, and then nobody could deploy any more
 * (seen on 15).
 */
static void
give_back_at_exit(int code, Datum arg)
{
	unlock_ledger_for_session();
}

/*
 * The lock is held by both lock methods, because a migration can lose either:
 * an abort releases that of the default one, DISCARD ALL and
 * pg_advisory_unlock_all() that of the user one.  Others take both as well.
 */
static bool
try_session_lock(void)
{
	LOCKTAG		default_tag = default_tag_of(&session_tag);
	volatile bool both = false;

	if (LockAcquire(&session_tag, ExclusiveLock, true, true) ==
		LOCKACQUIRE_NOT_AVAIL)
		return false;
	PG_TRY();
	{
		/* throws if the lock table is full */
		reach_fault_point("ledger_lock_second");
		both = LockAcquire(&default_tag, ExclusiveLock, true, true) !=
			LOCKACQUIRE_NOT_AVAIL;
	}
	PG_FINALLY();
	{
		if (!both)
			LockRelease(&session_tag, ExclusiveLock, true);
	}
	PG_END_TRY();
	return both;
}

static LOCKTAG
default_tag_of(const LOCKTAG *tag)
{
	LOCKTAG		default_tag = *tag;

	default_tag.locktag_lockmethodid = DEFAULT_LOCKMETHOD;
	return default_tag;
}

/*
 * Keep DROP EXTENSION out until the transaction ends.
 */
void
keep_extension(void)
{
	LockDatabaseObject(ExtensionRelationId, migrate_extension_oid(false), 0,
					   AccessShareLock);
}

static void
wait_a_moment(long pause)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 pause, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* For migrate.deploy_progress, at once. */
static void
name_holder(void)
{
	StartTransactionCommand();
	progress_waits_for("the deploy or apply of %s",
					   describe_holder(&session_tag));
	CommitTransactionCommand();
}

static void
tell_holder(void)
{
	char	   *holder;

	StartTransactionCommand();
	holder = describe_holder(&session_tag);
	ereport(NOTICE,
			(errmsg("waiting for the deploy or apply that runs in this database: %s",
					holder)));
	CommitTransactionCommand();
}

static void
lock_timed_out(void)
{
	StartTransactionCommand();
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("canceling deploy due to lock timeout: another deploy or apply runs in this database (%s); wait for it to end",
					describe_holder(&session_tag))));
}

/*
 * Make sure that we still have the lock: a statement such as DISCARD ALL or
 * pg_advisory_unlock_all() in a migration takes it from us.
 */
void
keep_ledger_lock(void)
{
	LOCKTAG		default_tag = default_tag_of(&session_tag);

	if ((compat_lock_held_by_me(&session_tag, ExclusiveLock) ||
		 LockAcquire(&session_tag, ExclusiveLock, true, true) !=
		 LOCKACQUIRE_NOT_AVAIL) &&
		(compat_lock_held_by_me(&default_tag, ExclusiveLock) ||
		 LockAcquire(&default_tag, ExclusiveLock, true, true) !=
		 LOCKACQUIRE_NOT_AVAIL))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("this deploy lost its lock to another one: take DISCARD ALL and pg_advisory_unlock_all() out of the migration")));
}

/*
 * Give the lock back.  Never throws.
 */
void
unlock_ledger_for_session(void)
{
	LOCKTAG		default_tag = default_tag_of(&session_tag);

	if (compat_lock_held_by_me(&session_tag, ExclusiveLock))
		LockRelease(&session_tag, ExclusiveLock, true);
	if (compat_lock_held_by_me(&default_tag, ExclusiveLock))
		LockRelease(&default_tag, ExclusiveLock, true);
}

/*
 * Take the lock until the end of the transaction, or throw: a function that
 * waited would hold a snapshot, which a deploy's CREATE INDEX CONCURRENTLY
 * would wait for in turn.
 */
void
lock_ledger_for_transaction(void)
{
	refuse_recursion();
	keep_extension();

	/* whoever deploys to many schemas has that of the database */
	lock_target_for_transaction("");
	if (ledger_target_schema()[0] != '\0')
		lock_target_for_transaction(ledger_target_schema());
}

static void
lock_target_for_transaction(const char *schema)
{
	LOCKTAG		tag;
	LOCKTAG		default_tag;

	set_tag(&tag, schema);
	default_tag = default_tag_of(&tag);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL ||
		LockAcquire(&default_tag, ExclusiveLock, false, true) ==
		LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("another deploy or apply runs in this database (%s): wait for it to end, then try again",
						describe_holder(&tag))));
}

/*
 * Who has the lock, in words.
 */
static char *
describe_holder(const LOCKTAG *tag)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[3] = {OIDOID, OIDOID, OIDOID};
	Datum		values[3];
	char	   *holder = NULL;

	values[0] = ObjectIdGetDatum(tag->locktag_field1);
	values[1] = ObjectIdGetDatum(tag->locktag_field2);
	values[2] = ObjectIdGetDatum(tag->locktag_field3);

	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute_with_args("SELECT pg_catalog.format("
							  "'process %s, role %s, application %s', "
							  "COALESCE(l.pid::pg_catalog.text, 'of a prepared transaction'), "
							  "COALESCE(a.usename::pg_catalog.text, '?'), "
							  "pg_catalog.quote_literal(a.application_name)) "
							  "FROM pg_catalog.pg_locks l "
							  "LEFT JOIN pg_catalog.pg_stat_activity a "
							  "ON a.pid OPERATOR(pg_catalog.=) l.pid "
							  "WHERE l.locktype OPERATOR(pg_catalog.=) 'object' "
							  "AND l.database OPERATOR(pg_catalog.=) $1 "
							  "AND l.classid OPERATOR(pg_catalog.=) $2 "
							  "AND l.objid OPERATOR(pg_catalog.=) $3 "
							  "AND l.objsubid OPERATOR(pg_catalog.=) 1 "
							  "AND l.granted",
							  3, types, values, NULL, true, 1) == SPI_OK_SELECT &&
		SPI_processed > 0)
		holder = MemoryContextStrdup(caller,
									 SPI_getvalue(SPI_tuptable->vals[0],
												  SPI_tuptable->tupdesc, 1));
	PopActiveSnapshot();
	SPI_finish();
	return holder ? holder : pstrdup("it has just ended");
}
