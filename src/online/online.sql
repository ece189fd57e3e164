/*
 * Changes of tables that clients go on using.  A change has the number of the
 * task that carries it out (migrate.task_log), which says how far it is; what
 * only a change has is here.
 */
CREATE TABLE migrate.change_log (
	id bigint NOT NULL,
	kind text NOT NULL,
	relid oid NOT NULL,
	relation text NOT NULL,
	old_shape text,
	filling int NOT NULL,
	removal text[] NOT NULL,
	contract text[] NOT NULL,
	grace_until timestamptz,
	uses bigint,
	old_columns smallint[] NOT NULL,
	new_columns smallint[] NOT NULL,
	contracted_at timestamptz,
	last_contract timestamptz,
	contracted_by text,
	restore_point text,
	is_forced boolean,
	CONSTRAINT change_log_pkey PRIMARY KEY (id),
	CONSTRAINT change_log_task_fkey FOREIGN KEY (id)
		REFERENCES migrate.task_log (id) ON DELETE CASCADE
);
REVOKE ALL ON migrate.change_log FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.change_log',
	'WHERE EXISTS (SELECT FROM migrate.task_log t WHERE t.id OPERATOR(pg_catalog.=) change_log.id AND t.state OPERATOR(pg_catalog.=) ANY (ARRAY[''done'', ''cancelled'']))');

COMMENT ON TABLE migrate.change_log IS
	'online changes of tables; read it through migrate.changes';
COMMENT ON COLUMN migrate.change_log.id IS
	'number of the change, and of the task that carries it out';
COMMENT ON COLUMN migrate.change_log.kind IS
	'name of the function that has started it';
COMMENT ON COLUMN migrate.change_log.relid IS 'the table';
COMMENT ON COLUMN migrate.change_log.relation IS
	'its name when the change was started';
COMMENT ON COLUMN migrate.change_log.old_shape IS
	'what clients lose by the contract, null for nothing';
COMMENT ON COLUMN migrate.change_log.filling IS
	'number of steps behind which all rows have their values';
COMMENT ON COLUMN migrate.change_log.removal IS
	'statements that take the start back';
COMMENT ON COLUMN migrate.change_log.contract IS
	'statements of the contract, empty if there is nothing to do';
COMMENT ON COLUMN migrate.change_log.grace_until IS
	'the contract is refused before that time';
COMMENT ON COLUMN migrate.change_log.uses IS
	'scans and changed rows of the table when the change was started, where that tells whether it is used';
COMMENT ON COLUMN migrate.change_log.old_columns IS
	'numbers of the columns of the table that the contract drops';
COMMENT ON COLUMN migrate.change_log.new_columns IS
	'numbers of those that the start has added';
COMMENT ON COLUMN migrate.change_log.contracted_at IS
	'time of the contract, null while a rollback has taken it back';
COMMENT ON COLUMN migrate.change_log.last_contract IS
	'the same, whether or not it was taken back';
COMMENT ON COLUMN migrate.change_log.contracted_by IS
	'role in force then (current_user)';
COMMENT ON COLUMN migrate.change_log.restore_point IS
	'label of the restore point that was made before it';
COMMENT ON COLUMN migrate.change_log.is_forced IS
	'true if it was contracted with force';
COMMENT ON CONSTRAINT change_log_pkey ON migrate.change_log IS
	'one row a change';
COMMENT ON CONSTRAINT change_log_task_fkey ON migrate.change_log IS
	'a change is a task';

