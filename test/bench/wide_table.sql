-- A table as one meets it: 20 columns, 5 indexes, and more than small_table of
-- data.  :name is its name.
CREATE TABLE :"name" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    parent_id bigint,
    state text NOT NULL DEFAULT 'new',
    kind smallint NOT NULL DEFAULT 1,
    title text NOT NULL,
    body text,
    amount numeric(12, 2) NOT NULL DEFAULT 0 CHECK (amount >= 0),
    currency char(3) NOT NULL DEFAULT 'EUR',
    tags text[],
    attributes jsonb,
    is_open boolean NOT NULL DEFAULT true,
    priority int,
    score double precision,
    due_on date,
    starts_at timestamptz,
    ends_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    external_id uuid
);
INSERT INTO :"name" (account_id, title, body, attributes, external_id)
SELECT n % 100, 'title ' || n, repeat('body ', 20), '{"a": 1}', gen_random_uuid()
FROM generate_series(1, 10000) n;
CREATE INDEX ON :"name" (account_id, created_at);
CREATE INDEX ON :"name" (state, priority);
CREATE INDEX ON :"name" (due_on) WHERE is_open;
CREATE UNIQUE INDEX ON :"name" (external_id);
VACUUM ANALYZE :"name";
