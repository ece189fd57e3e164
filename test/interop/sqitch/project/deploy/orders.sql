BEGIN;
CREATE TABLE orders (
	id bigserial PRIMARY KEY,
	customer int,
	amount int
);
COMMIT;
