exports.up = (pgm) => {
	pgm.createTable('orders', {
		id: { type: 'bigserial', primaryKey: true },
		customer: { type: 'integer' },
		amount: { type: 'integer' },
	});
};
