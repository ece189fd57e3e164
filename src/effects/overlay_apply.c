/*-------------------------------------------------------------------------
 *
 * overlay_apply.c
 *	  What a statement would do to the catalog, done to the overlay.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay_internal.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

typedef void (*ApplyFunction) (Overlay *overlay, Node *statement);

static void apply_create_table(Overlay *overlay, Node *statement);
static void apply_create_foreign_table(Overlay *overlay, Node *statement);
static void apply_create_table_as(Overlay *overlay, Node *statement);
static void apply_select(Overlay *overlay, Node *statement);
static void apply_create_view(Overlay *overlay, Node *statement);
static void apply_create_sequence(Overlay *overlay, Node *statement);
static void apply_create_index(Overlay *overlay, Node *statement);
static void apply_create_schema(Overlay *overlay, Node *statement);
static void apply_create_enum(Overlay *overlay, Node *statement);
static void apply_create_composite(Overlay *overlay, Node *statement);
static void apply_create_range(Overlay *overlay, Node *statement);
static void apply_create_domain(Overlay *overlay, Node *statement);
static void apply_define(Overlay *overlay, Node *statement);
static void apply_create_function(Overlay *overlay, Node *statement);
static void apply_alter_table(Overlay *overlay, Node *statement);
static void apply_alter_enum(Overlay *overlay, Node *statement);
static void apply_alter_domain(Overlay *overlay, Node *statement);
static void apply_drop(Overlay *overlay, Node *statement);
static void apply_rename(Overlay *overlay, Node *statement);
static void apply_set_schema(Overlay *overlay, Node *statement);
static void apply_truncate(Overlay *overlay, Node *statement);
static void apply_insert(Overlay *overlay, Node *statement);
static void apply_copy(Overlay *overlay, Node *statement);
static void apply_merge(Overlay *overlay, Node *statement);
static void apply_create_extension(Overlay *overlay, Node *statement);
static void apply_opaque(Overlay *overlay, Node *statement);

static const struct
{
	NodeTag		tag;
	ApplyFunction apply;
}			appliers[] =

{
	{T_CreateStmt, apply_create_table},
	{T_CreateForeignTableStmt, apply_create_foreign_table},
	{T_CreateTableAsStmt, apply_create_table_as},
	{T_SelectStmt, apply_select},
	{T_ViewStmt, apply_create_view},
	{T_CreateSeqStmt, apply_create_sequence},
	{T_IndexStmt, apply_create_index},
	{T_CreateSchemaStmt, apply_create_schema},
	{T_CreateEnumStmt, apply_create_enum},
	{T_CompositeTypeStmt, apply_create_composite},
	{T_CreateRangeStmt, apply_create_range},
	{T_CreateDomainStmt, apply_create_domain},
	{T_DefineStmt, apply_define},
	{T_CreateFunctionStmt, apply_create_function},
	{T_AlterTableStmt, apply_alter_table},
	{T_AlterEnumStmt, apply_alter_enum},
	{T_AlterDomainStmt, apply_alter_domain},
	{T_DropStmt, apply_drop},
	{T_RenameStmt, apply_rename},
	{T_AlterObjectSchemaStmt, apply_set_schema},
	{T_TruncateStmt, apply_truncate},
	{T_InsertStmt, apply_insert},
	{T_CopyStmt, apply_copy},
	{T_MergeStmt, apply_merge},
	{T_DoStmt, apply_opaque},
	{T_CallStmt, apply_opaque},
	{T_CreateExtensionStmt, apply_create_extension},
	{T_AlterExtensionStmt, apply_opaque},
	{T_ImportForeignSchemaStmt, apply_opaque},
	{T_DropOwnedStmt, apply_opaque},
};

static OverlayRelation *make_relation(Overlay *overlay, RangeVar *name,
									  char relkind, bool if_not_exists);
static void add_elements(Overlay *overlay, OverlayRelation *relation,
						 CreateStmt *stmt);
static void make_from_query(Overlay *overlay, IntoClause *into, char relkind,
							bool if_not_exists);
static OverlayRelation *live_relation(Overlay *overlay, const RangeVar *name);
static void constrain_domain(OverlayType *type, Constraint *constraint);
static void set_element_schema(Node *element, char *nspname);
static char function_volatility(CreateFunctionStmt *stmt);
static void drop_object(Overlay *overlay, ObjectType type, Node *object);
static void rename_relation(Overlay *overlay, RenameStmt *stmt);
static void move_to_schema(Overlay *overlay, OverlayRelation *relation,
						   const char *nspname);
static void fill_relation(Overlay *overlay, RangeVar *name);

/*
 * See overlay.h.
 */
