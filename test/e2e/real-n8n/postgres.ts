import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { endGroup, freePort, launchGroup, untilReady } from './process-group';

/** A running PostgreSQL with an empty database, on the loopback interface only. */
export interface Postgres {
	/** The settings of an n8n that keeps its data there. */
	env: NodeJS.ProcessEnv;
	/** Settles when it answers; fails with the end of its log. */
	ready: Promise<void>;
	/** Empties it, for another n8n. */
	emptyDatabase: () => Promise<NodeJS.ProcessEnv>;
	/** How much its log has grown to since it started, in bytes. */
	writtenBytes: () => Promise<number>;
	/** Ends it and deletes its data. */
	stop: () => Promise<void>;
}

const run = promisify(execFile);
const user = 'n8n';
const database = 'postgres';
const patienceSeconds = 3;
/** Where Debian and Ubuntu put what is not meant to be in the path, one folder a version. */
const debianFolder = '/usr/lib/postgresql';

/** @throws Error that says how to get it, where there is no PostgreSQL on this machine. */
export async function requirePostgres(): Promise<void> {
	await programsFolder();
}

/** Starts a PostgreSQL on a free port. Whoever calls this must `stop` it, ready or not. */
export async function startPostgres(): Promise<Postgres> {
	const programs = await programsFolder();
	const program = (name: string) => join(programs, name);
	const folder = await mkdtemp(join(tmpdir(), 'postgres-'));
	const asOther = await otherUser(folder);
	const data = join(folder, 'data');
	const port = await freePort();
	const [initdb = '', ...initArgs] = [
		...asOther,
		program('initdb'),
		...['--pgdata', data, '--username', user, '--auth', 'trust', '--no-sync'],
	];
	await run(initdb, initArgs, { cwd: folder });
	// Nothing is worth keeping, so nothing has to reach the disk.
	const settings = [
		'listen_addresses=127.0.0.1',
		'unix_socket_directories=',
		'fsync=off',
		'max_connections=200',
	].flatMap((setting) => ['-c', setting]);
	const logFile = join(folder, 'postgres.log');
	const group = launchGroup(
		process.execPath,
		[
			join(__dirname, 'leashed.cjs'),
			...asOther,
			program('postgres'),
			...['-D', data, '-p', String(port), ...settings],
		],
		{ cwd: folder, env: process.env, logFile },
	);
	const ready = untilReady('postgres', group, logFile, async () => {
		const args = ['-h', '127.0.0.1', '-p', String(port), '-U', user, '-d', database];
		return await run(program('pg_isready'), args).then(
			() => true,
			() => false,
		);
	});
	// Whoever stops it early does not wait for it, and must not be ended by this.
	ready.catch(() => undefined);
	const env = {
		DB_TYPE: 'postgresdb',
		DB_POSTGRESDB_HOST: '127.0.0.1',
		DB_POSTGRESDB_PORT: String(port),
		DB_POSTGRESDB_USER: user,
		DB_POSTGRESDB_PASSWORD: '',
		DB_POSTGRESDB_DATABASE: database,
	};
	const query = async (sql: string) => {
		const args = ['-h', '127.0.0.1', '-p', String(port), '-U', user, '-d', database, '-tAc', sql];
		return (await run(program('psql'), args)).stdout;
	};
	return {
		env,
		ready,
		emptyDatabase: async () => {
			await query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
			return env;
		},
		writtenBytes: async () => Number(await query("SELECT pg_current_wal_lsn() - '0/0'")),
		stop: async () => {
			await endGroup(group, patienceSeconds);
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
