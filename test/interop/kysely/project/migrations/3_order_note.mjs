export const up = (db) =>
	db.schema
		.alterTable('orders')
		.addColumn('note', 'text')
		.alterColumn('amount', (column) => column.setNotNull())
		.execute();

export const down = (db) =>
	db.schema
		.alterTable('orders')
		.alterColumn('amount', (column) => column.dropNotNull())
		.dropColumn('note')
		.execute();
