import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const startTimeoutMs = 120_000;
const tailLines = 25;

/** A running program with everything it has started. It ends with this process, however that ends. */
export interface Program {
	pid: number;
	/** Settles when it does its work; fails with the end of its log when it does not. */
	ready: Promise<void>;
	/** Settles when it has ended, whoever ended it. */
	ended: Promise<void>;
	/** Asks it to end, and kills what is left of it some seconds later. */
	stop: () => Promise<void>;
	/** Ends it as a crash does: at once. */
	kill: () => Promise<void>;
}

interface LaunchOptions {
	/** Working directory. */
	cwd: string;
	/** The whole environment. */
	env?: NodeJS.ProcessEnv;
	/** File that everything printed is added to. */
	logFile: string;
	isReady: () => Promise<boolean>;
	patienceSeconds: number;
}

/** Starts a program that loads `lifeline.cjs`. Whoever calls this must `stop` it, ready or not. */
export function launch(
	[program = '', ...args]: readonly string[],
	{ cwd, env = process.env, logFile, isReady, patienceSeconds }: LaunchOptions,
): Program {
	const log = openSync(logFile, 'a');
	const child = spawn(program, args, {
		cwd,
		// A group of its own: Ctrl-C in the terminal reaches only us, and the whole group can be ended.
		detached: true,
		stdio: ['ignore', log, log, 'pipe'],
		env: { ...env, LIFELINE_PARENT: String(process.pid) },
	});
	closeSync(log);
	const ended = once(child, 'exit').then(() => undefined);
	const kill = async (): Promise<void> => {
		if (child.pid === undefined) return;
		try {
			process.kill(-child.pid, 'SIGKILL');
		} catch {
			// ESRCH: nobody of the group is left, as it should be.
		}
		await ended;
	};
	const untilReady = async (): Promise<void> => {
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
		const started = `${program} ${args.join(' ')}`;
		throw new Error(`"${started}" did not start: ${reason}\n${await tailOf(logFile)}`);
	};
	const ready = untilReady();
	// Whoever stops it early does not wait for it, and must not be ended by this.
	ready.catch(() => undefined);
	return {
		pid: child.pid ?? 0,
		ready,
		ended,
		stop: async () => {
			child.kill('SIGTERM');
			await Promise.race([ended, sleep(patienceSeconds * 1000, undefined, { ref: false })]);
			await kill();
		},
		kill,
	};
}

/** The command of a program that cannot load `lifeline.cjs` itself. */
export function leashed(...command: string[]): string[] {
	return [process.execPath, join(__dirname, 'leashed.cjs'), ...command];
}

interface RunOptions {
	cwd: string;
	/** File that receives everything the command prints, so that a quiet terminal stays quiet. */
	logFile: string;
	/** Added to this process's environment. */
	env?: Record<string, string>;
}

/**
 * Runs a program to its end.
 *
 * @throws Error with the last lines of the output when the program fails.
 */
export async function runCommand(
	program: string,
	args: readonly string[],
	{ cwd, logFile, env = {} }: RunOptions,
): Promise<void> {
	// execa is an ES module only, which CommonJS can load no other way.
	const { execa } = await import('execa');
	const output = { file: logFile, append: true } as const;
	const options = { cwd, env, stdin: 'ignore', stdout: output, stderr: output } as const;
	const { failed, command } = await execa(program, args, { ...options, reject: false });
	if (!failed) return;
	throw new Error(`"${command}" failed; the end of ${logFile}:\n${await tailOf(logFile)}`);
}

async function tailOf(logFile: string): Promise<string> {
	return (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-tailLines).join('\n');
}

/** Whether a program ends well. */
export async function succeeds(program: string, ...args: string[]): Promise<boolean> {
	return await promisify(execFile)(program, args).then(
		() => true,
		() => false,
	);
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