void
overlay_apply(Overlay *overlay, Node *statement, int line)
{
	for (int i = 0; i < lengthof(appliers); i++)
	{
		if (appliers[i].tag != nodeTag(statement))
			continue;
		overlay->line = line;
		appliers[i].apply(overlay, statement);
		return;
	}
}

/* CREATE TABLE */
static void
apply_create_table(Overlay *overlay, Node *statement)
{
	CreateStmt *stmt = castNode(CreateStmt, statement);
	OverlayRelation *relation;

	relation = make_relation(overlay, stmt->relation,
							 stmt->partspec ? RELKIND_PARTITIONED_TABLE :
							 RELKIND_RELATION, stmt->if_not_exists);
	if (relation != NULL)
		add_elements(overlay, relation, stmt);
}

/* The entry of a new relation; NULL if IF NOT EXISTS finds one. */
static OverlayRelation *
make_relation(Overlay *overlay, RangeVar *name, char relkind,
			  bool if_not_exists)
{
	const char *nspname = overlay_creation_schema(overlay, name);
	RangeVar   *there = makeRangeVar(unconstify(char *, nspname),
									 name->relname, -1);

	if (if_not_exists && overlay_has_relation(overlay, there))
		return NULL;
	return overlay_make_relation(overlay, nspname, name->relname, relkind);
}

/* The columns first: constraints of the table may come before them. */
static void
add_elements(Overlay *overlay, OverlayRelation *relation, CreateStmt *stmt)
{
	ListCell   *cell;

	relation->partial = stmt->inhRelations != NIL || stmt->ofTypename != NULL;
	foreach(cell, stmt->tableElts)
	{
		if (IsA(lfirst(cell), ColumnDef))
			overlay_add_column(overlay, relation, lfirst(cell));
		else if (IsA(lfirst(cell), TableLikeClause))
			relation->partial = true;
	}
	foreach(cell, stmt->tableElts)
	{
		if (IsA(lfirst(cell), Constraint))
			overlay_add_constraint(overlay, relation, lfirst(cell), NULL);
	}
}

/* CREATE FOREIGN TABLE */
static void
apply_create_foreign_table(Overlay *overlay, Node *statement)
{
	CreateForeignTableStmt *stmt = castNode(CreateForeignTableStmt, statement);
	OverlayRelation *relation;

	relation = make_relation(overlay, stmt->base.relation,
							 RELKIND_FOREIGN_TABLE, stmt->base.if_not_exists);
	if (relation != NULL)
		add_elements(overlay, relation, &stmt->base);
}

/* CREATE TABLE AS, CREATE MATERIALIZED VIEW */
static void
apply_create_table_as(Overlay *overlay, Node *statement)
{
	CreateTableAsStmt *stmt = castNode(CreateTableAsStmt, statement);

	make_from_query(overlay, stmt->into, stmt->objtype == OBJECT_MATVIEW ?
					RELKIND_MATVIEW : RELKIND_RELATION, stmt->if_not_exists);
}

/* The columns are those of a query, which is not analysed here. */
static void
make_from_query(Overlay *overlay, IntoClause *into, char relkind,
				bool if_not_exists)
{
	OverlayRelation *relation = make_relation(overlay, into->rel, relkind,
											  if_not_exists);

	if (relation != NULL)
		relation->partial = true;
}

/* SELECT INTO */
static void
apply_select(Overlay *overlay, Node *statement)
{
	SelectStmt *stmt = castNode(SelectStmt, statement);

	/* the grammar allows it in the first of several SELECTs */
	while (stmt->op != SETOP_NONE && stmt->larg != NULL)
		stmt = stmt->larg;
	if (stmt->intoClause != NULL)
		make_from_query(overlay, stmt->intoClause, RELKIND_RELATION, false);
}

