import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { installN8n, isRelease, releases, type Release } from '../test/e2e/real-n8n/install';
import { installCommunityPackage, packRepository } from '../test/e2e/real-n8n/package-tarball';
import { startN8n, type N8nServer } from '../test/e2e/real-n8n/server';
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

/** Lets tests restart n8n: they run in another process, and this one holds it. Gives the address to post to. */
async function offerRestart(n8n: N8nServer, started: Started): Promise<string> {
	const server = createServer((_request, response) => {
		n8n.restart().then(
			() => response.writeHead(204).end(),
			(error: unknown) => response.writeHead(500).end(String(error)),
		);
	});
	await once(server.listen(0, '127.0.0.1'), 'listening');
	started.add(() => void server.close());
	const address = server.address();
	if (address === null || typeof address === 'string') throw new Error('No port could be had.');
	return `http://127.0.0.1:${address.port}`;
}

async function runTests(
	server: N8nServer,
	restartUrl: string,
	release: Release,
	args: string[],
): Promise<boolean> {
	const { execa } = await import('execa');
	const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
	const result = await execa(
		process.execPath,
		[jest, '--config', join(root, 'test', 'e2e', 'jest.config.js'), ...args],
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
				E2E_RESTART_URL: restartUrl,
			},
		},
	);
	return !result.failed;
}

async function testRelease(
	release: Release,
	tarball: string,
	args: string[],
	started: Started,
): Promise<boolean> {
	const install = await stage(`${release} install`, async () => await installN8n(release, say));
	const server = await stage(`${release} start`, async () => {
		const starting = await startN8n(install, {
			installNodes: async (directory) => await installCommunityPackage(tarball, directory),
			// The more it logs, the more could give a secret away.
			env: { N8N_LOG_LEVEL: 'debug' },
		});
		started.add(starting.stop);
		await starting.ready;
		return starting;
	});
	const restartUrl = await offerRestart(server, started);
	const passed = await stage(
		`${release} tests`,
		async () => await runTests(server, restartUrl, release, args),
	);
	await server.stop();
	return passed;
}

async function main(
	names: string[],
	{ tests, files }: { tests?: string; files?: string },
): Promise<void> {
	const unknown = names.find((name) => !isRelease(name));
	if (unknown !== undefined) {
		throw new Error(`No such n8n: ${unknown}. There are ${releases.join(', ')}.`);
	}
	const args = [
		...(tests === undefined ? [] : ['-t', tests]),
		...(files === undefined ? [] : [files]),
	];
	const failed: string[] = [];
	const started = new Started();
	try {
		const directory = await mkdtemp(join(tmpdir(), 'aetherforge-pack-'));
		started.add(async () => {
			await rm(directory, { recursive: true, force: true });
		});
		const tarball = await stage('build and pack', async () => await packRepository(directory));
		for (const release of names.filter(isRelease)) {
			if (!(await testRelease(release, tarball, args, started))) failed.push(release);
		}
	} finally {
		await started.stopAll();
		say(`\nTime per stage\n${timings.map((timing) => `  ${timing}`).join('\n')}`);
	}
	if (failed.length > 0) throw new Error(`End-to-end tests failed in ${failed.join(', ')}.`);
}

const command = new Command('e2e')
	.description(
		'Packs the nodes, installs them in a real n8n and runs test/e2e/*.e2e.ts against it.',
	)
	.argument('<releases...>', `n8n versions, one after the other: ${releases.join(', ')}`)
	.option('-t, --tests <pattern>', 'only tests whose name matches')
	.option('-f, --files <pattern>', 'only test files whose path matches')
	.action(main);

command.parseAsync().catch((error: unknown) => {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
});
