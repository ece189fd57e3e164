/*-------------------------------------------------------------------------
 *
 * change_refusal.c
 *	  Statements that an unfinished change would not survive.
 *
 * What a change has left to do is text, and so are the expressions of its
 * trigger: with another name of what they use it would fail, and so would every
 * write of a client.  Without the trigger, or behind another one, the columns
 * would be out of step; and a new owner could not end what is not his.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "effects/describe.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "online/change.h"
#include "run/run.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* An unfinished change that was found, or id is NULL. */
typedef struct Found
{
	char	   *id;
	char	   *relation;
	char	   *object;			/* in words, where the query gives it */
} Found;

static void refuse_what_breaks(Node *statement);
static bool may_break(Node *statement);
static bool alters_owner_or_triggers(AlterTableStmt *alter);
static bool writes_rows(CreateTrigStmt *create);
static void check_rename(RenameStmt *rename);
static void check_new_schema(AlterObjectSchemaStmt *alter);
static void check_object(ObjectType type, Node *name);
static void check_relation(Oid relid);
static void check_column(const RangeVar *relation, Oid relid,
						 const char *column);
static void check_schema(const char *name);
static void check_extension(Oid extension);
static void check_trigger_name(Oid relid, const char *name,
							   const char *new_name);
static void check_new_trigger(CreateTrigStmt *create);
static void check_alter(AlterTableStmt *alter);
static void check_owner(Oid relid, RoleSpec *owner);
static void check_reassigned(ReassignOwnedStmt *reassign);
static void check_trigger_switch(Oid relid, bool below, const char *name);
static List *relations_above(Oid relid);
static List *relations_below(Oid relid, bool below);
static Found find_change(const char *query, OwnArguments *arguments);
static Found find_change_of(List *relids);
static void refuse_user(const ObjectAddress *object);
static void refuse_new_name(Found found);
static void refuse_new_owner(Found found);
static void refuse_late_trigger(Found found, const char *name);

#define UNFINISHED(object, joins) \
	"SELECT c.id::pg_catalog.text, c.relation, " object \
	" FROM migrate.change_log c " \
	"JOIN migrate.task_log t ON t.id OPERATOR(pg_catalog.=) c.id " joins \
	"WHERE c.contracted_at IS NULL " \
	"AND t.state OPERATOR(pg_catalog.<>) 'cancelled' " \
	"AND (t.state OPERATOR(pg_catalog.<>) 'done' " \
	"OR c.contract OPERATOR(pg_catalog.<>) '{}') AND "

#define WITH_TRIGGER \
	"JOIN pg_catalog.pg_trigger g ON g.tgname OPERATOR(pg_catalog.=) " \
	"pg_catalog.concat('~~~safe_migrate_change_', c.id)::pg_catalog.name "

/* What its expressions use; its own table is known by the change. */
#define WITH_USED \
	WITH_TRIGGER \
	"JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) " \
	"'pg_catalog.pg_trigger'::pg_catalog.regclass " \
	"AND d.objid OPERATOR(pg_catalog.=) g.oid " \
	"AND (d.refclassid OPERATOR(pg_catalog.<>) " \
	"'pg_catalog.pg_class'::pg_catalog.regclass " \
	"OR d.refobjid OPERATOR(pg_catalog.<>) g.tgrelid) "

/* BEFORE each row of INSERT or UPDATE */
#define WRITES_ROWS(trigger) \
	"(" trigger ".tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) 67) " \
	"OPERATOR(pg_catalog.=) 3 " \
	"AND (" trigger ".tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) 20) " \
	"OPERATOR(pg_catalog.<>) 0"

#define USED_OBJECT \
	"pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)"

/*
 * See change.h.
 */
void
register_change_refusal(void)
{
	register_statement_check(refuse_what_breaks);
}

