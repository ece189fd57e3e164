-- migrate:up
CREATE TABLE payments (
	id bigserial PRIMARY KEY,
	order_id bigint NOT NULL REFERENCES orders
);
CREATE INDEX payments_order_id ON payments (order_id);

-- migrate:down
DROP TABLE payments;
