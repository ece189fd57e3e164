export async function up(db)
{
	await db.schema
		.createTable('payments')
		.addColumn('id', 'bigserial', (column) => column.primaryKey())
		.addColumn('order_id', 'bigint', (column) => column.notNull().references('orders.id'))
		.execute();
	await db.schema
		.createIndex('payments_order_id')
		.on('payments')
		.column('order_id')
		.execute();
}

export const down = (db) => db.schema.dropTable('payments').execute();