CREATE VIEW migrate.changes WITH (security_barrier) AS
SELECT c.id,
	c.kind,
	c.relation,
	CASE
		WHEN c.contracted_at IS NOT NULL THEN 'contracted'
		WHEN t.state OPERATOR(pg_catalog.=) ANY (ARRAY['cancelled', 'undoing'])
			THEN 'cancelled'
		WHEN t.state OPERATOR(pg_catalog.=) 'done'
			AND c.contract OPERATOR(pg_catalog.=) '{}' THEN 'contracted'
		WHEN t.state OPERATOR(pg_catalog.=) 'done' THEN 'verified'
		WHEN c.filling OPERATOR(pg_catalog.>) 1
			AND t.steps_done OPERATOR(pg_catalog.>=) c.filling THEN 'backfilled'
		ELSE 'started' END AS phase,
	CASE
		WHEN c.contracted_at IS NULL THEN t.state
		ELSE 'done' END AS state,
	t.step,
	CASE
		WHEN c.contracted_at IS NOT NULL
			OR t.state OPERATOR(pg_catalog.=) ANY (ARRAY['cancelled', 'undoing', 'elsewhere'])
			OR (t.state OPERATOR(pg_catalog.=) 'done'
				AND c.contract OPERATOR(pg_catalog.=) '{}') THEN NULL
		WHEN t.state OPERATOR(pg_catalog.=) 'done' THEN
			pg_catalog.format('SELECT migrate.contract(%s)', c.id)
		WHEN l.cancelled THEN
			pg_catalog.format('SELECT migrate.cancel(%s)', c.id)
		WHEN t.state OPERATOR(pg_catalog.=) ANY (ARRAY['failed', 'interrupted'])
			OR NOT t.deferred THEN
			pg_catalog.format('CALL migrate.advance(%s)', c.id)
		ELSE pg_catalog.format('CALL migrate.wait(%s)', c.id)
		END AS next_step,
	t.error,
	c.old_shape,
	c.grace_until,
	t.statement,
	t.role,
	t.created_at AS started_at,
	CASE WHEN t.state OPERATOR(pg_catalog.=) 'done' THEN t.finished_at END
		AS verified_at,
	c.contracted_at,
	CASE WHEN c.contracted_at IS NOT NULL THEN c.contracted_by END
		AS contracted_by,
	CASE WHEN c.contracted_at IS NOT NULL THEN c.restore_point END
		AS restore_point,
	CASE WHEN c.contracted_at IS NOT NULL THEN c.is_forced END AS is_forced
FROM migrate.change_log c
JOIN migrate.tasks t ON t.id OPERATOR(pg_catalog.=) c.id
JOIN migrate.task_log l ON l.id OPERATOR(pg_catalog.=) c.id
ORDER BY c.id;
GRANT SELECT ON migrate.changes TO PUBLIC;
COMMENT ON VIEW migrate.changes IS
	'online changes of tables, and how far they are; everybody sees those of the roles he belongs to, pg_read_all_data all';
COMMENT ON COLUMN migrate.changes.id IS
	'number of the change, for migrate.advance(), contract() and cancel(), and that of its task in migrate.tasks';
COMMENT ON COLUMN migrate.changes.kind IS
	'name of the function that has started it';
COMMENT ON COLUMN migrate.changes.relation IS 'the table';
COMMENT ON COLUMN migrate.changes.phase IS
	'started (both shapes can be written), backfilled (all rows have their values in the new one), verified (indexes and constraints are there and nothing differs: new clients can read it), contracted (the old shape is gone, or there was nothing to take away) or cancelled';
COMMENT ON COLUMN migrate.changes.state IS
	'of its task: waiting, running, interrupted, failed (see error), undoing, done, cancelled or elsewhere, see migrate.tasks';
COMMENT ON COLUMN migrate.changes.step IS 'the step that is next, or running';
COMMENT ON COLUMN migrate.changes.next_step IS
	'the call that leads on, null when it is finished';
COMMENT ON COLUMN migrate.changes.error IS 'message of the last error';
COMMENT ON COLUMN migrate.changes.old_shape IS
	'what clients lose by the contract, null for nothing';
COMMENT ON COLUMN migrate.changes.grace_until IS
	'the contract is refused before that time';
COMMENT ON COLUMN migrate.changes.statement IS 'what was asked';
COMMENT ON COLUMN migrate.changes.role IS 'role in force (current_user)';
COMMENT ON COLUMN migrate.changes.started_at IS 'time of the start';
COMMENT ON COLUMN migrate.changes.verified_at IS 'time at which it was verified';
COMMENT ON COLUMN migrate.changes.contracted_at IS
	'time of the contract, null as well when a rollback has taken it back';