static void
refuse_what_breaks(Node *statement)
{
	if (!may_break(statement) || !own_table_has_pages("change_log"))
		return;
	if (IsA(statement, RenameStmt))
		check_rename((RenameStmt *) statement);
	else if (IsA(statement, AlterObjectSchemaStmt))
		check_new_schema((AlterObjectSchemaStmt *) statement);
	else if (IsA(statement, AlterEnumStmt))
		check_object(OBJECT_TYPE,
					 (Node *) ((AlterEnumStmt *) statement)->typeName);
	else if (IsA(statement, CreateTrigStmt))
		check_new_trigger((CreateTrigStmt *) statement);
	else if (IsA(statement, AlterTableStmt))
		check_alter((AlterTableStmt *) statement);
	else if (IsA(statement, ReassignOwnedStmt))
		check_reassigned((ReassignOwnedStmt *) statement);
}

/* By the statement alone: most cost nothing here. */
static bool
may_break(Node *statement)
{
	if (IsA(statement, AlterTableStmt))
		return alters_owner_or_triggers((AlterTableStmt *) statement);
	if (IsA(statement, AlterEnumStmt))
		return ((AlterEnumStmt *) statement)->oldVal != NULL;
	if (IsA(statement, CreateTrigStmt))
		return writes_rows((CreateTrigStmt *) statement);
	return IsA(statement, RenameStmt) ||
		IsA(statement, AlterObjectSchemaStmt) ||
		IsA(statement, ReassignOwnedStmt);
}

static bool
alters_owner_or_triggers(AlterTableStmt *alter)
{
	ListCell   *cell;

	foreach(cell, alter->cmds)
	{
		AlterTableType type = lfirst_node(AlterTableCmd, cell)->subtype;

		if (type == AT_ChangeOwner || type == AT_EnableTrig ||
			type == AT_EnableReplicaTrig || type == AT_DisableTrig ||
			type == AT_EnableTrigAll || type == AT_DisableTrigAll ||
			type == AT_EnableTrigUser || type == AT_DisableTrigUser)
			return true;
	}
	return false;
}

static bool
writes_rows(CreateTrigStmt *create)
{
	return create->row && create->timing == TRIGGER_TYPE_BEFORE &&
		(create->events & (TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE)) != 0;
}

static void
check_rename(RenameStmt *rename)
{
	Oid			relid;

	if (rename->renameType == OBJECT_SCHEMA)
		check_schema(rename->subname);
	if (rename->relation == NULL)
	{
		check_object(rename->renameType, rename->object);
		return;
	}
	relid = RangeVarGetRelid(rename->relation, NoLock, true);
	if (!OidIsValid(relid))
		return;
	if (rename->renameType == OBJECT_COLUMN ||
		rename->renameType == OBJECT_ATTRIBUTE)
		check_column(rename->relation, relid, rename->subname);
	else if (rename->renameType == OBJECT_TRIGGER)
		check_trigger_name(relid, rename->subname, rename->newname);
	else if (rename->subname == NULL)
		check_relation(relid);
}

static void
check_new_schema(AlterObjectSchemaStmt *alter)
{
	Oid			relid;

	if (alter->relation == NULL)
	{
		check_object(alter->objectType, alter->object);
		return;
	}
	relid = RangeVarGetRelid(alter->relation, NoLock, true);
	if (OidIsValid(relid))
		check_relation(relid);
}

/* What an expression can name. */
static void
check_object(ObjectType type, Node *name)
{
	ObjectAddress address;
	Oid			relid;

	if (type == OBJECT_TYPE || type == OBJECT_DOMAIN)
		name = (Node *) makeTypeNameFromNameList(castNode(List, name));
	else if (type != OBJECT_FUNCTION && type != OBJECT_PROCEDURE &&
			 type != OBJECT_ROUTINE && type != OBJECT_AGGREGATE &&
			 type != OBJECT_OPERATOR && type != OBJECT_COLLATION &&
			 type != OBJECT_TSCONFIGURATION && type != OBJECT_TSDICTIONARY &&
			 type != OBJECT_EXTENSION)
		return;
	address = find_object(type, name, &relid);
	if (!OidIsValid(address.objectId))
		return;
	if (type == OBJECT_EXTENSION)
		check_extension(address.objectId);
	else
		refuse_user(&address);
}