static void
apply_create_view(Overlay *overlay, Node *statement)
{
	ViewStmt   *stmt = castNode(ViewStmt, statement);
	OverlayRelation *relation;

	relation = make_relation(overlay, stmt->view, RELKIND_VIEW, stmt->replace);
	if (relation != NULL)
		relation->partial = true;
}

static void
apply_create_sequence(Overlay *overlay, Node *statement)
{
	CreateSeqStmt *stmt = castNode(CreateSeqStmt, statement);

	(void) make_relation(overlay, stmt->sequence, RELKIND_SEQUENCE,
						 stmt->if_not_exists);
}

static void
apply_create_index(Overlay *overlay, Node *statement)
{
	IndexStmt  *stmt = castNode(IndexStmt, statement);
	OverlayRelation *table = live_relation(overlay, stmt->relation);

	if (table == NULL)
		return;
	if (stmt->if_not_exists && stmt->idxname != NULL &&
		overlay_has_relation(overlay, makeRangeVar(table->nspname,
												   stmt->idxname, -1)))
		return;
	overlay_add_index(overlay, table, stmt);
}

/* NULL for a relation that is not there, or no longer. */
static OverlayRelation *
live_relation(Overlay *overlay, const RangeVar *name)
{
	OverlayRelation *relation = overlay_find_relation(overlay, name);

	return relation != NULL && !relation->dropped ? relation : NULL;
}

/* CREATE SCHEMA, with what is made in it by the same statement */
static void
apply_create_schema(Overlay *overlay, Node *statement)
{
	CreateSchemaStmt *stmt = castNode(CreateSchemaStmt, statement);
	char	   *name = stmt->schemaname;
	ListCell   *cell;

	if (name == NULL && stmt->authrole != NULL)
		name = stmt->authrole->rolename;
	if (name == NULL ||
		(stmt->if_not_exists && overlay_has_schema(overlay, name)))
		return;
	overlay_make_schema(overlay, name);
	foreach(cell, stmt->schemaElts)
	{
		Node	   *element = copyObject(lfirst(cell));

		set_element_schema(element, name);
		overlay_apply(overlay, element, overlay->line);
	}
}

/* Names in the elements of CREATE SCHEMA are of that schema. */
static void
set_element_schema(Node *element, char *nspname)
{
	RangeVar   *name = NULL;

	if (IsA(element, CreateStmt))
		name = ((CreateStmt *) element)->relation;
	else if (IsA(element, ViewStmt))
		name = ((ViewStmt *) element)->view;
	else if (IsA(element, IndexStmt))
		name = ((IndexStmt *) element)->relation;
	else if (IsA(element, CreateSeqStmt))
		name = ((CreateSeqStmt *) element)->sequence;
	if (name != NULL && name->schemaname == NULL)
		name->schemaname = nspname;
}

static void
apply_create_enum(Overlay *overlay, Node *statement)
{
	(void) overlay_make_type(overlay,
							 castNode(CreateEnumStmt, statement)->typeName);
}

static void
apply_create_composite(Overlay *overlay, Node *statement)
{
	RangeVar   *name = castNode(CompositeTypeStmt, statement)->typevar;

	(void) overlay_make_type(overlay, name_of_relation(name));
}

static void
apply_create_range(Overlay *overlay, Node *statement)
{
	(void) overlay_make_type(overlay,
							 castNode(CreateRangeStmt, statement)->typeName);
}

static void
apply_create_domain(Overlay *overlay, Node *statement)
{
	CreateDomainStmt *stmt = castNode(CreateDomainStmt, statement);
	OverlayType *type = overlay_make_type(overlay, stmt->domainname);
	ListCell   *cell;

	foreach(cell, stmt->constraints)
		constrain_domain(type, lfirst_node(Constraint, cell));
}

/* Does the constraint have ADD COLUMN of the domain check every row? */
static void
constrain_domain(OverlayType *type, Constraint *constraint)
{
	if (constraint->contype != CONSTR_CHECK &&
		constraint->contype != CONSTR_NOTNULL)
		return;
	type->constrained = true;
}

