/*-------------------------------------------------------------------------
 *
 * alter_table.c
 *	  Effects of ALTER TABLE: one exhaustive switch over the sub-commands.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_trigger.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/tablespace.h"
#include "commands/trigger.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static void describe_keys_of_rewrite(AlterContext *alter, int before);
static bool is_decided_early(AlterTableType subtype);
static bool locks_tables_below(AlterContext *alter);
static bool option_is_given(List *options, const char *name);
static bool adds_triggers(AlterTableStmt *stmt);
static bool has_row_triggers(AlterContext *alter);
static void describe_subcommand(AlterContext *alter);
static void describe_inherit(AlterContext *alter);
static void describe_change_owner(AlterContext *alter);
static void describe_identity(AlterContext *alter);
static void describe_storage_change(AlterContext *alter);
static bool changes_storage(Relation rel, AlterTableCmd *command);
static bool changes_access_method(Relation rel, const char *name);
static bool changes_tablespace(Relation rel, const char *name);

/*
 * ALTER TABLE, and ALTER INDEX, VIEW, SEQUENCE ..., which share its node.  The
 * whole statement runs under the strongest lock that one of its sub-commands
 * needs, so each effect carries that lock.
 */
void
describe_alter_table(Node *statement, EffectContext *context)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, statement);
	AlterContext alter = {0};
	ListCell   *cell;
	int			before = list_length(context->effects);

	if (stmt->objtype == OBJECT_TYPE)
	{
		describe_alter_composite(stmt, context);
		return;
	}
	alter.effects = context;
	alter.statement = stmt;
	alter.relation = target_relation(stmt->relation, PERMISSION_OWNER,
									 context);
	if (alter.relation == NULL)
		return;
	alter.lockmode = AlterTableGetLockLevel(stmt->cmds);

	foreach(cell, stmt->cmds)
	{
		alter.command = lfirst_node(AlterTableCmd, cell);
		alter.subcommand = foreach_current_index(cell);
		alter.members = NIL;
		alter.only = !stmt->relation->inh;
		alter.below = locks_tables_below(&alter);
		describe_subcommand(&alter);
		if (alter.below && alter.members == NIL)
			add_lock(context, alter.relation, alter.lockmode, true);
	}
	if (list_length(stmt->cmds) > 1)
		describe_keys_of_rewrite(&alter, before);
	if (list_length(context->effects) == before)
		(void) add_effect(context, CAUSE_METADATA, alter.relation,
						  alter.lockmode);
	else
		add_lock(context, alter.relation, alter.lockmode, false);
}

/*
 * A table that one sub-command rewrites has the foreign keys of every retyped
 * column looked up again, also of those that would need it for no rewrite.
 */
static void
describe_keys_of_rewrite(AlterContext *alter, int before)
{
	bool		rewrites = false;
	ListCell   *cell;

	for_each_from(cell, alter->effects->effects, before)
	{
		const Effect *effect = lfirst(cell);

		if (effect->relation == alter->relation &&
			effect->work == WORK_REWRITE && effect->subcommand >= 0 &&
			is_decided_early(list_nth_node(AlterTableCmd,
										   alter->statement->cmds,
										   effect->subcommand)->subtype))
			rewrites = true;
	}
	if (!rewrites || !alter_has_relation(alter) ||
		alter->effects->overlay != NULL)
		return;
	foreach(cell, alter->statement->cmds)
	{
		alter->command = lfirst_node(AlterTableCmd, cell);
		alter->subcommand = foreach_current_index(cell);
		if (alter->command->subtype == AT_AlterColumnType)
			describe_keys_of_column(alter);
	}
}

/*
 * Rewrites that are decided on before the keys are made again; new columns come
 * later, and another tablespace gets copies of the blocks.
 */
static bool
is_decided_early(AlterTableType subtype)
{
	return subtype == AT_AlterColumnType || subtype == AT_SetLogged ||
		subtype == AT_SetUnLogged || subtype == AT_SetAccessMethod;
}

/*
 * Whether a sub-command goes down to all tables below, and locks them as the
 * statement locks its own.  Those that go down only under conditions find them
 * when they are described.
 */
