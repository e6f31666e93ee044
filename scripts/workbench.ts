import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { say, untilReady, type InstallNodes } from '../test/bench/frame';
import { startEmulator } from '../test/emulator/emulator';
import { installN8n } from '../test/e2e/real-n8n/install';
import {
	N8nClient,
	owner,
	type SavedWorkflow,
	type WorkflowFile,
} from '../test/e2e/real-n8n/rest-client';
import { startN8n } from '../test/e2e/real-n8n/server';
import type { Started } from '../test/e2e/real-n8n/started';
import { withCredential } from '../test/e2e/workflow';

const examplesFolder = resolve(__dirname, '..', 'examples');

/**
 * Opens a real n8n made ready for a person: owner account, credential and the example workflows. It talks
 * to the emulator, or to the real service where AETHERFORGE_API_KEY is set; then every job costs credits.
 */
export async function openWorkbench(
	started: Started,
	installNodes: InstallNodes,
	env: Record<string, string> = {},
) {
	const install = await installN8n('n8n-2.41', say);
	const { service, credentialData } = await chooseService(started);
	say('Starting n8n …');
	// The port is n8n's own default, unless it is taken.
	const settings = { preferredPort: 5678, installNodes, env };
	const server = await untilReady(await startN8n(install, settings), started);
	const n8n = new N8nClient(server.url);
	await n8n.signIn();
	const credential = await n8n.createCredential('AetherForge', 'aetherForgeApi', credentialData);
	const save = async (file: WorkflowFile) =>
		await n8n.createWorkflow(withCredential(file, credential));
	const examples = new Map<string, SavedWorkflow>();
	for (const file of (await readdir(examplesFolder)).sort().reverse()) {
		const example = JSON.parse(await readFile(join(examplesFolder, file), 'utf8')) as WorkflowFile;
		examples.set(file.replace(/\.json$/, ''), await save(example));
	}
	const example = (name: string) => {
		const found = examples.get(name);
		if (found === undefined) throw new Error(`The example "${name}" is missing.`);
		return found;
	};
	const welcome = [
		`Editor    ${server.url}`,
		`Login     ${owner.email}`,
		`Password  ${owner.password}`,
		`Base URL  ${credentialData.baseUrl}`,
		service,
	].join('\n');
	return {
		n8n,
		server,
		/** An imported example by its file's name, without `.json`. */
		example,
		/** Saves a workflow with the credential in its nodes. */
		save,
		/** How to get in, as lines for the terminal. */
		welcome,
	};
}

async function chooseService(started: Started) {
	const apiKey = process.env.AETHERFORGE_API_KEY?.trim() ?? '';
	if (apiKey !== '') {
		const credentialData = { apiKey, baseUrl: 'https://api.aetherforgeai.com' };
		return { service: 'Service   the real one: jobs cost credits', credentialData };
	}
	const emulator = await startEmulator({ apiKeys: ['demo-key'] });
	started.add(async () => {
		await emulator.close();
	});
	return {
		service: 'API Key   demo-key\nService   an emulator: nothing is charged',
		credentialData: { apiKey: 'demo-key', baseUrl: emulator.apiUrl },
	};
}
