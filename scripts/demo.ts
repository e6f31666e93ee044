import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { Command } from 'commander';
import { runCommand, say, withPackage } from '../test/bench/frame';
import type { Execution, N8nClient } from '../test/e2e/real-n8n/rest-client';
import { openWorkbench } from './workbench';

const outputFolder = resolve(__dirname, '..', 'demo-output');
const runTimeoutSeconds = 600;

/** Saves the images of a node's items; a row for each of them. */
async function saveImages(n8n: N8nClient, execution: Execution, nodeName: string) {
	await mkdir(outputFolder, { recursive: true });
	const rows = execution.items(nodeName).map(async ({ json, binary = {} }) => {
		const files = Object.values(binary).map(async (image) => {
			const path = join(outputFolder, basename(image.fileName ?? 'image'));
			await writeFile(path, await n8n.download(image));
			return relative(process.cwd(), path);
		});
		const file = (await Promise.all(files)).join(', ');
		return { 'Job ID': json.job_id, Status: json.status, File: file };
	});
	return await Promise.all(rows);
}

async function main({ exit }: { exit?: true }): Promise<void> {
	await withPackage(async (installNodes, started) => {
		const { n8n, server, example, welcome } = await openWorkbench(started, installNodes);
		const workflow = example('prompt-to-image');
		say(`Running "${workflow.name}" in n8n …`);
		const execution = await n8n.runManually(workflow, 'Start here', runTimeoutSeconds);
		if (execution.status !== 'success') {
			throw new Error(`The run ended as "${execution.status}": ${execution.errorMessage ?? ''}`);
		}
		const rows = await saveImages(n8n, execution, 'Generate images');
		console.table(rows);
		if (rows.length === 0 || rows.some(({ File: file }) => file === '')) {
			throw new Error('The run gave a job without an image.');
		}
		started.exitCode = 0;
		console.log(`\nWorkflow  ${server.url}/workflow/${workflow.id}\n${welcome}`);
		if (exit !== true) {
			console.log('\nReady. Press Ctrl-C to stop.');
			await server.ended;
		}
	});
}

runCommand(
	new Command('demo')
		.description('Runs an example workflow in a real n8n and keeps the editor open.')
		.option('--exit', 'exit after the run (nonzero if it failed)')
		.addHelpText(
			'after',
			'\nSet AETHERFORGE_API_KEY to use the real service instead of the emulator.',
		)
		.action(main),
);
