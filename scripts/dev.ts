import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { watch } from 'chokidar';
import { Command } from 'commander';
import { runCommand, say, withStarted } from '../test/bench/frame';
import { openWorkbench } from './workbench';

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
	for (const file of ['package.json', 'index.js']) {
		await cp(join(repository, file), join(target, file));
	}
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
			copyDist().then(() => {
				say('rebuilt, n8n reloads the nodes');
			}, console.error);
		}, settleMs);
	});
	return async () => {
		clearTimeout(timer);
		await watcher.close();
	};
}

async function main(): Promise<void> {
	await withStarted(async (started) => {
		started.exitCode = 0;
		const { server, welcome } = await openWorkbench(
			started,
			async (nodes) => {
				started.add(await mirrorPackage(nodes));
			},
			// n8n's own reloading of nodes; it heeds the setting in this environment only.
			{ N8N_DEV_RELOAD: 'true', NODE_ENV: 'development' },
		);
		const { execa } = await import('execa');
		const options = { cwd: repository, preferLocal: true, stdin: 'ignore', reject: false } as const;
		const gulp = execa('gulp', ['watch'], { ...options, stdout: 'inherit', stderr: 'inherit' });
		started.add(async () => {
			gulp.kill();
			await gulp;
		});
		console.log(
			`\n${welcome}\n\nChanges in nodes/ and credentials/ appear after a moment. Press Ctrl-C to stop.`,
		);
		await Promise.race([server.ended, gulp]);
	});
}

runCommand(
	new Command('dev')
		.description(
			'Runs a real n8n with the nodes of this repository, rebuilt and reloaded on change.',
		)
		.action(main),
);
