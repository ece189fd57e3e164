/*-------------------------------------------------------------------------
 *
 * record.c
 *	  Queueing a decision, and showing what is queued.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <netdb.h>

#include "access/xact.h"
#include "analyze/analyze.h"
#include "common/catalog.h"
#include "common/ip.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "record/record_internal.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inet.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

/* What a string that was cut ends with. */
#define CUT_MARK			"..."

/* Two arguments for "%s%s": a label and a string, or nothing twice. */
#define LABELLED(label, string) \
	((string)[0] == '\0' ? "" : (label)), (string)

#define COUNTER_COLUMNS		2

PG_FUNCTION_INFO_V1(migrate_pending_decisions);
PG_FUNCTION_INFO_V1(migrate_counters);

static void describe_session(QueuedDecision *queued);
static void make_uuid(pg_uuid_t *uuid);
static void client_address(char *address);
static void copy_string(char *to, const char *from, int size);
static const char *outcome_name(DecisionOutcome outcome);
static bool row_is_visible(FullTransactionId writer);
static void put_text(Datum *values, bool *nulls, int column,
					 const char *string);
static void put_role(Datum *values, bool *nulls, int column, Oid role);

/*
 * See record.h.
 */
void
record_decision(const Decision *decision)
{
	/* static, because it is large for a stack that may be deep already */
	static QueuedDecision queued;

	queued.outcome = decision->outcome;
	copy_string(queued.rule, decision->rule, NAMEDATALEN);
	copy_string(queued.command, decision->command, COMMAND_LENGTH);
	copy_string(queued.relation, decision->relation, RELATION_LENGTH);
	copy_string(queued.statement, decision->statement, STATEMENT_LENGTH);
	copy_string(queued.executed, decision->executed, STATEMENT_LENGTH);
	copy_string(queued.message, decision->message, STATEMENT_LENGTH);
	copy_string(queued.reason, decision->reason, REASON_LENGTH);
	queued.has_run = decision->has_run;
	queued.duration_ms = decision->duration_ms;
	queued.lock_wait_ms = decision->lock_wait_ms;
	queued.size_bytes = (int64) decision->size_bytes;
	describe_session(&queued);

	if (OidIsValid(MyDatabaseId) && queue_put(&queued))
		return;

	queue_count_lost();
	log_lost_decision(&queued,
					  !library_is_preloaded ? "safe_migrate is not in shared_preload_libraries" :
					  !OidIsValid(MyDatabaseId) ? "the process is connected to no database" :
					  "the queue is full");
}

/*
 * See record.h.
 */
void
record_internal_error(void)
{
	queue_count_internal_error();
}

/*
 * See record.h.
 */
void
record_observed_statement(int mismatches)
{
	queue_count_observed(mismatches);
}

/*
 * Who decides, when and for whom.  Only what is known without looking into a
 * catalog.
 */
static void
describe_session(QueuedDecision *queued)
{
	int			security_context;

	make_uuid(&queued->id);
	queued->database = MyDatabaseId;
	queued->decided_at = GetCurrentTimestamp();
	queued->transaction = GetTopFullTransactionIdIfAny();
	GetUserIdAndSecContext(&queued->role, &security_context);
	queued->session_role = GetSessionUserId();
	queued->pid = MyProcPid;
	client_address(queued->client);
	copy_string(queued->application, application_name, NAMEDATALEN);
}

/*
 * A random UUID.  It has to be unique, not to be a secret: no need for the
 * randomness that gen_random_uuid() takes from the kernel each time.
 */
static void
make_uuid(pg_uuid_t *uuid)
{
	uint64		random[2];

	random[0] = pg_prng_uint64(&pg_global_prng_state);
	random[1] = pg_prng_uint64(&pg_global_prng_state);
	memcpy(uuid->data, random, UUID_LEN);
	uuid->data[6] = (uuid->data[6] & 0x0f) | 0x40;	/* version 4 */
	uuid->data[8] = (uuid->data[8] & 0x3f) | 0x80;	/* variant */
}

