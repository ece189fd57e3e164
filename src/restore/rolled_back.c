/*-------------------------------------------------------------------------
 *
 * rolled_back.c
 *	  The ledger after a rollback.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "ledger/deferred.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "restore/rolled_back.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static void refuse_contract(const RestoreTarget *target, const char *change,
							const char *relation, const char *label);
static void end_later_attempts(const RestoreTarget *target);
static void revive_earlier_attempts(const RestoreTarget *target);
static void undo_later_contracts(const RestoreTarget *target);

/*
 * See rolled_back.h.
 */
void
require_no_tasks(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *labels = NIL;
	List	   *tasks = NIL;
	ListCell   *label;
	ListCell   *task;

	add_own_argument(&arguments, INT8OID,
					 Int64GetDatum(target->ledger_position), false);
	begin_own_access(&access);
	run_own_query("SELECT a.version, t.id FROM migrate.attempts a, "
				  "pg_catalog.unnest(a.tasks) t(id) "
				  "WHERE a.id OPERATOR(pg_catalog.>) $1",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);
		int64	   *id = palloc(sizeof(int64));

		*id = own_bigint_column(i, 2);
		labels = lappend(labels, own_text_column(&access, i, 1));
		tasks = lappend(tasks, id);
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	forboth(label, labels, task, tasks)
		require_finished(list_make1(lfirst(task)), lfirst(label));
}

/*
 * See rolled_back.h.  What was there when the point was made has its trigger
 * again, from which it is known how rows of the one shape look in the other.
 */
void
require_no_later_contracts(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *change = NULL;
	char	   *relation = NULL;
	char	   *label = NULL;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT c.id::pg_catalog.text, c.relation, r.label "
				  "FROM migrate.change_log c "
				  "JOIN migrate.restore_point_data p "
				  "ON p.id OPERATOR(pg_catalog.=) $1 "
				  "JOIN pg_catalog.pg_class t "
				  "ON t.oid OPERATOR(pg_catalog.=) c.relid "
				  "LEFT JOIN migrate.restore_point_data r "
				  "ON r.label OPERATOR(pg_catalog.=) c.restore_point "
				  "WHERE c.id OPERATOR(pg_catalog.>) p.last_change "
				  "AND c.contracted_at IS NOT NULL "
				  "AND p.kind OPERATOR(pg_catalog.<>) 'statement' "
				  "AND c.kind OPERATOR(pg_catalog.=) ANY "
				  "(ARRAY['rename_column', 'change_type', 'split_column', "
				  "'merge_columns']) ORDER BY c.id DESC LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		change = own_text_column(&access, 0, 1);
		relation = own_text_column(&access, 0, 2);
		label = own_text_column(&access, 0, 3);
	}
	end_own_access(&access);
	if (change != NULL)
		refuse_contract(target, change, relation, label);
}

/* label may be NULL: it has expired, or there never was one. */
static void
refuse_contract(const RestoreTarget *target, const char *change,
				const char *relation, const char *label)
{
	char	   *remedy = label == NULL ? "" :
	psprintf("CALL migrate.rollback_to(%s) first, which keeps them; or ",
			 quote_literal_cstr(label));

	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("cannot roll back to restore point \"%s\" and keep later writes: online change %s of %s was started and contracted since, and what clients have written to its new shape would go: %ssay on_conflict := 'restore', or use mode 'as_of', to lose that",
					target->label, change, relation, remedy)));
}

/*
 * See rolled_back.h.
 */
void
record_rollback(const RestoreTarget *target, const List *merged)
{
	revive_earlier_attempts(target);
	end_later_attempts(target);
	undo_later_contracts(target);
	note_rollback(target, merged);
}

/*
 * See rolled_back.h.  What a statement point does not know is not undone.
 */
