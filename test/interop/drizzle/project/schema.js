const { bigserial, integer, pgTable } = require('drizzle-orm/pg-core');

exports.orders = pgTable('orders', {
	id: bigserial({ mode: 'number' }).primaryKey(),
	customer: integer(),
	amount: integer(),
});
