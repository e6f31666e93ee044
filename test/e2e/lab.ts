import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { startEmulator, type EmulatorOptions } from '../emulator/emulator';
import {
	N8nClient,
	type Execution,
	type SavedCredential,
	type WorkflowFile,
} from './real-n8n/rest-client';
import { withCredential } from './workflow';

export const credentialType = 'aetherForgeApi';
/** The n8n that is tested, a folder of this one. */
export const release = process.env.E2E_N8N_RELEASE ?? '';
export const isN8n1 = release === 'n8n-1.123';
export const isNewest = release === 'n8n-2.41';
export const isQueueMode = process.env.E2E_WORKER_LOG !== undefined;

/** Variables of n8n's environment. */
type Settings = Readonly<Record<string, string>>;

/** A lab of its own for each test of a file, or of a group; or for all of them, by other hooks. */
export function useLab(
	options: () => EmulatorOptions = () => ({}),
	[opens, closes]: [jest.Lifecycle, jest.Lifecycle] = [beforeEach, afterEach],
): Lab {
	const lab = {} as Lab;
	opens(async () => {
		Object.assign(lab, await openLab(options()));
	});
	closes(async () => {
		await lab.close();
	});
	return lab;
}

/** An emulator with the credential for it, in the n8n that scripts/e2e.ts has started. */
export type Lab = Awaited<ReturnType<typeof openLab>>;

/** Jobs are done after 300 ms and give tiny pictures, unless told otherwise. */
async function openLab(options: EmulatorOptions) {
	const apiKey = `key-${Math.random().toString(36).slice(2)}-not-to-be-seen`;
	const usual = { apiKeys: [apiKey], jobDurationMs: 300, pictures: false };
	const emulator = await startEmulator({ ...usual, ...options });
	const n8n = new N8nClient(setting('E2E_N8N_URL'));
	let credential: SavedCredential;
	try {
		await n8n.signIn();
		const data = { apiKey, baseUrl: emulator.apiUrl };
		credential = await n8n.createCredential('AetherForge', credentialType, data);
	} catch (error) {
		// Its servers would keep jest from ending.
		await emulator.close();
		throw error;
	}
	const save = async (file: WorkflowFile) =>
		await n8n.createWorkflow(withCredential(file, credential));
	const startAgain = (act: string) => async (settings?: Settings) => {
		await control(act, settings);
		await n8n.signIn();
	};
	const mainLog = async () => await readFile(setting('E2E_N8N_LOG'), 'utf8');
	const log = async () =>
		isQueueMode ? await readFile(setting('E2E_WORKER_LOG'), 'utf8') : await mainLog();
	return {
		n8n,
		emulator,
		/** Unlike any other text, so that it can be searched for. */
		apiKey,
		credential,
		/** Saves a workflow with the credential in its nodes. */
		save,
		/** The same, and runs it by hand. */
		run: async (file: WorkflowFile, triggerName = 'Start') =>
			await n8n.runManually(await save(file), triggerName),
		/** Saves a workflow and runs it in production, by what somebody sends to its webhook or form. */
		send: async (file: WorkflowFile, path: string, body = new FormData()) => {
			const saved = await save(file);
			await n8n.activate(saved);
			await n8n.post(path, body);
			const execution = await n8n.nextExecution(saved);
			await n8n.deactivate(saved);
			return { execution, saved };
		},
		/** Ends all jobs well. */
		finishJobs: () => {
			for (const { id } of emulator.jobs.all()) emulator.jobs.finish(id);
		},
		/** Ends the n8n and starts it again on the same data, until the next time with further settings. */
		restartN8n: startAgain('restart'),
		/** The same with `kill -9`. */
		crashN8n: startAgain('crash'),
		/** Starts one more worker, in queue mode. */
		addWorker: async (settings?: Settings) => {
			await control('add-worker', settings);
		},
		/** Ends the oldest worker with `kill -9`. */
		crashWorker: async () => {
			await control('crash-worker');
		},
		/** All that the process has logged in which production executions run: in queue mode, the worker. */
		log,
		/** All that n8n's main process has logged. */
		mainLog,
		close: async () => {
			await emulator.close();
			// Compared as booleans: a failure must not print the whole log.
			const logs = [await mainLog(), ...(isQueueMode ? [await log()] : [])];
			const isKeyLogged = logs.some((each) => each.includes(apiKey));
			expect({ isKeyLogged }).toEqual({ isKeyLogged: false });
		},
	};
}

export function setting(name: string): string {
	const value = process.env[name];
	if (value !== undefined) return value;
	throw new Error(`${name} is not set: run these tests by scripts/e2e.ts.`);
}

/** Has the process that holds n8n do something with it. */
async function control(act: string, settings: Settings = {}): Promise<void> {
	const url = `${setting('E2E_CONTROL_URL')}/${act}`;
	const response = await fetch(url, { method: 'POST', body: JSON.stringify(settings) });
	if (!response.ok) throw new Error(`n8n: ${act} failed: ${await response.text()}`);
}

export function expectSuccess({ status, errorMessage }: Execution): void {
	expect([status, errorMessage]).toEqual(['success', undefined]);
}

/** The IDs of the jobs that a node put out. */
export function jobIds(execution: Execution, nodeName = 'Generate'): unknown[] {
	return execution.items(nodeName).map(({ json }) => json.job_id);
}

export function sha256(bytes: Uint8Array): string {
	return createHash('sha256').update(bytes).digest('hex');
}

/** The hash of what the emulator serves under a result's address. */
export async function servedSha256(imageUrl: unknown): Promise<string> {
	if (typeof imageUrl !== 'string') throw new Error(`Not an address: ${String(imageUrl)}`);
	return sha256(new Uint8Array(await (await fetch(imageUrl)).arrayBuffer()));
}
