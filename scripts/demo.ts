import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { Command } from 'commander';
import { installCommunityPackage, packRepository } from '../test/e2e/real-n8n/package-tarball';
import type { Execution, N8nClient } from '../test/e2e/real-n8n/rest-client';
import { Started } from '../test/e2e/real-n8n/started';
import { openWorkbench, say } from './workbench';

const outputFolder = resolve(__dirname, '..', 'demo-output');
const runTimeoutSeconds = 600;

interface Row {
	jobId: string;
	status: string;
	file: string;
}

/** Saves the images of a node's items; a row for each item. */
async function saveImages(n8n: N8nClient, execution: Execution, nodeName: string): Promise<Row[]> {
	await mkdir(outputFolder, { recursive: true });
	const rows: Row[] = [];
	for (const { json, binary = {} } of execution.items(nodeName)) {
		const files = Object.values(binary).map(async (image) => {
			const path = join(outputFolder, basename(image.fileName ?? 'image'));
			await writeFile(path, await n8n.download(image));
			return relative(process.cwd(), path);
		});
		rows.push({
			jobId: json.job_id as string,
			status: json.status as string,
			file: (await Promise.all(files)).join(', '),
		});
	}
	return rows;
}

function table(rows: Row[]): string {
	const lines = [{ jobId: 'Job ID', status: 'Status', file: 'File' }, ...rows];
	return lines
		.map(({ jobId, status, file }) => `${jobId.padEnd(38)}${status.padEnd(10)}${file}`)
		.join('\n');
}

async function main({ exit }: { exit?: true }): Promise<void> {
	const started = new Started();
	try {
		const directory = await mkdtemp(join(tmpdir(), 'aetherforge-pack-'));
		started.add(async () => {
			await rm(directory, { recursive: true, force: true });
		});
		say('Building and packing the nodes …');
		const tarball = await packRepository(directory);
		const { n8n, server, examples, welcome } = await openWorkbench({
			installNodes: async (nodesDirectory) =>
				await installCommunityPackage(tarball, nodesDirectory),
			onStarted: started.add,
		});
		const example = examples.get('prompt-to-image');
		if (example === undefined) throw new Error('The example "prompt-to-image" is missing.');
		say(`Running "${example.name}" in n8n …`);
		const execution = await n8n.runManually(example, 'Start here', runTimeoutSeconds);
		if (execution.status !== 'success') {
			throw new Error(`The run ended as "${execution.status}": ${execution.errorMessage ?? ''}`);
		}
		const rows = await saveImages(n8n, execution, 'Generate images');
		say(`\n${table(rows)}`);
		if (rows.length === 0 || rows.some(({ file }) => file === '')) {
			throw new Error('The run gave a job without an image.');
		}
		started.exitCode = 0;
		say(`\nWorkflow  ${server.url}/workflow/${example.id}\n${welcome}`);
		if (exit !== true) {
			say('\nReady. Press Ctrl-C to stop.');
			await server.ended;
		}
	} finally {
		await started.stopAll();
	}
}

const command = new Command('demo')
	.description('Runs an example workflow in a real n8n and keeps the editor open.')
	.option('--exit', 'exit after the run (nonzero if it failed)')
	.addHelpText(
		'after',
		'\nSet AETHERFORGE_API_KEY to use the real service instead of the emulator.',
	)
	.action(main);

command.parseAsync().catch((error: unknown) => {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
});
