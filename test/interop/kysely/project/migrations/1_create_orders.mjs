export const up = (db) =>
	db.schema
		.createTable('orders')
		.addColumn('id', 'bigserial', (column) => column.primaryKey())
		.addColumn('customer', 'integer')
		.addColumn('amount', 'integer')
		.execute();

export const down = (db) => db.schema.dropTable('orders').execute();
