-- Rows of some 200 bytes, with three indexes: :rows of them.
CREATE TABLE bench_rows (
    id bigint PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    status int NOT NULL,
    amount numeric(12, 2) NOT NULL,
    created timestamptz NOT NULL,
    note text NOT NULL
);
INSERT INTO bench_rows
SELECT n, 'user' || n || '@example.org', 'name of ' || n, n % 10, n % 1000 / 4.0,
    '2026-01-01'::timestamptz + n * interval '1 second', md5(n::text) || md5((-n)::text)
FROM generate_series(1, :rows) n;
CREATE UNIQUE INDEX ON bench_rows (email);
CREATE INDEX ON bench_rows (status, created);
VACUUM (FREEZE, ANALYZE) bench_rows;
