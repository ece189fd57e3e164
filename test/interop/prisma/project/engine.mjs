// The schema engine of Prisma without its command line, which downloads another
// build of it:
//
//     node engine.mjs deploy                 as prisma migrate deploy
//     node engine.mjs rolled-back NAME       as prisma migrate resolve --rolled-back
//     node engine.mjs applied NAME           as prisma migrate resolve --applied
//     node engine.mjs status                 as prisma migrate status
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';

const binary = new URL(
	'schema_engine_bg.wasm',
	import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg'),
);
const wasm = new WebAssembly.Instance(
	new WebAssembly.Module(await readFile(fileURLToPath(binary))),
	{ './schema_engine_bg.js': bindings },
);
bindings.__wbg_set_wasm(wasm.exports);
wasm.exports.__wbindgen_start();

const baseDir = path.resolve('prisma/migrations');
const lockfile = 'migration_lock.toml';

async function migrationsList()
{
	const migrationDirectories = [];

	for (const name of (await readdir(baseDir)).sort())
	{
		if (name === lockfile)
			continue;
		const file = path.join(baseDir, name, 'migration.sql');

		migrationDirectories.push({
			path: name,
			migrationFile: {
				path: 'migration.sql',
				content: { tag: 'ok', value: await readFile(file, 'utf8') },
			},
		});
	}
	return {
		baseDir,
		lockfile: {
			path: lockfile,
			content: await readFile(path.join(baseDir, lockfile), 'utf8'),
		},
		shadowDbInitScript: '',
		migrationDirectories,
	};
}

const [command, migrationName] = process.argv.slice(2);
const filters = { externalTables: [], externalEnums: [] };
const engine = await bindings.SchemaEngine.new(
	{ datamodels: [['schema.prisma', await readFile('prisma/schema.prisma', 'utf8')]] },
	() => {},
	bindMigrationAwareSqlAdapterFactory(
		new PrismaPg({ connectionString: process.env.DATABASE_URL }),
	),
);
const commands = {
	deploy: async () =>
		engine.applyMigrations({ migrationsList: await migrationsList(), filters }),
	'rolled-back': () => engine.markMigrationRolledBack({ migrationName }),
	applied: async () =>
		engine.markMigrationApplied({ migrationName, migrationsList: await migrationsList() }),
	status: async () =>
		engine.diagnoseMigrationHistory({
			migrationsList: await migrationsList(),
			optInToShadowDatabase: false,
			filters,
		}),
};
try
{
	console.log(JSON.stringify(await commands[command](), undefined, 1));
}
catch (error)
{
	console.error(error);
	process.exitCode = 1;
}
process.exit();