/*
 * The client's address as inet_client_addr() shows it, or nothing where that
 * is NULL.  Taken from where pg_stat_activity has it, because the header of
 * MyProcPort needs those of Kerberos.
 */
static void
client_address(char *address)
{
	const SockAddr *client = MyBEEntry ? &MyBEEntry->st_clientaddr : NULL;

	address[0] = '\0';
	if (client == NULL ||
		(client->addr.ss_family != AF_INET &&
		 client->addr.ss_family != AF_INET6))
		return;
	if (pg_getnameinfo_all(&client->addr, client->salen,
						   address, CLIENT_LENGTH, NULL, 0,
						   NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		address[0] = '\0';
	else
		clean_ipv6_addr(client->addr.ss_family, address);
}

/*
 * Copy a string in the database's encoding, and cut it between characters if
 * it is too long.  NULL becomes an empty string.
 */
static void
copy_string(char *to, const char *from, int size)
{
	int			length = from ? strlen(from) : 0;

	if (length >= size)
	{
		int			room = size - sizeof(CUT_MARK);

		length = pg_mbcliplen(from, length, room);
		memcpy(to + length, CUT_MARK, sizeof(CUT_MARK));
	}
	else
		to[length] = '\0';
	if (length > 0)
		memcpy(to, from, length);
}

static const char *
outcome_name(DecisionOutcome outcome)
{
	switch (outcome)
	{
		case DECISION_REJECTED:
			return "rejected";
		case DECISION_WARNED:
			return "warned";
		case DECISION_OBSERVED:
			return "observed";
		case DECISION_REWRITTEN:
			return "rewritten";
		case DECISION_REWRITE_FAILED:
			return "rewrite_failed";
		case DECISION_DEFERRED:
			return "deferred";
		case DECISION_OVERRIDDEN:
			return "overridden";
		case DECISION_MIGRATION_FAILED:
			return "migration_failed";
		case DECISION_INTERNAL_ERROR:
			return "internal_error";
		case DECISION_MISPREDICTED:
			return "mispredicted";
	}
	return "unknown";			/* memory overwritten by a crash */
}

/*
 * See record_internal.h.  To the server log only: a client is told of the
 * decision anyway.
 */
void
log_lost_decision(const QueuedDecision *decision, const char *why)
{
	ereport(LOG_SERVER_ONLY,
			(errmsg("decision not recorded: %s", why),
			 errdetail("Outcome: %s, rule: %s, command: %s, relation: %s, database: %u, role: %u, session role: %u, process: %d, client: %s, application: %s%s%s%s%s%s%s%s%s",
					   outcome_name(decision->outcome), decision->rule,
					   decision->command, decision->relation,
					   decision->database, decision->role,
					   decision->session_role, decision->pid,
					   decision->client, decision->application,
					   LABELLED("\nStatement: ", decision->statement),
					   LABELLED("\nExecuted instead: ", decision->executed),
					   LABELLED("\nMessage: ", decision->message),
					   LABELLED("\nReason: ", decision->reason)),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/*
 * See record_internal.h.
 */
void
lose_waiting(Oid database, uint64 last, const char *why)
{
	static QueuedDecision decision;
	uint64		sequence = 0;

	while ((sequence = queue_next(database, sequence, &decision, NULL)) != 0 &&
		   sequence <= last)
	{
		if (queue_mark_lost(sequence))
			log_lost_decision(&decision, why);
	}
}

/*
 * See record_internal.h.
 */
void
decision_values(const QueuedDecision *decision, Datum *values, bool *nulls)
{
	memset(nulls, false, DECISION_COLUMNS * sizeof(bool));
	values[0] = UUIDPGetDatum(&decision->id);
	values[1] = TimestampTzGetDatum(decision->decided_at);
	put_text(values, nulls, 2, outcome_name(decision->outcome));
	put_text(values, nulls, 3, decision->rule);
	put_text(values, nulls, 4, decision->command);
	put_text(values, nulls, 5, decision->relation);
	put_text(values, nulls, 6, decision->statement);
	put_text(values, nulls, 7, decision->executed);
	put_text(values, nulls, 8, decision->message);
	put_text(values, nulls, 9, decision->reason);
	put_role(values, nulls, 10, decision->role);
	put_role(values, nulls, 11, decision->session_role);
	nulls[12] = decision->client[0] == '\0';
	if (!nulls[12])
		values[12] = DirectFunctionCall1(inet_in,
										 CStringGetDatum(decision->client));
	put_text(values, nulls, 13, decision->application);
	values[14] = Int32GetDatum(decision->pid);
	nulls[15] = !FullTransactionIdIsValid(decision->transaction);
	values[15] = FullTransactionIdGetDatum(decision->transaction);
	nulls[16] = nulls[17] = nulls[18] = !decision->has_run;
	values[16] = Int64GetDatum(decision->duration_ms);
	values[17] = Int64GetDatum(decision->lock_wait_ms);
	values[18] = Int64GetDatum(decision->size_bytes);
}

static void
put_text(Datum *values, bool *nulls, int column, const char *string)
{
	nulls[column] = string[0] == '\0';
	if (!nulls[column])
		values[column] = CStringGetTextDatum(string);
}

/* A role that was dropped meanwhile keeps its number. */
static void
put_role(Datum *values, bool *nulls, int column, Oid role)
{
	char	   *name = GetUserNameFromId(role, true);

	put_text(values, nulls, column, name ? name : psprintf("%u", role));
}

/*
 * migrate.pending_decisions(): the queue's entries for the current database,
 * as far as the active snapshot does not see them in the table.
 */
Datum
migrate_pending_decisions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	QueuedDecision *decision = palloc(sizeof(QueuedDecision));
	FullTransactionId writer;
	uint64		sequence = 0;

	require_preloaded();
	InitMaterializedSRF(fcinfo, 0);

	while ((sequence = queue_next(MyDatabaseId, sequence, decision,
								  &writer)) != 0)
	{
		Datum		values[DECISION_COLUMNS];
		bool		nulls[DECISION_COLUMNS];

		if (FullTransactionIdIsValid(writer) && row_is_visible(writer))
			continue;
		decision_values(decision, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
							 values, nulls);
	}
	return (Datum) 0;
}

/*
 * Does the active snapshot see what a worker's transaction, which has
 * committed, wrote to the table?
 */
static bool
row_is_visible(FullTransactionId writer)
{
	uint64		age = U64FromFullTransactionId(ReadNextFullTransactionId()) -
	U64FromFullTransactionId(writer);

	/*
	 * An entry may stay in the queue until its 32-bit transaction ID is used
	 * again.  No snapshot is that old.
	 */
	return age > PG_INT32_MAX ||
		!XidInMVCCSnapshot(XidFromFullTransactionId(writer),
						   GetActiveSnapshot());
}

/*
 * migrate.counters(): what happened to decisions since the server started.
 */
Datum
migrate_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	QueueCounters counters;
	AnalyzeCounters analyzes;

	require_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	queue_get_counters(&counters);
	analyze_get_counters(&analyzes);

	{
		const struct
		{
			const char *name;
			uint64		value;
		}			rows[] = {
			{"decisions_queued", counters.queued},
			{"decisions_recorded", counters.recorded},
			{"decisions_lost", counters.lost},
			{"internal_errors", counters.internal_errors},
			{"statements_observed", counters.observed},
			{"mismatches", counters.mismatches},
			{"analyzes_queued", analyzes.queued},
			{"analyzes_done", analyzes.done},
			{"analyzes_failed", analyzes.failed}
		};

		for (int i = 0; i < lengthof(rows); i++)
		{
			Datum		values[COUNTER_COLUMNS];
			bool		nulls[COUNTER_COLUMNS] = {false, false};

			values[0] = CStringGetTextDatum(rows[i].name);
			values[1] = Int64GetDatum((int64) rows[i].value);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
								 values, nulls);
		}
	}
	return (Datum) 0;
}
