-- The tables of bench_locks.sh: :rows rows, and as many again in partitions.

CREATE TABLE bench_branches (
	id int NOT NULL,
	balance int NOT NULL,
	filler text NOT NULL
) WITH (fillfactor = 80);
INSERT INTO bench_branches
SELECT n, 0, repeat('b', 80) FROM generate_series(1, :rows / 20) n;
ALTER TABLE bench_branches ADD PRIMARY KEY (id);

-- No primary key yet: it is one of the statements.
CREATE TABLE bench_accounts (
	id bigint NOT NULL,
	branch int NOT NULL,
	balance int NOT NULL,
	code bigint,
	opened timestamptz NOT NULL,
	filler text NOT NULL
) WITH (fillfactor = 80);
INSERT INTO bench_accounts
SELECT n, 1 + n % (:rows / 20), 0, n * 7,
	   timestamptz '2024-01-01' + n * interval '1 second', repeat('a', 60)
FROM generate_series(1, :rows) n;
CREATE UNIQUE INDEX bench_accounts_id ON bench_accounts (id);

CREATE TABLE bench_parts (
	id bigint NOT NULL,
	balance int NOT NULL,
	code bigint,
	opened timestamptz NOT NULL,
	filler text NOT NULL
) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE bench_parts_%s PARTITION OF bench_parts
	FOR VALUES FROM (%s) TO (%s) WITH (fillfactor = 80)',
	n, 1 + :rows / 4 * (n - 1), 1 + :rows / 4 * n)
FROM generate_series(1, 4) n
\gexec
INSERT INTO bench_parts
SELECT n, 0, n * 7, timestamptz '2024-01-01' + n * interval '1 second',
	   repeat('a', 60)
FROM generate_series(1, :rows) n;
ALTER TABLE bench_parts ADD PRIMARY KEY (id);

CREATE MATERIALIZED VIEW bench_view AS
SELECT branch AS id, sum(balance) AS balance, count(*) AS accounts
FROM bench_accounts GROUP BY branch;
CREATE UNIQUE INDEX bench_view_id ON bench_view (id);

VACUUM ANALYZE;
CHECKPOINT;