/* CREATE TYPE of a base type; aggregates, operators … are not looked for. */
static void
apply_define(Overlay *overlay, Node *statement)
{
	DefineStmt *stmt = castNode(DefineStmt, statement);

	if (stmt->kind == OBJECT_TYPE)
		(void) overlay_make_type(overlay, stmt->defnames);
}

static void
apply_create_function(Overlay *overlay, Node *statement)
{
	CreateFunctionStmt *stmt = castNode(CreateFunctionStmt, statement);

	overlay_make_function(overlay, stmt->funcname, function_volatility(stmt));
}

static char
function_volatility(CreateFunctionStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "volatility") != 0)
			continue;
		if (strcmp(strVal(option->arg), "immutable") == 0)
			return PROVOLATILE_IMMUTABLE;
		if (strcmp(strVal(option->arg), "stable") == 0)
			return PROVOLATILE_STABLE;
	}
	return PROVOLATILE_VOLATILE;
}

/* ALTER TABLE, and ALTER TYPE of a composite type */
static void
apply_alter_table(Overlay *overlay, Node *statement)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, statement);
	OverlayRelation *relation;

	if (stmt->objtype == OBJECT_TYPE)
	{
		OverlayType *type = overlay_touch_type(overlay,
											   name_of_relation(stmt->relation));

		if (type != NULL)
			type->changed = true;
		return;
	}
	relation = live_relation(overlay, stmt->relation);
	if (relation != NULL)
		overlay_alter_table(overlay, relation, stmt->cmds);
}

/* ALTER TYPE … ADD VALUE, RENAME VALUE */
static void
apply_alter_enum(Overlay *overlay, Node *statement)
{
	OverlayType *type = overlay_touch_type(overlay,
										   castNode(AlterEnumStmt,
													statement)->typeName);

	if (type != NULL)
		type->changed = true;
}

static void
apply_alter_domain(Overlay *overlay, Node *statement)
{
	AlterDomainStmt *stmt = castNode(AlterDomainStmt, statement);
	OverlayType *type = overlay_touch_type(overlay, stmt->typeName);

	if (type == NULL)
		return;
	type->changed = true;
	if (stmt->subtype == 'C')	/* ADD CONSTRAINT */
		constrain_domain(type, castNode(Constraint, stmt->def));
	else if (stmt->subtype == 'O')	/* SET NOT NULL */
		type->constrained = true;
}

static void
apply_drop(Overlay *overlay, Node *statement)
{
	DropStmt   *stmt = castNode(DropStmt, statement);
	ListCell   *cell;

	foreach(cell, stmt->objects)
		drop_object(overlay, stmt->removeType, lfirst(cell));
}

static void
drop_object(Overlay *overlay, ObjectType type, Node *object)
{
	OverlayRelation *relation;
	OverlayFunction *function;

	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_INDEX:
			relation = live_relation(overlay,
									 makeRangeVarFromNameList(castNode(List, object)));
			if (relation != NULL)
				overlay_drop_relation(relation);
			break;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			overlay_drop_type(overlay, castNode(TypeName, object)->names);
			break;
		case OBJECT_SCHEMA:
			overlay_drop_schema(overlay, strVal(object));
			break;
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
			function = overlay_find_function(overlay,
											 castNode(ObjectWithArgs, object)->objname);
			if (function != NULL)
				function->dropped = true;
			break;
		default:				/* nothing that a later statement asks for */
			break;
	}
}

static void
apply_rename(Overlay *overlay, Node *statement)
{
	RenameStmt *stmt = castNode(RenameStmt, statement);

	switch (stmt->renameType)
	{
		case OBJECT_SCHEMA:
			if (overlay_has_schema(overlay, stmt->subname))
				overlay_rename_schema(overlay, stmt->subname, stmt->newname);
			break;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			overlay_move_type(overlay, castNode(List, stmt->object), NULL,
							  stmt->newname);
			break;
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
			overlay_rename_function(overlay,
									castNode(ObjectWithArgs,
											 stmt->object)->objname,
									stmt->newname);
			break;
		default:
			if (stmt->relation != NULL)
				rename_relation(overlay, stmt);
			break;
	}
}

