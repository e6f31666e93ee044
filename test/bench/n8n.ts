import { randomUUID } from 'node:crypto';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { startEmulator, type Emulator, type EmulatorOptions } from '../emulator/emulator';
import { installN8n, type N8nInstall } from '../e2e/real-n8n/install';
import type { Postgres } from '../e2e/real-n8n/postgres';
import {
	N8nClient,
	type Execution,
	type SavedCredential,
	type SavedWorkflow,
	type WorkflowFile,
} from '../e2e/real-n8n/rest-client';
import { startN8n, type N8nServer } from '../e2e/real-n8n/server';
import type { Started } from '../e2e/real-n8n/started';
import { say, temporaryFolder, untilReady, type InstallNodes } from './frame';

export const BENCH_KEY = 'bench-key';
const LIMIT_SECONDS = 600;

/** Everything needed to start one n8n after the other, each fresh. */
export interface N8nKit {
	install: N8nInstall;
	/** A folder of community nodes as n8n has it, with this package and the bench's own nodes. */
	nodesDirectory: string;
	/** A server to keep n8n's data in, instead of SQLite. */
	postgres?: Postgres;
}

export async function prepareN8n(installNodes: InstallNodes, started: Started): Promise<N8nKit> {
	const install = await installN8n('n8n-2.41', say);
	const nodesDirectory = await temporaryFolder('nodes', started);
	await installNodes(nodesDirectory);
	const benchNodes = join(nodesDirectory, 'node_modules', 'n8n-nodes-bench');
	await cp(join(__dirname, 'raw-nodes'), benchNodes, { recursive: true });
	return { install, nodesDirectory };
}

/** Starts a fresh n8n with the nodes of a kit. */
export async function startServer(
	{ install, nodesDirectory, postgres }: N8nKit,
	started: Started,
	env: NodeJS.ProcessEnv = {},
): Promise<N8nServer> {
	const server = await startN8n(install, {
		installNodes: async (nodes) => {
			await cp(nodesDirectory, nodes, { recursive: true });
		},
		env: { ...(await postgres?.newDatabase()), ...env },
	});
	return await untilReady(server, started);
}

/** A user of a running n8n, whose credential is for an emulator of its own. */
export interface User {
	emulator: Emulator;
	client: N8nClient;
	credential: SavedCredential;
}

/** Signs in to an n8n that runs, and starts an emulator without pictures in this process. */
export async function openService(
	url: string,
	options: EmulatorOptions,
	started: Started,
): Promise<User> {
	const client = new N8nClient(url);
	await client.signIn();
	const emulator = await startEmulator({ apiKeys: [BENCH_KEY], pictures: false, ...options });
	started.add(async () => {
		await emulator.close();
	});
	const credential = await client.createCredential('AetherForge', 'aetherForgeApi', {
		apiKey: BENCH_KEY,
		baseUrl: emulator.apiUrl,
	});
	return { client, emulator, credential };
}

/** Saves a workflow with the user's credential, for all nodes that may use it. */
export async function saved(
	{ client, credential: { id, name, type } }: User,
	file: WorkflowFile,
): Promise<SavedWorkflow> {
	const credentials = { [type]: { id, name } };
	const nodes = file.nodes.map((node) => ({ ...node, credentials }));
	return await client.createWorkflow({ ...file, nodes });
}

/** Runs a workflow by hand. @throws Error where it ends in anything but success */
export async function ran(user: User, workflow: SavedWorkflow): Promise<Execution> {
	return await succeeded(user, await user.client.startManually(workflow, 'Start'));
}

/** Waits for the end of an execution. @throws Error where it is anything but success */
export async function succeeded({ client }: User, executionId: string): Promise<Execution> {
	const execution = await client.waitForExecution(executionId, LIMIT_SECONDS);
	const { status, errorMessage } = execution;
	if (status !== 'success') throw new Error(errorMessage ?? status);
	return execution;
}

/** How long a node ran, in milliseconds. */
export function nodeMs({ runData }: Execution, node: string): number {
	const [run] = runData[node] ?? [];
	if (!run) throw new Error(`The node "${node}" has not run.`);
	return run.executionTime;
}

/** @throws Error unless so many results have been downloaded */
export function checkDownloads({ emulator }: User, expected: number): void {
	const { length } = emulator.requests.filter(
		({ server, status }) => server === 'cdn' && status === 200,
	);
	if (length !== expected) throw new Error(`${length} of ${expected} images were downloaded.`);
}

/** Saves and activates a workflow that a webhook starts, which answers at once. */
export async function activated(
	user: User,
	workflowFor: (webhookPath: string) => WorkflowFile,
): Promise<{ saved: SavedWorkflow; call: (body?: object) => Promise<void> }> {
	const path = randomUUID();
	const workflow = await saved(user, workflowFor(path));
	await user.client.activate(workflow);
	const call = async (body = {}) => {
		const { status } = await user.client.post(`webhook/${path}`, body);
		if (status !== 200) throw new Error(`A webhook call was answered with ${status}.`);
	};
	return { saved: workflow, call };
}

/** Where the IDs of the paid jobs are that no execution has: in a log alone, or nowhere. */
export function unsavedJobs(
	jobIds: readonly string[],
	savedTexts: readonly string[],
	logs: readonly string[],
): { onlyInLogs: string[]; nowhere: string[] } {
	const unsaved = jobIds.filter((jobId) => !savedTexts.some((text) => text.includes(jobId)));
	const isLogged = (jobId: string) => logs.some((log) => log.includes(jobId));
	return {
		onlyInLogs: unsaved.filter(isLogged),
		nowhere: unsaved.filter((jobId) => !isLogged(jobId)),
	};
}
