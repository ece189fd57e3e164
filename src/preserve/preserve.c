/*-------------------------------------------------------------------------
 *
 * preserve.c
 *	  Keeping what a transaction destroys, at its end.
 *
 * Before its commit, a transaction has done all that it does, by whatever path:
 * only then it is known which files it will unlink, and which rows it has
 * changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/compat.h"
#include "common/migration_flag.h"
#include "common/own_tables.h"
#include "preserve/carry.h"
#include "preserve/catalog_image.h"
#include "preserve/changed_rows.h"
#include "preserve/kept_size.h"
#include "preserve/loss.h"
#include "preserve/park.h"
#include "preserve/point.h"
#include "preserve/preserve.h"
#include "utils/memutils.h"

/* A statement whose steps are transactions of their own. */
typedef struct SteppedStatement
{
	bool		is_running;
	int64		task;
	int64		point;			/* 0 if there is none yet */
	List	   *xids;			/* of the transactions that have added to it,
								 * as OIDs; in TopMemoryContext */
} SteppedStatement;

/* A statement, and the subtransaction that it is of by now. */
typedef struct NotedStatement
{
	SubTransactionId subid;
	char	   *text;
} NotedStatement;

/* Of this transaction; in TopTransactionContext. */
static List *statements = NIL;
static bool columns_computed = false;
static bool types_changed = false;
static CommandId point_command = FirstCommandId;
static SubTransactionId point_subid = InvalidSubTransactionId;
static int64 rolls_back_to_point = 0;
static int64 point_of_steps = 0;

static SteppedStatement stepped;

static void end_transaction(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId ended,
							   SubTransactionId parent, void *arg);
static void end_of_changes(bool prepare);
static bool something_pends(void);
static bool is_part_of_migration(void);
static void preserve(bool prepare);
static void refuse_double_unlink(void);
static void make_point_of_statements(void);
static int64 point_of_earlier_steps(void);
static void remember_transaction(void);
static char *noted_text(void);
static void forget_point(void);
static void forget_transaction(void);

/*
 * See preserve.h.
 */
void
register_preserve_callbacks(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * See preserve.h.
 */
void
note_destructive_statement(const char *statement)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	NotedStatement *noted = palloc(sizeof(NotedStatement));

	noted->subid = GetCurrentSubTransactionId();
	noted->text = pstrdup(statement);
	statements = lappend(statements, noted);
	MemoryContextSwitchTo(old);
}

/*
 * See preserve.h.
 */
void
begin_stepped_statement(int64 task)
{
	if (stepped.task != task)
	{
		list_free(stepped.xids);
		stepped.xids = NIL;
		stepped.point = 0;
		stepped.task = task;
	}
	stepped.is_running = true;
}

/*
 * See preserve.h.
 */
void
end_stepped_statement(void)
{
	stepped.is_running = false;
}

/*
 * See preserve.h.
 */
bool
statement_is_stepped(void)
{
	return stepped.is_running;
}

/*
 * See preserve.h.
 */
void
note_type_change(bool is_computed)
{
	types_changed = true;
	columns_computed |= is_computed;
}

/*
 * See preserve.h.
 */
bool
types_were_changed(void)
{
	return types_changed;
}

/*
 * See preserve.h.
 */
bool
columns_were_computed(void)
{
	return columns_computed;
}

/*
 * See preserve.h.
 */
void
note_point_in_transaction(void)
{
	if (point_command != FirstCommandId)
		return;
	point_command = GetCurrentCommandId(false);
	point_subid = GetCurrentSubTransactionId();
}

/*
 * See preserve.h.
 */
CommandId
first_command_of_migration(void)
{
	return point_command;
}

/*
 * See preserve.h.
 */
void
note_rollback_in_transaction(int64 point)
{
	rolls_back_to_point = point;
}

/*
 * See preserve.h.
 */
int64
point_of_rollback(void)
{
	return rolls_back_to_point;
}

/*
 * See preserve.h.
 */
bool
transaction_destroys(void)
{
	return statements != NIL;
}

/*
 * See preserve.h.
 */
bool
transaction_rolls_back(void)
{
	return rolls_back_to_point != 0;
}

/* Most transactions leave it at once. */
static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (something_pends())
				end_of_changes(event == XACT_EVENT_PRE_PREPARE);
			return;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			return;
		case XACT_EVENT_COMMIT:
			if (point_of_steps != 0)
				stepped.point = point_of_steps;
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			break;
	}
	forget_transaction();
}

