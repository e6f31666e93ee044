import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import type { INodeExecutionData } from 'n8n-workflow';

import type { Fault } from '../emulator/emulator';
import { PROXY_HTML_PAGE } from '../emulator/faults';
import type { EngineOptions, EngineResult } from '../support/engine';
import { startProxy, type TestProxy } from '../support/proxy';
import { KEY, useScene } from '../support/scene';

const JOB = '123e4567-e89b-12d3-a456-426614174000';

const scene = useScene();

type Respond = Extract<Fault, { kind: 'respond' }>;

interface Answer {
	status: number;
	body?: NonNullable<Respond['body']>;
	headers?: Record<string, string>;
}

function answerSubmits(answer: Answer, times = Infinity): void {
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', times, ...answer });
}

async function generate(options: Partial<EngineOptions> = {}): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'p', waitForCompletion: false, options: { maxConcurrentJobs: 1 } },
		...options,
	});
}

interface Told {
	name: string;
	answer: Answer;
	message: string | RegExp;
	/** What the description must say, in the API's words and in ours. */
	says: string[];
	/** Whether the other items would meet the same, and are not sent. */
	concernsAll?: boolean;
}

const detail = (status: number, text: unknown): Answer => ({ status, body: { detail: text } });

const NOT_KNOWN = 'It is not known whether AetherForge started the job';

