/*-------------------------------------------------------------------------
 *
 * set_config.c
 *	  Calls of set_config() in the text of a script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/set_config.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

static const char *constant_in_words(Node *node);

/*
 * See set_config.h.
 */
bool
is_constant_set_config(Node *expression, ConstantSetting *setting)
{
	FuncCall   *call = (FuncCall *) expression;
	const char *local;

	if (expression == NULL || !IsA(expression, FuncCall) ||
		strcmp(strVal(llast(call->funcname)), "set_config") != 0 ||
		list_length(call->args) != 3)
		return false;
	setting->name = constant_in_words(linitial(call->args));
	setting->value = constant_in_words(lsecond(call->args));
	local = constant_in_words(lthird(call->args));
	return setting->name != NULL && setting->value != NULL && local != NULL &&
		parse_bool(local, &setting->is_local);
}

/* The text of a string or boolean constant, or NULL. */
static const char *
constant_in_words(Node *node)
{
	A_Const    *constant;

	/* until 15 the grammar wraps true and false in a cast */
	if (IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	if (!IsA(node, A_Const))
		return NULL;
	constant = (A_Const *) node;
	if (constant->isnull)
		return NULL;
	if (IsA(&constant->val, String))
		return strVal(&constant->val);
	if (IsA(&constant->val, Boolean))
		return boolVal(&constant->val) ? "true" : "false";
	return NULL;
}
