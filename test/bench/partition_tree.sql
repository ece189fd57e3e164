-- A table of 1,000 partitions with three indexes each, and more than small_table
-- of data.
CREATE TABLE bench_tree (
    id bigint NOT NULL PRIMARY KEY,
    account_id bigint,
    state text NOT NULL DEFAULT 'new',
    title text,
    amount numeric(12, 2) DEFAULT 0,
    due_on date,
    is_open boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (id);
CREATE INDEX ON bench_tree (account_id, created_at);
CREATE INDEX ON bench_tree (state);
DO $$
BEGIN
    FOR n IN 0..999
    LOOP
        EXECUTE format('CREATE TABLE bench_tree_%s (LIKE bench_tree INCLUDING ALL)', n);
        EXECUTE format('INSERT INTO bench_tree_%s (id, account_id, title)
            SELECT n, n %% 100, ''title '' || n FROM generate_series(%s, %s) n',
            n, n * 20, n * 20 + 19);
        COMMIT;
    END LOOP;
END $$;
DO $$
BEGIN
    FOR n IN 0..999
    LOOP
        EXECUTE format('ALTER TABLE bench_tree ATTACH PARTITION bench_tree_%s
            FOR VALUES FROM (%s) TO (%s)', n, n * 20, n * 20 + 20);
        COMMIT;
    END LOOP;
END $$;
VACUUM ANALYZE bench_tree;