static bool
locks_tables_below(AlterContext *alter)
{
	bool		is_partitioned = alter->relation->relkind ==
	RELKIND_PARTITIONED_TABLE;

	if (!alter_has_relation(alter))
		return false;
	switch (alter->command->subtype)
	{
		case AT_ColumnDefault:
		case AT_DropExpression:
		case AT_SetStatistics:
		case AT_SetStorage:
		case AT_AlterColumnType:
			COMPAT_CASES_AT_SET_EXPRESSION
				return alter->statement->relation->inh;
		case AT_DropNotNull:
			return alter->statement->relation->inh &&
				!COMPAT_NOT_NULL_NOT_VALID;
		case AT_AddConstraint:
			return alter->statement->relation->inh &&
				COMPAT_NOT_NULL_NOT_VALID;

			/* they look at all partitions before anything else */
		case AT_DropColumn:
		case AT_DropConstraint:
			return is_partitioned;
		case AT_SetIdentity:
			/* all else is about the sequence */
			if (!option_is_given(castNode(List, alter->command->def),
								 "generated"))
				return false;
			return is_partitioned && COMPAT_IDENTITY_IN_PARTITIONS &&
				alter->statement->relation->inh;
		case AT_AddIdentity:
		case AT_DropIdentity:
			return is_partitioned && COMPAT_IDENTITY_IN_PARTITIONS &&
				alter->statement->relation->inh;
		case AT_EnableTrig:
		case AT_EnableAlwaysTrig:
		case AT_EnableReplicaTrig:
		case AT_DisableTrig:
		case AT_EnableTrigAll:
		case AT_DisableTrigAll:
		case AT_EnableTrigUser:
		case AT_DisableTrigUser:
			return is_partitioned && alter->statement->relation->inh &&
				has_row_triggers(alter);

		case AT_AddColumn:
		case AT_SetNotNull:
		case AT_ValidateConstraint:
		case AT_AlterConstraint:
		case AT_SetLogged:
		case AT_SetUnLogged:
		case AT_SetAccessMethod:
		case AT_SetTableSpace:
		case AT_AttachPartition:
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetCompression:
		case AT_AlterColumnGenericOptions:
		case AT_ChangeOwner:
		case AT_ClusterOn:
		case AT_DropCluster:
		case AT_DropOids:
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_ReplaceRelOptions:
		case AT_EnableRule:
		case AT_EnableAlwaysRule:
		case AT_EnableReplicaRule:
		case AT_DisableRule:
		case AT_AddInherit:
		case AT_DropInherit:
		case AT_AddOf:
		case AT_DropOf:
		case AT_ReplicaIdentity:
		case AT_EnableRowSecurity:
		case AT_DisableRowSecurity:
		case AT_ForceRowSecurity:
		case AT_NoForceRowSecurity:
		case AT_GenericOptions:
		case AT_AddColumnToView:
		case AT_CookedColumnDefault:
		case AT_AddIndex:
		case AT_ReAddIndex:
		case AT_ReAddConstraint:
		case AT_ReAddDomainConstraint:
		case AT_AddIndexConstraint:
		case AT_ReAddComment:
		case AT_ReAddStatistics:
			COMPAT_CASES_AT_INTERNAL
				return false;
	}
	return false;
}

static bool
option_is_given(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, name) == 0)
			return true;
	}
	return false;
}

/* Foreign keys, and keys that are checked later: they come before the others. */
static bool
adds_triggers(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);
		Constraint *constraint = (Constraint *) command->def;

		if (command->subtype == AT_AddConstraint && constraint != NULL &&
			(constraint->contype == CONSTR_FOREIGN || constraint->deferrable))
			return true;
	}
	return false;
}

/* Whether a partitioned table has such triggers as ENABLE or DISABLE names. */
static bool
has_row_triggers(AlterContext *alter)
{
	Relation	rel = try_relation_open(alter->relation->relid, AccessShareLock);
	const char *name = alter->command->name;
	bool		user_only = alter->command->subtype == AT_EnableTrigUser ||
	alter->command->subtype == AT_DisableTrigUser;
	bool		found = false;

	if (rel == NULL)
		return false;
	found = name == NULL && !user_only &&
		adds_triggers(alter->statement);
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (TRIGGER_FOR_ROW(trigger->tgtype) &&
			(name == NULL || strcmp(trigger->tgname, name) == 0) &&
			!(user_only && trigger->tgisinternal))
			found = true;
	}
	relation_close(rel, AccessShareLock);
	return found;
}

