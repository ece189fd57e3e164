/*
 * How fast this server was found to be.
 */
CREATE FUNCTION migrate.work_rate_list()
RETURNS TABLE (
	work text,
	samples bigint,
	bytes_per_second bigint,
	bytes_seen bigint,
	last_learned_at timestamptz
)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 7
AS 'MODULE_PATHNAME', 'migrate_work_rate_list';
REVOKE ALL ON FUNCTION migrate.work_rate_list() FROM PUBLIC;
COMMENT ON FUNCTION migrate.work_rate_list() IS
	'how fast the server was when it last scanned, built and rewrote; read it through migrate.work_rates';

CREATE VIEW migrate.work_rates AS
SELECT r.work, r.samples, r.bytes_per_second, r.bytes_seen, r.last_learned_at
FROM migrate.work_rate_list() r;
REVOKE ALL ON migrate.work_rates FROM PUBLIC;
COMMENT ON VIEW migrate.work_rates IS
	'how fast this server scans, builds and rewrites, for all databases: learned from statements that have run here, and the source of the times in messages; to read it, a role needs SELECT here and EXECUTE on migrate.work_rate_list()';
COMMENT ON COLUMN migrate.work_rates.work IS
	'kind of work, as migrate.check() tells it; of indexes, CONCURRENTLY apart';
COMMENT ON COLUMN migrate.work_rates.samples IS 'number of statements that it was learned from';
COMMENT ON COLUMN migrate.work_rates.bytes_per_second IS
	'bytes of the table (of a rewrite: with its indexes) that are done in a second; large and recent statements count most';
COMMENT ON COLUMN migrate.work_rates.bytes_seen IS 'bytes that those statements went through';
COMMENT ON COLUMN migrate.work_rates.last_learned_at IS 'when the last of them ended';

CREATE FUNCTION migrate.forget_work_rates() RETURNS void
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'migrate_forget_work_rates';
REVOKE ALL ON FUNCTION migrate.forget_work_rates() FROM PUBLIC;
COMMENT ON FUNCTION migrate.forget_work_rates() IS
	'forgets migrate.work_rates, for all databases: after a move to other disks, say';
