import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { startEmulator, type Emulator, type EmulatorOptions } from '../emulator/emulator';
import { packRepository } from '../e2e/real-n8n/package-tarball';
import { N8nClient, type SavedCredential } from '../e2e/real-n8n/rest-client';
import { Started } from '../e2e/real-n8n/started';
import { BENCH_KEY } from './service';

// What the commands have in common that measure a real n8n: bench, scale and soak.

const startedAt = Date.now();

/** Writes a line with the seconds that the command has run. */
export function say(line: string): void {
	const seconds = Math.round((Date.now() - startedAt) / 1000);
	console.log(`${String(seconds).padStart(4)} s  ${line}`);
}

/** Packs the package, does the work, and ends all that the work has started. */
export async function withPackage(
	work: (tarball: string, started: Started) => Promise<void>,
): Promise<void> {
	const started = new Started();
	try {
		const directory = await mkdtemp(join(tmpdir(), 'aetherforge-bench-'));
		started.add(async () => {
			await rm(directory, { recursive: true, force: true });
		});
		await work(await packRepository(directory), started);
	} finally {
		await started.stopAll();
	}
}

/** A user of a running n8n, whose credential is for an emulator of its own. */
export interface Service {
	emulator: Emulator;
	client: N8nClient;
	credential: SavedCredential;
}

/** Starts an emulator without pictures, and makes a credential for it. Whoever calls this must close it. */
export async function startService(
	client: N8nClient,
	options: EmulatorOptions,
): Promise<Pick<Service, 'emulator' | 'credential'>> {
	const emulator = await startEmulator({ apiKeys: [BENCH_KEY], pictures: false, ...options });
	const credential = await client.createCredential('AetherForge', 'aetherForgeApi', {
		apiKey: BENCH_KEY,
		baseUrl: emulator.apiUrl,
	});
	return { emulator, credential };
}

/** Signs in to an n8n that runs, with an emulator that ends with the command. */
export async function openService(
	url: string,
	options: EmulatorOptions,
	started: Started,
): Promise<Service> {
	const client = new N8nClient(url);
	await client.signIn();
	const service = await startService(client, options);
	started.add(async () => {
		await service.emulator.close();
	});
	return { client, ...service };
}

/** Starts a workflow by its webhook, which answers at once. */
export async function callWebhook(client: N8nClient, path: string): Promise<void> {
	const { status } = await client.post(`webhook/${path}`, {});
	if (status !== 200) throw new Error(`A webhook call was answered with ${status}.`);
}

/** For an option of a command. */
export function wholeNumber(text: string): number {
	if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
	return Number(text);
}

/** Runs a command, and says in a line why it failed. */
export function runCommand(command: Command): void {
	command.parseAsync().catch((error: unknown) => {
		console.error(error instanceof Error ? error.message : error);
		process.exitCode = 1;
	});
}
