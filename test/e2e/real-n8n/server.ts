import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { N8nInstall } from './install';
import {
	answersJson,
	endGroup,
	freePort,
	killGroup,
	launchGroup,
	untilReady,
	type ProcessGroup,
} from './process-group';

/** A running process of n8n. */
export interface N8nProcess {
	/** What it printed so far. */
	logFile: string;
	/** Settles when it answers; fails with the end of its log when it ends first or takes over two minutes. */
	ready: Promise<void>;
	/** Ends it with all its processes, and deletes what is its own. */
	stop: () => Promise<void>;
}

/** A process that runs executions from the queue. */
export interface N8nWorker extends N8nProcess {
	/** Ends it as a crash does: at once, and without letting it finish anything. */
	kill: () => Promise<void>;
}

/** A running n8n, on the loopback interface only. Its `stop` deletes its user folder. */
export interface N8nServer extends N8nProcess {
	/** Origin of the editor, without a trailing slash. */
	url: string;
	/** The process of n8n itself. */
	pid: number;
	/** Settles when n8n has ended, whoever ended it. */
	ended: Promise<void>;
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
/** n8n warns below five. */
const workerConcurrency = 5;

/** Nothing n8n would call home about is wanted here, and none of it is reachable offline. */
const quiet = {
	N8N_DIAGNOSTICS_ENABLED: 'false',
	N8N_VERSION_NOTIFICATIONS_ENABLED: 'false',
	N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED: 'false',
	N8N_DYNAMIC_BANNERS_ENABLED: 'false',
	N8N_TEMPLATES_ENABLED: 'false',
	N8N_PERSONALIZATION_ENABLED: 'false',
	N8N_HIRING_BANNER_ENABLED: 'false',
	N8N_VERIFIED_PACKAGES_ENABLED: 'false',
	N8N_LICENSE_AUTO_RENEW_ENABLED: 'false',
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
	const home = join(userFolder, '.n8n');
	const nodesDirectory = join(home, 'nodes');
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
	const launch = (
		command: readonly string[],
		log: string,
		settings: NodeJS.ProcessEnv,
		addresses: readonly string[],
	): Launched => {
		const lifeline = join(__dirname, 'lifeline.cjs');
		const group = launchGroup(
			install.nodePath,
			['--require', lifeline, install.commandPath, ...command],
			{ cwd: userFolder, env: settings, logFile: log },
		);
		const name = `${install.release} (${command.join(' ')})`;
		const ready = untilReady(name, group, log, async () => {
			for (const address of addresses) if (!(await answersJson(address))) return false;
			return true;
		});
		// Whoever stops n8n early does not wait for it, and must not be ended by this.
		ready.catch(() => undefined);
		return { ...group, ready };
	};
	const launchMain = (further: NodeJS.ProcessEnv = {}): Launched =>
		launch(['start'], logFile, { ...env, ...further }, [`${url}/healthz`, `${url}/rest/settings`]);

	let main = launchMain();
	return {
		url,
		logFile,
		get ready() {
			return main.ready;
		},
		get pid() {
			return main.child.pid ?? 0;
		},
		get ended() {
			return main.ended;
		},
		restart: async (further, ending = 'stop') => {
			if (ending === 'crash') await killGroup(main);
			else await endGroup(main, patienceSeconds);
			main = launchMain(further);
			await main.ready;
		},
		startWorker: async (name = 'worker', concurrency = workerConcurrency, further = {}) => {
			const healthPort = await freePort();
			const workerLogFile = join(userFolder, `${name}.log`);
			const worker = launch(
				['worker', `--concurrency=${concurrency}`],
				workerLogFile,
				{
					...env,
					N8N_RUNNERS_BROKER_PORT: String(await freePort()),
					N8N_WORKER_SERVER_ADDRESS: '127.0.0.1',
					QUEUE_HEALTH_CHECK_ACTIVE: 'true',
					QUEUE_HEALTH_CHECK_PORT: String(healthPort),
					...further,
				},
				[`http://127.0.0.1:${healthPort}/healthz/readiness`],
			);
			return {
				logFile: workerLogFile,
				ready: worker.ready,
				stop: async () => {
					await endGroup(worker, patienceSeconds);
				},
				kill: async () => {
					await killGroup(worker);
				},
			};
		},
		stop: async () => {
			await endGroup(main, patienceSeconds);
			await rm(userFolder, { recursive: true, force: true, maxRetries: 3 });
		},
	};
}

interface Launched extends ProcessGroup {
	ready: Promise<void>;
}

/** The machine's settings without those meant for another n8n, for npm, or for this process's Node.js. */
function inheritedEnvironment(): NodeJS.ProcessEnv {
	const foreign =
		/^(n8n_|npm_|node_options$|node_path$|node_env$|db_|executions_|queue_|webhook_|aetherforge_)/i;
	return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}
