import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { N8nInstall } from './install';
import { freePort, launch, type Program } from './programs';

/** A running process of n8n. */
export interface N8nProcess extends Omit<Program, 'kill'> {
	/** What it printed so far. */
	logFile: string;
}

/** A process that runs executions from the queue. */
export type N8nWorker = N8nProcess & Program;

/** A running n8n, on the loopback interface only. Its `stop` deletes its user folder. */
export interface N8nServer extends N8nProcess {
	/** Origin of the editor, without a trailing slash. */
	url: string;
	/**
	 * Ends n8n with all its processes and starts it again on the same data, port and settings.
	 *
	 * @param further settings that hold until it is started again
	 * @param ending `crash` lets it finish nothing
	 */
	restart: (further?: NodeJS.ProcessEnv, ending?: 'stop' | 'crash') => Promise<void>;
	/**
	 * Starts a worker on the same data, once this n8n is ready. Whoever calls this must `stop` it, ready or not.
	 *
	 * @param name of its log
	 */
	startWorker: (
		name?: string,
		concurrency?: number,
		further?: NodeJS.ProcessEnv,
	) => Promise<N8nWorker>;
}

interface StartOptions {
	/** The editor's port, where it is free. */
	preferredPort?: number;
	/** Puts nodes in n8n's folder for community nodes before it starts. */
	installNodes: (nodesDirectory: string) => Promise<unknown>;
	/** Further settings of n8n. An undefined one leaves n8n its own default. */
	env?: NodeJS.ProcessEnv;
}

const gracefulStopSeconds = 5;
const patienceSeconds = gracefulStopSeconds + 2;
const lifeline = join(__dirname, 'lifeline.cjs');

/** Nothing n8n would call home about is wanted here, and none of it is reachable offline. */
const quiet = {
	...Object.fromEntries(
		[
			'DIAGNOSTICS',
			'VERSION_NOTIFICATIONS',
			'VERSION_NOTIFICATIONS_WHATS_NEW',
			'DYNAMIC_BANNERS',
			'TEMPLATES',
			'PERSONALIZATION',
			'HIRING_BANNER',
			'VERIFIED_PACKAGES',
			'LICENSE_AUTO_RENEW',
		].map((name) => [`N8N_${name}_ENABLED`, 'false']),
	),
	N8N_ONBOARDING_FLOW_DISABLED: 'true',
	EXTERNAL_FRONTEND_HOOKS_URLS: '',
};

/** The settings of an n8n whose production executions wait in a Redis for its workers. */
export function queueMode(redisPort: number): NodeJS.ProcessEnv {
	return {
		EXECUTIONS_MODE: 'queue',
		QUEUE_BULL_REDIS_HOST: '127.0.0.1',
		QUEUE_BULL_REDIS_PORT: String(redisPort),
		// n8n's own choice: with a queue, files are in the database (from n8n 2.0).
		N8N_DEFAULT_BINARY_DATA_MODE: undefined,
	};
}

/** Starts n8n with a fresh temporary user folder. Whoever calls this must `stop` it, ready or not. */
export async function startN8n(install: N8nInstall, options: StartOptions): Promise<N8nServer> {
	const userFolder = await realpath(await mkdtemp(join(tmpdir(), 'n8n-')));
	const nodesDirectory = join(userFolder, '.n8n', 'nodes');
	await mkdir(nodesDirectory, { recursive: true });
	await options.installNodes(nodesDirectory);

	const port = await freePort(options.preferredPort);
	const url = `http://127.0.0.1:${port}`;
	const logFile = join(userFolder, 'n8n.log');
	const env = {
		...inheritedEnvironment(),
		...quiet,
		...install.env,
		N8N_USER_FOLDER: userFolder,
		N8N_LISTEN_ADDRESS: '127.0.0.1',
		N8N_HOST: '127.0.0.1',
		N8N_PORT: String(port),
		N8N_EDITOR_BASE_URL: url,
		WEBHOOK_URL: `${url}/`,
		N8N_RUNNERS_BROKER_PORT: String(await freePort()),
		N8N_SECURE_COOKIE: 'false',
		N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS: 'true',
		N8N_GRACEFUL_SHUTDOWN_TIMEOUT: String(gracefulStopSeconds),
		N8N_DEFAULT_BINARY_DATA_MODE: 'filesystem',
		N8N_ENCRYPTION_KEY: randomBytes(24).toString('hex'),
		GENERIC_TIMEZONE: 'UTC',
		...options.env,
	};
	const start = (
		command: readonly string[],
		log: string,
		settings: NodeJS.ProcessEnv,
		...addresses: string[]
	): Program =>
		launch([install.nodePath, '--require', lifeline, install.commandPath, ...command], {
			cwd: userFolder,
			env: { ...env, ...settings },
			logFile: log,
			isReady: async () => (await Promise.all(addresses.map(answersJson))).every(Boolean),
			patienceSeconds,
		});
	const startMain = (further: NodeJS.ProcessEnv = {}): Program =>
		start(['start'], logFile, further, `${url}/healthz`, `${url}/rest/settings`);

	let main = startMain();
	return {
		url,
		logFile,
		get ready() {
			return main.ready;
		},
		get pid() {
			return main.pid;
		},
		get ended() {
			return main.ended;
		},
		restart: async (further, ending = 'stop') => {
			await (ending === 'crash' ? main.kill() : main.stop());
			main = startMain(further);
			await main.ready;
		},
		// n8n warns of a concurrency below five.
		startWorker: async (name = 'worker', concurrency = 5, further = {}) => {
			const healthPort = String(await freePort());
			const workerLogFile = join(userFolder, `${name}.log`);
			const settings = {
				N8N_RUNNERS_BROKER_PORT: String(await freePort()),
				N8N_WORKER_SERVER_ADDRESS: '127.0.0.1',
				QUEUE_HEALTH_CHECK_ACTIVE: 'true',
				QUEUE_HEALTH_CHECK_PORT: healthPort,
				...further,
			};
			const health = `http://127.0.0.1:${healthPort}/healthz/readiness`;
			const command = ['worker', `--concurrency=${concurrency}`];
			return { ...start(command, workerLogFile, settings, health), logFile: workerLogFile };
		},
		stop: async () => {
			await main.stop();
			await rm(userFolder, { recursive: true, force: true, maxRetries: 3 });
		},
	};
}

/** The machine's settings without those meant for another n8n, for npm, or for this process's Node.js. */
function inheritedEnvironment(): NodeJS.ProcessEnv {
	const foreign =
		/^(n8n_|npm_|node_options$|node_path$|node_env$|db_|executions_|queue_|webhook_|aetherforge_)/i;
	return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

/** Whether JSON comes back: while it starts, n8n answers everything with a page of its own. */
async function answersJson(address: string): Promise<boolean> {
	try {
		const response = await fetch(address, { signal: AbortSignal.timeout(5_000) });
		const type = response.headers.get('content-type') ?? '';
		await response.arrayBuffer();
		return response.ok && type.includes('json');
	} catch {
		return false;
	}
}
