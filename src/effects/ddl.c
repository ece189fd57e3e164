/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  Statements that change the schema.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/compat.h"
#include "effects/ddl.h"
#include "nodes/parsenodes.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"

static bool is_about_cluster(ObjectType type);

/*
 * See ddl.h.  PostgreSQL knows what log_statement = ddl is about; that
 * includes some that change no schema.
 */
bool
statement_changes_schema(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_TransactionStmt:
		case T_VariableSetStmt:
		case T_CallStmt:
		case T_DoStmt:
		case T_RefreshMatViewStmt:
		case COMPAT_CLUSTER_TAG:
		case T_AlterSystemStmt:
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_AlterDatabaseStmt:
		case T_AlterDatabaseRefreshCollStmt:
		case T_AlterDatabaseSetStmt:
		case T_AlterRoleSetStmt:
		case T_AlterRoleStmt:
		case T_CreateRoleStmt:
		case T_DropRoleStmt:
		case T_GrantRoleStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_AlterTableSpaceOptionsStmt:
			return false;
		case T_CommentStmt:
			return !is_about_cluster(((CommentStmt *) statement)->objtype);
		case T_SecLabelStmt:
			return !is_about_cluster(((SecLabelStmt *) statement)->objtype);
		case T_GrantStmt:
			return !is_about_cluster(((GrantStmt *) statement)->objtype);
		case T_RenameStmt:
			return !is_about_cluster(((RenameStmt *) statement)->renameType);
		case T_AlterOwnerStmt:
			return !is_about_cluster(((AlterOwnerStmt *) statement)->objectType);
		default:
			return GetCommandLogLevel(statement) == LOGSTMT_DDL;
	}
}

static bool
is_about_cluster(ObjectType type)
{
	return type == OBJECT_DATABASE || type == OBJECT_ROLE ||
		type == OBJECT_TABLESPACE || type == OBJECT_PARAMETER_ACL ||
		type == OBJECT_LARGEOBJECT;
}
