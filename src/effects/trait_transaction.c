/*-------------------------------------------------------------------------
 *
 * trait_transaction.c
 *	  Traits of a statement that come from the session it is sent in: its
 *	  timeouts, and what its transaction has done before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/catalog.h"
#include "effects/trait_context.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/memutils.h"

/* A foreign key that this transaction made, or a table that it altered. */
typedef struct EarlierStatement
{
	SubTransactionId subid;
	Oid			altered;		/* InvalidOid: foreign keys */
	int			foreign_keys;
} EarlierStatement;

/* In TopTransactionContext, which ends with the transaction. */
static List *earlier = NIL;

static void look_at_timeouts(TraitContext *context);
static const Effect *strongest_lock(List *effects);
static bool concerns_others(const RelationFacts *relation);
static void look_at_several_foreign_keys(TraitContext *context);
static int	foreign_keys_to_others(TraitContext *context, int *location);
static void look_at_repeated_alter(TraitContext *context);
static void remember(Oid altered, int foreign_keys);
static void forget(void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId subid,
							   SubTransactionId parent, void *arg);

void
look_at_transaction(TraitContext *context)
{
	if (context->wanted[TRAIT_NO_LOCK_TIMEOUT] ||
		context->wanted[TRAIT_NO_STATEMENT_TIMEOUT])
		look_at_timeouts(context);

	/* nothing that is only checked runs in this transaction */
	if (context->source->effects->overlay != NULL)
		return;
	if (context->wanted[TRAIT_SEVERAL_FOREIGN_KEYS])
		look_at_several_foreign_keys(context);
	if (context->wanted[TRAIT_REPEATED_ALTER])
		look_at_repeated_alter(context);
}

/* A lock that others wait for, who in turn wait for as long as we wait. */
static void
look_at_timeouts(TraitContext *context)
{
	const Effect *effect = strongest_lock(context->source->effects->effects);

	if (effect == NULL)
		return;
	set_trait_relation(context, effect->relation);
	if (LockTimeout == 0)
		add_trait(context, TRAIT_NO_LOCK_TIMEOUT, NULL, -1,
				  "is to be locked by %s, and lock_timeout is not set",
				  GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lockmode));
	if (StatementTimeout == 0)
		add_trait(context, TRAIT_NO_STATEMENT_TIMEOUT, NULL, -1,
				  "is to be locked by %s, and statement_timeout is not set",
				  GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lockmode));
}

/* NULL if none is strong enough for writers to wait. */
static const Effect *
strongest_lock(List *effects)
{
	const Effect *strongest = NULL;
	ListCell   *cell;

	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);

		if (effect->lockmode >= ShareLock && concerns_others(effect->relation) &&
			(strongest == NULL || effect->lockmode > strongest->lockmode))
			strongest = effect;
	}
	return strongest;
}

static bool
concerns_others(const RelationFacts *relation)
{
	return relation != NULL && OidIsValid(relation->relid) &&
		!relation->is_new && !relation->is_temp && !relation->is_protected;
}

/*
 * Each locks two tables until the transaction ends.  Those between tables that
 * are both new lock nothing that anybody else would use.
 */
static void
look_at_several_foreign_keys(TraitContext *context)
{
	int			location = -1;
	int			count = foreign_keys_to_others(context, &location);
	int			before = 0;
	ListCell   *cell;

	if (count == 0)
		return;
	foreach(cell, earlier)
		before += ((EarlierStatement *) lfirst(cell))->foreign_keys;
	if (before + count > 1)
		add_trait(context, TRAIT_SEVERAL_FOREIGN_KEYS, NULL, location,
				  "brings the foreign keys of this transaction to %d",
				  before + count);
	remember(InvalidOid, count);
}

static int
foreign_keys_to_others(TraitContext *context, int *location)
{
	int			count = 0;
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, context->constraints)
	{
		const Constraint *constraint =
		((WrittenConstraint *) lfirst(cell))->constraint;
		bool		concerned = false;

		if (constraint->contype != CONSTR_FOREIGN)
			continue;
		foreach(inner, context->source->effects->relations)
		{
			if (concerns_others(lfirst(inner)))
				concerned = true;
		}
		if (concerned)
		{
			*location = constraint->location;
			count++;
		}
	}
	return count;
}

/*
 * Each waits for the lock anew, unless it is held already.  Scans, builds and
 * rewrites are better kept apart.
 */
static void
look_at_repeated_alter(TraitContext *context)
{
	ListCell   *cell;
	bool		repeated = false;

	if (!IsA(context->statement, AlterTableStmt) ||
		!concerns_others(context->relation))
		return;
	foreach(cell, context->source->effects->effects)
	{
		if (((Effect *) lfirst(cell))->work != WORK_NONE)
			return;
	}
	foreach(cell, earlier)
	{
		if (((EarlierStatement *) lfirst(cell))->altered ==
			context->relation->relid)
			repeated = true;
	}
	if (repeated)
		add_trait(context, TRAIT_REPEATED_ALTER, NULL, -1,
				  "is altered again in this transaction");
	else
		remember(context->relation->relid, 0);
}

static void
remember(Oid altered, int foreign_keys)
{
	static bool callback_registered = false;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	EarlierStatement *statement = palloc(sizeof(EarlierStatement));

	if (!callback_registered)
	{
		RegisterSubXactCallback(end_subtransaction, NULL);
		callback_registered = true;
	}
	if (earlier == NIL)
	{
		MemoryContextCallback *callback = palloc0(sizeof(*callback));

		callback->func = forget;
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	}
	statement->subid = GetCurrentSubTransactionId();
	statement->altered = altered;
	statement->foreign_keys = foreign_keys;
	earlier = lappend(earlier, statement);
	MemoryContextSwitchTo(old);
}

static void
forget(void *arg)
{
	earlier = NIL;
}

/* What was rolled back was not done; what was released counts above. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId subid,
				   SubTransactionId parent, void *arg)
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	foreach(cell, earlier)
	{
		EarlierStatement *statement = lfirst(cell);

		if (statement->subid != subid)
			continue;
		statement->subid = parent;
		if (event == SUBXACT_EVENT_ABORT_SUB)
		{
			statement->altered = InvalidOid;
			statement->foreign_keys = 0;
		}
	}
}
