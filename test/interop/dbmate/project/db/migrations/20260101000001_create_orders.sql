-- migrate:up
CREATE TABLE orders (
	id bigserial PRIMARY KEY,
	customer int,
	amount int
);

-- migrate:down
DROP TABLE orders;
