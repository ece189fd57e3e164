-- +migrate Up
CREATE TABLE orders (
	id bigserial PRIMARY KEY,
	customer int,
	amount int
);

-- +migrate Down
DROP TABLE orders;
