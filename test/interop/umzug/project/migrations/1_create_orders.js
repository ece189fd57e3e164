const { DataTypes } = require('sequelize');

exports.up = ({ context }) =>
	context.createTable('orders', {
		id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
		customer: { type: DataTypes.INTEGER },
		amount: { type: DataTypes.INTEGER },
	});

exports.down = ({ context }) => context.dropTable('orders');
