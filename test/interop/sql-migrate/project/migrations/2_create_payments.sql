-- +migrate Up
CREATE TABLE payments (
	id bigserial PRIMARY KEY,
	order_id bigint NOT NULL REFERENCES orders
);
CREATE INDEX payments_order_id ON payments (order_id);

-- +migrate Down
DROP TABLE payments;
