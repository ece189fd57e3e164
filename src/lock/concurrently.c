/*-------------------------------------------------------------------------
 *
 * concurrently.c
 *	  Commands with CONCURRENTLY: whom they wait for, and what they leave.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/concurrent.h"
#include "common/errors.h"
#include "common/fault.h"
#include "common/settings.h"
#include "lib/stringinfo.h"
#include "lock/lock_internal.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* Microseconds from which on an open transaction is worth a word. */
#define OLD_TRANSACTION		USECS_PER_SEC

/* "Flyway" in ASCII. */
#define FLYWAY_LOCK			INT64CONST(0x466C79776179)

struct ConcurrentCommand
{
	MemoryContext context;
	const char *name;
	bool		waits_for_writers_only; /* not for those who read */
	bool		waits_for_snapshots;	/* not only for locks on its tables */
	List	   *relids;			/* what it concerns */
	List	   *invalid;		/* OIDs of indexes that were invalid before */
	List	   *pending;		/* OIDs of partitions half detached before */
	int			lock_timeout;	/* the user's */
	bool		is_cleaned_up;	/* by the caller, if it fails */
};

static bool is_concurrent(Node *statement);
static void add_relid(const Effect *effect, Oid relid, LOCKMODE lockmode,
					  void *arg);
static void refuse_advisory_deadlock(const ConcurrentCommand *command);
static const LockInstanceData *waiter_for_own_lock(const LockData *locks);
static void refuse_wait_for_flyway(const ConcurrentCommand *command);
static bool is_other_connection_of_flyway(int pid);
static bool holds_lock_of_flyway(int pid);
static void name_old_transactions(const ConcurrentCommand *command);
static List *transactions_in_the_way(const ConcurrentCommand *command,
									 int64 age);
static List *pids_with_snapshots(void);
static List *invalid_indexes(List *relids);
static List *pending_partitions(List *relids);
static void explain_failure(const ConcurrentCommand *command,
							ErrorData *error);
static void explain_deadlock(const ConcurrentCommand *command,
							 ErrorData *error);
static void explain_timeout(const ConcurrentCommand *command,
							ErrorData *error, const char *blockers);
static void explain_leftovers(const ConcurrentCommand *command,
							  ErrorData *error);
static void add_leftover(ErrorData *error, const char *leftover,
						 const char *remedy);

/*
 * See lock.h.
 */
ConcurrentCommand *
begin_concurrent_command(Node *statement, const char *source_text,
						 bool is_cleaned_up)
{
	ConcurrentCommand *command;
	EffectContext effects = {0};
	MemoryContext context;
	MemoryContext old;

	if (setting_mode == MODE_OFF || setting_mode == MODE_OBSERVE ||
		!is_concurrent(statement))
		return NULL;
	context = AllocSetContextCreate(PortalContext,
									"safe_migrate concurrent command",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	command = palloc0(sizeof(ConcurrentCommand));
	command->context = context;
	command->is_cleaned_up = is_cleaned_up;
	command->name = IsA(statement, AlterTableStmt) ?
		"DETACH PARTITION CONCURRENTLY" :
		psprintf("%s CONCURRENTLY",
				 GetCommandTagName(CreateCommandTag(statement)));
	command->waits_for_writers_only = IsA(statement, IndexStmt);
	command->waits_for_snapshots = IsA(statement, IndexStmt) ||
		IsA(statement, ReindexStmt);
	effects.source_text = source_text;
	spread_effects(describe_effects(statement, &effects), add_relid,
				   &command->relids);
	wait_until_concurrent(command->name, CreateCommandTag(statement),
						  command->relids);
	command->invalid = invalid_indexes(command->relids);
	command->pending = pending_partitions(command->relids);

	refuse_advisory_deadlock(command);
	refuse_wait_for_flyway(command);
	name_old_transactions(command);

	/* not by the setting, whose stack the commits inside would unwind */
	command->lock_timeout = LockTimeout;
	LockTimeout = setting_concurrent_deadline;
	MemoryContextSwitchTo(old);
	return command;
}

static bool
is_concurrent(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
			return ((IndexStmt *) statement)->concurrent;
		case T_DropStmt:
			return ((DropStmt *) statement)->concurrent;
		case T_ReindexStmt:
			return reindex_is_concurrent((ReindexStmt *) statement);
		case T_AlterTableStmt:
			return detaches_concurrently((AlterTableStmt *) statement);
		case COMPAT_CLUSTER_TAG:
			return compat_cluster_is_concurrent(statement);
		default:
			return false;
	}
}

static void
add_relid(const Effect *effect, Oid relid, LOCKMODE lockmode, void *arg)
{
	List	  **relids = arg;

	*relids = list_append_unique_oid(*relids, relid);
}

/*
 * Whoever waits for an advisory lock does so in a query, with a snapshot: if
 * the lock is ours, each of us would wait for the other.
 */