/* It may be the table, a partition, or what an expression names. */
static void
check_relation(Oid relid)
{
	ObjectAddress address;

	refuse_new_name(find_change_of(relations_above(relid)));
	ObjectAddressSet(address, RelationRelationId, relid);
	refuse_user(&address);
	ObjectAddressSet(address, TypeRelationId, get_rel_type_id(relid));
	refuse_user(&address);
}

/* Columns are renamed in the whole tree. */
static void
check_column(const RangeVar *relation, Oid relid, const char *column)
{
	AttrNumber	attnum = get_attnum(relid, column);
	ObjectAddress address;

	refuse_new_name(find_change_of(list_concat(relations_above(relid),
											   relations_below(relid,
															   relation->inh))));
	if (attnum == InvalidAttrNumber)
		return;
	ObjectAddressSubSet(address, RelationRelationId, relid, attnum);
	refuse_user(&address);
}

static void
check_schema(const char *name)
{
	Oid			schema = get_namespace_oid(name, true);
	OwnArguments arguments = {0};
	ObjectAddress address;

	if (!OidIsValid(schema))
		return;
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(schema), false);
	refuse_new_name(find_change(UNFINISHED("NULL", "")
								"EXISTS (SELECT FROM pg_catalog.pg_class r "
								"WHERE r.relnamespace OPERATOR(pg_catalog.=) $1 "
								"AND (r.oid OPERATOR(pg_catalog.=) c.relid "
								"OR r.relispartition AND c.relid OPERATOR(pg_catalog.=) ANY "
								"(SELECT a.relid FROM pg_catalog.pg_partition_ancestors(r.oid) a))) "
								"ORDER BY c.id LIMIT 1",
								&arguments));
	ObjectAddressSet(address, NamespaceRelationId, schema);
	refuse_user(&address);

	memset(&arguments, 0, sizeof(arguments));
	add_own_text(&arguments, quote_identifier(name));
	refuse_new_name(find_change(UNFINISHED(USED_OBJECT, WITH_USED)
								"(pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0))"
								".schema OPERATOR(pg_catalog.=) $1 ORDER BY c.id LIMIT 1",
								&arguments));
}

/* SET SCHEMA moves its members. */
static void
check_extension(Oid extension)
{
	OwnArguments arguments = {0};

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(extension), false);
	refuse_new_name(find_change(UNFINISHED(USED_OBJECT, WITH_USED)
								"EXISTS (SELECT FROM pg_catalog.pg_depend m "
								"WHERE m.classid OPERATOR(pg_catalog.=) d.refclassid "
								"AND m.objid OPERATOR(pg_catalog.=) d.refobjid "
								"AND m.refclassid OPERATOR(pg_catalog.=) "
								"'pg_catalog.pg_extension'::pg_catalog.regclass "
								"AND m.refobjid OPERATOR(pg_catalog.=) $1 "
								"AND m.deptype OPERATOR(pg_catalog.=) 'e') ORDER BY c.id LIMIT 1",
								&arguments));
}

/* The contract drops ours by name, and ours has to be the last. */
static void
check_trigger_name(Oid relid, const char *name, const char *new_name)
{
	OwnArguments arguments = {0};

	add_own_oid_list(&arguments, relations_below(relid, true));
	add_own_text(&arguments, name);
	refuse_new_name(find_change(UNFINISHED("NULL", WITH_TRIGGER)
								"g.tgrelid OPERATOR(pg_catalog.=) ANY ($1) "
								"AND g.tgname OPERATOR(pg_catalog.=) $2::pg_catalog.name "
								"ORDER BY c.id LIMIT 1",
								&arguments));

	add_own_text(&arguments, new_name);
	refuse_late_trigger(find_change(UNFINISHED("NULL", WITH_TRIGGER)
									"g.tgname OPERATOR(pg_catalog.<) $3::pg_catalog.name "
									"AND EXISTS (SELECT FROM pg_catalog.pg_trigger o "
									"WHERE o.tgrelid OPERATOR(pg_catalog.=) ANY ($1) "
									"AND o.tgrelid OPERATOR(pg_catalog.=) g.tgrelid "
									"AND o.tgname OPERATOR(pg_catalog.=) $2::pg_catalog.name "
									"AND " WRITES_ROWS("o") ") ORDER BY c.id LIMIT 1",
									&arguments),
						new_name);
}

