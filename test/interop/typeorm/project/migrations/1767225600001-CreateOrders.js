const { Table } = require('typeorm');

module.exports = class CreateOrders1767225600001 {
	async up(queryRunner)
	{
		await queryRunner.createTable(new Table({
			name: 'orders',
			columns: [
				{ name: 'id', type: 'bigint', isPrimary: true, isGenerated: true, generationStrategy: 'increment' },
				{ name: 'customer', type: 'int', isNullable: true },
				{ name: 'amount', type: 'int', isNullable: true },
			],
		}));
	}

	async down(queryRunner)
	{
		await queryRunner.dropTable('orders');
	}
};
