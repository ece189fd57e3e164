/*-------------------------------------------------------------------------
 *
 * ledger_target.c
 *	  The history of one of many schemas.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/compat.h"
#include "ledger/ledger.h"
#include "ledger/ledger_target.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

/*
 * See ledger_target.h.
 */
Datum
call_on_target(FunctionCallInfo fcinfo, int n, PGFunction work)
{
	char	   *before;
	Datum		result = (Datum) 0;

	if (PG_NARGS() <= n || PG_ARGISNULL(n))
		return work(fcinfo);
	before = pstrdup(ledger_target_schema());
	PG_TRY();
	{
		ledger_set_target_schema(text_to_cstring(PG_GETARG_TEXT_PP(n)));
		result = work(fcinfo);
	}
	PG_FINALLY();
	{
		ledger_set_target_schema(before);
	}
	PG_END_TRY();
	return result;
}

/*
 * See ledger_target.h.
 */
char *
target_call(const char *function, const char *version)
{
	const char *schema = ledger_target_schema();

	if (schema[0] == '\0')
		return psprintf("%s(%s)", function, quote_literal_cstr(version));
	return psprintf("%s(%s, %s)", function, quote_literal_cstr(version),
					quote_literal_cstr(schema));
}

/*
 * See ledger_target.h.
 */
void
require_target_schema(void)
{
	const char *schema = ledger_target_schema();
	Oid			oid = get_namespace_oid(schema, false);
	char	   *role = GetUserNameFromId(GetUserId(), false);

	if (!compat_may_use_namespace(oid, GetUserId()) ||
		!compat_may_create_in_namespace(oid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s: GRANT USAGE, CREATE ON SCHEMA %s TO %s",
						schema, quote_identifier(schema),
						quote_identifier(role))));
	if (ledger_outlives_schema(schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema %s is empty, but migrations are on record as applied to it: if it was made anew, SELECT migrate.forget_target(%s) first",
						schema, quote_literal_cstr(schema))));
}

/*
 * See ledger_target.h.
 */
void
enter_target_search_path(GucAction action)
{
	(void) set_config_option("search_path",
							 psprintf("%s, public",
									  quote_identifier(ledger_target_schema())),
							 PGC_USERSET, PGC_S_SESSION, action, true, 0,
							 false);
}