static void
check_new_trigger(CreateTrigStmt *create)
{
	Oid			relid = RangeVarGetRelid(create->relation, NoLock, true);
	OwnArguments arguments = {0};

	if (!OidIsValid(relid))
		return;
	add_own_oid_list(&arguments, relations_below(relid, true));
	add_own_text(&arguments, create->trigname);
	refuse_late_trigger(find_change(UNFINISHED("NULL", WITH_TRIGGER)
									"g.tgrelid OPERATOR(pg_catalog.=) ANY ($1) "
									"AND g.tgname OPERATOR(pg_catalog.<) $2::pg_catalog.name "
									"ORDER BY c.id LIMIT 1",
									&arguments),
						create->trigname);
}

/*
 * See change.h.  Those of ours do not count: what other changes write are other
 * columns, and what is kept for a restore point has to be the last word.
 */
void
refuse_late_triggers(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *trigger = NULL;
	Oid			relid = InvalidOid;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->id), false);
	add_own_oid_list(&arguments, relations_below(change->relid, true));
	run_own_query("SELECT o.tgname::pg_catalog.text, "
				  "o.tgrelid::pg_catalog.int8 FROM pg_catalog.pg_trigger g "
				  "JOIN pg_catalog.pg_trigger o "
				  "ON o.tgrelid OPERATOR(pg_catalog.=) g.tgrelid "
				  "AND o.tgname OPERATOR(pg_catalog.>) g.tgname "
				  "AND " WRITES_ROWS("o")
				  " JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) o.tgfoid "
				  "AND p.pronamespace OPERATOR(pg_catalog.<>) "
				  "'migrate'::pg_catalog.regnamespace::pg_catalog.oid"
				  " WHERE g.tgname OPERATOR(pg_catalog.=) "
				  "pg_catalog.concat('~~~safe_migrate_change_', $1)::pg_catalog.name "
				  "AND g.tgrelid OPERATOR(pg_catalog.=) ANY ($2) "
				  "ORDER BY 1, 2 LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		trigger = own_text_column(&access, 0, 1);
		relid = (Oid) own_bigint_column(0, 2);
	}
	end_own_access(&access);
	if (trigger != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("trigger %s of %s would write rows behind that of the change: ALTER TRIGGER %s ON %s RENAME TO a name that sorts before \"~\" first",
						quote_identifier(trigger), relation_display_name(relid),
						quote_identifier(trigger), relation_display_name(relid))));
}

/*
 * See change.h.
 */
void
tell_early_triggers(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	StringInfoData triggers;

	initStringInfo(&triggers);
	begin_own_access(&access);
	add_own_oid_list(&arguments, relations_below(change->relid, true));
	run_own_query("SELECT DISTINCT o.tgname::pg_catalog.text "
				  "FROM pg_catalog.pg_trigger o "
				  "JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) o.tgfoid "
				  "AND p.pronamespace OPERATOR(pg_catalog.<>) "
				  "'migrate'::pg_catalog.regnamespace::pg_catalog.oid "
				  "WHERE o.tgrelid OPERATOR(pg_catalog.=) ANY ($1) "
				  "AND o.tgenabled OPERATOR(pg_catalog.<>) 'D' "
				  "AND " WRITES_ROWS("o") " ORDER BY 1",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&triggers, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(own_text_column(&access, i, 1)));
	end_own_access(&access);
	if (triggers.len > 0)
		ereport(WARNING,
				(errmsg("triggers of %s fire before the columns are brought into step: %s",
						change->relation, triggers.data),
				 errhint("What a client writes into the new side alone, they find there, and not in the old one: have them look at both, or let clients write the new side only when the change is contracted.")));
}