static void
refuse_advisory_deadlock(const ConcurrentCommand *command)
{
	const LockInstanceData *waiter;
	List	   *blockers;

	if (!command->waits_for_snapshots)
		return;
	waiter = waiter_for_own_lock(GetLockStatusData());
	if (waiter == NULL)
		return;
	blockers = blockers_with_pids(list_make1_int(waiter->pid));
	ereport(ERROR,
			(errcode(ERRCODE_SM_LOCK_DEADLINE),
			 errmsg("lock_deadline: %s would wait forever for %s, which waits for an advisory lock of this session; release the lock, or end that session first",
					command->name,
					blockers_in_words(blockers)),
			 errdetail("%s", queries_of_blockers(blockers)),
			 errhint("SELECT pg_advisory_unlock_all(); or %s",
					 remedy_for_blockers(blockers))));
}

static const LockInstanceData *
waiter_for_own_lock(const LockData *locks)
{
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *own = &locks->locks[i];

		if (own->pid != MyProcPid || own->holdMask == 0 ||
			own->locktag.locktag_type != LOCKTAG_ADVISORY)
			continue;
		for (int j = 0; j < locks->nelements; j++)
		{
			const LockInstanceData *other = &locks->locks[j];

			if (other->waitLockMode != NoLock &&
				memcmp(&other->locktag, &own->locktag, sizeof(LOCKTAG)) == 0)
				return other;
		}
	}
	return NULL;
}

/*
 * Flyway migrates in one connection while another one holds its lock in a
 * transaction, which has a snapshot as long as the portal of its last query is
 * there, and ends after the migration.
 */
static void
refuse_wait_for_flyway(const ConcurrentCommand *command)
{
	ListCell   *cell;

	if (!command->waits_for_snapshots)
		return;
	foreach(cell, pids_with_snapshots())
	{
		List	   *blockers;

		if (!is_other_connection_of_flyway(lfirst_int(cell)))
			continue;
		blockers = blockers_with_pids(list_make1_int(lfirst_int(cell)));
		ereport(ERROR,
				(errcode(ERRCODE_SM_LOCK_DEADLINE),
				 errmsg("lock_deadline: %s would wait forever for %s, which holds the lock of Flyway until this command ends; set flyway.postgresql.transactional.lock=false",
						command->name,
						blockers_in_words(blockers))));
	}
}

/* Other sessions of the same name may wait for it: it ends without them. */
static bool
is_other_connection_of_flyway(int pid)
{
	List	   *both = blockers_with_pids(list_make2_int(pid, MyProcPid));
	Blocker    *other = linitial(both);
	Blocker    *own = lsecond(both);

	return other->state == STATE_IDLEINTRANSACTION &&
		other->roleid == own->roleid && other->application != NULL &&
		own->application != NULL &&
		strcmp(other->application, own->application) == 0 &&
		holds_lock_of_flyway(pid);
}

/* An advisory lock by a constant to which a 32-bit hash is added. */
static bool
holds_lock_of_flyway(int pid)
{
	LockData   *data = GetLockStatusData();

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];
		int64		key = (int64) lock->locktag.locktag_field2 << 32 |
		lock->locktag.locktag_field3;

		if (lock->pid == pid && lock->holdMask != 0 &&
			lock->locktag.locktag_type == LOCKTAG_ADVISORY &&
			lock->locktag.locktag_field4 == 1 &&
			key >= FLYWAY_LOCK + PG_INT32_MIN &&
			key <= FLYWAY_LOCK + PG_INT32_MAX)
			return true;
	}
	return false;
}

static void
name_old_transactions(const ConcurrentCommand *command)
{
	List	   *blockers = transactions_in_the_way(command, OLD_TRANSACTION);

	if (blockers != NIL)
		ereport(NOTICE,
				(errmsg("%s has to wait until the transactions end of %s",
						command->name,
						blockers_in_words(blockers))));
}

/* Of those that the command waits for, the ones that are open for so long. */
static List *
transactions_in_the_way(const ConcurrentCommand *command, int64 age)
{
	List	   *pids = NIL;
	List	   *old = NIL;
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *cell;

	if (command->waits_for_snapshots)
		pids = pids_with_snapshots();
	foreach(cell, command->relids)
	{
		LockTarget	target = {lfirst_oid(cell), AccessExclusiveLock};
		LOCKTAG		tag;

		if (command->waits_for_writers_only)
			target.lockmode = ShareLock;
		set_lock_tag(&tag, MyDatabaseId, &target);
		pids = list_concat_unique_int(pids,
									  pids_of_holders(&tag, target.lockmode));
	}
	foreach(cell, blockers_with_pids(pids))
	{
		Blocker    *blocker = lfirst(cell);

		if (blocker->pid == 0 || (blocker->transaction_start != 0 &&
								  now - blocker->transaction_start >= age))
			old = lappend(old, blocker);
	}
	return old;
}

/* Those that CREATE INDEX CONCURRENTLY waits for in the end. */
static List *
pids_with_snapshots(void)
{
	VirtualTransactionId *transactions;
	List	   *pids = NIL;
	int			count;

	transactions = GetCurrentVirtualXIDs(InvalidTransactionId, true, false,
										 PROC_IS_AUTOVACUUM | PROC_IN_VACUUM |
										 PROC_IN_SAFE_IC, &count);
	for (int i = 0; i < count; i++)
	{
		PGPROC	   *process = compat_process_of_transaction(transactions[i]);

		if (process != NULL && process->pid != MyProcPid)
			pids = list_append_unique_int(pids, process->pid);
	}
	return pids;
}

