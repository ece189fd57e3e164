-- 500 tables as applications have them, with 2,000 indexes and constraints.
SELECT format('CREATE TABLE bench_many_%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int NOT NULL DEFAULT 1, b text, c timestamptz DEFAULT now(), d numeric(10,2) CHECK (d > 0), e jsonb, f varchar(20), g boolean, h date, up bigint REFERENCES bench_many_%s)', i, greatest(i - 1, 1)),
	format('CREATE INDEX ON bench_many_%s (b)', i),
	format('CREATE INDEX ON bench_many_%s (c, a)', i),
	format('CREATE VIEW bench_view_%s AS SELECT id, b FROM bench_many_%s WHERE g', i, i)
FROM generate_series(1, 500) i
\gexec
