exports.up = (pgm) => {
	pgm.createTable('payments', {
		id: { type: 'bigserial', primaryKey: true },
		order_id: { type: 'bigint', notNull: true, references: 'orders' },
	});
	pgm.createIndex('payments', 'order_id');
};
