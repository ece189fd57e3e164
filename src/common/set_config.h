/*-------------------------------------------------------------------------
 *
 * set_config.h
 *	  Calls of set_config() in the text of a script.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SET_CONFIG_H
#define SAFE_MIGRATE_SET_CONFIG_H

#include "postgres.h"

#include "nodes/nodes.h"

typedef struct ConstantSetting
{
	const char *name;
	const char *value;
	bool		is_local;
} ConstantSetting;

/*
 * True if an expression, as the parser leaves it, is set_config(name, value,
 * is_local) with three constants, which are told then; their memory is that of
 * the expression.
 */
extern bool is_constant_set_config(Node *expression, ConstantSetting *setting);

#endif							/* SAFE_MIGRATE_SET_CONFIG_H */
