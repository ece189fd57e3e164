// As in Umzug's manual, with Sequelize.
const { Sequelize } = require('sequelize');
const { SequelizeStorage, Umzug } = require('umzug');

const sequelize = new Sequelize(process.env.DATABASE_URL, {
	dialect: 'postgres',
	logging: false,
});
const umzug = new Umzug({
	migrations: { glob: 'migrations/*.js' },
	context: sequelize.getQueryInterface(),
	storage: new SequelizeStorage({ sequelize }),
	logger: console,
});

umzug.runAsCLI().finally(() => sequelize.close());
