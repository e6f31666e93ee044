import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { json } from 'node:stream/consumers';
import { Argument, Command } from 'commander';
import {
	runCommand,
	say,
	startQueue,
	untilReady,
	withPackage,
	type InstallNodes,
} from '../test/bench/frame';
import { findBrowser } from '../test/e2e/editor/editor';
import { installN8n, releases, type Release } from '../test/e2e/real-n8n/install';
import { startN8n, type N8nServer, type N8nWorker } from '../test/e2e/real-n8n/server';
import type { Started } from '../test/e2e/real-n8n/started';

const root = resolve(__dirname, '..');

interface RunningN8n {
	release: Release;
	server: N8nServer;
	/** There is one in queue mode, and it runs what is in production. */
	worker?: N8nWorker;
	postgresPort?: string | undefined;
}

/**
 * Lets tests end and start processes of n8n: they run in another process, and this one holds them.
 * Gives the address under which each act has a path of its own, to post its settings to.
 */
async function offerControl({ server, worker }: RunningN8n, started: Started): Promise<string> {
	const workers = worker ? [worker] : [];
	const acts: Record<string, (settings: NodeJS.ProcessEnv) => Promise<void>> = {
		'/restart': server.restart,
		'/crash': async (settings) => {
			await server.restart(settings, 'crash');
		},
		'/add-worker': async (settings) => {
			// With the log of the first one.
			const added = await server.startWorker(undefined, undefined, settings);
			workers.push(added);
			await untilReady(added, started);
		},
		'/crash-worker': async () => {
			await workers.shift()?.kill();
		},
	};
	const control = createServer((request, response) => {
		json(request)
			.then(async (settings) => await acts[request.url ?? '']?.(settings as NodeJS.ProcessEnv))
			.then(
				() => response.writeHead(204).end(),
				(error: unknown) => response.writeHead(500).end(String(error)),
			);
	});
	await once(control.listen(0, '127.0.0.1'), 'listening');
	started.add(() => void control.close());
	return `http://127.0.0.1:${(control.address() as AddressInfo).port}`;
}

/** @throws Error where a test fails: jest itself ends with what did */
async function runTests(
	{ release, server, worker, postgresPort }: RunningN8n,
	controlUrl: string,
	args: string[],
): Promise<void> {
	const { execa } = await import('execa');
	const config = worker === undefined ? 'jest.config.js' : 'jest.queue.config.js';
	const { failed } = await execa('jest', ['--config', join(root, 'test', 'e2e', config), ...args], {
		cwd: root,
		preferLocal: true,
		stdin: 'ignore',
		stdout: 'inherit',
		stderr: 'inherit',
		reject: false,
		env: {
			E2E_N8N_URL: server.url,
			E2E_N8N_LOG: server.logFile,
			E2E_N8N_RELEASE: release,
			E2E_CONTROL_URL: controlUrl,
			E2E_WORKER_LOG: worker?.logFile,
			E2E_POSTGRES_PORT: postgresPort,
		},
	});
	if (failed) throw new Error(`The tests failed on ${release}.`);
}

async function startRelease(
	release: Release,
	installNodes: InstallNodes,
	queue: boolean,
	started: Started,
): Promise<RunningN8n> {
	const install = await installN8n(release, say);
	say(`starting ${release}`);
	const queueEnv = queue ? await startQueue(started) : undefined;
	const n8n = await startN8n(install, {
		installNodes,
		// The more it logs, the more could give a secret away.
		env: { N8N_LOG_LEVEL: 'debug', ...queueEnv },
	});
	const server = await untilReady(n8n, started);
	const worker = queueEnv && (await untilReady(await server.startWorker(), started));
	const postgresPort = queueEnv?.DB_POSTGRESDB_PORT;
	return { release, server, ...(worker ? { worker, postgresPort } : {}) };
}

interface Options {
	tests?: string;
	files?: string;
	queue?: boolean;
	editor?: boolean;
}

async function main(
	names: readonly Release[],
	{ tests, files, queue = false, editor = false }: Options,
): Promise<void> {
	const args = [
		...(tests === undefined ? [] : ['-t', tests]),
		...(files === undefined ? [] : [files]),
		// Last, as jest takes all that follows for further patterns.
		...(editor ? ['--testMatch', '**/*.editor.ts'] : []),
	];
	if (editor) findBrowser();
	await withPackage(async (installNodes, started) => {
		for (const release of names) {
			const running = await startRelease(release, installNodes, queue, started);
			say(`testing ${release}`);
			await runTests(running, await offerControl(running, started), args);
			await running.worker?.stop();
			await running.server.stop();
		}
	});
}

runCommand(
	new Command('e2e')
		.description(
			'Packs the nodes, installs them in a real n8n and runs test/e2e/*.e2e.ts against it.',
		)
		.addArgument(
			new Argument('<releases...>', 'n8n versions, one after the other').choices(releases),
		)
		.option('-t, --tests <pattern>', 'only tests whose name matches')
		.option('-f, --files <pattern>', 'only test files whose path matches')
		.option(
			'-q, --queue',
			'run test/e2e/*.queue.ts instead, with Redis, PostgreSQL, a main n8n and a worker',
		)
		.option('-e, --editor', 'run test/e2e/editor/*.editor.ts instead, in a Chromium on the editor')
		.action(main),
);