/*
 * No default case: a sub-command that a new major adds must break the build,
 * not pass unjudged.
 */
static void
describe_subcommand(AlterContext *alter)
{
	switch (alter->command->subtype)
	{
		case AT_AddColumn:
			describe_add_column(alter);
			break;
		case AT_AlterColumnType:
			describe_column_type(alter);
			break;
		case AT_DropColumn:
			describe_drop_column(alter);
			break;
		case AT_SetNotNull:
			describe_set_not_null(alter);
			break;
		case AT_DropNotNull:
			describe_drop_not_null(alter);
			break;
		case AT_AddConstraint:
			describe_add_constraint(alter);
			break;
		case AT_ValidateConstraint:
			describe_validate_constraint(alter);
			break;
		case AT_DropConstraint:
			describe_drop_constraint(alter);
			break;
		case AT_SetLogged:
		case AT_SetUnLogged:
		case AT_SetAccessMethod:
		case AT_SetTableSpace:
			describe_storage_change(alter);
			break;
		case AT_AttachPartition:
			describe_attach_partition(alter);
			break;
		case AT_DetachPartition:
			describe_detach_partition(alter);
			break;
		case AT_DetachPartitionFinalize:
			describe_finalize_detach(alter);
			break;
			COMPAT_CASES_AT_SET_EXPRESSION
				describe_set_expression(alter);
			break;
		case AT_AddInherit:
		case AT_DropInherit:
			describe_inherit(alter);
			break;
		case AT_ChangeOwner:
			describe_change_owner(alter);
			break;
		case AT_SetIdentity:
		case AT_DropIdentity:
			describe_identity(alter);
			break;
		case AT_AlterConstraint:
			describe_alter_constraint(alter);
			break;

			/* a lock and a catalog change */
		case AT_ColumnDefault:
		case AT_DropExpression:
		case AT_SetStatistics:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetStorage:
		case AT_SetCompression:
		case AT_AlterColumnGenericOptions:
		case AT_ClusterOn:
		case AT_DropCluster:
		case AT_DropOids:
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_ReplaceRelOptions:
		case AT_EnableTrig:
		case AT_EnableAlwaysTrig:
		case AT_EnableReplicaTrig:
		case AT_DisableTrig:
		case AT_EnableTrigAll:
		case AT_DisableTrigAll:
		case AT_EnableTrigUser:
		case AT_DisableTrigUser:
		case AT_EnableRule:
		case AT_EnableAlwaysRule:
		case AT_EnableReplicaRule:
		case AT_DisableRule:
		case AT_AddOf:
		case AT_DropOf:
		case AT_ReplicaIdentity:
		case AT_EnableRowSecurity:
		case AT_DisableRowSecurity:
		case AT_ForceRowSecurity:
		case AT_NoForceRowSecurity:
		case AT_GenericOptions:
		case AT_AddIdentity:
			break;

			/* made inside ALTER TABLE, never by the parser */
		case AT_AddColumnToView:
		case AT_CookedColumnDefault:
		case AT_AddIndex:
		case AT_ReAddIndex:
		case AT_ReAddConstraint:
		case AT_ReAddDomainConstraint:
		case AT_AddIndexConstraint:
		case AT_ReAddComment:
		case AT_ReAddStatistics:
			COMPAT_CASES_AT_INTERNAL
				break;
	}
}

/*
 * Add an effect of the current sub-command on the altered relation.  object
 * is the bare name of the column or constraint, or NULL.
 */
Effect *
add_alter_effect(AlterContext *alter, EffectCause cause, const char *object)
{
	Effect	   *effect = add_effect(alter->effects, cause, alter->relation,
									alter->lockmode);

	effect->object = quoted_name(object);
	effect->subcommand = alter->subcommand;
	effect->alone = !alter->statement->relation->inh;
	if (alter->below)
		effect->lockmode_below = alter->lockmode;
	if (alter->below && alter->members == NIL)
		alter->relation->lockmode_below = Max(alter->relation->lockmode_below,
											  alter->lockmode);
	effect->members = alter->members;
	return effect;
}

