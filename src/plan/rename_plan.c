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

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "common/settings.h"
#include "plan/plan_text.h"
#include "plan/rename_plan.h"
#include "plan/view_grants.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

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
	append_view_grants(&step, relid, old_name, NULL);
	add_plan_step(plan, step.data, NULL);
	plan->quick_steps = -1;
	return plan;
}
