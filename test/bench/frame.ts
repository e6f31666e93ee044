import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError, type Command } from 'commander';
import type { Emulator, EmulatorOptions } from '../emulator/emulator';
import { packRepository } from '../e2e/real-n8n/package-tarball';
import {
	N8nClient,
	type SavedCredential,
	type SavedWorkflow,
	type WorkflowFile,
} from '../e2e/real-n8n/rest-client';
import { startPostgres } from '../e2e/real-n8n/postgres';
import { startRedis } from '../e2e/real-n8n/redis';
import { queueMode, startN8n, type N8nServer } from '../e2e/real-n8n/server';
import { Started } from '../e2e/real-n8n/started';
import { withKey, type N8nKit } from './n8n';
import { BENCH_KEY, startService } from './service';

// What the commands have in common that start a real n8n.

const startedAt = Date.now();

/** Writes a line with the seconds that the command has run. */
export function say(line: string): void {
	const seconds = Math.round((Date.now() - startedAt) / 1000);
	console.log(`${String(seconds).padStart(4)} s  ${line}`);
}

/** Does some work, and ends all that it has started, whatever happens. */
export async function withStarted(work: (started: Started) => Promise<void>): Promise<void> {
	const started = new Started();
	try {
		await work(started);
	} finally {
		await started.stopAll();
	}
}

/** The same with the packed package. */
export async function withPackage(
	work: (tarball: string, started: Started) => Promise<void>,
): Promise<void> {
	await withStarted(async (started) => {
		const directory = await mkdtemp(join(tmpdir(), 'aetherforge-pack-'));
		started.add(async () => {
			await rm(directory, { recursive: true, force: true });
		});
		say('Building and packing the nodes …');
		await work(await packRepository(directory), started);
	});
}

/** Gives the settings of an n8n in queue mode, once what it needs has started. */
export async function startQueue(started: Started): Promise<NodeJS.ProcessEnv> {
	const redis = await startRedis();
	started.add(redis.stop);
	const postgres = await startPostgres();
	started.add(postgres.stop);
	await Promise.all([redis.ready, postgres.ready]);
	return { ...queueMode(redis.port), ...postgres.env };
}

/** Runs a command, and says in a line why it failed. */
export function runCommand(command: Command): void {
	command.parseAsync().catch((error: unknown) => {
		console.error(error instanceof Error ? error.message : error);
		process.exitCode = 1;
	});
}

/** For an option of a command. */
export function wholeNumber(text: string): number {
	if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
	return Number(text);
}

/** Starts an n8n with the community nodes of a kit. */
export async function startServer(
	kit: N8nKit,
	onStarted: Started['add'],
	env: NodeJS.ProcessEnv = {},
): Promise<N8nServer> {
	const server = await startN8n(kit.install, {
		installNodes: async (nodes) => {
			await cp(kit.nodesDirectory, nodes, { recursive: true });
		},
		env,
	});
	onStarted(server.stop);
	await server.ready;
	return server;
}

/** A user of a running n8n, whose credential is for an emulator of its own. */
export interface User {
	emulator: Emulator;
	client: N8nClient;
	credential: SavedCredential;
}

/** Signs in to an n8n that runs. */
export async function openService(
	url: string,
	options: EmulatorOptions,
	onStarted: Started['add'],
): Promise<User> {
	const client = new N8nClient(url);
	await client.signIn();
	const { emulator, stop } = await startService(options);
	onStarted(stop);
	const credential = await client.createCredential('AetherForge', 'aetherForgeApi', {
		apiKey: BENCH_KEY,
		baseUrl: emulator.apiUrl,
	});
	return { client, emulator, credential };
}

/** Saves and activates a workflow that a webhook starts, which answers at once. */
export async function activated(
	{ client, credential }: User,
	workflowFor: (webhookPath: string) => WorkflowFile,
): Promise<{ saved: SavedWorkflow; call: () => Promise<void> }> {
	const path = randomUUID();
	const saved = await client.createWorkflow(withKey(workflowFor(path), credential));
	await client.activate(saved);
	const call = async () => {
		const { status } = await client.post(`webhook/${path}`, {});
		if (status !== 200) throw new Error(`A webhook call was answered with ${status}.`);
	};
	return { saved, call };
}

/** Waits until something is so. @returns whether it was so in time */
export async function until(
	isSo: () => boolean | Promise<boolean>,
	limitMs = Infinity,
	everyMs = 300,
): Promise<boolean> {
	const deadline = Date.now() + limitMs;
	while (!(await isSo())) {
		if (Date.now() > deadline) return false;
		await sleep(everyMs);
	}
	return true;
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
