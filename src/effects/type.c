/*-------------------------------------------------------------------------
 *
 * type.c
 *	  Effects of ALTER TYPE and ALTER DOMAIN, and of statements that only
 *	  running would tell.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static bool domain_reads_tables(AlterDomainStmt *stmt);
static bool domain_has_it_already(AlterDomainStmt *stmt, Oid domain);
static bool domain_constraint_is_valid(Oid domain, const char *name);
static void describe_dropped_attribute(AlterTableCmd *command, Oid relid,
									   EffectContext *context);
static void describe_attribute(AlterTableCmd *command, RelationFacts *table,
							   EffectContext *context);

/*
 * ALTER DOMAIN ADD CONSTRAINT, SET NOT NULL and VALIDATE read every table that
 * uses the domain, under a lock that its writers wait for.
 */
void
describe_alter_domain(Node *statement, EffectContext *context)
{
	AlterDomainStmt *stmt = castNode(AlterDomainStmt, statement);
	Oid			domain;
	ListCell   *cell;

	if (!domain_reads_tables(stmt))
		return;
	domain = LookupTypeNameOid(NULL, makeTypeNameFromNameList(stmt->typeName),
							   true);
	if (!OidIsValid(domain) || domain_has_it_already(stmt, domain))
		return;
	foreach(cell, relations_with_type(domain))
	{
		RelationFacts *facts = relation_facts(lfirst_oid(cell), context);
		Effect	   *effect;

		/* the partitions of a partitioned table come by themselves */
		if (facts == NULL || (facts->relkind != RELKIND_RELATION &&
							  facts->relkind != RELKIND_MATVIEW))
			continue;
		effect = add_effect(context, CAUSE_ALTER_DOMAIN, facts, ShareLock);
		effect->object = quoted_name(stmt->name);
		set_work(effect, WORK_SCAN, "every value of the domain is checked");
	}
}

/* The letters are those of AlterDomainStmt.subtype. */
static bool
domain_reads_tables(AlterDomainStmt *stmt)
{
	switch (stmt->subtype)
	{
		case 'O':				/* SET NOT NULL */
		case 'V':				/* VALIDATE CONSTRAINT */
			return true;
		case 'C':				/* ADD CONSTRAINT */
			return stmt->def != NULL && IsA(stmt->def, Constraint) &&
				!((Constraint *) stmt->def)->skip_validation;
		default:				/* SET/DROP DEFAULT, DROP NOT NULL, DROP
								 * CONSTRAINT */
			return false;
	}
}

/*
 * NOT NULL that is there already is nothing but a look; before 19, VALIDATE
 * reads the tables again though the constraint is valid.
 */
static bool
domain_has_it_already(AlterDomainStmt *stmt, Oid domain)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	bool		not_null;

	if (!HeapTupleIsValid(tuple))
		return true;
	not_null = ((Form_pg_type) GETSTRUCT(tuple))->typnotnull;
	ReleaseSysCache(tuple);
	if (stmt->subtype == 'V')
		return COMPAT_DOMAIN_VALIDATES_ONCE &&
			domain_constraint_is_valid(domain, stmt->name);
	return not_null &&
		(stmt->subtype == 'O' ||
		 (stmt->subtype == 'C' &&
		  ((Constraint *) stmt->def)->contype == CONSTR_NOTNULL));
}

static bool
domain_constraint_is_valid(Oid domain, const char *name)
{
	Oid			constraint = get_domain_constraint_oid(domain, name, true);
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	bool		valid;

	if (!HeapTupleIsValid(tuple))
		return false;
	valid = ((Form_pg_constraint) GETSTRUCT(tuple))->convalidated;
	ReleaseSysCache(tuple);
	return valid;
}

/*
 * ALTER TYPE ... RENAME VALUE: clients that send the old label fail.  A value
 * that is added stays, if a row has it.
 */