COMMENT ON COLUMN migrate.changes.contracted_by IS
	'role that has contracted it';
COMMENT ON COLUMN migrate.changes.restore_point IS
	'label of the restore point that was made before the contract';
COMMENT ON COLUMN migrate.changes.is_forced IS
	'true if it was contracted with force';

/*
 * What starts a change.  Each returns its number.
 */
CREATE FUNCTION migrate.rename_column("table" text, "column" text,
	new_name text, on_conflict text DEFAULT 'error',
	advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_rename_column';
COMMENT ON FUNCTION migrate.rename_column(text, text, text, text, text) IS
	'gives a column a new name online: both names can be read and written until migrate.contract(); returns the number of the change; for the owner of the table; on_conflict (error, old, new) says what becomes of a row in which a client writes different values under both names; advance (background, detached, manual) who does what follows';

CREATE FUNCTION migrate.change_type("table" text, "column" text,
	new_type text, up text DEFAULT NULL, down text DEFAULT NULL,
	new_name text DEFAULT NULL, on_conflict text DEFAULT 'error',
	advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_change_type';
COMMENT ON FUNCTION migrate.change_type(text, text, text, text, text, text, text, text) IS
	'changes the type of a column online: until migrate.contract() the column of the new type stands beside it, under new_name (default: the name with _new); up computes its value from the row, down the old one from the new (default: casts); returns the number of the change';

CREATE FUNCTION migrate.split_column("table" text, "column" text,
	new_columns text[], new_types text[], up text[], down text DEFAULT NULL,
	on_conflict text DEFAULT 'error', advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_split_column';
COMMENT ON FUNCTION migrate.split_column(text, text, text[], text[], text[], text, text, text) IS
	'puts new columns in the place of one, online: up computes each of them from the row, down the old one from them (without it, clients cannot write the new ones alone); returns the number of the change';

CREATE FUNCTION migrate.merge_columns("table" text, columns text[],
	new_name text, new_type text, up text, down text[] DEFAULT NULL,
	on_conflict text DEFAULT 'error', advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_merge_columns';
COMMENT ON FUNCTION migrate.merge_columns(text, text[], text, text, text, text[], text, text) IS
	'puts one new column in the place of several, online: up computes it from the row, down each of the old ones (without it, clients cannot write the new one alone); returns the number of the change';

CREATE FUNCTION migrate.add_column("table" text, "column" text, type text,
	value text, not_null boolean DEFAULT false, advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_add_column';
COMMENT ON FUNCTION migrate.add_column(text, text, text, text, boolean, text) IS
	'adds a column online whose value is computed from the row, or differs from row to row; old rows are filled in small transactions; a value that refers to no column becomes its default, another one is given to rows that clients insert without it until migrate.contract(); returns the number of the change';

CREATE FUNCTION migrate.set_not_null("table" text, "column" text,
	value text DEFAULT NULL, advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_set_not_null';
COMMENT ON FUNCTION migrate.set_not_null(text, text, text, text) IS
	'makes a column NOT NULL online; with a value, rows without one get it, and until migrate.contract() those that clients write so; returns the number of the change';

CREATE FUNCTION migrate.add_check("table" text, "check" text,
	name text DEFAULT NULL, "set" text DEFAULT NULL,
	advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_add_check';
COMMENT ON FUNCTION migrate.add_check(text, text, text, text, text) IS
	'adds a CHECK constraint online: new rows are checked at once, the others later; with a SET clause, rows that do not satisfy the condition are changed by it first; returns the number of the change';

CREATE FUNCTION migrate.add_foreign_key("table" text, columns text[],
	"references" text, referenced text[] DEFAULT NULL, options text DEFAULT NULL,
	name text DEFAULT NULL, advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_add_foreign_key';
COMMENT ON FUNCTION migrate.add_foreign_key(text, text[], text, text[], text, text, text) IS
	'adds a foreign key online: new rows are checked at once, the others later; options is what may follow REFERENCES, such as ON DELETE CASCADE; returns the number of the change';

CREATE FUNCTION migrate.add_unique("table" text, columns text[],
	name text DEFAULT NULL, advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_add_unique';
COMMENT ON FUNCTION migrate.add_unique(text, text[], text, text) IS
	'adds a UNIQUE constraint online, by an index that is built concurrently; returns the number of the change';

CREATE FUNCTION migrate.drop_column("table" text, "column" text,
	value text DEFAULT NULL, grace interval DEFAULT NULL,
	advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_drop_column';
COMMENT ON FUNCTION migrate.drop_column(text, text, text, interval, text) IS
	'prepares to drop a column: new clients can leave it out, and it gets the value then; migrate.contract() drops it, not before the time of grace is over; returns the number of the change';

CREATE FUNCTION migrate.drop_table("table" text,
	grace interval DEFAULT '7 days', advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_drop_table';
COMMENT ON FUNCTION migrate.drop_table(text, interval, text) IS
	'prepares to drop a table: migrate.contract() does it, when the time of grace is over and nobody has used the table in it; returns the number of the change';

CREATE FUNCTION migrate.rename_table("table" text, new_name text,
	advance text DEFAULT 'background')
RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_rename_table';
COMMENT ON FUNCTION migrate.rename_table(text, text, text) IS
	'gives a table a new name online: until migrate.contract() the old one is that of a view, which can be written to; returns the number of the change';

CREATE PROCEDURE migrate.advance(change bigint)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
COMMENT ON PROCEDURE migrate.advance(bigint) IS
	'carries out what follows the start of an online change, up to the phase "verified", in this session, or waits for the background that is at it; send the CALL alone, outside a transaction block';

CREATE PROCEDURE migrate.remove_change(change bigint)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migrate_remove_change';
COMMENT ON PROCEDURE migrate.remove_change(bigint) IS
	'takes the start of an online change back: a step of migrate.cancel(), which is what to call';

CREATE FUNCTION migrate.contract(change bigint, force boolean DEFAULT false)
RETURNS text
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'migrate_contract';
COMMENT ON FUNCTION migrate.contract(bigint, boolean) IS
	'takes the old shape of a verified online change away, in the transaction of the caller and behind a restore point, and returns the label of that, or null if none was made; refused, unless forced, where clients may still use the old shape; for the owner of the table';

CREATE FUNCTION migrate.cancel(id bigint) RETURNS text
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'migrate_cancel';
COMMENT ON FUNCTION migrate.cancel(bigint) IS
	'stops a task or an online change, has what it did taken back in the background, and returns its new state: cancelled if there was nothing to take back, or undoing; a change can be cancelled until it is contracted; for the same roles as migrate.retry()';

CREATE FUNCTION migrate.forget_tasks(before timestamptz) RETURNS bigint
LANGUAGE SQL VOLATILE STRICT
BEGIN ATOMIC
	WITH forgotten AS (
		DELETE FROM migrate.task_log t
		WHERE (t.state OPERATOR(pg_catalog.=) ANY (ARRAY['done', 'cancelled'])
				AND t.finished_at OPERATOR(pg_catalog.<) forget_tasks.before
				AND NOT EXISTS (SELECT FROM migrate.change_log c
					WHERE c.id OPERATOR(pg_catalog.=) t.id
						AND c.contracted_at IS NULL
						AND c.contract OPERATOR(pg_catalog.<>) '{}'
						AND t.state OPERATOR(pg_catalog.=) 'done'))
			OR (t.origin OPERATOR(pg_catalog.<>) migrate.origin()
				AND t.created_at OPERATOR(pg_catalog.<) forget_tasks.before)
		RETURNING t.id)
	SELECT pg_catalog.count(*) FROM forgotten;
END;
REVOKE ALL ON FUNCTION migrate.forget_tasks(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION migrate.forget_tasks(timestamptz) IS
	'deletes the tasks that were done or cancelled before a point in time, but for changes that wait for their contract, or were asked for elsewhere before it, and returns their number; needs SELECT and DELETE on migrate.task_log and SELECT on migrate.change_log';