/*
 * See change.h.  Without an index for its identity a row is looked up by all
 * columns, of which those that the publisher does not have count as null.
 */
void
refuse_subscribed_without_key(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	Oid			relid = InvalidOid;

	begin_own_access(&access);
	add_own_oid_list(&arguments, relations_below(change->relid, true));
	run_own_query("SELECT s.srrelid::pg_catalog.int8 "
				  "FROM pg_catalog.pg_subscription_rel s "
				  "WHERE s.srrelid OPERATOR(pg_catalog.=) ANY ($1) "
				  "AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i "
				  "WHERE i.indrelid OPERATOR(pg_catalog.=) s.srrelid "
				  "AND i.indisvalid AND (i.indisprimary OR i.indisreplident)) "
				  "ORDER BY 1 LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		relid = (Oid) own_bigint_column(0, 1);
	end_own_access(&access);
	if (OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a subscription finds rows of %s by all their columns, and would not find them with a new one: give it a primary key, or a replica identity index, first",
						relation_display_name(relid))));
}

static void
check_alter(AlterTableStmt *alter)
{
	Oid			relid = RangeVarGetRelid(alter->relation, NoLock, true);
	ListCell   *cell;

	if (!OidIsValid(relid))
		return;
	foreach(cell, alter->cmds)
	{
		AlterTableCmd *command = lfirst(cell);
		AlterTableType type = command->subtype;

		if (type == AT_ChangeOwner)
			check_owner(relid, command->newowner);
		else if (type == AT_EnableTrig || type == AT_EnableReplicaTrig ||
				 type == AT_DisableTrig)
			check_trigger_switch(relid, alter->relation->inh, command->name);
		else if (type == AT_EnableTrigAll || type == AT_DisableTrigAll ||
				 type == AT_EnableTrigUser || type == AT_DisableTrigUser)
			check_trigger_switch(relid, alter->relation->inh, NULL);
	}
}

/* All that a change has left to do is done with the rights of its owner. */
static void
check_owner(Oid relid, RoleSpec *owner)
{
	if (get_rolespec_oid(owner, true) != relation_owner(relid))
		refuse_new_owner(find_change_of(relations_above(relid)));
}

static void
check_reassigned(ReassignOwnedStmt *reassign)
{
	List	   *owners = NIL;
	OwnArguments arguments = {0};
	ListCell   *cell;

	foreach(cell, reassign->roles)
		owners = lappend_oid(owners, get_rolespec_oid(lfirst(cell), true));
	add_own_oid_list(&arguments, owners);
	refuse_new_owner(find_change(UNFINISHED("NULL", "")
								 "EXISTS (SELECT FROM pg_catalog.pg_class r "
								 "WHERE r.oid OPERATOR(pg_catalog.=) c.relid "
								 "AND r.relowner OPERATOR(pg_catalog.=) ANY ($1)) "
								 "ORDER BY c.id LIMIT 1",
								 &arguments));
}

/* One trigger, or, without a name, all of them. */
static void
check_trigger_switch(Oid relid, bool below, const char *name)
{
	OwnArguments arguments = {0};
	Found		found;

	add_own_oid_list(&arguments, relations_below(relid, below));
	add_own_text(&arguments, name);
	found = find_change(UNFINISHED("NULL", WITH_TRIGGER)
						"g.tgrelid OPERATOR(pg_catalog.=) ANY ($1) "
						"AND ($2 IS NULL "
						"OR g.tgname OPERATOR(pg_catalog.=) $2::pg_catalog.name) "
						"ORDER BY c.id LIMIT 1",
						&arguments);
	if (found.id == NULL)
		return;
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("one of the triggers of %s belongs to change %s: name the others one by one, or SELECT migrate.contract(%s) or migrate.cancel(%s) first",
						found.relation, found.id, found.id, found.id)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("trigger \"%s\" keeps the columns of %s in step: SELECT migrate.contract(%s) or migrate.cancel(%s) takes it away",
					name, found.relation, found.id, found.id)));
}

