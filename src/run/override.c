/*-------------------------------------------------------------------------
 *
 * override.c
 *	  The reason to let a statement pass, and how long it holds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_parameter_acl.h"
#include "common/script.h"
#include "common/settings.h"
#include "miscadmin.h"
#include "run/judge.h"
#include "run/override.h"
#include "utils/acl.h"
#include "utils/guc.h"

/* A statement was judged in this transaction: its override ends with it. */
static bool override_was_due = false;

static void end_override(XactEvent event, void *arg);

/*
 * See override.h.
 */
char *
override_reason(PlannedStmt *pstmt, const char *query_string)
{
	const char *refused;
	const char *reason = find_valid_override(pstmt, query_string, &refused);

	return reason != NULL ? pstrdup(reason) : NULL;
}

/*
 * See override.h.
 */
const char *
find_valid_override(PlannedStmt *pstmt, const char *query_string,
					const char **refused)
{
	char	   *reason;

	if (setting_override != NULL && setting_override[0] != '\0' &&
		!override_is_spent)
	{
		if (setting_override[strspn(setting_override, " \t\n\r\f\v")] != '\0')
			return setting_override;
		*refused = "The setting safe_migrate.override was ignored, because it gives no reason.";
	}
	reason = find_directive(statement_source(pstmt, query_string), "override");
	if (reason == NULL)
		return NULL;
	if (reason[0] == '\0')
		*refused = "The override comment was ignored, because it gives no reason.";
	else if (pg_parameter_aclcheck(OVERRIDE_SETTING, GetUserId(),
								   ACL_SET) != ACLCHECK_OK)
		*refused = "The override comment was ignored, because the role may not set safe_migrate.override.";
	else
		return reason;
	return NULL;
}

/*
 * See override.h.
 */
void
use_override(void)
{
	override_was_due = true;
}

/*
 * See override.h.
 */
void
register_override_callback(void)
{
	RegisterXactCallback(end_override, NULL);
}

/*
 * An override holds for one transaction: a block, or a single statement
 * outside of one.  SET LOCAL ends by itself; SET is taken back here.
 */
static void
end_override(XactEvent event, void *arg)
{
	if (!override_was_due)
		return;
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
	{
		if (setting_override != NULL && setting_override[0] != '\0')
			SetConfigOption(OVERRIDE_SETTING, "", PGC_SUSET, PGC_S_SESSION);
	}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		override_was_due = false;
	else if (event == XACT_EVENT_ABORT)
	{
		/* a setting made here would be taken back with the transaction */
		override_is_spent = true;
		override_was_due = false;
	}
}
