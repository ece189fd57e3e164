/*-------------------------------------------------------------------------
 *
 * refusal.c
 *	  What must not be done while restore points are there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "common/settings.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "preserve/point.h"
#include "preserve/refusal.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static post_parse_analyze_hook_type next_post_parse_analyze = NULL;

static bool drops_our_extension(Node *statement);
static bool is_named(List *names, const char *name);
static bool names_our_owner(List *roles);
static char *kept_in_words(void);
static void refuse_query(ParseState *pstate, Query *query,
						 COMPAT_CONST_JUMBLE JumbleState *jumble);

/*
 * See refusal.h.
 */
void
refuse_to_lose_restore_points(Node *statement)
{
	char	   *kept;

	if ((!IsA(statement, DropStmt) && !IsA(statement, DropOwnedStmt)) ||
		setting_restoring || IsAbortedTransactionBlockState() ||
		!IsTransactionState() || RecoveryInProgress() ||
		!drops_our_extension(statement) || !restore_points_may_exist() ||
		!has_privs_of_role(GetUserId(), migrate_extension_owner()))
		return;
	kept = kept_in_words();
	if (kept != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("extension %s has %s, which would be lost: SELECT migrate.drop_all_restore_points() first",
						MIGRATE_EXTENSION, kept)));
}

static bool
drops_our_extension(Node *statement)
{
	DropStmt   *drop;
	const char *name = NULL;

	if (IsA(statement, DropOwnedStmt))
		return extension_is_created() &&
			names_our_owner(((DropOwnedStmt *) statement)->roles);
	drop = (DropStmt *) statement;
	if (drop->removeType == OBJECT_EXTENSION)
		name = MIGRATE_EXTENSION;
	else if (drop->removeType == OBJECT_SCHEMA)
		name = MIGRATE_SCHEMA;
	return name != NULL && is_named(drop->objects, name) &&
		extension_is_created();
}

static bool
is_named(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(strVal(lfirst(cell)), name) == 0)
			return true;
	}
	return false;
}

static bool
names_our_owner(List *roles)
{
	ListCell   *cell;

	foreach(cell, roles)
	{
		if (get_rolespec_oid(lfirst(cell), true) == migrate_extension_owner())
			return true;
	}
	return false;
}

/* NULL if there is nothing. */
static char *
kept_in_words(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *words;

	begin_own_access(&access);
	run_own_query("SELECT pg_catalog.concat_ws(', ', "
				  "(SELECT pg_catalog.format('restore points (%s)', "
				  "pg_catalog.string_agg(p.label, ', ' ORDER BY p.id)) "
				  "FROM migrate.restore_point_data p "
				  "HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0), "
				  "(SELECT 'parked files: ' OPERATOR(pg_catalog.||) "
				  "pg_catalog.count(*) FROM migrate.parked_storage "
				  "HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0), "
				  "(SELECT 'migrations whose rows are kept: ' "
				  "OPERATOR(pg_catalog.||) pg_catalog.count(*) "
				  "FROM migrate.changed_rows "
				  "HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0), "
				  "(SELECT pg_catalog.format('triggers for dropped columns (on %s)', "
				  "pg_catalog.string_agg(t.tgrelid::pg_catalog.regclass::pg_catalog.text, "
				  "', ' ORDER BY t.tgrelid)) FROM pg_catalog.pg_trigger t "
				  "WHERE t.tgfoid OPERATOR(pg_catalog.=) "
				  "'migrate.carry_dropped_columns()'::pg_catalog.regprocedure "
				  "HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0))",
				  &arguments, SPI_OK_SELECT);
	words = own_text_column(&access, 0, 1);
	end_own_access(&access);
	return words[0] != '\0' ? words : NULL;
}

/*
 * See refusal.h.
 */
void
install_upgrade_refusal(void)
{
	next_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = refuse_query;
}

/* Looks once in a session; without SQL, which would come back here. */
static void
refuse_query(ParseState *pstate, Query *query,
			 COMPAT_CONST_JUMBLE JumbleState *jumble)
{
	static bool has_looked = false;

	if (!has_looked && IsTransactionState() && OidIsValid(MyDatabaseId))
	{
		if (restore_data_exists())
			ereport(ERROR,
					(errcode(ERRCODE_SM_CANNOT_UNDO),
					 errmsg("database \"%s\" has restore points of safe_migrate, which another version of PostgreSQL cannot use: in it, SELECT migrate.drop_all_restore_points() before pg_upgrade",
							get_database_name(MyDatabaseId))));
		has_looked = true;
	}
	if (next_post_parse_analyze != NULL)
		next_post_parse_analyze(pstate, query, jumble);
}
