/*-------------------------------------------------------------------------
 *
 * traits.c
 *	  The table of statements that have traits, and what they are about.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "effects/ddl.h"
#include "effects/ledgers.h"
#include "effects/overlay.h"
#include "effects/trait_context.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

typedef void (*TraitFunction) (TraitContext *context);

typedef struct TraitDescriber
{
	NodeTag		tag;
	TraitFunction describe;
} TraitDescriber;

static void look_at_create_table(TraitContext *context);
static void look_at_create_table_as(TraitContext *context);
static void look_at_alter_table(TraitContext *context);
static void look_at_create_index(TraitContext *context);
static void look_at_rename(TraitContext *context);
static void look_at_drop(TraitContext *context);
static void look_at_alter_enum(TraitContext *context);

static const TraitDescriber describers[] =
{
	{T_AlterTableStmt, look_at_alter_table},
	{T_IndexStmt, look_at_create_index},
	{T_CreateStmt, look_at_create_table},
	{T_CreateTableAsStmt, look_at_create_table_as},
	{T_RenameStmt, look_at_rename},
	{T_DropStmt, look_at_drop},
	{T_AlterEnumStmt, look_at_alter_enum},
};

static TraitFunction describer_of(Node *statement);
static bool begin_new_table(TraitContext *context, RangeVar *relation,
							char relkind);
static bool begin_table(TraitContext *context, RangeVar *relation,
						TargetPermission permission);
static void collect_element(TraitContext *context, Node *element);
static void collect_column(TraitContext *context, ColumnDef *definition,
						   const char *name, bool is_new);
static void collect_subcommand(TraitContext *context, AlterTableCmd *command);
static bool column_is_there(TraitContext *context, const char *name);
static void demand_if_exists(TraitContext *context, AlterTableCmd *command);

/*
 * See traits.h.
 */
bool
statement_has_traits(Node *statement)
{
	return statement != NULL &&
		(describer_of(statement) != NULL ||
		 statement_changes_schema(statement));
}

/*
 * See traits.h.
 */
List *
describe_traits(Node *statement, const TraitSource *source, const bool *wanted)
{
	TraitContext context = {0};
	TraitFunction describe = describer_of(statement);

	context.source = source;
	context.wanted = wanted;
	context.statement = statement;
	if (describe != NULL)
		describe(&context);
	if (context.relation != NULL && wanted[TRAIT_LONG_IDENTIFIER])
		look_at_long_identifiers(&context);
	look_at_transaction(&context);
	look_at_origin(&context);
	return context.traits;
}

static TraitFunction
describer_of(Node *statement)
{
	for (int i = 0; i < lengthof(describers); i++)
		if (describers[i].tag == nodeTag(statement))
			return describers[i].describe;
	return NULL;
}

/*
 * See trait_context.h.
 */
Trait *
add_trait(TraitContext *context, TraitKind kind, const char *name,
		  int location, const char *format,...)
{
	Trait	   *trait;
	StringInfoData detail;

	if (!context->wanted[kind])
		return NULL;
	initStringInfo(&detail);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&detail, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&detail, needed);
	}

	trait = palloc0(sizeof(Trait));
	trait->kind = kind;
	trait->relation = context->relation;
	trait->nspname = context->nspname;
	trait->relname = context->relname;
	trait->object = quoted_name(name);
	trait->detail = detail.data;
	trait->location = location;
	context->traits = lappend(context->traits, trait);
	return trait;
}

/*
 * The statement makes a table.  False if it is to be left alone: a temporary
 * one, one of a migration tool, or one that is there already.
 */
static bool
begin_new_table(TraitContext *context, RangeVar *relation, char relkind)
{
	struct Overlay *overlay = context->source->effects->overlay;
	Oid			namespace_oid;

	if (relation == NULL || relation->relpersistence == RELPERSISTENCE_TEMP ||
		(relation->schemaname != NULL &&
		 strcmp(relation->schemaname, "pg_temp") == 0))
		return false;
	if (overlay != NULL)
		context->nspname = overlay_creation_schema(overlay, relation);
	else
	{
		namespace_oid = RangeVarGetCreationNamespace(relation);
		if (isTempNamespace(namespace_oid) ||
			OidIsValid(get_relname_relid(relation->relname, namespace_oid)))
			return false;
		context->nspname = get_namespace_name(namespace_oid);
	}
	context->relname = relation->relname;
	context->written = relation;
	context->relation = palloc0(sizeof(RelationFacts));
	context->relation->name = quote_qualified_identifier(context->nspname,
														 context->relname);
	context->relation->relkind = relkind;
	context->relation->is_new = true;
	context->relation->measured = true;
	return true;
}

