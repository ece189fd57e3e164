/*-------------------------------------------------------------------------
 *
 * existence_table.c
 *	  Do the columns and constraints exist that a checked statement names?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "check/existence.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"

static void require_column(const OverlayRelation *relation, const char *name,
						   List *added);
static bool has_column(const OverlayRelation *relation, const char *name);
static void check_subcommand(Overlay *overlay, OverlayRelation *relation,
							 AlterTableStmt *stmt, AlterTableCmd *command);
static void check_add_column(Overlay *overlay, OverlayRelation *relation,
							 AlterTableStmt *stmt, AlterTableCmd *command);
static void column_exists_already(const OverlayRelation *relation,
								  const char *name);
static void require_constraint(const OverlayRelation *relation,
							   const char *name);
static void check_constraint(OverlayRelation *relation,
							 AlterTableStmt *stmt, Constraint *constraint);
static List *names_in(AlterTableStmt *stmt, AlterTableType subtype);
static bool has_constraint(const OverlayRelation *relation,
						   const char *name);

/* See existence.h. */
Node *
check_create_index(Overlay *overlay, Node *statement)
{
	IndexStmt  *stmt = castNode(IndexStmt, statement);
	OverlayRelation *relation;
	ListCell   *cell;

	relation = require_relation(overlay, stmt->relation);
	foreach(cell, list_concat_copy(stmt->indexParams,
								   stmt->indexIncludingParams))
	{
		IndexElem  *element = lfirst_node(IndexElem, cell);

		if (element->name != NULL)
			require_column(relation, element->name, NIL);
	}
	if (stmt->idxname != NULL && !stmt->if_not_exists &&
		overlay_has_relation(overlay, makeRangeVar(relation->nspname,
												   stmt->idxname, -1)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", stmt->idxname)));
	return statement;
}

/* added names columns that the same statement makes. */
static void
require_column(const OverlayRelation *relation, const char *name, List *added)
{
	if (!has_column(relation, name) && !name_is_listed(added, name))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						name, relation->relname)));
}

/* True also if it cannot be told. */
static bool
has_column(const OverlayRelation *relation, const char *name)
{
	OverlayColumn *column = overlay_find_column(relation, name);

	if (column != NULL)
		return !column->dropped;
	if (OidIsValid(relation->relid))
		return get_attnum(relation->relid, name) != InvalidAttrNumber;
	return relation->partial;
}

/* See existence.h. */
Node *
check_alter_table(Overlay *overlay, Node *statement)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, statement);
	OverlayRelation *relation;
	ListCell   *cell;

	if (stmt->objtype == OBJECT_TYPE)
	{
		require_type(overlay,
					 makeTypeNameFromNameList(name_of_relation(stmt->relation)));
		return statement;
	}
	if (stmt->missing_ok && !overlay_has_relation(overlay, stmt->relation))
		return NULL;
	relation = require_relation(overlay, stmt->relation);
	foreach(cell, stmt->cmds)
	{
		check_subcommand(overlay, relation, stmt, lfirst(cell));
	}
	return statement;
}

static void
check_subcommand(Overlay *overlay, OverlayRelation *relation,
				 AlterTableStmt *stmt, AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_AddColumn:
			check_add_column(overlay, relation, stmt, command);
			break;
		case AT_AlterColumnType:
			require_type(overlay,
						 castNode(ColumnDef, command->def)->typeName);
			require_column(relation, command->name, NIL);
			break;
		case AT_DropColumn:
		case AT_DropIdentity:
		case AT_DropExpression:
			if (!command->missing_ok)
				require_column(relation, command->name, NIL);
			break;
		case AT_SetNotNull:
		case AT_DropNotNull:
		case AT_ColumnDefault:
		case AT_AddIdentity:
		case AT_SetIdentity:
		case AT_SetStorage:
		case AT_SetCompression:
			require_column(relation, command->name,
						   names_in(stmt, AT_AddColumn));
			break;
		case AT_AddConstraint:
			check_constraint(relation, stmt,
							 castNode(Constraint, command->def));
			break;
		case AT_ValidateConstraint:
		case AT_DropConstraint:
			if (!command->missing_ok)
				require_constraint(relation, command->name);
			break;
		default:				/* names nothing, or nothing known here */
			break;
	}
}

/* ADD COLUMN beside one that is not dropped by the same statement */
static void
check_add_column(Overlay *overlay, OverlayRelation *relation,
				 AlterTableStmt *stmt, AlterTableCmd *command)
{
	ColumnDef  *definition = castNode(ColumnDef, command->def);

	require_column_type(overlay, definition);
	if (!command->missing_ok && !relation->partial &&
		has_column(relation, definition->colname) &&
		!name_is_listed(names_in(stmt, AT_DropColumn), definition->colname))
		column_exists_already(relation, definition->colname);
}

static void
column_exists_already(const OverlayRelation *relation, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" already exists",
					name, relation->relname)));
}

static void
require_constraint(const OverlayRelation *relation, const char *name)
{
	if (!has_constraint(relation, name))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("constraint \"%s\" of relation \"%s\" does not exist",
						name, relation->relname)));
}

/* A new constraint: its name and its columns */
static void
check_constraint(OverlayRelation *relation, AlterTableStmt *stmt,
				 Constraint *constraint)
{
	List	   *columns = constraint->contype == CONSTR_FOREIGN ?
	constraint->fk_attrs : constraint->keys;
	ListCell   *cell;

	if (constraint->conname != NULL && !relation->partial &&
		has_constraint(relation, constraint->conname) &&
		!name_is_listed(names_in(stmt, AT_DropConstraint),
						constraint->conname))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("constraint \"%s\" for relation \"%s\" already exists",
						constraint->conname, relation->relname)));
	foreach(cell, columns)
	{
		require_column(relation, strVal(lfirst(cell)),
					   names_in(stmt, AT_AddColumn));
	}
}

/* Names in all sub-commands of one kind */
static List *
names_in(AlterTableStmt *stmt, AlterTableType subtype)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype != subtype)
			continue;
		names = lappend(names, subtype == AT_AddColumn ?
						castNode(ColumnDef, command->def)->colname :
						command->name);
	}
	return names;
}

/* True also if it cannot be told. */
static bool
has_constraint(const OverlayRelation *relation, const char *name)
{
	OverlayConstraint *constraint = overlay_find_constraint(relation, name);

	if (constraint != NULL)
		return !constraint->dropped;
	if (OidIsValid(relation->relid))
		return OidIsValid(get_relation_constraint_oid(relation->relid, name,
													  true));
	return relation->partial;
}

/* See existence.h. */
void
check_rename_relation(Overlay *overlay, RenameStmt *stmt)
{
	OverlayRelation *relation;

	relation = require_relation(overlay, stmt->relation);
	if (stmt->renameType == OBJECT_COLUMN)
	{
		require_column(relation, stmt->subname, NIL);
		if (!relation->partial && has_column(relation, stmt->newname))
			column_exists_already(relation, stmt->newname);
	}
	else if (stmt->renameType == OBJECT_TABCONSTRAINT)
		require_constraint(relation, stmt->subname);
	else if (overlay_has_relation(overlay, makeRangeVar(relation->nspname,
														stmt->newname, -1)) &&
			 stmt->subname == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", stmt->newname)));
}
