// As in Drizzle's manual: migrations run by the application itself.
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';

const db = drizzle(process.env.DATABASE_URL);
try
{
	await migrate(db, { migrationsFolder: './drizzle' });
	console.log('migrated');
}
catch (error)
{
	console.error(error);
	process.exitCode = 1;
}
await db.$client.end();