/* With the relation itself, as are those below. */
static List *
relations_above(Oid relid)
{
	List	   *relids = list_make1_oid(relid);

	if (get_rel_relispartition(relid))
		relids = list_concat(relids, get_partition_ancestors(relid));
	return relids;
}

static List *
relations_below(Oid relid, bool below)
{
	return below ? find_all_inheritors(relid, NoLock, NULL) :
		list_make1_oid(relid);
}

static Found
find_change_of(List *relids)
{
	OwnArguments arguments = {0};

	add_own_oid_list(&arguments, relids);
	return find_change(UNFINISHED("NULL", "")
					   "c.relid OPERATOR(pg_catalog.=) ANY ($1) ORDER BY c.id LIMIT 1",
					   &arguments);
}

static Found
find_change(const char *query, OwnArguments *arguments)
{
	OwnAccess	access;
	Found		found = {0};

	begin_own_access(&access);
	run_own_query(query, arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		found.id = own_text_column(&access, 0, 1);
		found.relation = own_text_column(&access, 0, 2);
		found.object = own_text_column(&access, 0, 3);
	}
	end_own_access(&access);
	return found;
}

/* The trigger of a change has an expression that uses it. */
static void
refuse_user(const ObjectAddress *object)
{
	OwnArguments arguments = {0};

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(object->classId),
					 false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(object->objectId),
					 false);
	add_own_argument(&arguments, INT4OID,
					 Int32GetDatum(object->objectSubId), false);
	refuse_new_name(find_change(UNFINISHED(USED_OBJECT, WITH_USED)
								"d.refclassid OPERATOR(pg_catalog.=) $1 "
								"AND d.refobjid OPERATOR(pg_catalog.=) $2 "
								"AND d.refobjsubid OPERATOR(pg_catalog.=) $3 "
								"ORDER BY c.id LIMIT 1",
								&arguments));
}

static void
refuse_new_name(Found found)
{
	if (found.id == NULL)
		return;
	if (found.object != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("%s is used by change %s of %s: no new name before SELECT migrate.contract(%s) or migrate.cancel(%s)",
						found.object, found.id, found.relation, found.id,
						found.id)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("%s is being changed online, by change %s: no new name before SELECT migrate.contract(%s) or migrate.cancel(%s)",
					found.relation, found.id, found.id, found.id)));
}

static void
refuse_new_owner(Found found)
{
	if (found.id != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("%s is being changed online, by change %s: no new owner before SELECT migrate.contract(%s) or migrate.cancel(%s)",
						found.relation, found.id, found.id, found.id)));
}

static void
refuse_late_trigger(Found found, const char *name)
{
	if (found.id != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("trigger \"%s\" would write rows behind that of change %s of %s: choose a name that sorts before \"~\", or SELECT migrate.contract(%s) or migrate.cancel(%s) first",
						name, found.id, found.relation, found.id, found.id)));
}

/*
 * See change.h.
 */
void
refuse_beside_other_changes(Oid relid, const char *kind)
{
	OwnArguments arguments = {0};
	Found		found;

	if (!own_table_has_pages("change_log"))
		return;

	/* steps of a change name the partitions */
	if (strcmp(kind, "rename_table") == 0)
		found = find_change_of(relations_above(relid));
	else
	{
		add_own_oid_list(&arguments, relations_below(relid, true));
		found = find_change(UNFINISHED("NULL", "")
							"c.relid OPERATOR(pg_catalog.=) ANY ($1) "
							"AND c.kind OPERATOR(pg_catalog.=) 'rename_table' ORDER BY c.id LIMIT 1",
							&arguments);
	}
	if (found.id != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("%s is being changed online, by change %s: SELECT migrate.contract(%s) or migrate.cancel(%s) first",
						found.relation, found.id, found.id, found.id)));
}
