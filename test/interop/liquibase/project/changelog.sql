--liquibase formatted sql

--changeset shop:1
CREATE TABLE orders (
	id bigserial PRIMARY KEY,
	customer int,
	amount int
);
--rollback DROP TABLE orders;

--changeset shop:2
CREATE TABLE payments (
	id bigserial PRIMARY KEY,
	order_id bigint NOT NULL REFERENCES orders
);
CREATE INDEX payments_order_id ON payments (order_id);
--rollback DROP TABLE payments;

--changeset shop:3
ALTER TABLE orders ADD COLUMN note text;
ALTER TABLE orders ALTER COLUMN amount SET NOT NULL;
--rollback ALTER TABLE orders ALTER COLUMN amount DROP NOT NULL;
--rollback ALTER TABLE orders DROP COLUMN note;
