import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { json } from 'node:stream/consumers';
import { Command } from 'commander';
import { findBrowser } from '../test/e2e/editor/browser';
import { installN8n, isRelease, releases, type Release } from '../test/e2e/real-n8n/install';
import { installCommunityPackage, packRepository } from '../test/e2e/real-n8n/package-tarball';
import { requirePostgres, startPostgres } from '../test/e2e/real-n8n/postgres';
import { requireRedis, startRedis } from '../test/e2e/real-n8n/redis';
import { queueMode, startN8n, type N8nServer, type N8nWorker } from '../test/e2e/real-n8n/server';
import { Started } from '../test/e2e/real-n8n/started';

const root = resolve(__dirname, '..');
const timings: string[] = [];

function say(line: string): void {
	console.log(line);
}

async function stage<T>(name: string, work: () => Promise<T>): Promise<T> {
	const startedAt = Date.now();
	try {
		return await work();
	} finally {
		const timing = `${name}: ${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
		timings.push(timing);
		say(`-- ${timing}`);
	}
}

/**
 * Lets tests end and start processes of n8n: they run in another process, and this one holds them.
 * Gives the address under which each act has a path of its own, to post its settings to.
 */
async function offerControl({ server, worker }: RunningN8n, started: Started): Promise<string> {
	const workers = worker === undefined ? [] : [worker];
	const acts: Record<string, (settings: NodeJS.ProcessEnv) => Promise<void>> = {
		'/restart': async (settings) => {
			await server.restart(settings);
		},
		'/crash': async (settings) => {
			await server.restart(settings, 'crash');
		},
		'/add-worker': async (settings) => {
			// With the log of the first one.
			const added = await server.startWorker(undefined, undefined, settings);
			started.add(added.stop);
			workers.push(added);
			await added.ready;
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
	const address = control.address();
	if (address === null || typeof address === 'string') throw new Error('Could not open a port.');
	return `http://127.0.0.1:${address.port}`;
}

interface RunningN8n {
	release: Release;
	server: N8nServer;
	/** There is one in queue mode, and it runs what is in production. */
	worker?: N8nWorker;
}

async function runTests(
	{ release, server, worker }: RunningN8n,
	controlUrl: string,
	directory: string,
	args: string[],
): Promise<string[]> {
	const { execa } = await import('execa');
	const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
	const config = worker === undefined ? 'jest.config.js' : 'jest.queue.config.js';
	const results = join(directory, `${release}.json`);
	const { failed } = await execa(
		process.execPath,
		[
			jest,
			...['--config', join(root, 'test', 'e2e', config)],
			...['--json', `--outputFile=${results}`],
			...args,
		],
		{
			cwd: root,
			stdin: 'ignore',
			stdout: 'inherit',
			stderr: 'inherit',
			reject: false,
			env: {
				E2E_N8N_URL: server.url,
				E2E_N8N_LOG: server.logFile,
				E2E_N8N_RELEASE: release,
				E2E_CONTROL_URL: controlUrl,
				...(worker === undefined ? {} : { E2E_WORKER_LOG: worker.logFile }),
			},
		},
	);
	if (!failed) return [];
	const tests = await failedTests(results);
	return tests.length > 0 ? tests : ['jest failed, and none of its tests'];
}

/** The parts of jest's report that say what failed. */
interface TestReport {
	testResults: {
		name: string;
		status: string;
		message: string;
		assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
	}[];
}

/** What failed, test by test. Of a run of many stages only the end may be at hand: it is printed there. */
async function failedTests(reportFile: string): Promise<string[]> {
	const report = await readFile(reportFile, 'utf8').catch(() => undefined);
	if (report === undefined) return ['jest ended without a report'];
	const { testResults } = JSON.parse(report) as TestReport;
	return testResults
		.filter(({ status }) => status === 'failed')
		.flatMap(({ name, message, assertionResults }) => {
			const failed = assertionResults.filter((test) => test.status === 'failed');
			// A file that could not be loaded has no tests.
			if (failed.length === 0) return [`${name}\n${message}`];
			return failed.map((test) => `${test.fullName}\n${test.failureMessages.join('\n')}`);
		});
}

/** Starts what n8n needs in queue mode. Gives its settings. */
async function startQueue(started: Started): Promise<NodeJS.ProcessEnv> {
	const redis = await startRedis();
	started.add(redis.stop);
	const postgres = await startPostgres();
	started.add(postgres.stop);
	await Promise.all([redis.ready, postgres.ready]);
	return { ...queueMode(redis.port), ...postgres.env };
}

async function testRelease(
	release: Release,
	tarball: string,
	{ queue, args }: { queue: boolean; args: string[] },
	started: Started,
): Promise<string[]> {
	const install = await stage(`${release} install`, async () => await installN8n(release, say));
	const running = await stage(`${release} start`, async (): Promise<RunningN8n> => {
		const queueEnv = queue ? await startQueue(started) : undefined;
		const server = await startN8n(install, {
			installNodes: async (directory) => await installCommunityPackage(tarball, directory),
			// The more it logs, the more could give a secret away.
			env: { N8N_LOG_LEVEL: 'debug', ...queueEnv },
		});
		started.add(server.stop);
		await server.ready;
		if (queueEnv === undefined) return { release, server };
		const worker = await server.startWorker();
		started.add(worker.stop);
		await worker.ready;
		return { release, server, worker };
	});
	const controlUrl = await offerControl(running, started);
	const failed = await stage(
		`${release} tests`,
		async () => await runTests(running, controlUrl, dirname(tarball), args),
	);
	await running.worker?.stop();
	await running.server.stop();
	return failed.map((test) => `${release}: ${test}`);
}

interface Options {
	tests?: string;
	files?: string;
	queue?: boolean;
	editor?: boolean;
}

async function main(
	names: string[],
	{ tests, files, queue = false, editor = false }: Options,
): Promise<void> {
	const unknown = names.find((name) => !isRelease(name));
	if (unknown !== undefined) {
		throw new Error(`Unknown n8n version "${unknown}". Choose from ${releases.join(', ')}.`);
	}
	const args = [
		...(tests === undefined ? [] : ['-t', tests]),
		...(files === undefined ? [] : [files]),
		// Last, as jest takes all that follows for further patterns.
		...(editor ? ['--testMatch', '**/*.editor.ts'] : []),
	];
	if (editor) findBrowser();
	if (queue) await Promise.all([requireRedis(), requirePostgres()]);
	const failed: string[] = [];
	const started = new Started();
	try {
		const directory = await mkdtemp(join(tmpdir(), 'aetherforge-pack-'));
		started.add(async () => {
			await rm(directory, { recursive: true, force: true });
		});
		const tarball = await stage('build and pack', async () => await packRepository(directory));
		for (const release of names.filter(isRelease)) {
			failed.push(...(await testRelease(release, tarball, { queue, args }, started)));
		}
	} finally {
		await started.stopAll();
		say(`\nTime per stage\n${timings.map((timing) => `  ${timing}`).join('\n')}`);
	}
	if (failed.length > 0) {
		throw new Error(`${failed.length} end-to-end tests failed.\n\n${failed.join('\n\n')}`);
	}
}

const command = new Command('e2e')
	.description(
		'Packs the nodes, installs them in a real n8n and runs test/e2e/*.e2e.ts against it.',
	)
	.argument('<releases...>', `n8n versions, one after the other: ${releases.join(', ')}`)
	.option('-t, --tests <pattern>', 'only tests whose name matches')
	.option('-f, --files <pattern>', 'only test files whose path matches')
	.option(
		'-q, --queue',
		'run test/e2e/*.queue.ts instead, with Redis, PostgreSQL, a main n8n and a worker',
	)
	.option('-e, --editor', 'run test/e2e/editor/*.editor.ts instead, in a Chromium on the editor')
	.action(main);

command.parseAsync().catch((error: unknown) => {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
});
