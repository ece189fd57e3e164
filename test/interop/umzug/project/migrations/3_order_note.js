const { DataTypes } = require('sequelize');

exports.up = async ({ context }) => {
	await context.addColumn('orders', 'note', { type: DataTypes.TEXT });
	await context.changeColumn('orders', 'amount', {
		type: DataTypes.INTEGER,
		allowNull: false,
	});
};

exports.down = async ({ context }) => {
	await context.changeColumn('orders', 'amount', { type: DataTypes.INTEGER });
	await context.removeColumn('orders', 'note');
};
