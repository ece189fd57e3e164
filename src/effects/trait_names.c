/*-------------------------------------------------------------------------
 *
 * trait_names.c
 *	  Traits of the names that a statement gives, and of how it names tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "common/keywords.h"
#include "common/script.h"
#include "common/settings.h"
#include "effects/trait_context.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"
#include "utils/builtins.h"

/* What a name is given to: each has a pattern of its own. */
typedef struct NameKind
{
	const char *plural;
	const char *setting;
	char	  **pattern;
} NameKind;

static const NameKind table_names = {
	"tables", "table_name_pattern", &setting_table_name_pattern
};
static const NameKind column_names = {
	"columns", "column_name_pattern", &setting_column_name_pattern
};
static const NameKind index_names = {
	"indexes", "index_name_pattern", &setting_index_name_pattern
};
static const NameKind constraint_names = {
	"constraints", "constraint_name_pattern", &setting_constraint_name_pattern
};

static void look_at_new_name(TraitContext *context);
static void look_at_written_names(TraitContext *context);
static void look_at_name(TraitContext *context, const NameKind *kind,
						 const char *name, int location);
static bool needs_quotes(const char *name);
static bool matches_pattern(const char *name, const NameKind *kind);
static bool may_have_long_identifier(const char *text);
static int	identifier_length(const char *token, int length);

void
look_at_names(TraitContext *context)
{
	if (context->written->schemaname == NULL)
		add_trait(context, TRAIT_UNQUALIFIED_TABLE, NULL,
				  context->written->location, "is named without its schema");
	look_at_new_name(context);
	look_at_written_names(context);
}

/* The name of what is made or renamed. */
static void
look_at_new_name(TraitContext *context)
{
	Node	   *statement = context->statement;

	if (IsA(statement, CreateStmt) || IsA(statement, CreateTableAsStmt))
		look_at_name(context, &table_names, context->relname,
					 context->written->location);
	else if (IsA(statement, IndexStmt))
		look_at_name(context, &index_names, ((IndexStmt *) statement)->idxname,
					 -1);
	else if (IsA(statement, RenameStmt))
	{
		RenameStmt *stmt = (RenameStmt *) statement;

		if (stmt->renameType == OBJECT_TABLE)
			look_at_name(context, &table_names, stmt->newname, -1);
		else if (stmt->renameType == OBJECT_COLUMN &&
				 stmt->relationType == OBJECT_TABLE)
			look_at_name(context, &column_names, stmt->newname, -1);
		else if (stmt->renameType == OBJECT_INDEX)
			look_at_name(context, &index_names, stmt->newname, -1);
		else if (stmt->renameType == OBJECT_TABCONSTRAINT)
			look_at_name(context, &constraint_names, stmt->newname, -1);
	}
}

static void
look_at_written_names(TraitContext *context)
{
	ListCell   *cell;

	foreach(cell, context->columns)
	{
		const WrittenColumn *column = lfirst(cell);

		if (column->is_new)
			look_at_name(context, &column_names, column->name,
						 column->location);
	}
	foreach(cell, context->constraints)
	{
		const Constraint *constraint =
		((WrittenConstraint *) lfirst(cell))->constraint;

		look_at_name(context, &constraint_names, constraint->conname,
					 constraint->location);
	}
}

/* name is NULL when PostgreSQL chooses it. */
static void
look_at_name(TraitContext *context, const NameKind *kind, const char *name,
			 int location)
{
	/* the relation tells the name of a new table */
	const char *object = kind == &table_names &&
	!IsA(context->statement, RenameStmt) ? NULL : name;

	if (name == NULL)
		return;
	if (context->wanted[TRAIT_QUOTED_IDENTIFIER] && needs_quotes(name))
		add_trait(context, TRAIT_QUOTED_IDENTIFIER, object, location,
				  "has to be quoted wherever it is used");
	if (context->wanted[TRAIT_NAME_PATTERN] &&
		!matches_pattern(name, kind))
		add_trait(context, TRAIT_NAME_PATTERN, object, location,
				  "does not match \"%s\", the pattern for names of %s",
				  *kind->pattern, kind->plural);
}

/* As quote_identifier() decides, whatever quote_all_identifiers says. */
static bool
needs_quotes(const char *name)
{
	int			keyword;

	if (!(name[0] >= 'a' && name[0] <= 'z') && name[0] != '_')
		return true;
	for (const char *at = name; *at; at++)
		if (!(*at >= 'a' && *at <= 'z') && !(*at >= '0' && *at <= '9') &&
			*at != '_')
			return true;
	keyword = ScanKeywordLookup(name, &ScanKeywords);
	return keyword >= 0 && ScanKeywordCategories[keyword] != UNRESERVED_KEYWORD;
}

/* Where the setting was made, it could not always be checked. */
static bool
matches_pattern(const char *name, const NameKind *kind)
{
	const char *pattern = *kind->pattern;
	char	   *error;

	if (pattern == NULL || pattern[0] == '\0')
		return true;
	error = pattern_error(pattern);
	if (error != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
				 errmsg("invalid pattern in safe_migrate.%s: %s",
						kind->setting, error)));
	return RE_compile_and_execute(cstring_to_text(pattern),
								  unconstify(char *, name), strlen(name),
								  REG_ADVANCED | REG_NOSUB,
								  DEFAULT_COLLATION_OID, 0, NULL);
}

/*
 * The parser has cut long identifiers already, so look at the text that it was
 * made from.
 */
void
look_at_long_identifiers(TraitContext *context)
{
	const TraitSource *source = context->source;
	SqlTokens  *tokens;

	if (!may_have_long_identifier(source->text))
		return;
	tokens = scan_sql(source->text);
	for (int i = 0; i < tokens->count; i++)
	{
		const SqlToken *token = &tokens->tokens[i];
		const char *text = source->text + token->location;
		int			length = identifier_length(text, token->length);
		int			start = text[0] == '"' ? 1 : 0;

		if (length >= NAMEDATALEN)
			add_trait(context, TRAIT_LONG_IDENTIFIER,
					  pnstrdup(text + start,
							   pg_mbcliplen(text + start, length,
											NAMEDATALEN - 1)),
					  source->offset + token->location,
					  "is what is left of a name of %d bytes", length);
	}
}

/* Scanning repeats PostgreSQL's NOTICE, so do it only when need be. */
static bool
may_have_long_identifier(const char *text)
{
	int			run = 0;

	for (; *text; text++)
	{
		if (isalnum((unsigned char) *text) || IS_HIGHBIT_SET(*text) ||
			strchr("_$\" ", *text) != NULL)
			run++;
		else
			run = 0;
		if (run >= NAMEDATALEN)
			return true;
	}
	return false;
}

/* Bytes of the identifier that a token is, without its quotes; else 0. */
static int
identifier_length(const char *token, int length)
{
	int			doubled = 0;

	if (isalpha((unsigned char) token[0]) || token[0] == '_' ||
		IS_HIGHBIT_SET(token[0]))
		return memchr(token, '\'', length) || memchr(token, '"', length) ? 0 :
			length;
	if (token[0] != '"')
		return 0;
	for (int i = 1; i < length - 2; i++)
		if (token[i] == '"' && token[i + 1] == '"')
		{
			doubled++;
			i++;
		}
	return length - 2 - doubled;
}