/* The same for a statement about a relation that is there. */
static bool
begin_table(TraitContext *context, RangeVar *relation,
			TargetPermission permission)
{
	RelationFacts *facts = target_relation(relation, permission,
										   context->source->effects);

	if (facts == NULL || facts->is_temp || facts->is_protected)
		return false;
	context->written = relation;
	set_trait_relation(context, facts);
	return true;
}

/*
 * See trait_context.h.
 */
void
set_trait_relation(TraitContext *context, RelationFacts *facts)
{
	context->relation = facts;
	if (facts->overlay != NULL)
	{
		context->nspname = facts->overlay->nspname;
		context->relname = facts->overlay->relname;
		return;
	}
	context->nspname = get_namespace_name(get_rel_namespace(facts->relid));
	context->relname = get_rel_name(facts->relid);
}

static void
look_at_create_table(TraitContext *context)
{
	CreateStmt *stmt = castNode(CreateStmt, context->statement);
	ListCell   *cell;

	if (creates_runner_ledger(stmt) ||
		!begin_new_table(context, stmt->relation,
						 stmt->partspec ? RELKIND_PARTITIONED_TABLE :
						 RELKIND_RELATION))
		return;
	foreach(cell, stmt->tableElts)
		collect_element(context, lfirst(cell));
	if (!stmt->if_not_exists)
		add_trait(context, TRAIT_NO_IF_EXISTS, NULL, stmt->relation->location,
				  "is created without IF NOT EXISTS");
	look_at_names(context);
	look_at_new_table(context);
	look_at_columns(context);
	look_at_primary_key(context);
	look_at_foreign_keys(context);
	look_at_key_indexes(context);
}

/* CREATE TABLE AS, SELECT INTO: the columns are not written down. */
static void
look_at_create_table_as(TraitContext *context)
{
	CreateTableAsStmt *stmt = castNode(CreateTableAsStmt, context->statement);

	if (stmt->into == NULL || stmt->objtype != OBJECT_TABLE ||
		!begin_new_table(context, stmt->into->rel, RELKIND_RELATION))
		return;
	if (stmt->into->rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		add_trait(context, TRAIT_UNLOGGED, NULL, stmt->into->rel->location,
				  "is made unlogged");
	look_at_names(context);
}

static void
look_at_alter_table(TraitContext *context)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, context->statement);
	ListCell   *cell;

	if (stmt->objtype != OBJECT_TABLE ||
		!begin_table(context, stmt->relation, PERMISSION_OWNER) ||
		(context->relation->relkind != RELKIND_RELATION &&
		 context->relation->relkind != RELKIND_PARTITIONED_TABLE))
		return;
	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		collect_subcommand(context, command);
		demand_if_exists(context, command);
		if (command->subtype == AT_SetUnLogged)
			add_trait(context, TRAIT_UNLOGGED, NULL, -1, "is made unlogged");
	}
	look_at_names(context);
	look_at_table_width(context);
	look_at_columns(context);
	look_at_primary_key(context);
	look_at_foreign_keys(context);
	look_at_key_indexes(context);
}

static void
collect_subcommand(TraitContext *context, AlterTableCmd *command)
{
	if (command->subtype == AT_AddColumn && command->def != NULL)
	{
		ColumnDef  *definition = castNode(ColumnDef, command->def);

		if (!command->missing_ok ||
			!column_is_there(context, definition->colname))
			collect_element(context, command->def);
	}
	else if (command->subtype == AT_AlterColumnType && command->def != NULL)
		collect_column(context, castNode(ColumnDef, command->def),
					   command->name, false);
	else if (command->subtype == AT_AddConstraint && command->def != NULL)
		collect_element(context, command->def);
}

static bool
column_is_there(TraitContext *context, const char *name)
{
	OverlayColumn *column = NULL;

	if (context->relation->overlay != NULL)
		column = overlay_find_column(context->relation->overlay, name);
	if (column != NULL)
		return !column->dropped;
	return OidIsValid(context->relation->relid) &&
		get_attnum(context->relation->relid, name) != InvalidAttrNumber;
}

/* A column or constraint of CREATE TABLE or of a sub-command of ALTER TABLE. */
static void
collect_element(TraitContext *context, Node *element)
{
	WrittenConstraint *written;
	ColumnDef  *definition;
	ListCell   *cell;

	if (IsA(element, Constraint))
	{
		written = palloc0(sizeof(WrittenConstraint));
		written->constraint = (Constraint *) element;
		context->constraints = lappend(context->constraints, written);
	}
	if (!IsA(element, ColumnDef))
		return;
	definition = (ColumnDef *) element;
	collect_column(context, definition, definition->colname, true);
	foreach(cell, definition->constraints)
	{
		written = palloc0(sizeof(WrittenConstraint));
		written->constraint = lfirst_node(Constraint, cell);
		written->column = definition->colname;
		context->constraints = lappend(context->constraints, written);
	}
}

