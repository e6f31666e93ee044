import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endGroup, freePort, launchGroup, untilReady } from './process-group';

/** A running Redis that keeps nothing, on the loopback interface only. */
export interface Redis {
	port: number;
	/** Settles when it answers; fails with the end of its log. */
	ready: Promise<void>;
	/** Ends it and deletes its folder. */
	stop: () => Promise<void>;
}

const program = 'redis-server';
const patienceSeconds = 2;
const answerTimeoutMs = 2_000;

/** @throws Error that says how to get it, where there is no Redis on this machine. */
export async function requireRedis(): Promise<void> {
	try {
		await promisify(execFile)(program, ['--version']);
	} catch {
		throw new Error(
			`n8n's queue mode needs a Redis, and there is no "${program}" here. ` +
				'Get it with "apt-get install redis-server" (Debian, Ubuntu) or "brew install redis" (macOS).',
		);
	}
}

/** Starts a Redis on a free port. Whoever calls this must `stop` it, ready or not. */
export async function startRedis(): Promise<Redis> {
	const folder = await mkdtemp(join(tmpdir(), 'redis-'));
	const port = await freePort();
	const logFile = join(folder, 'redis.log');
	const nothingKept = ['--save', '', '--appendonly', 'no'];
	const group = launchGroup(
		process.execPath,
		[
			join(__dirname, 'leashed.cjs'),
			program,
			...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, ...nothingKept],
		],
		{ cwd: folder, env: process.env, logFile },
	);
	const ready = untilReady(program, group, logFile, async () => await answersPing(port));
	// Whoever stops it early does not wait for it, and must not be ended by this.
	ready.catch(() => undefined);
	return {
		port,
		ready,
		stop: async () => {
			await endGroup(group, patienceSeconds);
			await rm(folder, { recursive: true, force: true });
		},
	};
}

async function answersPing(port: number): Promise<boolean> {
	const socket = connect(port, '127.0.0.1');
	try {
		const signal = AbortSignal.timeout(answerTimeoutMs);
		socket.write('PING\r\n');
		const [answer] = (await once(socket, 'data', { signal })) as [Buffer];
		return answer.toString() === '+PONG\r\n';
	} catch {
		return false;
	} finally {
		socket.destroy();
	}
}