const ANSWERS: Told[] = [
	{
		name: '401, a bad key',
		answer: detail(401, 'Invalid API key'),
		message: 'AetherForge does not accept the API key',
		says: ['enter a valid key', 'AetherForge says: Invalid API key.'],
		concernsAll: true,
	},
	{
		name: '402, no credits',
		answer: detail(402, 'Insufficient credits'),
		message: 'The AetherForge account has no credits left',
		says: ['Add credits', 'AetherForge says: Insufficient credits.'],
		concernsAll: true,
	},
	{
		name: '403',
		answer: detail(403, 'Plan does not include the API'),
		message: 'AetherForge refused the request for this account',
		says: ['plan and permissions', 'Plan does not include the API'],
		concernsAll: true,
	},
	...['Not Found User', 'User not found'].map((words) => ({
		name: `404 "${words}", an account that is gone`,
		answer: detail(404, words),
		message: 'The account of this API key no longer exists',
		says: [words, 'Enter the key of an existing account'],
		concernsAll: true,
	})),
	{
		name: '400',
		answer: detail(400, 'Invalid image file'),
		message: 'AetherForge did not accept the request: Invalid image file',
		says: ['The request started no job, and nothing was charged for it.', '(HTTP 400)'],
	},
	{
		name: '422, what is wrong with which field',
		answer: detail(422, [
			{ type: 'missing', loc: ['body', 'prompt'], msg: 'Field required', input: null },
			{ type: 'x', loc: ['body', 'ref_images', 0], msg: 'Expected a file', input: 'y' },
		]),
		message:
			'AetherForge did not accept the request: prompt: Field required; ref_images.0: Expected a file',
		says: ['nothing was charged', '(HTTP 422)'],
	},
	{
		name: '422 in forms that are not documented',
		answer: detail(422, ['all wrong', { msg: 'no place' }, { loc: 'x', msg: 5 }]),
		message: 'AetherForge did not accept the request: all wrong; no place; 5',
		says: ['(HTTP 422)'],
	},
	...[400, 401, 402, 403].map((status) => ({
		name: `${status} of a firewall`,
		answer: { status, body: '<!DOCTYPE html><title>Just a moment</title>' },
		message: `A server between n8n and AetherForge refused the request (HTTP ${status})`,
		says: [
			'The request started no job, and nothing was charged for it.',
			'The server says: Just a moment.',
		],
	})),
	{
		name: "403 in a gateway's format",
		answer: { status: 403, body: { type: 'about:blank', title: 'No', detail: 'Blocked' } },
		message: 'A server between n8n and AetherForge refused the request (HTTP 403)',
		says: ['nothing was charged'],
	},
	{
		name: '400 without a detail',
		answer: { status: 400, body: { message: 'nope' } },
		message: 'A server between n8n and AetherForge refused the request (HTTP 400)',
		says: ['The server says: {"message":"nope"}.'],
	},
	{
		name: '400 with a blank detail',
		answer: detail(400, ' '),
		message: /did not accept the request: \{"detail":" "\}$/,
		says: [],
	},
	{
		name: '400 with nothing at all',
		answer: { status: 400 },
		message: 'A server between n8n and AetherForge refused the request (HTTP 400)',
		says: ['The server says: an empty response.'],
	},
	{
		name: '400 with more than anybody reads',
		answer: detail(400, 'long '.repeat(1000)),
		message: /^AetherForge did not accept the request: (long ){39}long…$/,
		says: [],
	},
	{
		name: '413, HTML of a proxy',
		answer: { status: 413, body: '<h1>Request\n Entity</h1> <b>Too Large</b>' },
		message: 'The files are larger than AetherForge accepts',
		says: ['Make the images smaller', 'AetherForge says: Request Entity Too Large.'],
	},
	{
		name: '404, no API there',
		answer: detail(404, 'Not Found'),
		message: 'There is no AetherForge API at the Base URL in the credential',
		says: ['Change the Base URL', 'The server says: Not Found (HTTP 404)'],
		concernsAll: true,
	},
	{
		name: '405, no API there',
		answer: { status: 405, body: 'Not allowed' },
		message: 'There is no AetherForge API at the Base URL in the credential',
		says: ['The server says: Not allowed (HTTP 405)'],
		concernsAll: true,
	},
	{
		name: '302, a redirect that may come after a job was made',
		answer: { status: 302, headers: { location: 'https://elsewhere.example/' } },
		message: 'The Base URL in the credential redirects to another URL',
		says: [
			'The API key is never sent to another server',
			'(HTTP 302)',
			'A job may exist and be charged',
		],
		concernsAll: true,
	},
	{
		name: '307, a redirect of the request itself',
		answer: { status: 307, headers: { location: 'https://elsewhere.example/' } },
		message: 'The Base URL in the credential redirects to another URL',
		says: ['The API key is never sent to another server', '(HTTP 307)'],
		concernsAll: true,
	},
	...[408, 500, 502].map((status) => ({
		name: `${status}, HTML of a proxy`,
		answer: { status, body: PROXY_HTML_PAGE },
		message: NOT_KNOWN,
		says: [
			`HTTP ${status}: 502 Bad Gateway`,
			'may exist and be charged',
			'Check your AetherForge account',
		],
	})),
	{
		name: '200 that is not JSON',
		answer: { status: 200, body: PROXY_HTML_PAGE },
		message: NOT_KNOWN,
		says: ['HTTP 200, but the response is not JSON: 502 Bad Gateway'],
	},
	...[
		'{"detail":"Insufficient credits"}',
		`{"data":{"job_id":"${JOB}"}}`,
		'{"job_id":4711}',
		'{"job_id":"../account"}',
		'["x"]',
	].map((body) => ({
		name: `200 without a job ID: ${body}`,
		answer: { status: 200, body },
		message: NOT_KNOWN,
		says: [`HTTP 200, but the response has no job ID: ${body}. A job may exist and be charged`],
	})),
];

function expectSays(description: unknown, says: readonly string[]): void {
	for (const words of says) expect(description).toEqual(expect.stringContaining(words));
}

it.each(ANSWERS)(
	'a submit answered with $name ends the run with what happened and what to do',
	async ({ answer, message, says, concernsAll = false }) => {
		answerSubmits(answer);
		const { error, calls } = await generate();
		expect(calls).toBe(1);
		expect(scene.postCount()).toBe(1);
		expect(error).toMatchObject({
			name: 'NodeApiError',
			message: typeof message === 'string' ? message : (expect.stringMatching(message) as string),
			httpCode: String(answer.status),
		});
		expect(error?.context.data).toEqual({ http_status: answer.status });
		expect(error?.context.itemIndex).toBe(concernsAll ? undefined : 0);
		expectSays(error?.description, says);
	},
);

