const { DataTypes } = require('sequelize');

exports.up = async ({ context }) => {
	await context.createTable('payments', {
		id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
		order_id: {
			type: DataTypes.BIGINT,
			allowNull: false,
			references: { model: 'orders', key: 'id' },
		},
	});
	await context.addIndex('payments', ['order_id']);
};

exports.down = ({ context }) => context.dropTable('payments');
