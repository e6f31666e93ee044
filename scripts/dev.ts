import { cp, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import manifest from '../package.json';
import { runCommand, withStarted } from '../test/bench/frame';
import { openWorkbench } from './workbench';

const repository = resolve(__dirname, '..');

/**
 * Copies the built package into n8n's folder for community nodes. A link would not do: n8n watches the
 * real folder of a package, which would be this whole repository.
 *
 * @returns where further builds go
 */
async function copyPackage(nodesDirectory: string): Promise<string> {
	const target = join(nodesDirectory, 'node_modules', manifest.name);
	for (const file of ['package.json', 'index.js', 'dist']) {
		await cp(join(repository, file), join(target, file), { recursive: true });
	}
	await writeFile(join(nodesDirectory, 'package.json'), '{"private":true}');
	return join(target, 'dist');
}

async function main(): Promise<void> {
	await withStarted(async (started) => {
		started.exitCode = 0;
		let BUILD_TO = '';
		const { server, welcome } = await openWorkbench(
			started,
			async (nodes) => {
				BUILD_TO = await copyPackage(nodes);
			},
			// n8n's own reloading of nodes; it heeds the setting in this environment only.
			{ N8N_DEV_RELOAD: 'true', NODE_ENV: 'development' },
		);
		const { execa } = await import('execa');
		const output = { stdout: 'inherit', stderr: 'inherit' } as const;
		const options = { cwd: repository, preferLocal: true, stdin: 'ignore', reject: false } as const;
		const gulp = execa('gulp', ['watch'], { ...options, ...output, env: { BUILD_TO } });
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
