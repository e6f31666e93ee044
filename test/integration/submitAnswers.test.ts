import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { NodeApiError, type IExecuteFunctions, type INodeType } from 'n8n-workflow';

import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import type { Fault } from '../emulator/emulator';
import { PROXY_HTML_PAGE as PAGE } from '../emulator/faults';
import { deferred } from '../support/deferred';
import type { EngineResult } from '../support/engine';
import { jsonOf, numbered } from '../support/items';
import { startProxy, type TestProxy } from '../support/proxy';
import { CONTINUES, KEY, useScene } from '../support/scene';

// What comes back for a paid request, or does not, and what that makes of it: a job, none, or nobody knows.
// How the words of an answer are read is tested in unit/answer, and what each code of Node.js means in
// unit/connection.

const FREE = 'The request started no job, and nothing was charged for it.';
const UNKNOWN = 'A job may exist and be charged';
const NOT_KNOWN = 'It is not known whether AetherForge started the job';
const STILL_NOT_KNOWN = 'It is not known whether an earlier attempt started the job';
const NOT_WAITING = { waitForCompletion: false };

const scene = useScene();

type Answer = Pick<Extract<Fault, { kind: 'respond' }>, 'status' | 'body' | 'headers'>;

function answerSubmits(answer: Answer): void {
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', times: Infinity, ...answer });
}

function expectSays({ error }: EngineResult, ...says: string[]): void {
	for (const words of says) expect(error?.description).toContain(words);
}

const detail = (status: number, text: unknown): Answer => ({ status, body: { detail: text } });
const BAD_KEY = 'AetherForge does not accept the API key';
const NO_CREDITS = 'The AetherForge account has no credits left';
const FORBIDDEN = 'AetherForge refused the request for this account';
const GONE = 'The account of this API key no longer exists';
const REJECTED = 'AetherForge did not accept the request: Bad file';
const TOO_LARGE = 'The files are larger than AetherForge accepts';
const ON_THE_WAY = 'A server between n8n and AetherForge refused the request';
const NO_API = 'There is no AetherForge API at the Base URL in the credential';
const REDIRECTS = 'The Base URL in the credential redirects to another URL';
const FIREWALL = '<!DOCTYPE html><title>Just a moment</title>';
const GATEWAY = { type: 'about:blank', title: 'No', detail: 'Blocked' };
const ELSEWHERE = { location: `https://elsewhere.example/?key=${KEY}` };

/** Of one item: the others may fare better. */
const ONE = 0;
/** Of all items, none of which it names. */
const ALL = undefined;

it.each<[Answer, message: string, itemIndex: number | undefined, cost: string, says: string]>([
	[detail(401, 'Bad key'), BAD_KEY, ALL, FREE, 'AetherForge says: Bad key.'],
	[detail(402, 'No credits'), NO_CREDITS, ALL, FREE, 'Add credits'],
	[detail(403, 'Plan'), FORBIDDEN, ALL, FREE, 'plan and permissions'],
	[detail(404, 'Not Found User'), GONE, ALL, FREE, 'AetherForge says: Not Found User.'],
	[detail(404, 'User not found'), GONE, ALL, FREE, 'Enter the key of an existing account'],
	[detail(400, 'Bad file'), REJECTED, ONE, FREE, '(HTTP 400)'],
	[{ status: 401, body: FIREWALL }, `${ON_THE_WAY} (HTTP 401)`, ONE, FREE, 'Just a moment.'],
	[{ status: 403, body: GATEWAY }, `${ON_THE_WAY} (HTTP 403)`, ONE, FREE, 'firewall or proxy'],
	[{ status: 400 }, `${ON_THE_WAY} (HTTP 400)`, ONE, FREE, 'says: an empty response.'],
	[{ status: 413, body: '<h1>Large</h1>' }, TOO_LARGE, ONE, FREE, 'AetherForge says: Large.'],
	[detail(404, 'Not Found'), NO_API, ALL, FREE, 'The server says: Not Found (HTTP 404)'],
	[{ status: 405, body: 'Not allowed' }, NO_API, ALL, FREE, 'Not allowed (HTTP 405)'],
	// A redirect may come after a job was made, or ask for the request itself at another address.
	[{ status: 302, headers: ELSEWHERE }, REDIRECTS, ALL, UNKNOWN, 'The API key is never sent'],
	[{ status: 303, headers: ELSEWHERE }, REDIRECTS, ALL, UNKNOWN, '(HTTP 303)'],
	[{ status: 307, headers: ELSEWHERE }, REDIRECTS, ALL, FREE, '(HTTP 307)'],
	[{ status: 408, body: PAGE }, NOT_KNOWN, ONE, UNKNOWN, 'HTTP 408: 502 Bad Gateway'],
	[{ status: 500, body: PAGE }, NOT_KNOWN, ONE, UNKNOWN, 'Check your AetherForge account'],
	[{ status: 200, body: PAGE }, NOT_KNOWN, ONE, UNKNOWN, 'is not JSON: 502 Bad Gateway'],
	[detail(200, 'No'), NOT_KNOWN, ONE, UNKNOWN, 'has no job ID: {"detail":"No"}'],
])('the answer %j ends the run with: %s', async (answer, message, itemIndex, cost, says) => {
	answerSubmits(answer);
	const result = await scene.generate();
	const { error, calls } = result;
	expect([calls, scene.postCount()]).toEqual([1, 1]);
	const { status } = answer;
	expect(error).toMatchObject({ name: 'NodeApiError', message, httpCode: String(status) });
	expect(error?.context.data).toEqual({ http_status: status });
	expect(error?.context.itemIndex).toBe(itemIndex);
	expectSays(result, cost, says);
	expect(error?.description).not.toContain(cost === FREE ? UNKNOWN : FREE);
});

