import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { watch } from 'chokidar';
import { Command } from 'commander';
import { Started } from '../test/e2e/real-n8n/started';
import { openWorkbench, say } from './workbench';

const repository = resolve(__dirname, '..');
const dist = join(repository, 'dist');
/** A build puts its files in place one by one within this time. */
const settleMs = 100;

/**
 * Mirrors the built package into n8n's folder for community nodes. A link would not do: n8n watches
 * the real folder of a package, which would be this whole repository.
 *
 * @returns ends the mirroring.
 */
async function mirrorPackage(nodesDirectory: string): Promise<() => Promise<void>> {
	const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as {
		name: string;
	};
	const target = join(nodesDirectory, 'node_modules', manifest.name);
	await mkdir(target, { recursive: true });
	for (const file of ['package.json', 'index.js'])
		await cp(join(repository, file), join(target, file));
	const copyDist = async (): Promise<void> => {
		await cp(dist, join(target, 'dist'), {
			recursive: true,
			preserveTimestamps: true,
			filter: (source) => !source.endsWith('.part'),
		});
	};
	await copyDist();
	await writeFile(join(nodesDirectory, 'package.json'), '{"private":true}');
	let timer: NodeJS.Timeout | undefined;
	const watcher = watch(dist, { ignoreInitial: true, ignored: /\.part$/ }).on('all', () => {
		clearTimeout(timer);
		timer = setTimeout(() => {
			copyDist().then(
				() => {
					say(`${new Date().toLocaleTimeString()} rebuilt, n8n reloads the nodes`);
				},
				(error: unknown) => {
					console.error(error);
				},
			);
		}, settleMs);
	});
	return async () => {
		clearTimeout(timer);
		await watcher.close();
	};
}

async function main(): Promise<void> {
	const started = new Started();
	started.exitCode = 0;
	try {
		const { server, welcome } = await openWorkbench({
			installNodes: async (nodesDirectory) => {
				started.add(await mirrorPackage(nodesDirectory));
			},
			// n8n's own reloading of nodes; it heeds the setting in this environment only.
			env: { N8N_DEV_RELOAD: 'true', NODE_ENV: 'development' },
			onStarted: started.add,
		});
		const { execa } = await import('execa');
		const gulp = execa(
			process.execPath,
			[join(repository, 'node_modules', 'gulp', 'bin', 'gulp.js'), 'watch'],
			{ cwd: repository, stdin: 'ignore', stdout: 'inherit', stderr: 'inherit', reject: false },
		);
		started.add(async () => {
			gulp.kill();
			await gulp;
		});
		say(
			`\n${welcome}\n\nChanges in nodes/ and credentials/ appear after a moment. Press Ctrl-C to stop.`,
		);
		await Promise.race([server.ended, gulp]);
	} finally {
		await started.stopAll();
	}
}

const command = new Command('dev')
	.description('Runs a real n8n with the nodes of this repository, rebuilt and reloaded on change.')
	.action(main);

command.parseAsync().catch((error: unknown) => {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
});
