import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { startBinaryStorage, type EngineOptions } from '../support/engine';
import { nock } from '../support/nock';
import { KEY, openScene, type Scene } from '../support/scene';

// What each code of Node.js means for a paid request is tested with the retry policy.

let scene: Scene;

beforeAll(startBinaryStorage);

beforeEach(async () => {
	scene = await openScene({ jobDurationMs: 0 });
});

afterEach(async () => {
	nock.cleanAll();
	await scene.close();
});

/** A port of this machine on which nothing listens. */
async function closedPort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
}

const GIVEN: EngineOptions = { node: 'imageGenerate', parameters: { prompt: 'p' } };

describe.each<[string, () => number | Promise<number>, RegExp]>([
	[
		'a port on which nothing listens',
		closedPort,
		/\(connection refused \(ECONNREFUSED\)\) The request started no job/,
	],
	[
		'port 0',
		() => 0,
		/\((the address is not available|connection refused) \(E[A-Z]+\)\) The request started no job/,
	],
])('a Base URL with %s', (_, portOf, reason) => {
	it('is tried five times, and a retry with the right one sends', async () => {
		const baseUrl = `http://127.0.0.1:${await portOf()}`;
		const first = await scene.run({ ...GIVEN, credential: { baseUrl } });
		expect(first.error).toMatchObject({
			name: 'NodeOperationError',
			message: 'AetherForge cannot be reached',
			context: { itemIndex: 0 },
		});
		expect(first.error?.context).not.toHaveProperty('data');
		expect(first.error?.description).toMatch(
			/^Could not connect within [\d.]+ seconds\. .* started no job, and nothing was charged for it\.$/,
		);
		expect(first.error?.description).toMatch(reason);
		// Besides the time limit of each try, four pauses between five tries.
		const pauses = scene.clock.sleeps.filter((durationMs) => durationMs < 60_000);
		expect(pauses).toHaveLength(4);
		expect(scene.clock.sleeps).toHaveLength(9);
		expect(first.log.join()).not.toMatch(/not known/);

		const again = await scene.run({ ...GIVEN, retryOf: first });
		expect(again.error).toBeUndefined();
		expect(scene.emulator.submits).toHaveLength(1);
	});
});

it('a request that failed for a reason without a code is not sent again, not even by a retry', async () => {
	nock(scene.emulator.apiUrl).post('/public/v1/generate/image').replyWithError('no idea');
	const first = await scene.run(GIVEN);
	expect(first.error?.message).toBe('It is not known whether AetherForge started the job');
	expect(first.error?.description).toContain('no idea (unknown)');
	const again = await scene.run({ ...GIVEN, retryOf: first });
	expect(again.error?.message).toBe('It is not known whether an earlier attempt started the job');
	expect(scene.postCount()).toBe(0);
});

it('a key in the words of a failed connection is not repeated', async () => {
	const error = Object.assign(new Error(`cannot send ${KEY}`), { code: 'EWEIRD' });
	nock(scene.emulator.apiUrl).post('/public/v1/generate/image').replyWithError(error);
	const { error: shown } = await scene.run(GIVEN);
	expect(shown?.description).toContain('cannot send ***');
});
