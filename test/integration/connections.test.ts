import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { NodeApiError, type IExecuteFunctions, type INodeType } from 'n8n-workflow';

import { GetJob } from '../../nodes/GetJob/GetJob.node';
import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import type { EngineOptions } from '../support/engine';
import { nock } from '../support/nock';
import { KEY, useScene } from '../support/scene';

// What each code of Node.js means is tested in unit/connection, and that a request is sent again in unit/submit.

const scene = useScene({ jobDurationMs: 0 });

afterEach(() => {
	nock.cleanAll();
});

/** A port of this machine on which nothing listens. */
async function closedPort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
}

/** Of the time that n8n's database has. */
const DATABASE_STEP_MS = 100;
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
		// But for the time that n8n's database has: the limit of each try, and four pauses between five tries.
		const sleeps = scene.clock.sleeps.filter((durationMs) => durationMs !== DATABASE_STEP_MS);
		expect(sleeps.filter((durationMs) => durationMs < 60_000)).toHaveLength(4);
		expect(sleeps).toHaveLength(9);
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

describe('a request that n8n’s SSRF protection blocks', () => {
	class SsrfBlockedIpError extends Error {
		readonly description = 'The IP address 127.0.0.1 is blocked. Ask your administrator.';

		constructor() {
			super('The request was blocked because it resolves to a restricted IP address');
			this.name = 'SsrfBlockedIpError';
		}
	}

	/** The node where n8n's helper for requests with a credential throws as its protection does. */
	function blocked(nodeType: INodeType, block: (context: IExecuteFunctions) => Error): INodeType {
		return {
			description: nodeType.description,
			async execute(this: IExecuteFunctions) {
				this.helpers.httpRequestWithAuthentication = async () => {
					calls++;
					return await Promise.reject(block(this));
				};
				return (await nodeType.execute?.call(this)) ?? [];
			},
		};
	}

	let calls = 0;
	const asThrown: [string, (context: IExecuteFunctions) => Error][] = [
		['the error itself', () => new SsrfBlockedIpError()],
		[
			'the error within n8n’s own',
			(context) => new NodeApiError(context.getNode(), new SsrfBlockedIpError() as never),
		],
	];

	beforeEach(() => {
		calls = 0;
	});

	it.each(asThrown)('costs nothing, is not sent again, and says so: %s', async (_, block) => {
		const result = await scene.run({
			node: blocked(new ImageGenerate(), block),
			parameters: { prompt: 'a' },
			items: [{ json: {} }, { json: {} }, { json: {} }],
			nodeSettings: { onError: 'continueErrorOutput' },
		});
		expect(scene.emulator.requests).toEqual([]);
		expect(calls).toBe(3);
		for (const { json } of result.errorItems) {
			expect(json.error).toMatchObject({
				message: "n8n's SSRF protection blocked the request to AetherForge",
				description: expect.stringMatching(/Ask your administrator/) as string,
			});
		}
		expect(result.log.join('\n')).not.toMatch(/not known/);
		// Nothing is remembered either: once it is allowed, a retry starts the job.
		const again = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', waitForCompletion: false },
			items: [{ json: {} }, { json: {} }, { json: {} }],
			retryOf: result,
		});
		expect(again.items).toHaveLength(3);
	});

	it.each(asThrown)('is no status check to try again: %s', async (_, block) => {
		const { error } = await scene.run({
			node: blocked(new GetJob(), block),
			parameters: { jobId: '11111111-1111-4111-8111-111111111111', waitForCompletion: true },
		});
		expect(calls).toBe(1);
		expect(error?.message).toBe("n8n's SSRF protection blocked the request to AetherForge");
	});
});