/* A relation, or a column or constraint of one */
static void
rename_relation(Overlay *overlay, RenameStmt *stmt)
{
	OverlayRelation *relation;

	if (stmt->renameType == OBJECT_ATTRIBUTE)
	{
		OverlayType *type = overlay_touch_type(overlay,
											   name_of_relation(stmt->relation));

		if (type != NULL)
			type->changed = true;
		return;
	}
	relation = live_relation(overlay, stmt->relation);
	if (relation == NULL)
		return;
	if (stmt->renameType == OBJECT_COLUMN)
		overlay_rename_column(relation, stmt->subname, stmt->newname);
	else if (stmt->renameType == OBJECT_TABCONSTRAINT)
		overlay_rename_constraint(overlay, relation, stmt->subname,
								  stmt->newname);
	else if (stmt->renameType == OBJECT_TABLE ||
			 stmt->renameType == OBJECT_FOREIGN_TABLE ||
			 stmt->renameType == OBJECT_VIEW ||
			 stmt->renameType == OBJECT_MATVIEW ||
			 stmt->renameType == OBJECT_SEQUENCE ||
			 stmt->renameType == OBJECT_INDEX)
		overlay_move_relation(overlay, relation, relation->nspname,
							  stmt->newname);
}

/* ALTER … SET SCHEMA */
static void
apply_set_schema(Overlay *overlay, Node *statement)
{
	AlterObjectSchemaStmt *stmt = castNode(AlterObjectSchemaStmt, statement);
	OverlayRelation *relation;

	if (stmt->relation != NULL)
	{
		relation = live_relation(overlay, stmt->relation);
		if (relation != NULL)
			move_to_schema(overlay, relation, stmt->newschema);
	}
	else if (stmt->objectType == OBJECT_TYPE ||
			 stmt->objectType == OBJECT_DOMAIN)
		overlay_move_type(overlay, castNode(List, stmt->object),
						  stmt->newschema, NULL);
}

/* Indexes and sequences go with the table. */
static void
move_to_schema(Overlay *overlay, OverlayRelation *relation,
			   const char *nspname)
{
	ListCell   *cell;

	overlay_load_owned(overlay, relation);
	overlay_move_relation(overlay, relation, nspname, relation->relname);
	foreach(cell, relation->owned)
	{
		OverlayRelation *owned = lfirst(cell);

		if (!owned->dropped)
			overlay_move_relation(overlay, owned, nspname, owned->relname);
	}
}

static void
apply_truncate(Overlay *overlay, Node *statement)
{
	TruncateStmt *stmt = castNode(TruncateStmt, statement);
	ListCell   *cell;

	foreach(cell, stmt->relations)
	{
		OverlayRelation *relation = live_relation(overlay, lfirst(cell));

		if (relation != NULL)
			relation->emptied = true;
	}
}

static void
apply_insert(Overlay *overlay, Node *statement)
{
	fill_relation(overlay, castNode(InsertStmt, statement)->relation);
}

/* A table that the script emptied has rows again. */
static void
fill_relation(Overlay *overlay, RangeVar *name)
{
	OverlayRelation *relation = name ? live_relation(overlay, name) : NULL;

	if (relation != NULL)
		relation->emptied = false;
}

/* COPY FROM */
static void
apply_copy(Overlay *overlay, Node *statement)
{
	CopyStmt   *stmt = castNode(CopyStmt, statement);

	if (stmt->is_from)
		fill_relation(overlay, stmt->relation);
}

static void
apply_merge(Overlay *overlay, Node *statement)
{
	fill_relation(overlay, castNode(MergeStmt, statement)->relation);
}

/* What is in an extension is known only when it is there. */
static void
apply_create_extension(Overlay *overlay, Node *statement)
{
	if (!OidIsValid(get_extension_oid(castNode(CreateExtensionStmt,
											   statement)->extname, true)))
		apply_opaque(overlay, statement);
}

/* What such a statement does is known only when it runs. */
static void
apply_opaque(Overlay *overlay, Node *statement)
{
	overlay->opaque_line = overlay->line;
	overlay->opaque_command = GetCommandTagName(CreateCommandTag(statement));
}