it.each([500, 409])('an answer with %i that names a job has started it', async (status) => {
	const jobId = scene.emulator.jobs.add({ durationMs: 0 }).id;
	answerSubmits({ status, body: { detail: 'Queued, but …', job_id: jobId } });
	const { items, error } = await scene.generate();
	expect([error, items[0]?.json.job_id]).toEqual([undefined, jobId]);
});

it('a limit of requests is waited for', async () => {
	const headers = { 'retry-after': '7' };
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 429, headers });
	jsonOf(await scene.generate(NOT_WAITING));
	const [first, second] = scene.emulator.requests;
	expect(second?.startedAtMs).toBeGreaterThanOrEqual((first?.startedAtMs ?? 0) + 7000);
});

it.each([{ kind: 'truncate', chunked: true }, { kind: 'stallBody' }] as const)(
	'a refusal whose body breaks off is a refusal all the same: %j',
	async (damage) => {
		scene.emulator.apiKeys.clear();
		scene.emulator.faults.add({ at: 'submit', ...damage });
		const { error, log } = await scene.generate();
		expect(error?.message).toBe(BAD_KEY);
		expect(error?.context.data).toEqual({ http_status: 401 });
		expect(log.join('\n')).not.toMatch(/not known/);
	},
);

it('an API that floods at a status check is cut off', async () => {
	scene.emulator.faults.add({ at: 'poll', kind: 'endlessBody', times: Infinity });
	const { error } = await scene.generate({ options: { timeout: 60 } });
	expect(error?.description).toMatch(/larger than 1 MB/);
});

it('a job ID is waited for for nearly five minutes', async () => {
	const held = deferred();
	const match = (): boolean => {
		void scene.clock.wait(290_000).then(held.resolve);
		return true;
	};
	scene.emulator.faults.add({ at: 'submit', kind: 'hold', until: held.promise, match });
	const { items } = await scene.generate(NOT_WAITING);
	expect(items[0]?.json.job_id).toBe(scene.jobIdOf(0));
});

it('a server that loses each answer is not sent the whole table', async () => {
	scene.emulator.faults.add({ at: 'submit', kind: 'reset', when: 'accepted', times: Infinity });
	const { items } = await scene.generate({}, { items: numbered(100), nodeSettings: CONTINUES });
	expect(scene.postCount()).toBe(22);
	const unsent = {
		message: expect.stringMatching(/^The request was not sent, because/) as string,
		description: expect.stringMatching(/nothing was charged for it\.$/) as string,
	};
	expect(items.slice(22).map(({ json }) => json.error)).toEqual(Array(78).fill(unsent));
});

it('says of an unknown outcome that a retry sends it again where that is wanted', async () => {
	answerSubmits({ status: 503 });
	const { error } = await scene.generate({ options: { resubmitIfUnknown: true } });
	expect(error?.description).toContain('A retry resends the request');
	expect(error?.description).not.toContain('not sent again');
});

