/*-------------------------------------------------------------------------
 *
 * overlay_table.c
 *	  Columns of a table that a checked script made, changed or dropped, and
 *	  the sub-commands of ALTER TABLE.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "effects/overlay_internal.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static OverlayColumn *new_column(OverlayRelation *relation, const char *name);
static void rename_in_list(List *names, const char *old_name, char *new_name);
static void set_column_type(Overlay *overlay, OverlayColumn *column,
							const TypeName *name);
static bool alter_column(Overlay *overlay, OverlayRelation *relation,
						 AlterTableCmd *command);
static void drop_column(Overlay *overlay, OverlayRelation *relation,
						const char *name);
static void add_sequence(Overlay *overlay, OverlayRelation *relation,
						 const char *column);

/*
 * See overlay.h.  A column may have been made under the name of one that was
 * dropped.
 */
OverlayColumn *
overlay_find_column(const OverlayRelation *relation, const char *name)
{
	OverlayColumn *dropped = NULL;
	ListCell   *cell;

	foreach(cell, relation->columns)
	{
		OverlayColumn *column = lfirst(cell);

		if (strcmp(column->name, name) != 0)
			continue;
		if (!column->dropped)
			return column;
		dropped = column;
	}
	return dropped;
}

/*
 * See overlay.h.
 */
OverlayColumn *
overlay_find_attnum(const OverlayRelation *relation, AttrNumber attnum)
{
	ListCell   *cell;

	foreach(cell, relation->columns)
	{
		OverlayColumn *column = lfirst(cell);

		if (column->attnum == attnum)
			return column;
	}
	return NULL;
}

/*
 * A column that the script is about to change, taken from the catalog if need
 * be.  NULL if there is no such column, or none that is known here.
 */
OverlayColumn *
overlay_touch_column(OverlayRelation *relation, const char *name)
{
	OverlayColumn *column = overlay_find_column(relation, name);
	AttrNumber	attnum;

	if (column != NULL)
		return column->dropped ? NULL : column;
	if (!OidIsValid(relation->relid))
		return NULL;
	attnum = get_attnum(relation->relid, name);
	if (attnum <= 0)
		return NULL;
	column = new_column(relation, name);
	column->attnum = attnum;
	return column;
}

static OverlayColumn *
new_column(OverlayRelation *relation, const char *name)
{
	MemoryContext old_context;
	OverlayColumn *column;

	old_context = MemoryContextSwitchTo(GetMemoryChunkContext(relation));
	column = palloc0(sizeof(OverlayColumn));
	column->name = pstrdup(name);
	column->typmod = -1;
	relation->columns = lappend(relation->columns, column);
	MemoryContextSwitchTo(old_context);
	return column;
}

/* ALTER TABLE … RENAME COLUMN; indexes and constraints follow. */
void
overlay_rename_column(OverlayRelation *relation, const char *old_name,
					  const char *new_name)
{
	OverlayColumn *column = overlay_touch_column(relation, old_name);
	ListCell   *cell;

	if (column == NULL)
		return;
	new_column(relation, old_name)->dropped = true;
	column->name = MemoryContextStrdup(GetMemoryChunkContext(relation),
									   new_name);
	foreach(cell, relation->constraints)
	{
		OverlayConstraint *constraint = lfirst(cell);

		rename_in_list(constraint->not_null_columns, old_name, column->name);
	}
	foreach(cell, relation->owned)
	{
		OverlayRelation *index = lfirst(cell);

		rename_in_list(index->key_columns, old_name, column->name);
	}
}

static void
rename_in_list(List *names, const char *old_name, char *new_name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), old_name) == 0)
			lfirst(cell) = new_name;
	}
}

/* ADD COLUMN, and the columns of CREATE TABLE */
void
overlay_add_column(Overlay *overlay, OverlayRelation *relation,
				   ColumnDef *definition)
{
	OverlayColumn *column = new_column(relation, definition->colname);
	ListCell   *cell;

	column->made = true;
	if (definition->typeName != NULL)
	{
		if (type_is_serial(definition->typeName))
		{
			column->not_null = true;
			add_sequence(overlay, relation, column->name);
		}
		else
			set_column_type(overlay, column, definition->typeName);
	}
	foreach(cell, definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, cell);

		if (constraint->contype == CONSTR_IDENTITY)
		{
			column->not_null = true;
			add_sequence(overlay, relation, column->name);
		}
		else
			overlay_add_constraint(overlay, relation, constraint,
								   column->name);
	}
}

static void
set_column_type(Overlay *overlay, OverlayColumn *column, const TypeName *name)
{
	OverlayType *type = overlay_find_type(overlay, name);

	column->type = InvalidOid;
	column->typmod = -1;

	/* one that is not there may come from an opaque statement */
	if (type != NULL && !type->dropped)
		(void) overlay_resolve_type(overlay, name, &column->type,
									&column->typmod);
}

/* The sequence behind a serial or identity column. */
static void
add_sequence(Overlay *overlay, OverlayRelation *relation, const char *column)
{
	char	   *name = overlay_free_name(overlay, relation, column, "seq");

	overlay_own(relation, overlay_make_relation(overlay, relation->nspname,
												name, RELKIND_SEQUENCE));
}

/* ALTER TABLE, INDEX, VIEW … */
void
overlay_alter_table(Overlay *overlay, OverlayRelation *relation, List *commands)
{
	ListCell   *cell;

	foreach(cell, commands)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (!alter_column(overlay, relation, command))
			overlay_alter_constraint(overlay, relation, command);
	}
}

/* True if the sub-command is about a column. */
static bool
alter_column(Overlay *overlay, OverlayRelation *relation,
			 AlterTableCmd *command)
{
	OverlayColumn *column;

	if (command->subtype == AT_AddColumn)
	{
		ColumnDef  *definition = castNode(ColumnDef, command->def);

		/* ADD COLUMN IF NOT EXISTS */
		if (overlay_touch_column(relation, definition->colname) == NULL)
			overlay_add_column(overlay, relation, definition);
		return true;
	}
	if (command->name == NULL)
		return false;
	switch (command->subtype)
	{
		case AT_DropColumn:
			drop_column(overlay, relation, command->name);
			return true;
		case AT_AddIdentity:
			add_sequence(overlay, relation, command->name);
			return true;
		case AT_AlterColumnType:
		case AT_SetNotNull:
		case AT_DropNotNull:
			break;
		default:				/* not about a column, or of no consequence */
			return false;
	}

	column = overlay_touch_column(relation, command->name);
	if (column == NULL)
		return true;
	if (command->subtype == AT_AlterColumnType)
	{
		column->retyped = true;
		set_column_type(overlay, column,
						castNode(ColumnDef, command->def)->typeName);
	}
	else
	{
		column->not_null = command->subtype == AT_SetNotNull;
		column->null_allowed = !column->not_null;
	}
	return true;
}

/* The indexes that the script made on it go with it. */
static void
drop_column(Overlay *overlay, OverlayRelation *relation, const char *name)
{
	OverlayColumn *column = overlay_touch_column(relation, name);
	ListCell   *cell;

	if (column == NULL)
		return;
	column->dropped = true;
	foreach(cell, relation->owned)
	{
		OverlayRelation *index = lfirst(cell);

		if (name_is_listed(index->key_columns, name))
			index->dropped = true;
	}
}
