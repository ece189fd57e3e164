exports.up = (knex) =>
	knex.schema.createTable('payments', (table) => {
		table.bigIncrements('id');
		table.bigInteger('order_id').notNullable().references('orders.id').index();
	});

exports.down = (knex) => knex.schema.dropTable('payments');
