import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, launch, leashed, succeeds } from './programs';

/**
 * Starts a Redis on a free port, which keeps nothing. Whoever calls this must `stop` it, ready or not.
 *
 * @throws Error that says how to get it, where there is no Redis on this machine.
 */
export async function startRedis() {
	if (!(await succeeds('redis-server', '--version'))) {
		throw new Error(
			'n8n\'s queue mode needs a Redis, and there is no "redis-server" here. ' +
				'Get it with "apt-get install redis-server" (Debian, Ubuntu) or "brew install redis" (macOS).',
		);
	}
	const folder = await mkdtemp(join(tmpdir(), 'redis-'));
	const port = await freePort();
	const at = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder];
	const { ready, stop } = launch(
		leashed('redis-server', ...at, '--save', '', '--appendonly', 'no'),
		{
			cwd: folder,
			logFile: join(folder, 'redis.log'),
			isReady: async () => await succeeds('redis-cli', '-p', String(port), 'ping'),
			patienceSeconds: 2,
		},
	);
	return {
		port,
		ready,
		stop: async () => {
			await stop();
			await rm(folder, { recursive: true, force: true });
		},
	};
}