/* What a subtransaction has done is its parent's now, or undone. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId ended,
				   SubTransactionId parent, void *arg)
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	end_subtransaction_of_migration(ended, parent,
									event == SUBXACT_EVENT_ABORT_SUB);
	if (point_subid == ended)
	{
		point_subid = parent;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			forget_point();
	}
	foreach(cell, statements)
	{
		NotedStatement *noted = lfirst(cell);

		if (noted->subid != ended)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			noted->subid = parent;
		else
			statements = foreach_delete_current(statements, cell);
	}
}

/* What the last statement has done is not visible yet, if nothing came after. */
static void
end_of_changes(bool prepare)
{
	CommandCounterIncrement();
	if (!points_are_possible())
		return;
	if (preserving())
		preserve(prepare);
	else
		mark_losses(is_part_of_migration());
}

static bool
something_pends(void)
{
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return false;
	return statements != NIL || columns_were_dropped() ||
		rolls_back_to_point != 0 || is_part_of_migration() ||
		compat_files_are_to_be_unlinked();
}

static bool
is_part_of_migration(void)
{
	return migration_is_running() || migration_ran_in_transaction();
}

/*
 * A prepared transaction is committed by somebody else, much later perhaps, and
 * must not keep others from making a point until then: it keeps whatever a
 * point that is made meanwhile could need.
 */
static void
preserve(bool prepare)
{
	OwnAccess	access;
	bool		in_the_making = point_is_being_made();
	bool		has_points;

	if (prepare && !in_the_making)
		let_points_be_made();
	begin_own_access(&access);
	if (statements != NIL)
		make_point_of_statements();
	if (prepare || in_the_making)
		want_all_files();
	has_points = full_points() != NIL;
	if (has_points || all_files_are_wanted())
	{
		bool		captures = rolls_back_to_point != 0 || is_part_of_migration();
		int64		kept = park_storage(captures);

		if (captures && (has_points || prepare || in_the_making))
			capture_changed_rows(rolls_back_to_point != 0);
		if (rolls_back_to_point != 0 || columns_were_dropped())
			add_carry_triggers();
		if (captures || kept > 0)
			check_kept_size();
	}
	end_own_access(&access);
	refuse_double_unlink();
}

/* That would be an error of ours: not to commit is the smaller evil. */
static void
refuse_double_unlink(void)
{
	Oid			file = compat_file_unlinked_twice();

	if (OidIsValid(file))
		elog(ERROR, "file %u would be unlinked twice", file);
}

/*
 * One for all of them, before the catalog is changed by what follows.  There is
 * none if they have destroyed nothing that was there before the transaction.
 */
static void
make_point_of_statements(void)
{
	int64		earlier = point_of_earlier_steps();
	int64		point = earlier != 0 ? earlier :
	make_statement_point(noted_text());

	if (save_catalog_changes(point, earlier != 0 ? stepped.xids : NIL))
	{
		want_all_files();
		if (stepped.is_running)
		{
			point_of_steps = point;
			remember_transaction();
		}
	}
	else if (earlier == 0)
		forget_statement_point(point);
}

/* Somebody may have dropped it since, or taken it back; 0 if there is none. */
static int64
point_of_earlier_steps(void)
{
	return stepped.is_running && stepped.point != 0 &&
		hold_restore_point(stepped.point, false) ? stepped.point : 0;
}

/* That it may yet fail is no harm: then nothing is of it. */
static void
remember_transaction(void)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	TransactionId *children;
	int			count = xactGetCommittedChildren(&children);

	stepped.xids = lappend_oid(stepped.xids, (Oid) GetTopTransactionId());
	for (int i = 0; i < count; i++)
		stepped.xids = lappend_oid(stepped.xids, (Oid) children[i]);
	MemoryContextSwitchTo(caller);
}

/* All of them as one script, palloc'd. */
static char *
noted_text(void)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, statements)
	{
		NotedStatement *noted = lfirst(cell);

		appendStringInfo(&text, "%s%s", text.len > 0 ? ";\n" : "",
						 noted->text);
	}
	return text.data;
}

static void
forget_point(void)
{
	point_command = FirstCommandId;
	point_subid = InvalidSubTransactionId;
}

static void
forget_transaction(void)
{
	statements = NIL;
	columns_computed = false;
	types_changed = false;
	forget_point();
	rolls_back_to_point = 0;
	point_of_steps = 0;
	forget_migration_in_transaction();
}
