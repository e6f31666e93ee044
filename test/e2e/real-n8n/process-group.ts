import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const startTimeoutMs = 120_000;
const tailLines = 25;

/** A program with everything it starts, in a process group of its own. */
export interface ProcessGroup {
	child: ChildProcess;
	/** Settles when the program has ended, whoever ended it. */
	ended: Promise<void>;
}

interface LaunchOptions {
	/** Working directory. */
	cwd: string;
	/** The whole environment, but for what ties the program to this process. */
	env: NodeJS.ProcessEnv;
	/** File that everything printed is added to. */
	logFile: string;
}

/**
 * Starts a program that loads `lifeline.cjs`, so that it ends with this process, however that ends.
 *
 * @param args the program's arguments
 */
export function launchGroup(
	program: string,
	args: readonly string[],
	{ cwd, env, logFile }: LaunchOptions,
): ProcessGroup {
	const log = openSync(logFile, 'a');
	const child = spawn(program, args, {
		cwd,
		// A group of its own: Ctrl-C in the terminal reaches only us, and the whole group can be ended.
		detached: true,
		stdio: ['ignore', log, log, 'pipe'],
		env: { ...env, LIFELINE_PARENT: String(process.pid) },
	});
	closeSync(log);
	return { child, ended: once(child, 'exit').then(() => undefined) };
}

/** Ends a program and all it has started; what is left after the patience is killed. */
export async function endGroup(group: ProcessGroup, patienceSeconds: number): Promise<void> {
	const { child, ended } = group;
	if (child.pid === undefined) return;
	child.kill('SIGTERM');
	const patience = new AbortController();
	const limit = sleep(patienceSeconds * 1000, undefined, { signal: patience.signal });
	await Promise.race([ended, limit]);
	patience.abort();
	limit.catch(() => undefined);
	await killGroup(group);
}

/** Ends a program and all it has started at once. */
export async function killGroup({ child, ended }: ProcessGroup): Promise<void> {
	if (child.pid === undefined) return;
	try {
		process.kill(-child.pid, 'SIGKILL');
	} catch {
		// ESRCH: nobody of the group is left, as it should be.
	}
	await ended;
}

/**
 * Waits until a program does its work.
 *
 * @param name what the program is called in the message of an error
 * @throws Error with the end of its log when it ends first, or takes over two minutes
 */
export async function untilReady(
	name: string,
	{ child }: ProcessGroup,
	logFile: string,
	isReady: () => Promise<boolean>,
): Promise<void> {
	const deadline = Date.now() + startTimeoutMs;
	let reason = `no answer within ${startTimeoutMs / 1000} s.`;
	while (Date.now() < deadline) {
		if (child.exitCode !== null || child.signalCode !== null) {
			reason = `it ended with ${child.signalCode ?? `code ${String(child.exitCode)}`}.`;
			break;
		}
		if (await isReady()) return;
		await sleep(200);
	}
	const tail = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-tailLines).join('\n');
	throw new Error(`${name} did not start: ${reason}\n${tail}`);
}

/** A port of the loopback interface that nobody listens on: the preferred one where it is free. */
export async function freePort(preferred = 0): Promise<number> {
	const server = createServer().listen(preferred, '127.0.0.1');
	try {
		await once(server, 'listening');
	} catch {
		return await freePort();
	}
	const address = server.address();
	server.close();
	await once(server, 'close');
	if (address === null || typeof address === 'string') throw new Error('No port could be had.');
	return address.port;
}

/** Whether JSON comes back: while it starts, n8n answers everything with a page of its own. */
export async function answersJson(address: string): Promise<boolean> {
	try {
		const response = await fetch(address, { signal: AbortSignal.timeout(5_000) });
		const type = response.headers.get('content-type') ?? '';
		await response.arrayBuffer();
		return response.ok && type.includes('json');
	} catch {
		return false;
	}
}