void
note_rollback(const RestoreTarget *target, const List *merged)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	add_own_text(&arguments, target->mode == ROLLBACK_KEEP ? "keep" : "as_of");
	add_own_oid_list(&arguments, merged);
	begin_own_access(&access);
	run_own_query("INSERT INTO migrate.rollbacks (label, mode, role, "
				  "target_creator, target_snapshot, merged, of_statement, "
				  "last_change) "
				  "SELECT p.label, $2, SESSION_USER, p.creator, "
				  "p.data_snapshot, $3, "
				  "p.kind OPERATOR(pg_catalog.=) 'statement', "
				  "COALESCE((SELECT pg_catalog.max(c.id) "
				  "FROM migrate.changed_rows c), 0) "
				  "FROM migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/*
 * A row of the history for each, as migrate.revert() writes it, from the last
 * one back.
 */
static void
end_later_attempts(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	add_own_argument(&arguments, INT8OID,
					 Int64GetDatum(target->ledger_position), false);
	add_own_text(&arguments, GetUserNameFromId(GetUserId(), false));
	add_own_text(&arguments, target->label);
	begin_own_access(&access);
	run_own_query("WITH ended AS ("
				  "UPDATE migrate.attempts SET state = 'reverted' "
				  "WHERE id OPERATOR(pg_catalog.>) $1 AND in_effect "
				  "RETURNING id, target_schema, version, name, checksum, "
				  "transactional) "
				  "INSERT INTO migrate.attempts (target_schema, version, name, "
				  "checksum, body, kind, state, transactional, role, "
				  "session_role, application, started_at, finished_at, "
				  "duration_ms, statements, done_bytes) "
				  "SELECT target_schema, version, name, checksum, "
				  "pg_catalog.format('CALL migrate.rollback_to(%L)', $3), "
				  "'revert', 'applied', transactional, $2, SESSION_USER, "
				  "pg_catalog.current_setting('application_name'), "
				  "pg_catalog.now(), pg_catalog.clock_timestamp(), "
				  "(EXTRACT(epoch FROM pg_catalog.clock_timestamp() "
				  "OPERATOR(pg_catalog.-) pg_catalog.now()) "
				  "OPERATOR(pg_catalog.*) 1000)::bigint, 1, 0 "
				  "FROM ended ORDER BY id DESC",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/*
 * What was in effect at the restore point, and is no longer: a revert, or a
 * repeatable migration that has run again, came later.
 */
static void
revive_earlier_attempts(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	add_own_argument(&arguments, INT8OID,
					 Int64GetDatum(target->ledger_position), false);
	begin_own_access(&access);
	run_own_query("UPDATE migrate.attempts SET state = 'superseded' "
				  "WHERE id OPERATOR(pg_catalog.>) $1 AND in_effect "
				  "AND EXISTS (SELECT FROM migrate.attempts e "
				  "WHERE e.id OPERATOR(pg_catalog.<=) $1 "
				  "AND e.version OPERATOR(pg_catalog.=) attempts.version "
				  "AND e.target_schema OPERATOR(pg_catalog.=) "
				  "attempts.target_schema AND e.state "
				  "OPERATOR(pg_catalog.=) 'superseded')",
				  &arguments, SPI_OK_UPDATE);
	run_own_query("UPDATE migrate.attempts SET state = 'applied' "
				  "WHERE id OPERATOR(pg_catalog.=) ANY (SELECT l.id FROM ("
				  "SELECT DISTINCT ON (a.target_schema, a.version) a.id, "
				  "a.kind, a.state, a.target_schema, a.version "
				  "FROM migrate.attempts a "
				  "WHERE a.id OPERATOR(pg_catalog.<=) $1 "
				  "ORDER BY a.target_schema, a.version, a.id DESC) l "
				  "WHERE l.kind OPERATOR(pg_catalog.=) 'apply' "
				  "AND l.state OPERATOR(pg_catalog.=) ANY "
				  "(ARRAY['superseded', 'reverted']) "
				  "AND EXISTS (SELECT FROM migrate.attempts n "
				  "WHERE n.id OPERATOR(pg_catalog.>) $1 "
				  "AND n.version OPERATOR(pg_catalog.=) l.version "
				  "AND n.target_schema OPERATOR(pg_catalog.=) "
				  "l.target_schema))",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * An online change is contracted or not as it was; a point that a rollback has
 * made may know of a contract that another one has taken back.
 */
static void
undo_later_contracts(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("UPDATE migrate.change_log SET contracted_at = "
				  "CASE WHEN change_log.id OPERATOR(pg_catalog.=) "
				  "ANY (p.contracted) THEN change_log.last_contract END "
				  "FROM migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1 "
				  "AND p.kind OPERATOR(pg_catalog.<>) 'statement' "
				  "AND change_log.last_contract IS NOT NULL",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}