static void
collect_column(TraitContext *context, ColumnDef *definition,
			   const char *name, bool is_new)
{
	WrittenColumn *written = palloc0(sizeof(WrittenColumn));

	if (name == NULL)
		return;
	written->name = name;
	written->type_name = definition->typeName;
	written->is_new = is_new && definition->typeName != NULL;
	written->location = definition->location;
	context->columns = lappend(context->columns, written);
}

/*
 * See trait_context.h.
 */
List *
written_keys(const WrittenConstraint *written)
{
	const Constraint *constraint = written->constraint;
	List	   *strings = constraint->contype == CONSTR_FOREIGN ?
	constraint->fk_attrs : constraint->keys;
	List	   *names = NIL;
	ListCell   *cell;

	if (written->column != NULL)
		return list_make1(unconstify(char *, written->column));
	foreach(cell, strings)
		names = lappend(names, strVal(lfirst(cell)));
	return names;
}

/* A statement that may be sent twice says what is to happen then. */
static void
demand_if_exists(TraitContext *context, AlterTableCmd *command)
{
	if (command->missing_ok)
		return;
	if (command->subtype == AT_AddColumn && command->def != NULL)
	{
		ColumnDef  *definition = castNode(ColumnDef, command->def);

		add_trait(context, TRAIT_NO_IF_EXISTS, definition->colname,
				  definition->location, "is added without IF NOT EXISTS");
	}
	else if (command->subtype == AT_DropColumn ||
			 command->subtype == AT_DropConstraint)
		add_trait(context, TRAIT_NO_IF_EXISTS, command->name, -1,
				  "is dropped without IF EXISTS");
}

static void
look_at_create_index(TraitContext *context)
{
	IndexStmt  *stmt = castNode(IndexStmt, context->statement);

	if (!begin_table(context, stmt->relation, PERMISSION_OWNER))
		return;
	if (stmt->idxname != NULL && OidIsValid(context->relation->relid) &&
		context->relation->overlay == NULL &&
		OidIsValid(get_relname_relid(stmt->idxname,
									 get_rel_namespace(context->relation->relid))))
		return;

	/*
	 * IF NOT EXISTS takes the invalid index that a failed CONCURRENTLY leaves
	 * for a good one, so it is not asked for there.
	 */
	if (!stmt->if_not_exists && !stmt->concurrent)
		add_trait(context, TRAIT_NO_IF_EXISTS, stmt->idxname,
				  stmt->relation->location, "is created without IF NOT EXISTS");
	look_at_names(context);
	look_at_new_index(context);
}

static void
look_at_rename(TraitContext *context)
{
	RenameStmt *stmt = castNode(RenameStmt, context->statement);

	if (stmt->relation == NULL ||
		!begin_table(context, stmt->relation, PERMISSION_OWNER))
		return;
	look_at_names(context);
}

static void
look_at_drop(TraitContext *context)
{
	DropStmt   *stmt = castNode(DropStmt, context->statement);
	ListCell   *cell;

	if (stmt->removeType != OBJECT_TABLE && stmt->removeType != OBJECT_INDEX &&
		stmt->removeType != OBJECT_VIEW &&
		stmt->removeType != OBJECT_SEQUENCE &&
		stmt->removeType != OBJECT_MATVIEW)
		return;
	foreach(cell, stmt->objects)
	{
		RangeVar   *relation = makeRangeVarFromNameList(castNode(List,
																 lfirst(cell)));

		if (!begin_table(context, relation, PERMISSION_DROP))
			continue;
		look_at_names(context);
		if (!stmt->missing_ok)
			add_trait(context, TRAIT_NO_IF_EXISTS, NULL, -1,
					  "is dropped without IF EXISTS");
	}
}

static void
look_at_alter_enum(TraitContext *context)
{
	AlterEnumStmt *stmt = castNode(AlterEnumStmt, context->statement);

	/* with an old value it is RENAME VALUE */
	if (stmt->oldVal != NULL || stmt->newVal == NULL)
		return;
	if (stmt->newValNeighbor == NULL)
		add_trait(context, TRAIT_ENUM_POSITION, stmt->newVal, -1,
				  "is added to %s without BEFORE or AFTER",
				  NameListToString(stmt->typeName));
	if (!stmt->skipIfNewValExists)
		add_trait(context, TRAIT_NO_IF_EXISTS, stmt->newVal, -1,
				  "is added to %s without IF NOT EXISTS",
				  NameListToString(stmt->typeName));
}
