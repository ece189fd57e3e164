/* Rules, and the table of exceptions to their actions. */

CREATE FUNCTION migrate.rule_list(
	OUT name text, OUT class text, OUT default_action text, OUT action text,
	OUT description text, OUT remedy text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'migrate_rule_list';
COMMENT ON FUNCTION migrate.rule_list() IS
'every rule with the action in force for the current role; see the view migrate.rules';

CREATE FUNCTION migrate.is_rule(name text) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migrate_is_rule';
COMMENT ON FUNCTION migrate.is_rule(text) IS 'true if there is a rule of that name';

CREATE VIEW migrate.rules AS
SELECT name, class, default_action, action, description, remedy
FROM migrate.rule_list();
COMMENT ON VIEW migrate.rules IS
'every rule: what it is for, its default action, and the action in force here for the current role';
COMMENT ON COLUMN migrate.rules.class IS
'work: long work under a lock; lock: a lock without work; data: data is lost; clients: running clients break; dml: many rows are changed; design: how the schema is made and named';
COMMENT ON COLUMN migrate.rules.action IS
'after safe_migrate.rules and the rows of migrate.policy that name no schema and no table';

CREATE TABLE migrate.policy (
	rule text CHECK (migrate.is_rule(rule)),
	schema_name text,
	table_name text,
	role_name text,
	action text NOT NULL
		CHECK (action IN ('allow', 'note', 'warn', 'rewrite', 'defer', 'online', 'reject')),
	note text,
	UNIQUE NULLS NOT DISTINCT (rule, schema_name, table_name, role_name)
);
ALTER TABLE migrate.policy REPLICA IDENTITY FULL;
COMMENT ON TABLE migrate.policy IS
'actions of rules for single schemas, tables and roles; a column that is null matches all; beats safe_migrate.rules; a table counts more than a schema, a schema more than a role';
COMMENT ON COLUMN migrate.policy.rule IS 'name of a rule in migrate.rules, or null for all';
COMMENT ON COLUMN migrate.policy.schema_name IS 'schema of the table, or null for all';
COMMENT ON COLUMN migrate.policy.table_name IS 'name of the table without schema, or null for all';
COMMENT ON COLUMN migrate.policy.role_name IS 'role that runs the statement, itself or as a member; null for all';
COMMENT ON COLUMN migrate.policy.action IS 'allow, note, warn, rewrite, defer, online or reject';
COMMENT ON COLUMN migrate.policy.note IS 'why; for the reader';

REVOKE ALL ON migrate.policy FROM PUBLIC;
GRANT SELECT ON migrate.rules TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.policy', '');

/* Sessions keep in mind which rules are on, and hear of a change by this. */
CREATE FUNCTION migrate.policy_changed() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_policy_changed';
COMMENT ON FUNCTION migrate.policy_changed() IS
'trigger function: tells all sessions that migrate.policy changed';
REVOKE ALL ON FUNCTION migrate.policy_changed() FROM PUBLIC;

CREATE TRIGGER policy_changed
AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.policy
FOR EACH STATEMENT EXECUTE FUNCTION migrate.policy_changed();
COMMENT ON TRIGGER policy_changed ON migrate.policy IS
'the rows count from the next statement on, in all sessions';
ALTER TABLE migrate.policy ENABLE ALWAYS TRIGGER policy_changed;
