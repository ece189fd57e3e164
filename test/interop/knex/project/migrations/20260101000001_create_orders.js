exports.up = (knex) =>
	knex.schema.createTable('orders', (table) => {
		table.bigIncrements('id');
		table.integer('customer');
		table.integer('amount');
	});

exports.down = (knex) => knex.schema.dropTable('orders');
