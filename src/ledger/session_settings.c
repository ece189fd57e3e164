/*-------------------------------------------------------------------------
 *
 * session_settings.c
 *	  The settings of the session, kept from what a migration sets.
 *
 * A migration in one transaction has its settings undone by a GUC nest level.
 * One that commits inside keeps them from one transaction to the next, as in
 * psql, so they are compared and put back behind it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/compat.h"
#include "ledger/session_settings.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

typedef struct SessionSetting
{
	char	   *name;
	char	   *value;
	GucContext	context;		/* to set it in */
} SessionSetting;

static void set_settings(const SessionSettings *saved, const char *except);
static List *read_settings(void);
static const char *find_setting(List *settings, const char *name);
static char *current_value(const char *name);
static void set_setting(const char *name, const char *value,
						GucContext context);

/*
 * See session_settings.h.
 */
SessionSettings *
save_session_settings(void)
{
	SessionSettings *saved = palloc(sizeof(SessionSettings));

	saved->session_authorization = current_value("session_authorization");
	saved->role = current_value("role");
	saved->settings = read_settings();
	return saved;
}

/*
 * See session_settings.h.  The roles come first: reading the settings as the
 * role of a migration might show less of them.
 */
void
restore_session_settings(const SessionSettings *saved)
{
	set_settings(saved, NULL);
}

/*
 * See session_settings.h.
 */
void
renew_session_settings(const SessionSettings *in_force)
{
	set_settings(in_force, "safe_migrate.override");
}

/* All but one, which stays as it is. */
static void
set_settings(const SessionSettings *saved, const char *except)
{
	List	   *settings;
	ListCell   *cell;

	if (strcmp(current_value("session_authorization"),
			   saved->session_authorization) != 0)
		set_setting("session_authorization", saved->session_authorization,
					PGC_SUSET);
	if (strcmp(current_value("role"), saved->role) != 0)
		set_setting("role", saved->role, PGC_SUSET);

	settings = read_settings();
	foreach(cell, settings)
	{
		SessionSetting *setting = lfirst(cell);

		if (except != NULL && strcmp(setting->name, except) == 0)
			continue;
		if (find_setting(saved->settings, setting->name) == NULL)
			set_setting(setting->name, NULL, PGC_SUSET);
	}
	foreach(cell, saved->settings)
	{
		SessionSetting *setting = lfirst(cell);
		const char *value = find_setting(settings, setting->name);

		if (except != NULL && strcmp(setting->name, except) == 0)
			continue;
		if (value == NULL || strcmp(value, setting->value) != 0)
			set_setting(setting->name, setting->value, setting->context);
	}
}

/*
 * What SET has changed in this session, custom settings included.  What RESET
 * ALL leaves alone, such as the isolation level, does not count.
 */
static List *
read_settings(void)
{
	List	   *settings = NIL;
	struct config_generic **variables;
	int			count;

	variables = compat_guc_variables(&count);
	for (int i = 0; i < count; i++)
	{
		SessionSetting *setting;

		if (variables[i]->source != PGC_S_SESSION ||
			variables[i]->flags & GUC_NO_RESET_ALL)
			continue;
		setting = palloc(sizeof(SessionSetting));
		setting->name = pstrdup(variables[i]->name);
		setting->value = current_value(setting->name);
		setting->context = setting_context(variables[i]);
		settings = lappend(settings, setting);
	}
	return settings;
}

/*
 * See session_settings.h.
 */
GucContext
setting_context(const struct config_generic *variable)
{
	return variable->flags & GUC_CUSTOM_PLACEHOLDER ? variable->scontext :
		PGC_SUSET;
}

/* NULL if it is not among them */
static const char *
find_setting(List *settings, const char *name)
{
	ListCell   *cell;

	foreach(cell, settings)
	{
		SessionSetting *setting = lfirst(cell);

		if (strcmp(setting->name, name) == 0)
			return setting->value;
	}
	return NULL;
}

static char *
current_value(const char *name)
{
	const char *value = GetConfigOption(name, false, false);

	return pstrdup(value ? value : "");
}

/*
 * Without a value, to what it was before anybody said SET.
 */
static void
set_setting(const char *name, const char *value, GucContext context)
{
	(void) set_config_option(name, value, context, PGC_S_SESSION,
							 GUC_ACTION_SET, true, 0, false);
}
