-- The peers of migrate.backfill(): batches by key, and the loop that skips what is locked.
CREATE PROCEDURE bench_keyset(size int) LANGUAGE plpgsql AS $$
DECLARE
	last bigint := 0;
	next bigint;
BEGIN
	LOOP
		SELECT max(id) INTO next
		FROM (SELECT id FROM bench_rows WHERE id > last ORDER BY id LIMIT size) batch;
		EXIT WHEN next IS NULL;
		UPDATE bench_rows SET name2 = lower(name) WHERE id > last AND id <= next;
		COMMIT;
		last := next;
	END LOOP;
END $$;

CREATE PROCEDURE bench_skip_locked(size int) LANGUAGE plpgsql AS $$
DECLARE
	done bigint;
BEGIN
	LOOP
		UPDATE bench_rows SET name2 = lower(name) WHERE id IN (
			SELECT id FROM bench_rows WHERE name2 IS NULL LIMIT size FOR UPDATE SKIP LOCKED);
		GET DIAGNOSTICS done = ROW_COUNT;
		COMMIT;
		EXIT WHEN done = 0;
	END LOOP;
END $$;