/* Without a lock on the table, which might have to be waited for. */
static List *
invalid_indexes(List *relids)
{
	Relation	catalog = table_open(IndexRelationId, AccessShareLock);
	List	   *invalid = NIL;
	ListCell   *cell;

	foreach(cell, relids)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(lfirst_oid(cell)));
		scan = systable_beginscan(catalog, IndexIndrelidIndexId, true, NULL, 1,
								  &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

			if (!form->indisvalid)
				invalid = lappend_oid(invalid, form->indexrelid);
		}
		systable_endscan(scan);
	}
	table_close(catalog, AccessShareLock);
	return invalid;
}

/* Of the relations, those whose DETACH CONCURRENTLY was not finished. */
static List *
pending_partitions(List *relids)
{
	List	   *pending = NIL;
	ListCell   *cell;

	foreach(cell, relids)
	{
		if (get_rel_relispartition(lfirst_oid(cell)) &&
			PartitionHasPendingDetach(lfirst_oid(cell)))
			pending = lappend_oid(pending, lfirst_oid(cell));
	}
	return pending;
}

/*
 * See lock.h.
 */
void
end_concurrent_command(ConcurrentCommand *command)
{
	if (command == NULL)
		return;
	LockTimeout = command->lock_timeout;
	MemoryContextDelete(command->context);
}

/*
 * See lock.h.
 */
void
fail_concurrent_command(ConcurrentCommand *command)
{
	ErrorData  *error;
	ErrorData	original;

	if (command == NULL)
		PG_RE_THROW();
	LockTimeout = command->lock_timeout;
	MemoryContextSwitchTo(command->context);
	error = CopyErrorData();
	original = *error;
	FlushErrorState();

	/* as ROLLBACK in a procedure does */
	AbortCurrentTransaction();
	PG_TRY();
	{
		StartTransactionCommand();
		MemoryContextSwitchTo(command->context);
		explain_failure(command, error);
	}
	PG_CATCH();
	{
		/* a cancel, say: what has happened before is what the user must know */
		FlushErrorState();
		*error = original;
	}
	PG_END_TRY();
	ReThrowError(error);
}

/* By what the catalog and the locks tell now. */
static void
explain_failure(const ConcurrentCommand *command, ErrorData *error)
{
	char	   *blockers = NULL;

	reach_fault_point("concurrent_failure");
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		blockers = blockers_in_words(transactions_in_the_way(command,
															 setting_concurrent_deadline *
															 INT64CONST(1000)));
	if (blockers != NULL)
		explain_timeout(command, error, blockers);
	if (error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		explain_deadlock(command, error);
	if (!command->is_cleaned_up)
		explain_leftovers(command, error);
}

static void
explain_timeout(const ConcurrentCommand *command, ErrorData *error,
				const char *blockers)
{
	error->sqlerrcode = ERRCODE_SM_LOCK_DEADLINE;
	error->message = psprintf("lock_deadline: %s waited %s for %s; end that transaction, or raise safe_migrate.concurrent_deadline",
							  command->name,
							  wait_in_words(setting_concurrent_deadline *
											INT64CONST(1000)),
							  blockers);
}

/* PostgreSQL's own message has no names, and most clients show nothing else. */
static void
explain_deadlock(const ConcurrentCommand *command, ErrorData *error)
{
	const LockInstanceData *waiter = waiter_for_own_lock(GetLockStatusData());

	if (waiter == NULL)
		return;
	error->message = psprintf("%s: %s waited for %s, which waits for an advisory lock of this session; run it again when that one has ended",
							  error->message, command->name,
							  blockers_in_words(blockers_with_pids(list_make1_int(waiter->pid))));
}

/* What was not there before. */
static void
explain_leftovers(const ConcurrentCommand *command, ErrorData *error)
{
	ListCell   *cell;

	foreach(cell, invalid_indexes(command->relids))
	{
		char	   *name;

		if (list_member_oid(command->invalid, lfirst_oid(cell)))
			continue;
		name = relation_display_name(lfirst_oid(cell));
		add_leftover(error, psprintf("the index %s is left behind, invalid", name),
					 psprintf("DROP INDEX CONCURRENTLY %s;", name));
	}
	foreach(cell, pending_partitions(command->relids))
	{
		char	   *name;
		char	   *parent;

		if (list_member_oid(command->pending, lfirst_oid(cell)))
			continue;
		name = relation_display_name(lfirst_oid(cell));
		parent = relation_display_name(get_partition_parent(lfirst_oid(cell),
															true));
		add_leftover(error, psprintf("%s is left half detached", name),
					 psprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE;",
							  parent, name));
	}
}

static void
add_leftover(ErrorData *error, const char *leftover, const char *remedy)
{
	error->message = psprintf("%s; %s", error->message, leftover);
	error->hint = error->hint == NULL ? pstrdup(remedy) :
		psprintf("%s\n%s", error->hint, remedy);
}
