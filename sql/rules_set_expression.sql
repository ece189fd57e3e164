--
-- set_expression, from PostgreSQL 17 on; before, it is a syntax error.
--
CREATE SCHEMA set_expression;
SET search_path = set_expression, public;
CREATE TABLE big (a int, d int GENERATED ALWAYS AS (a + 1) STORED, t text);
INSERT INTO big (a, t) SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TABLE small (a int, d int GENERATED ALWAYS AS (a + 1) STORED);
SELECT verdict('ALTER TABLE big ALTER d SET EXPRESSION AS (a + 2)');
SELECT verdict('ALTER TABLE small ALTER d SET EXPRESSION AS (a + 2)');
