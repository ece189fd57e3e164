exports.up = (knex) =>
	knex.schema.alterTable('orders', (table) => {
		table.text('note');
		table.dropNullable('amount');
	});

exports.down = (knex) =>
	knex.schema.alterTable('orders', (table) => {
		table.dropColumn('note');
		table.setNullable('amount');
	});
