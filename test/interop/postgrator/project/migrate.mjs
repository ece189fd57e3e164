// As in Postgrator's manual, with the version to migrate to.
import pg from 'pg';
import Postgrator from 'postgrator';

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
const postgrator = new Postgrator({
	migrationPattern: 'migrations/*',
	driver: 'pg',
	database: process.env.PGDATABASE,
	execQuery: (query) => client.query(query),
});
try
{
	const applied = await postgrator.migrate(process.argv[2]);
	for (const migration of applied)
		console.log(`${migration.filename}: ${migration.action}`);
	console.log(`${applied.length} applied`);
}
catch (error)
{
	console.error(error);
	process.exitCode = 1;
}
await client.end();
