/*-------------------------------------------------------------------------
 *
 * record_internal.h
 *	  What the files of src/record share: the queue in shared memory, and
 *	  the forms that a queued decision is shown in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RECORD_INTERNAL_H
#define SAFE_MIGRATE_RECORD_INTERNAL_H

#include "postgres.h"

#include "access/transam.h"
#include "datatype/timestamp.h"
#include "record/record.h"
#include "storage/latch.h"
#include "utils/uuid.h"

/* Number of decisions that can wait to be written to their tables. */
#define QUEUE_SIZE			512

/* Number of workers that may record at the same time, in as many databases. */
#define MAX_WORKERS			3

/* Longest strings kept, in bytes with the final zero. */
#define CLIENT_LENGTH		64
#define COMMAND_LENGTH		64
#define RELATION_LENGTH		272 /* two quoted names and a period */
#define STATEMENT_LENGTH	2048
#define REASON_LENGTH		512

/* Columns of migrate.pending_decisions(), first ones of the table as well. */
#define DECISION_COLUMNS	19

/*
 * A decision in the queue.  Strings are in the encoding of their database;
 * an empty one stands for NULL.
 */
typedef struct QueuedDecision
{
	pg_uuid_t	id;
	Oid			database;
	TimestampTz decided_at;
	DecisionOutcome outcome;
	FullTransactionId transaction;	/* invalid if none was assigned */
	Oid			role;
	Oid			session_role;
	int			pid;
	bool		has_run;		/* the next three are known */
	int64		duration_ms;
	int64		lock_wait_ms;
	int64		size_bytes;
	char		client[CLIENT_LENGTH];
	char		application[NAMEDATALEN];
	char		rule[NAMEDATALEN];
	char		command[COMMAND_LENGTH];
	char		relation[RELATION_LENGTH];
	char		statement[STATEMENT_LENGTH];
	char		executed[STATEMENT_LENGTH];
	char		message[STATEMENT_LENGTH];
	char		reason[REASON_LENGTH];
} QueuedDecision;

typedef struct QueueCounters
{
	uint64		queued;
	uint64		recorded;
	uint64		lost;
	uint64		internal_errors;
	uint64		observed;
	uint64		mismatches;
} QueueCounters;

/*
 * record_queue.c.  All of these may be called without a transaction; they
 * take and release the queue's LWLock themselves, and throw nothing.  They
 * need the library to be preloaded, except for those that say otherwise.
 */

/*
 * Append an entry.  Returns false when the queue is full, or does not exist
 * because the library is not preloaded.
 */
extern bool queue_put(const QueuedDecision *decision);

/*
 * Look for the entry of a database with the lowest sequence number above
 * "after"; 0 finds the first one.  Returns its number and copies it to
 * *decision, or returns 0 when there is none.
 *
 * With writer = NULL, only entries that wait to be recorded are found.
 * Otherwise also those that are in the table already and whose slot has not
 * been reused: *writer becomes the transaction that wrote them there, or
 * invalid for an entry that waits.
 */
extern uint64 queue_next(Oid database, uint64 after, QueuedDecision *decision,
						 FullTransactionId *writer);

/* The highest sequence number of a waiting entry of a database, 0 if none. */
extern uint64 queue_last(Oid database);

/*
 * The databases that have entries waiting.  The array must have room for
 * QUEUE_SIZE; returns their number.
 */
extern int	queue_databases(Oid *databases);

/*
 * An entry was written to the table by a transaction that has committed, or
 * is given up and counted as lost.  Both return false and do nothing if the
 * entry does not wait any more.
 */
extern bool queue_mark_recorded(uint64 sequence, FullTransactionId writer);
extern bool queue_mark_lost(uint64 sequence);

/* Count what is not in the queue.  Without the library preloaded: no-ops. */
extern void queue_count_lost(void);
extern void queue_count_internal_error(void);
extern void queue_count_observed(int mismatches);

extern void queue_get_counters(QueueCounters *counters);

/*
 * The latch to be set when something is queued.  NULL when the launcher ends.
 */
extern void queue_set_launcher(Latch *latch);

/*
 * The word of the worker in a place to the launcher: it left its work undone
 * for a reason that will pass, such as a lock on the table.
 */
extern void queue_set_busy(int place, bool busy);
extern bool queue_is_busy(int place);

/*
 * record.c
 */

/*
 * Write a decision to the server log, because it cannot be written to the
 * table; why completes "not recorded: ".  Needs no transaction and throws
 * nothing; takes no lock.
 */
extern void log_lost_decision(const QueuedDecision *decision,
							  const char *why);

/*
 * Take the waiting entries of a database up to a sequence number out of the
 * queue, count them as lost, and write them to the server log.  Like the
 * queue's functions otherwise.
 */
extern void lose_waiting(Oid database, uint64 last, const char *why);

/*
 * The first DECISION_COLUMNS columns of migrate.decision_log for a decision,
 * palloc'd where needed.  Needs a transaction, because it looks up the roles'
 * names.
 */
extern void decision_values(const QueuedDecision *decision, Datum *values,
							bool *nulls);

#endif							/* SAFE_MIGRATE_RECORD_INTERNAL_H */
