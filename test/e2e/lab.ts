import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmulator, type Emulator, type EmulatorOptions } from '../emulator/emulator';
import {
	N8nClient,
	type Execution,
	type SavedCredential,
	type WorkflowFile,
} from './real-n8n/rest-client';
import { withCredential } from './workflow';

export const credentialType = 'aetherForgeApi';

/** An emulator with the credential for it, in the n8n that scripts/e2e.ts has started. */
export interface Lab {
	n8n: N8nClient;
	emulator: Emulator;
	/** Unlike any other text, so that it can be searched for. */
	apiKey: string;
	credential: SavedCredential;
	/** Saves a workflow with the credential in its nodes and runs it by hand. */
	run(file: WorkflowFile, triggerName?: string): Promise<Execution>;
	/** Ends the n8n and starts it again on the same data, until the next time with further settings. */
	restartN8n(settings?: Settings): Promise<void>;
	/** The same with `kill -9`. */
	crashN8n(settings?: Settings): Promise<void>;
	/** Starts one more worker, in queue mode. */
	addWorker(settings?: Settings): Promise<void>;
	/** Ends the oldest worker with `kill -9`. */
	crashWorker(): Promise<void>;
	/** Everything n8n has logged so far, since it started; in queue mode, its main process. */
	n8nLog(): Promise<string>;
	/** The same of its worker, in queue mode. */
	workerLog(): Promise<string>;
	close(): Promise<void>;
}

/** Variables of n8n's environment. */
type Settings = Readonly<Record<string, string>>;

function setting(name: string): string {
	const value = process.env[name];
	if (value === undefined)
		throw new Error(`${name} is not set: run these tests by scripts/e2e.ts.`);
	return value;
}

/** Has the process that holds n8n do something with it. */
async function control(act: string, settings: Settings = {}): Promise<void> {
	const url = `${setting('E2E_CONTROL_URL')}/${act}`;
	const response = await fetch(url, { method: 'POST', body: JSON.stringify(settings) });
	if (!response.ok) throw new Error(`n8n: ${act} failed: ${await response.text()}`);
}

/** Jobs are done after 300 ms and give tiny pictures, unless told otherwise. */
export async function openLab(options: EmulatorOptions = {}): Promise<Lab> {
	const apiKey = `key-${Math.random().toString(36).slice(2)}-not-to-be-seen`;
	const emulator = await startEmulator({
		apiKeys: [apiKey],
		jobDurationMs: 300,
		pictures: false,
		...options,
	});
	const n8n = new N8nClient(setting('E2E_N8N_URL'));
	let credential: SavedCredential;
	try {
		await n8n.signIn();
		credential = await n8n.createCredential('AetherForge', credentialType, {
			apiKey,
			baseUrl: emulator.apiUrl,
		});
	} catch (error) {
		// Its servers would keep jest from ending.
		await emulator.close();
		throw error;
	}
	return {
		n8n,
		emulator,
		apiKey,
		credential,
		run: async (file, triggerName = 'Start') =>
			await n8n.runManually(
				await n8n.createWorkflow(withCredential(file, credential)),
				triggerName,
			),
		restartN8n: async (settings) => {
			await control('restart', settings);
		},
		crashN8n: async (settings) => {
			await control('crash', settings);
		},
		addWorker: async (settings) => {
			await control('add-worker', settings);
		},
		crashWorker: async () => {
			await control('crash-worker');
		},
		n8nLog: async () => await readFile(setting('E2E_N8N_LOG'), 'utf8'),
		workerLog: async () => await readFile(setting('E2E_WORKER_LOG'), 'utf8'),
		close: async () => {
			await emulator.close();
		},
	};
}

/** Waits until something is so; fails after a time, unlike a loop that would keep a failing test alive. */
export async function until(
	isSo: () => boolean | Promise<boolean>,
	withinMs = 30_000,
): Promise<void> {
	const deadline = Date.now() + withinMs;
	while (!(await isSo())) {
		if (Date.now() > deadline) throw new Error(`Not within ${withinMs} ms: ${isSo.toString()}`);
		await sleep(20);
	}
}

export function sha256(bytes: Uint8Array): string {
	return createHash('sha256').update(bytes).digest('hex');
}

/** The hash of what the emulator serves under a result's address. */
export async function servedSha256(imageUrl: unknown): Promise<string> {
	if (typeof imageUrl !== 'string') throw new Error(`Not an address: ${String(imageUrl)}`);
	return sha256(new Uint8Array(await (await fetch(imageUrl)).arrayBuffer()));
}