it.each<[string, Answer]>([
	['in a detail', detail(400, `key ${KEY} is bad`)],
	// What is cut off would be a part of the key that nobody would know.
	['where a page is cut', { status: 502, body: `${'x'.repeat(190)}${KEY}` }],
	['where a text is cut', { status: 200, body: `${'x'.repeat(95)}${KEY.repeat(9)}` }],
])('a server’s copy of the key is not repeated: %s', async (_, answer) => {
	answerSubmits(answer);
	// The scene looks for the key in all that n8n shows, logs, and saves.
	const { error } = await scene.generate();
	expect(`${error?.message} ${error?.description}`).toMatch(/\*\*\*|xxx…/);
	expect(error?.description).not.toContain(KEY.slice(0, 8));
});

describe('behind an HTTP proxy', () => {
	const BEHIND = { credential: { baseUrl: 'https://api.example.test' } };
	let proxy: TestProxy;

	afterEach(() => {
		proxy.close();
	});

	it.each([302, 407, 503])(
		'that will not connect (%i), a submit is tried five times, and a retry sends it',
		async (status) => {
			proxy = await startProxy({ status });
			const first = await scene.generate({}, BEHIND);
			expect(first.error?.message).toBe('AetherForge cannot be reached');
			expectSays(first, FREE, `(the proxy refused the connection (HTTP ${status}))`);
			expect(proxy.asked).toEqual(Array(5).fill('api.example.test:443'));
			jsonOf(await scene.generate({}, { retryOf: first }));
			expect(scene.emulator.submits).toHaveLength(1);
		},
	);

	it('that connects, the same answer from the API itself leaves the outcome unknown', async () => {
		// Both ends know a key in advance, so that no certificate has to be made.
		const psk = { ciphers: 'PSK', checkServerIdentity: () => undefined };
		const known = Buffer.from('known to both');
		const connect = tls.connect;
		const spy = jest.spyOn(tls, 'connect').mockImplementation(((options: tls.ConnectionOptions) =>
			connect({
				...options,
				...psk,
				pskCallback: () => ({ psk: known, identity: 'n8n' }),
			})) as typeof connect);
		let posts = 0;
		const api = createServer({ ...psk, pskCallback: () => known }, (request, response) => {
			posts++;
			request.resume().on('end', () => response.writeHead(503).end('{"detail":"Try later"}'));
		});
		await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
		proxy = await startProxy({ port: (api.address() as AddressInfo).port });
		try {
			const first = await scene.generate({}, BEHIND);
			expect(first.error?.message).toBe(NOT_KNOWN);
			expectSays(first, 'HTTP 503: Try later');
			const again = await scene.generate({}, { ...BEHIND, retryOf: first });
			expect(again.error?.message).toBe(STILL_NOT_KNOWN);
			expect(posts).toBe(1);
		} finally {
			spy.mockRestore();
			api.close();
		}
	});
});

describe('a request that n8n’s own helper throws for', () => {
	const SSRF = Object.assign(
		new Error('The request was blocked because it resolves to a restricted IP address'),
		{ description: 'The IP address 127.0.0.1 is blocked. Ask your administrator.' },
	);
	let calls = 0;

	function failing(reason: Error): INodeType {
		const nodeType = new ImageGenerate();
		calls = 0;
		return {
			description: nodeType.description,
			async execute(this: IExecuteFunctions) {
				this.helpers.httpRequestWithAuthentication = async () => {
					calls++;
					return await Promise.reject(new NodeApiError(this.getNode(), reason as never));
				};
				return await nodeType.execute.call(this);
			},
		};
	}

	it('costs nothing where its SSRF protection blocks it, and a retry sends it once that is over', async () => {
		const items = numbered(3);
		const first = await scene.generate({}, { node: failing(SSRF), items, nodeSettings: CONTINUES });
		expect(calls).toBe(3);
		const error = {
			message: "n8n's SSRF protection blocked the request to AetherForge",
			description: expect.stringMatching(/Ask your administrator.*nothing was charged/) as string,
		};
		expect(first.items.map(({ json }) => json.error)).toEqual(Array(3).fill(error));
		expect(first.log.join('\n')).not.toMatch(/not known/);
		const again = jsonOf(await scene.generate(NOT_WAITING, { items, retryOf: first }));
		expect(again.map(({ status }) => status)).toEqual(Array(3).fill('Pending'));
	});

	it('may have been sent for any other reason: not even a retry sends it again', async () => {
		const node = failing(new Error(`no idea of ${KEY}`));
		const first = await scene.generate({}, { node });
		expect([calls, first.error?.message]).toEqual([1, NOT_KNOWN]);
		expectSays(first, 'no idea of *** (unknown)');
		const again = await scene.generate({}, { retryOf: first });
		expect(again.error?.message).toBe(STILL_NOT_KNOWN);
		expect(scene.postCount()).toBe(0);
	});
});