describe('when the node continues', () => {
	const TWO: Partial<EngineOptions> = {
		items: [{ json: {} }, { json: {} }],
		nodeSettings: { onError: 'continueRegularOutput' },
	};
	const errorOf = ({ json }: INodeExecutionData) => json.error as Record<string, unknown>;

	it('a request that the API refuses is an error item, and the other items are sent', async () => {
		answerSubmits(detail(400, 'Invalid image file'), 1);
		const { items } = await generate(TWO);
		expect(items.map(({ json, pairedItem }) => [Object.keys(json)[0], pairedItem])).toEqual([
			['error', { item: 0 }],
			['job_id', { item: 1 }],
		]);
		expect(items[0] && errorOf(items[0])).toEqual({
			message: 'AetherForge did not accept the request: Invalid image file [Item 0]',
			description: expect.any(String) as string,
			http_status: 400,
		});
	});

	it('what concerns the account is the error of every item, and the others are not sent', async () => {
		answerSubmits(detail(402, 'Insufficient credits'));
		const { items } = await generate(TWO);
		expect(scene.postCount()).toBe(1);
		expect(items.map(errorOf)).toEqual(
			[0, 1].map(() => ({
				message: 'The AetherForge account has no credits left',
				description: expect.stringContaining('Insufficient credits') as string,
				http_status: 402,
			})),
		);
	});
});

it.each([500, 409])('an answer with %i that names a job has started it', async (status) => {
	const jobId = scene.emulator.jobs.add({ durationMs: 0 }).id;
	answerSubmits({ status, body: { detail: 'Queued, but …', job_id: jobId } });
	const { items, error } = await generate();
	expect([error, items[0]?.json.job_id]).toEqual([undefined, jobId]);
});

it.each([
	{ kind: 'truncate' },
	{ kind: 'truncate', chunked: true },
	{ kind: 'stallBody' },
] as const)('a refusal whose body breaks off is a refusal all the same: %j', async (damage) => {
	scene.emulator.apiKeys.clear();
	scene.emulator.faults.add({ at: 'submit', ...damage });
	const { error, log } = await generate();
	expect(error?.message).toBe('AetherForge does not accept the API key');
	expect(error?.context.data).toEqual({ http_status: 401 });
	expect(log.join('\n')).not.toMatch(/not known/);
});

it('an answer that takes nearly five minutes still names its job', async () => {
	scene.emulator.faults.add({ at: 'submit', kind: 'hold', until: scene.clock.wait(290_000) });
	const { items } = await generate();
	expect(items[0]?.json.job_id).toBe(scene.jobIdOf(0));
});

it('a server that loses each answer is not sent the whole table', async () => {
	scene.emulator.faults.add({ at: 'submit', kind: 'reset', when: 'accepted', times: Infinity });
	const { items } = await generate({
		parameters: { prompt: 'p' },
		items: Array.from({ length: 100 }, () => ({ json: {} })),
		nodeSettings: { onError: 'continueRegularOutput' },
	});
	expect(scene.postCount()).toBe(22);
	expect(items.slice(22).map(({ json }) => json.error)).toEqual(
		Array.from({ length: 78 }, () => ({
			message: expect.stringMatching(/^The request was not sent, because/) as string,
			description: expect.stringMatching(/nothing was charged for it\.$/) as string,
		})),
	);
});

it('says of an unknown outcome that a retry sends it again where that is wanted', async () => {
	answerSubmits({ status: 503 });
	const { error } = await generate({
		parameters: { prompt: 'p', options: { resubmitIfUnknown: true } },
	});
	expect(error?.description).toContain('A retry resends the request');
	expect(error?.description).not.toContain('not sent again');
});