/*
 * The sub-command goes down to some tables below only: to be called before
 * its effects are added.
 */
void
set_reach(AlterContext *alter, List *members)
{
	alter->below = members != NIL;
	alter->members = members;
}

/* INHERIT and NO INHERIT: the parent's name is all there is. */
static void
describe_inherit(AlterContext *alter)
{
	RangeVar   *parent = (RangeVar *) alter->command->def;

	add_lock(alter->effects,
			 target_relation(parent, PERMISSION_ANYBODY, alter->effects),
			 alter->command->subtype == AT_AddInherit ?
			 ShareUpdateExclusiveLock : AccessShareLock, false);
}

/* Sequences that belong to columns get the same owner. */
static void
describe_change_owner(AlterContext *alter)
{
	RoleSpec   *role = alter->command->newowner;

	if (!alter_has_relation(alter) || role == NULL ||
		get_rolespec_oid(role, true) == relation_owner(alter->relation->relid))
		return;
	add_locks_on_sequences(alter->effects, alter->relation->relid,
						   alter->lockmode);
}

/* The sequence behind an identity column is altered, or dropped. */
static void
describe_identity(AlterContext *alter)
{
	AttrNumber	attnum;
	Oid			sequence;
	ObjectAddress root;

	if (!alter_has_relation(alter))
		return;
	attnum = get_attnum(alter->relation->relid, alter->command->name);
	if (attnum <= 0)
		return;
	sequence = compat_identity_sequence(alter->relation->relid, attnum);
	if (!OidIsValid(sequence))
		return;
	if (alter->command->subtype == AT_SetIdentity)
	{
		add_lock_on(alter->effects, sequence, ShareRowExclusiveLock);
		return;
	}
	ObjectAddressSet(root, RelationRelationId, sequence);
	add_deletion(&root, false, alter->effects);
}

/*
 * False when the relation was made by the script that is being checked, so
 * that there is nothing in the catalog to look at (and no row in it).
 */
bool
alter_has_relation(const AlterContext *alter)
{
	return OidIsValid(alter->relation->relid);
}

/* SET LOGGED, UNLOGGED, ACCESS METHOD, TABLESPACE: nothing if it is so. */
static void
describe_storage_change(AlterContext *alter)
{
	Effect	   *effect = add_alter_effect(alter, CAUSE_SET_STORAGE_OF_TABLE,
										  NULL);
	Relation	rel;
	bool		changes;

	if (!alter_has_relation(alter))
		return;
	rel = try_relation_open(alter->relation->relid, AccessShareLock);
	if (rel == NULL)
		return;
	changes = changes_storage(rel, alter->command);
	relation_close(rel, AccessShareLock);
	if (changes && (alter->command->subtype == AT_SetLogged ||
					alter->command->subtype == AT_SetUnLogged))
		add_locks_on_sequences(alter->effects, alter->relation->relid,
							   alter->lockmode);
	if (changes)
		set_work(effect, WORK_REWRITE,
				 alter->command->subtype == AT_SetTableSpace ?
				 "every block is copied to the other tablespace" : NULL);
}

static bool
changes_storage(Relation rel, AlterTableCmd *command)
{
	/* a partitioned table or view has no storage to change */
	if (!RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		return false;
	switch (command->subtype)
	{
		case AT_SetLogged:
			return rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED;
		case AT_SetUnLogged:
			return rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT;
		case AT_SetAccessMethod:
			return changes_access_method(rel, command->name);
		case AT_SetTableSpace:
			return changes_tablespace(rel, command->name);
		default:				/* the caller passes these four only */
			return false;
	}
}

/* name is NULL for SET ACCESS METHOD DEFAULT (17+). */
static bool
changes_access_method(Relation rel, const char *name)
{
	Oid			access_method;

	access_method = get_table_am_oid(name ? name : default_table_access_method,
									 true);
	return OidIsValid(access_method) && access_method != rel->rd_rel->relam;
}

static bool
changes_tablespace(Relation rel, const char *name)
{
	Oid			tablespace = name ? get_tablespace_oid(name, true) : InvalidOid;

	if (!OidIsValid(tablespace))
		return false;
	if (tablespace == MyDatabaseTableSpace)
		tablespace = InvalidOid;
	return tablespace != rel->rd_rel->reltablespace;
}
