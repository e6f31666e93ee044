import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { N8nInstall } from './install';

/** A running n8n, on the loopback interface only. */
export interface N8nServer {
	/** Origin of the editor, without a trailing slash. */
	url: string;
	/** What n8n printed so far. */
	logFile: string;
	/** Settles when n8n answers; fails with the end of its log when it ends first or takes over two minutes. */
	ready: Promise<void>;
	/** Settles when n8n has ended, whoever ended it. */
	ended: Promise<void>;
	/** Ends n8n with all its processes and starts it again on the same data, port and settings. */
	restart: () => Promise<void>;
	/** Ends n8n with all its processes and deletes its user folder. */
	stop: () => Promise<void>;
}

interface StartOptions {
	/** The editor's port, where it is free. */
	preferredPort?: number;
	/** Puts nodes in n8n's folder for community nodes before it starts. */
	installNodes: (nodesDirectory: string) => Promise<unknown>;
	/** Further settings of n8n. */
	env?: Record<string, string>;
}

const startTimeoutMs = 120_000;
const gracefulStopSeconds = 5;

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
		LIFELINE_PARENT: String(process.pid),
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
	const launch = (): Launched => {
		const log = openSync(logFile, 'a');
		const child = spawn(
			install.nodePath,
			['--require', join(__dirname, 'lifeline.cjs'), install.commandPath, 'start'],
			{
				cwd: userFolder,
				// A group of its own: Ctrl-C in the terminal reaches only us, and the whole group can be ended.
				detached: true,
				stdio: ['ignore', log, log, 'pipe'],
				env,
			},
		);
		closeSync(log);
		const ended = once(child, 'exit').then(() => undefined);
		const ready = untilReady(url, child).catch(async (error: unknown) => {
			const tail = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-25).join('\n');
			const reason = error instanceof Error ? error.message : String(error);
			throw new Error(`${install.release} did not start: ${reason}\n${tail}`);
		});
		// Whoever stops n8n early does not wait for it, and must not be ended by this.
		ready.catch(() => undefined);
		return { child, ended, ready };
	};
	let launched = launch();
	return {
		url,
		logFile,
		get ready() {
			return launched.ready;
		},
		get ended() {
			return launched.ended;
		},
		restart: async () => {
			await endGroup(launched);
			launched = launch();
			await launched.ready;
		},
		stop: async () => {
			await endGroup(launched);
			await rm(userFolder, { recursive: true, force: true, maxRetries: 3 });
		},
	};
}

interface Launched extends Pick<N8nServer, 'ready' | 'ended'> {
	child: ChildProcess;
}

/** The machine's settings without those meant for another n8n, for npm, or for this process's Node.js. */
function inheritedEnvironment(): NodeJS.ProcessEnv {
	const foreign =
		/^(n8n_|npm_|node_options$|node_path$|node_env$|db_|executions_|queue_|webhook_|aetherforge_)/i;
	return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

async function freePort(preferred = 0): Promise<number> {
	const server = createServer().listen(preferred, '127.0.0.1');
	try {
		await once(server, 'listening');
	} catch {
		return await freePort();
	}
	const address = server.address();
	server.close();
	await once(server, 'close');
	if (address === null || typeof address === 'string') throw new Error('No port could be had.');
	return address.port;
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
	const deadline = Date.now() + startTimeoutMs;
	while (Date.now() < deadline) {
		if (child.exitCode !== null || child.signalCode !== null) {
			throw new Error(`it ended with ${child.signalCode ?? `code ${String(child.exitCode)}`}.`);
		}
		if ((await answers(`${url}/healthz`)) && (await answers(`${url}/rest/settings`))) return;
		await sleep(200);
	}
	throw new Error(`no answer within ${startTimeoutMs / 1000} s.`);
}

/** Whether JSON comes back: while it starts, n8n answers everything with a page of its own. */
async function answers(address: string): Promise<boolean> {
	try {
		const response = await fetch(address, { signal: AbortSignal.timeout(5_000) });
		const type = response.headers.get('content-type') ?? '';
		await response.arrayBuffer();
		return response.ok && type.includes('json');
	} catch {
		return false;
	}
}

async function endGroup({ child, ended }: Launched): Promise<void> {
	if (child.pid === undefined) return;
	child.kill('SIGTERM');
	const patience = new AbortController();
	const limit = sleep((gracefulStopSeconds + 2) * 1000, undefined, { signal: patience.signal });
	await Promise.race([ended, limit]);
	patience.abort();
	limit.catch(() => undefined);
	try {
		process.kill(-child.pid, 'SIGKILL');
	} catch {
		// ESRCH: nobody of the group is left, as it should be.
	}
	await ended;
}
