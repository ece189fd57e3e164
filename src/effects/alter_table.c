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
#include "catalog/pg_am.h"
#include "catalog/pg_tablespace.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/tablespace.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static void describe_subcommand(AlterContext *alter);
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
		describe_subcommand(&alter);
	}
	if (list_length(context->effects) == before)
		(void) add_effect(context, CAUSE_METADATA, alter.relation,
						  alter.lockmode);
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
			COMPAT_CASES_AT_SET_EXPRESSION
				describe_set_expression(alter);
			break;

			/* a lock and a catalog change */
		case AT_ColumnDefault:
		case AT_DropNotNull:
		case AT_DropExpression:
		case AT_SetStatistics:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetStorage:
		case AT_SetCompression:
		case AT_AlterConstraint:
		case AT_AlterColumnGenericOptions:
		case AT_ChangeOwner:
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
		case AT_DetachPartitionFinalize:
		case AT_AddIdentity:
		case AT_SetIdentity:
		case AT_DropIdentity:
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
	return effect;
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

/*
 * ALTER TABLE ALL IN TABLESPACE ... SET TABLESPACE copies every table there;
 * which ones is known only when it runs.
 */
void
describe_move_all(Node *statement, EffectContext *context)
{
	AlterTableMoveAllStmt *stmt = castNode(AlterTableMoveAllStmt, statement);
	Effect	   *effect = add_effect(context, CAUSE_SET_STORAGE_OF_TABLE, NULL,
									AccessExclusiveLock);

	effect->object = quoted_name(stmt->orig_tablespacename);
	set_work(effect, WORK_REWRITE,
			 "every table in the tablespace is copied");
}
