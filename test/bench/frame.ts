import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { installCommunityPackage, packRepository } from '../e2e/real-n8n/package-tarball';
import { startPostgres } from '../e2e/real-n8n/postgres';
import type { Program } from '../e2e/real-n8n/programs';
import { startRedis } from '../e2e/real-n8n/redis';
import { queueMode } from '../e2e/real-n8n/server';
import { Started } from '../e2e/real-n8n/started';

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

export async function temporaryFolder(name: string, started: Started): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), `aetherforge-${name}-`));
	started.add(async () => {
		await rm(folder, { recursive: true, force: true });
	});
	return folder;
}

/** Puts nodes in n8n's folder for community nodes. */
export type InstallNodes = (nodesDirectory: string) => Promise<void>;

/** As {@link withStarted}, with the packed package. */
export async function withPackage(
	work: (installNodes: InstallNodes, started: Started) => Promise<void>,
): Promise<void> {
	await withStarted(async (started) => {
		const folder = await temporaryFolder('pack', started);
		say('Building and packing the nodes …');
		const tarball = await packRepository(folder);
		await work(async (nodes) => {
			await installCommunityPackage(tarball, nodes);
		}, started);
	});
}

/** Gives the settings of an n8n in queue mode, once what it needs has started. */
export async function startQueue(started: Started): Promise<NodeJS.ProcessEnv> {
	const { port } = await untilReady(await startRedis(), started);
	const { env } = await untilReady(await startPostgres(), started);
	return { ...queueMode(port), ...env };
}

/** Waits for a program that was started, which is stopped in the end. */
export async function untilReady<T extends Pick<Program, 'ready' | 'stop'>>(
	program: T,
	started: Started,
): Promise<T> {
	started.add(program.stop);
	await program.ready;
	return program;
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
