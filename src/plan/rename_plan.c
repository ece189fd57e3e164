/*-------------------------------------------------------------------------
 *
 * rename_plan.c
 *	  A view under the old name of a table.
 *
 * Clients that use the old name go on, by a view that can be written to.  It
 * asks for the rights of whoever uses it, so that row security holds; and it
 * is made in the transaction of the RENAME, so that there always is one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "common/settings.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "plan/plan_text.h"
#include "plan/rename_plan.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* The privileges of a table that mean something for a view. */
static const struct
{
	AclMode		mode;
	const char *name;
}			view_privileges[] =

{
	{ACL_SELECT, "SELECT"},
	{ACL_INSERT, "INSERT"},
	{ACL_UPDATE, "UPDATE"},
	{ACL_DELETE, "DELETE"}
};

static void append_owner(StringInfo step, Oid relid, const char *view);
static void append_grants(StringInfo step, Oid relid, const char *view);
static void append_column_grants(StringInfo step, Oid relid,
								 const char *view);
static void append_acl(StringInfo step, Datum acl_datum, const char *column,
					   const char *view, Oid owner);
static void append_grant(StringInfo step, const AclItem *item,
						 const char *column, const char *view);

/*
 * See rename_plan.h.
 */
SafePlan *
plan_rename(RenameStmt *stmt)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	Oid			relid;
	char	   *old_name;
	char	   *new_name;
	StringInfoData step;

	if (!setting_rename_with_view || stmt->renameType != OBJECT_TABLE)
		return NULL;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) ||
		(get_rel_relkind(relid) != RELKIND_RELATION &&
		 get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE))
		return NULL;
	old_name = relation_display_name(relid);
	new_name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
										  stmt->newname);
	initStringInfo(&step);
	appendStringInfo(&step, "ALTER TABLE %s RENAME TO %s", old_name,
					 quote_identifier(stmt->newname));
	appendStringInfo(&step, "; CREATE VIEW %s WITH (security_invoker = true) AS SELECT * FROM %s",
					 old_name, new_name);
	append_owner(&step, relid, old_name);
	append_grants(&step, relid, old_name);
	append_column_grants(&step, relid, old_name);
	add_plan_step(plan, step.data, NULL);
	plan->quick_steps = -1;
	return plan;
}

static void
append_owner(StringInfo step, Oid relid, const char *view)
{
	Oid			owner = relation_owner(relid);

	if (owner != GetUserId())
		appendStringInfo(step, "; ALTER VIEW %s OWNER TO %s", view,
						 quote_identifier(GetUserNameFromId(owner, false)));
}

static void
append_grants(StringInfo step, Oid relid, const char *view)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Datum		acl;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return;
	acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
		append_acl(step, acl, NULL, view, relation_owner(relid));
	ReleaseSysCache(tuple);
}

static void
append_column_grants(StringInfo step, Oid relid, const char *view)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	int			count = RelationGetNumberOfAttributes(rel);

	relation_close(rel, NoLock);
	for (AttrNumber attnum = 1; attnum <= count; attnum++)
	{
		HeapTuple	tuple = SearchSysCacheAttNum(relid, attnum);
		Datum		acl;
		bool		isnull;

		/* not for a dropped column */
		if (!HeapTupleIsValid(tuple))
			continue;
		acl = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attacl, &isnull);
		if (!isnull)
			append_acl(step, acl,
					   NameStr(((Form_pg_attribute) GETSTRUCT(tuple))->attname),
					   view, relation_owner(relid));
		ReleaseSysCache(tuple);
	}
}

static void
append_acl(StringInfo step, Datum acl_datum, const char *column,
		   const char *view, Oid owner)
{
	Acl		   *acl = DatumGetAclP(acl_datum);

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		if (ACL_DAT(acl)[i].ai_grantee != owner)
			append_grant(step, &ACL_DAT(acl)[i], column, view);
	}
}

static void
append_grant(StringInfo step, const AclItem *item, const char *column,
			 const char *view)
{
	for (int i = 0; i < lengthof(view_privileges); i++)
	{
		AclMode		mode = view_privileges[i].mode;

		if ((ACLITEM_GET_PRIVS(*item) & mode) == 0)
			continue;
		appendStringInfo(step, "; GRANT %s", view_privileges[i].name);
		if (column != NULL)
			appendStringInfo(step, " (%s)", quote_identifier(column));
		appendStringInfo(step, " ON %s TO %s%s", view,
						 item->ai_grantee == ACL_ID_PUBLIC ? "PUBLIC" :
						 quote_identifier(GetUserNameFromId(item->ai_grantee,
															false)),
						 (ACLITEM_GET_GOPTIONS(*item) & mode) != 0 ?
						 " WITH GRANT OPTION" : "");
	}
}
