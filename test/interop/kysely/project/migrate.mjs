// As in Kysely's manual, with a word for the direction.
import { promises as fs } from 'node:fs';
import path from 'node:path';
import { FileMigrationProvider, Kysely, Migrator, PostgresDialect } from 'kysely';
import pg from 'pg';

const [direction, ...options] = process.argv.slice(2);
const db = new Kysely({
	dialect: new PostgresDialect({
		pool: new pg.Pool({ connectionString: process.env.DATABASE_URL }),
	}),
});
const migrator = new Migrator({
	db,
	provider: new FileMigrationProvider({
		fs,
		path,
		migrationFolder: path.resolve('migrations'),
	}),
	disableTransactions: options.includes('--no-transactions'),
});
const { error, results } =
	direction === 'down' ? await migrator.migrateDown() : await migrator.migrateToLatest();

for (const result of results ?? [])
	console.log(`${result.migrationName}: ${result.direction} ${result.status}`);
if (error) {
	console.error(error);
	process.exitCode = 1;
}
await db.destroy();