it('a failure names the jobs of other items that were paid for', async () => {
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status: 400,
		body: { detail: 'Invalid image file' },
		match: ({ form }) => form?.fields.prompt === '12',
	});
	const { error } = await generate({
		parameters: {
			prompt: '={{ $itemIndex }}',
			waitForCompletion: false,
			options: { maxConcurrentJobs: 1 },
		},
		items: Array.from({ length: 15 }, () => ({ json: {} })),
	});
	const jobIds = scene.emulator.submits.map(({ jobId }) => jobId);
	expect(jobIds).toHaveLength(12);
	expect(error?.message).toBe('AetherForge did not accept the request: Invalid image file');
	expect(error?.context.itemIndex).toBe(12);
	expect(error?.context.data).toEqual({ http_status: 400, running_job_ids: jobIds });
	for (const jobId of jobIds.slice(0, 10)) expect(error?.description).toContain(jobId);
	expect(error?.description).toContain('and 2 more');
	expect(error?.description).toMatch(/^Use Retry in the Executions tab: it collects \d+ paid jobs/);
	expect(error?.description).toContain('Executing the workflow pays for all jobs again');
});

describe('a server that repeats the key', () => {
	it.each<[string, Answer]>([
		['in a detail', detail(400, `key ${KEY} is bad`)],
		['in a detail of 401', detail(401, `${KEY} is unknown`)],
		['in a validation list', detail(422, [{ loc: ['header', 'authorization'], msg: `${KEY}?` }])],
		['in a page', { status: 500, body: `<title>${KEY}</title>` }],
		['in a response that is not JSON', { status: 200, body: `your key: ${KEY}` }],
		['in JSON without a job ID', { status: 200, body: { key: KEY } }],
	])('%s is not repeated', async (_, answer) => {
		answerSubmits(answer);
		// The scene looks for the key in all that n8n shows, logs, and saves.
		const { error } = await generate();
		expect(`${error?.message} ${error?.description}`).toContain('***');
	});

	it('is not repeated in part where its words are cut', async () => {
		answerSubmits({ status: 502, body: `${'x'.repeat(190)}${KEY}` });
		const { error } = await generate();
		expect(error?.description).toContain('xxx');
		expect(error?.description).not.toContain(KEY.slice(0, 8));
	});

	it('in a redirect is not repeated', async () => {
		answerSubmits({ status: 302, headers: { location: `https://x.example/?key=${KEY}` } });
		const { error } = await generate();
		expect(error?.message).toContain('redirects to another URL');
	});
});

describe('behind an HTTP proxy', () => {
	const BEHIND = { credential: { baseUrl: 'https://api.example.test' } };
	let proxy: TestProxy;

	afterEach(() => {
		proxy.close();
	});

	it.each([302, 407, 502, 503])(
		'that will not connect (%i), a submit is tried five times, and a retry sends it',
		async (status) => {
			proxy = await startProxy({ status });
			const first = await generate(BEHIND);
			expect(first.error?.message).toBe('AetherForge cannot be reached');
			expectSays(first.error?.description, [
				'The request started no job, and nothing was charged for it.',
				`(the proxy refused the connection (HTTP ${status}))`,
			]);
			expect(proxy.asked).toEqual(Array.from({ length: 5 }, () => 'api.example.test:443'));

			expect((await generate({ retryOf: first })).error).toBeUndefined();
			expect(scene.emulator.submits).toHaveLength(1);
		},
	);

	it.each([407, 503])(
		'that will not connect (%i), status checks name the proxy',
		async (status) => {
			proxy = await startProxy({ status });
			const { error } = await scene.run({ ...BEHIND, node: 'getJob', parameters: { jobId: JOB } });
			expect(error?.message).toBe(`The status of the job ${JOB} could not be checked`);
			expectSays(error?.description, [`the proxy refused the connection (HTTP ${status})`]);
			expect(proxy.asked.length).toBeGreaterThan(1);
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
			const first = await generate(BEHIND);
			expect(first.error?.message).toBe(NOT_KNOWN);
			expectSays(first.error?.description, ['HTTP 503: Try later']);
			expect((await generate({ ...BEHIND, retryOf: first })).error?.message).toContain('not known');
			expect(posts).toBe(1);
		} finally {
			spy.mockRestore();
			api.close();
		}
	});
});
