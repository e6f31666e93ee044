import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, launch, leashed, succeeds } from './programs';

/** A running PostgreSQL with an empty database, on the loopback interface only. */
export type Postgres = Awaited<ReturnType<typeof startPostgres>>;

const run = promisify(execFile);
const user = 'n8n';
/** Where Debian and Ubuntu put what is not meant to be in the path, one folder a version. */
const debianFolder = '/usr/lib/postgresql';

/**
 * Starts it on a free port. Whoever calls this must `stop` it, ready or not.
 *
 * @throws Error that says how to get it, where there is no PostgreSQL on this machine.
 */
export async function startPostgres() {
	const programs = await programsFolder();
	const folder = await mkdtemp(join(tmpdir(), 'postgres-'));
	const asOther = await otherUser(folder);
	const data = join(folder, 'data');
	const port = String(await freePort());
	const [initdb = '', ...initArgs] = [
		...asOther,
		join(programs, 'initdb'),
		...['--pgdata', data, '--username', user, '--auth', 'trust', '--no-sync'],
	];
	await run(initdb, initArgs, { cwd: folder });
	// Nothing is worth keeping, so nothing has to reach the disk.
	const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'];
	const { ready, stop } = launch(
		leashed(
			...[...asOther, join(programs, 'postgres'), '-D', data, '-p', port],
			...[...settings, 'max_connections=200'].flatMap((setting) => ['-c', setting]),
		),
		{
			cwd: folder,
			logFile: join(folder, 'postgres.log'),
			isReady: async () =>
				await succeeds(join(programs, 'pg_isready'), '-h', '127.0.0.1', '-p', port, '-U', user),
			patienceSeconds: 3,
		},
	);
	const env = {
		DB_TYPE: 'postgresdb',
		DB_POSTGRESDB_HOST: '127.0.0.1',
		DB_POSTGRESDB_PORT: port,
		DB_POSTGRESDB_USER: user,
		DB_POSTGRESDB_PASSWORD: '',
		DB_POSTGRESDB_DATABASE: 'postgres',
	};
	let databases = 0;
	const query = async (sql: string) => {
		const args = ['-h', '127.0.0.1', '-p', port, '-U', user, '-d', 'postgres', '-tAc', sql];
		return (await run(join(programs, 'psql'), args)).stdout;
	};
	return {
		/** The settings of an n8n that keeps its data there. */
		env,
		ready,
		/** The settings of another n8n, with a database of its own. */
		newDatabase: async () => {
			const name = `n8n_${++databases}`;
			await query(`CREATE DATABASE ${name}`);
			return { ...env, DB_POSTGRESDB_DATABASE: name };
		},
		/** How much its log has grown to since it started, in bytes. */
		writtenBytes: async () => Number(await query("SELECT pg_current_wal_lsn() - '0/0'")),
		stop: async () => {
			await stop();
			await rm(folder, { recursive: true, force: true });
		},
	};
}

async function programsFolder(): Promise<string> {
	const versions = existsSync(debianFolder) ? await readdir(debianFolder) : [];
	const folders = [
		...(process.env.PATH ?? '').split(delimiter),
		...versions.map((version) => join(debianFolder, version, 'bin')),
	];
	const found = folders.find((folder) =>
		['initdb', 'postgres', 'pg_isready'].every((name) => existsSync(join(folder, name))),
	);
	if (found !== undefined) return found;
	throw new Error(
		'This needs PostgreSQL, and there is no "initdb" here. ' +
			'Get it with "apt-get install postgresql" (Debian, Ubuntu) or "brew install postgresql" (macOS).',
	);
}

/** How to run a program as somebody else: PostgreSQL refuses to run as root, as in most containers. */
async function otherUser(folder: string): Promise<string[]> {
	if (process.getuid?.() !== 0) return [];
	const idOf = async (flag: string) => (await run('id', [flag, 'postgres'])).stdout.trim();
	const [uid, gid] = [await idOf('-u'), await idOf('-g')];
	await chown(folder, Number(uid), Number(gid));
	return ['setpriv', '--reuid', uid, '--regid', gid, '--clear-groups'];
}