void
describe_alter_enum(Node *statement, EffectContext *context)
{
	AlterEnumStmt *stmt = castNode(AlterEnumStmt, statement);
	Oid			type;
	ListCell   *cell;

	if (stmt->oldVal == NULL)
	{
		add_irreversible(context, NULL,
						 psprintf("type %s without the value '%s', once that is used",
								  NameListToQuotedString(stmt->typeName),
								  stmt->newVal));
		return;
	}
	type = LookupTypeNameOid(NULL, makeTypeNameFromNameList(stmt->typeName),
							 true);
	if (!OidIsValid(type))
		return;
	foreach(cell, relations_with_type(type))
	{
		RelationFacts *facts = relation_facts(lfirst_oid(cell), context);
		Effect	   *effect;

		if (facts == NULL)
			continue;
		effect = add_effect(context, CAUSE_RENAME_OBJECT, facts, NoLock);
		effect->object = psprintf("enum value \"%s\"", stmt->oldVal);
		set_risk(effect, RISK_BREAKS_CLIENTS);
	}
}

/*
 * ALTER TYPE of a composite type: with CASCADE the typed tables follow, as if
 * it was said of them.
 */
void
describe_alter_composite(AlterTableStmt *stmt, EffectContext *context)
{
	Oid			type;
	ListCell   *cell;
	ListCell   *inner;

	type = LookupTypeNameOid(NULL,
							 makeTypeNameFromNameList(name_of_relation(stmt->relation)),
							 true);
	if (!OidIsValid(type))
		return;
	add_lock_on(context, get_typ_typrelid(type), AccessExclusiveLock);
	foreach(cell, stmt->cmds)
		describe_dropped_attribute(lfirst_node(AlterTableCmd, cell),
								   get_typ_typrelid(type), context);
	foreach(cell, tables_of_type(type))
	{
		RelationFacts *facts = relation_facts(lfirst_oid(cell), context);

		if (facts == NULL)
			continue;
		foreach(inner, stmt->cmds)
			describe_attribute(lfirst_node(AlterTableCmd, inner), facts,
							   context);
	}
}

/* What depends on an attribute, such as a CHECK on a column of the type. */
static void
describe_dropped_attribute(AlterTableCmd *command, Oid relid,
						   EffectContext *context)
{
	ObjectAddress root;
	AttrNumber	attnum;

	if (command->subtype != AT_DropColumn || !OidIsValid(relid))
		return;
	attnum = get_attnum(relid, command->name);
	if (attnum == InvalidAttrNumber)
		return;
	ObjectAddressSubSet(root, RelationRelationId, relid, attnum);
	add_deletion(&root, command->behavior == DROP_CASCADE, context);
}

static void
describe_attribute(AlterTableCmd *command, RelationFacts *table,
				   EffectContext *context)
{
	AlterContext alter = {0};
	Effect	   *effect;
	ListCell   *cell;

	/* PostgreSQL refuses it while there are such tables */
	if (command->behavior != DROP_CASCADE)
		return;
	alter.effects = context;
	alter.relation = table;
	alter.lockmode = AccessExclusiveLock;
	alter.command = command;
	alter.subcommand = -1;
	alter.statement = makeNode(AlterTableStmt);
	alter.statement->relation = makeRangeVar(NULL, NULL, -1);
	alter.statement->cmds = list_make1(command);
	alter.only = false;
	alter.below = true;
	if (command->subtype == AT_AlterColumnType)
	{
		int			before = list_length(context->effects);

		describe_column_type(&alter);
		for_each_from(cell, context->effects, before)
		{
			effect = lfirst(cell);
			if (effect->cause == CAUSE_ALTER_COLUMN_TYPE)
				effect->cause = CAUSE_ALTER_TYPE;
		}
	}
	else if (command->subtype == AT_DropColumn)
		describe_drop_column(&alter);
	add_lock(context, table, AccessExclusiveLock, true);
}

/* OIDs of the tables made OF a composite type. */
List *
tables_of_type(Oid type)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *relids = NIL;

	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->reloftype == type)
			relids = lappend_oid(relids, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relids;
}

/* The name of a relation as a list of strings, as types are looked up. */
List *
name_of_relation(const RangeVar *relation)
{
	if (relation->schemaname == NULL)
		return list_make1(makeString(relation->relname));
	return list_make2(makeString(relation->schemaname),
					  makeString(relation->relname));
}

/*
 * DO and CALL may run anything.  The statements inside are judged when they
 * run; when a script is only checked, all that can be said is that.
 */
void
describe_opaque(Node *statement, EffectContext *context)
{
	if (context->overlay != NULL)
		set_work(add_effect(context, CAUSE_OPAQUE, NULL, NoLock),
				 WORK_UNKNOWN, "only running it would tell what it does");
}
