import { stringify } from 'flatted';
import { runEngine, SERVICE_URL, type EngineOptions, type EngineResult } from '../support/engine';
import { VirtualClock } from '../support/virtualClock';
import { nock } from '../support/nock';

const KEY = 'sk-0123456789-never-to-be-seen';
const SUBMIT = '/public/v1/generate/image';
const JOB = '123e4567-e89b-12d3-a456-426614174000';
const LOOK_UP = `/public/v1/job/${JOB}`;
const HTML = { 'content-type': 'text/html' };
const PAGE =
	'<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1>nginx</body></html>';

beforeAll(() => {
	nock.disableNetConnect();
});

afterEach(() => {
	const pending = nock.pendingMocks();
	nock.cleanAll();
	expect(pending).toEqual([]);
});

type Answer = [status: number, body?: nock.Body, headers?: Record<string, string>];

function answerSubmits(times: number, [status, body, headers]: Answer): void {
	nock(SERVICE_URL).post(SUBMIT).times(times).reply(status, body, headers);
}

/** Without a number of times, however often it is asked. */
function answerLookUps([status, body, headers]: Answer, times?: number): void {
	const interceptor = nock(SERVICE_URL).get(LOOK_UP);
	if (times === undefined) interceptor.reply(status, body, headers).persist();
	else interceptor.times(times).reply(status, body, headers);
}

/** Nothing that n8n saves or logs may hold the key, nor the header it travels in. */
function expectNoSecretIn({ saved, log, items, errorItems, hints, error }: EngineResult): void {
	const everything = [
		stringify(saved),
		log.join('\n'),
		stringify([items, errorItems, hints, error]),
	];
	for (const text of everything) {
		expect(text).not.toContain(KEY);
		expect(text).not.toMatch(/bearer/i);
	}
}

async function run(options: Partial<EngineOptions>): Promise<EngineResult> {
	const result = await runEngine({
		node: 'imageGenerate',
		credential: { apiKey: KEY },
		parameters: { prompt: 'p', waitForCompletion: false },
		...options,
	});
	expectNoSecretIn(result);
	return result;
}

async function lookUp(options: Partial<EngineOptions> = {}): Promise<EngineResult> {
	return await run({ node: 'getJob', parameters: { jobId: JOB }, ...options });
}

interface Told {
	name: string;
	answer: Answer;
	message: string | RegExp;
	/** What the description must say, in the API's words and in ours. */
	says: (string | RegExp)[];
	/** Whether the other items would meet the same, and are not sent. */
	concernsAll?: boolean;
}

const detail = (status: number, text: unknown): Answer => [status, { detail: text }];

const ACCOUNT: Told[] = [
	{
		name: '401, a bad key',
		answer: detail(401, 'Invalid API key'),
		message: 'AetherForge does not accept the API key',
		says: ['enter a valid key', 'AetherForge says: Invalid API key'],
		concernsAll: true,
	},
	{
		name: '402, no credits',
		answer: detail(402, 'Insufficient credits'),
		message: 'The AetherForge account has no credits left',
		says: ['Add credits', 'AetherForge says: Insufficient credits'],
		concernsAll: true,
	},
	{
		name: '403',
		answer: detail(403, 'Plan does not include the API'),
		message: 'AetherForge does not allow this account to do that',
		says: ['plan and permissions', 'Plan does not include the API'],
		concernsAll: true,
	},
	{
		name: '404, the account is gone',
		answer: detail(404, 'Not Found User'),
		message: 'The account of this API key no longer exists',
		says: ['Not Found User', 'Enter the key of an existing account'],
		concernsAll: true,
	},
];

const SUBMITS: Told[] = [
	...ACCOUNT,
	...[
		'Invalid image file',
		'The Grok Imagine model supports up to 5 ref_images.',
		'The Grok Imagine Pro model supports up to 1 ref_images.',
		'ref_images supports up to 10 images only',
	].map((text) => ({
		name: `400 ${text}`,
		answer: detail(400, text),
		message: `AetherForge did not accept the request: ${text}`,
		says: ['No job was started and nothing was charged', '(HTTP 400)'],
	})),
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
	{
		name: '400 without a detail',
		answer: [400, { message: 'nope' }],
		message: 'AetherForge did not accept the request: {"message":"nope"}',
		says: ['(HTTP 400)'],
	},
	{
		name: '400 with a blank detail',
		answer: detail(400, ' '),
		message: /did not accept the request: \{"detail":" "\}/,
		says: [],
	},
	{
		name: '400 with nothing at all',
		answer: [400, ''],
		message: 'AetherForge did not accept the request: an empty answer',
		says: [],
	},
	{
		name: '400 with more than anybody reads',
		answer: detail(400, 'long '.repeat(1000)),
		message: /^AetherForge did not accept the request: (long ?){100}$/,
		says: [],
	},
	{
		name: '413, HTML of a proxy',
		answer: [413, '<h1>Request\n Entity</h1> <b>Too Large</b>', HTML],
		message: 'The reference images are larger than AetherForge takes',
		says: ['Make the images smaller', 'AetherForge says: Request Entity Too Large'],
	},
	{
		name: '404, no API there',
		answer: detail(404, 'Not Found'),
		message: 'There is no AetherForge API at the Base URL of the credential',
		says: ['Adjust the Base URL', 'The server says: Not Found (HTTP 404)'],
		concernsAll: true,
	},
	{
		name: '405, no API there',
		answer: [405, 'Not allowed'],
		message: 'There is no AetherForge API at the Base URL of the credential',
		says: ['The server says: Not allowed (HTTP 405)'],
		concernsAll: true,
	},
	...[301, 302, 307, 308].map((status) => ({
		name: `${status}, which is not followed`,
		answer: [status, '', { location: 'https://elsewhere.example/' }] satisfies Answer,
		message: 'The Base URL of the credential leads to another address',
		says: ['The API key is never sent on', `(HTTP ${status})`],
		concernsAll: true,
	})),
	...[408, 500, 502, 503, 504].map((status) => ({
		name: `${status}, HTML of a proxy`,
		answer: [status, PAGE, HTML] satisfies Answer,
		message: 'It is not known whether AetherForge started the job',
		says: [
			`HTTP ${status}: 502 Bad Gateway`,
			'may exist and be charged',
			'Check your AetherForge account',
		],
	})),
	{
		name: '200 that is not JSON',
		answer: [200, PAGE, HTML],
		message: 'It is not known whether AetherForge started the job',
		says: ['HTTP 200, and the answer is not JSON: 502 Bad Gateway'],
	},
	...[
		{},
		[],
		'text',
		{ job_id: 5 },
		{ job_id: '' },
		{ job_id: '../account' },
		{ job_id: null },
	].map((body) => ({
		name: `200 with ${JSON.stringify(body)}`,
		answer: [200, JSON.stringify(body)] satisfies Answer,
		message: 'It is not known whether AetherForge started the job',
		says: ['HTTP 200, and the answer holds no job ID'],
	})),
];

function expectSays(description: unknown, says: Told['says']): void {
	for (const words of says) {
		expect(description).toEqual(
			typeof words === 'string' ? expect.stringContaining(words) : expect.stringMatching(words),
		);
	}
}

describe.each(SUBMITS)('a submit answered with $name', ({ answer, message, says, concernsAll }) => {
	const [status] = answer;

	it('ends the run with what happened and what to do', async () => {
		answerSubmits(1, answer);
		const { error, calls } = await run({});
		expect(calls).toBe(1);
		expect(error).toMatchObject({
			name: 'NodeApiError',
			message: typeof message === 'string' ? message : (expect.stringMatching(message) as string),
			httpCode: String(status),
			context: { itemIndex: 0, data: { http_status: status } },
		});
		expectSays(error?.description, says);
	});

	it('becomes an item when the node continues; others are sent unless they would meet the same', async () => {
		answerSubmits(concernsAll ? 1 : 2, answer);
		const { items } = await run({
			parameters: { prompt: 'p', waitForCompletion: false, options: { maxConcurrentJobs: 1 } },
			items: [{ json: {} }, { json: {} }],
			nodeSettings: { onError: 'continueRegularOutput' },
		});
		expect(items.map(({ json, pairedItem }) => [Object.keys(json), pairedItem])).toEqual([
			[['error'], { item: 0 }],
			[['error'], { item: 1 }],
		]);
		for (const [index, { json }] of items.entries()) {
			const shown = json.error as Record<string, unknown>;
			const suffix = concernsAll ? '' : ` [Item ${index}]`;
			expect(Object.keys(shown)).toEqual(['message', 'description', 'http_status']);
			expect(shown.http_status).toBe(status);
			if (typeof message === 'string') expect(shown.message).toBe(`${message}${suffix}`);
			expectSays(shown.description, says);
		}
	});
});

describe('a submit that is refused for now (429)', () => {
	const BUSY: Answer = [429, { detail: 'Slow down' }, { 'retry-after': '3' }];

	it('is sent again after the time that the API asks for', async () => {
		answerSubmits(2, BUSY);
		answerSubmits(1, [200, { job_id: JOB }]);
		const { items, error, clock } = await run({});
		expect(error).toBeUndefined();
		expect(items[0]?.json.job_id).toBe(JOB);
		expect(clock.pauses.filter((pause) => pause < 60_000)).toEqual([3000, 3000]);
	});

	it('is sent again after growing pauses when the API asks for none', async () => {
		answerSubmits(4, [429, { detail: 'Slow down' }]);
		answerSubmits(1, [200, { job_id: JOB }]);
		const { error, clock } = await run({});
		expect(error).toBeUndefined();
		const pauses = clock.pauses.filter((pause) => pause < 60_000);
		expect(pauses).toHaveLength(4);
		for (const [index, pause] of pauses.entries()) {
			expect(pause).toBeGreaterThanOrEqual(500 * 2 ** index);
			expect(pause).toBeLessThanOrEqual(1000 * 2 ** index);
		}
	});

	it('is given up after five tries', async () => {
		answerSubmits(5, BUSY);
		const { error } = await run({});
		expect(error).toMatchObject({
			name: 'NodeApiError',
			message: 'AetherForge receives too many requests from this account',
			httpCode: '429',
			context: { itemIndex: 0, data: { http_status: 429 } },
		});
		expectSays(error?.description, [
			'nothing was charged for it, after trying for 12 seconds',
			'Lower "Max Concurrent Jobs"',
			'AetherForge says: Slow down',
		]);
	});

	it.each([
		[1, '61'],
		[2, '40'],
		[1, '86400'],
	])(
		'is given up after %i tries when the API asks for %s s: a minute is all',
		async (tries, after) => {
			answerSubmits(tries, [429, { detail: 'Slow down' }, { 'retry-after': after }]);
			const { error, clock } = await run({});
			expect(error?.httpCode).toBe('429');
			expect(clock.pauses.filter((pause) => pause !== 60_000)).toHaveLength(tries - 1);
		},
	);

	it('does not keep the other items from being sent', async () => {
		answerSubmits(1, [429, { detail: 'Slow down' }, { 'retry-after': '99' }]);
		answerSubmits(1, [200, { job_id: JOB }]);
		const { items } = await run({
			parameters: { prompt: 'p', waitForCompletion: false, options: { maxConcurrentJobs: 1 } },
			items: [{ json: {} }, { json: {} }],
			nodeSettings: { onError: 'continueRegularOutput' },
		});
		expect(items.map(({ json }) => Object.keys(json)[0])).toEqual(['error', 'job_id']);
	});
});

describe('a submit whose connection fails', () => {
	const failWith = (code: string, times: number): void => {
		const error = Object.assign(new Error(`${code} of the network`), { code });
		nock(SERVICE_URL).post(SUBMIT).times(times).replyWithError(error);
	};

	it.each([
		'ECONNREFUSED',
		'ENOTFOUND',
		'EAI_AGAIN',
		'CERT_HAS_EXPIRED',
		'UNABLE_TO_GET_ISSUER_CERT',
	])('before it stood (%s) is tried again, and nothing was charged', async (code) => {
		failWith(code, 5);
		const { error } = await run({});
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: 'AetherForge cannot be reached',
			context: { itemIndex: 0, data: {} },
		});
		expectSays(error?.description, ['nothing was charged', `(${code})`]);
	});

	it('in a way that has no code is never sent again either', async () => {
		nock(SERVICE_URL).post(SUBMIT).replyWithError('no idea');
		const { error } = await run({});
		expect(error?.message).toBe('It is not known whether AetherForge started the job');
		expectSays(error?.description, ['no idea (unknown)']);
	});

	it('before it stood is taken up when it stands again', async () => {
		failWith('ECONNREFUSED', 2);
		answerSubmits(1, [200, { job_id: JOB }]);
		const { items } = await run({});
		expect(items[0]?.json.job_id).toBe(JOB);
	});

	it.each([
		'ECONNRESET',
		'EPIPE',
		'ETIMEDOUT',
		'ECONNABORTED',
		'HPE_INVALID_CONSTANT',
		'EHOSTUNREACH',
	])('when the API may have seen it (%s) is never sent again', async (code) => {
		failWith(code, 1);
		const { error } = await run({});
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: 'It is not known whether AetherForge started the job',
			context: { itemIndex: 0, data: {} },
		});
		expectSays(error?.description, [`(${code})`, 'may exist and be charged']);
	});
});

const LOOK_UPS: Told[] = [
	...ACCOUNT,
	{
		name: '404, an unknown job',
		answer: detail(404, 'Job not found'),
		message: `AetherForge does not know the job ${JOB}`,
		says: ['the account that started the job', 'AetherForge says: Job not found'],
	},
	{
		name: '422, not a UUID',
		answer: detail(422, [
			{ type: 'uuid_parsing', loc: ['path', 'job_id'], msg: 'Input should be a valid UUID' },
		]),
		message: `AetherForge did not answer the look-up of the job ${JOB}: job_id: Input should be a valid UUID`,
		says: ['The job itself may well be fine', '(HTTP 422)'],
	},
	{
		name: '405',
		answer: detail(405, 'Method Not Allowed'),
		message: `AetherForge did not answer the look-up of the job ${JOB}: Method Not Allowed`,
		says: ['AetherForge Get Job node; that costs nothing', '(HTTP 405)'],
	},
];

describe.each(LOOK_UPS)(
	'a look-up answered with $name',
	({ name, answer, message, says, concernsAll }) => {
		const [status] = answer;
		const data = { http_status: status, job_id: JOB };

		it('ends a Get Job', async () => {
			answerLookUps(answer, 1);
			const { error } = await lookUp();
			expect(error).toMatchObject({
				name: 'NodeApiError',
				message,
				httpCode: String(status),
				context: { itemIndex: 0 },
			});
			expect(error?.context.data).toEqual(data);
			expectSays(error?.description, says);
		});

		it('ends the waiting for a job that was just started, and names the job', async () => {
			answerSubmits(1, [200, { job_id: JOB }]);
			// A job may be unknown for a while after its submit.
			if (status === 404 && !concernsAll) answerLookUps(answer);
			else answerLookUps(answer, 1);
			const { error } = await run({ parameters: { prompt: 'p' } });
			expect(error).toMatchObject({ message, httpCode: String(status) });
			const { data: known, ...context } = error?.context ?? {};
			const jobIds = JSON.stringify(known);
			expect([name, jobIds, context]).toEqual([
				name,
				expect.stringContaining(JOB),
				expect.anything(),
			]);
			nock.cleanAll();
		});
	},
);

describe('a look-up that may do better next time', () => {
	it.each<[string, Answer, string]>([
		['429', detail(429, 'Slow down'), 'HTTP 429: Slow down'],
		['408', detail(408, 'x'), 'HTTP 408: x'],
		['425', detail(425, 'x'), 'HTTP 425: x'],
		['500', [500, PAGE, HTML], 'HTTP 500: 502 Bad Gateway'],
		['502', [502, PAGE, HTML], 'HTTP 502: 502 Bad Gateway'],
		['302, which is not followed', [302, '', { location: '/' }], 'HTTP 302: an empty answer'],
		['HTML with 200', [200, PAGE, HTML], 'HTTP 200, and the answer is not JSON: 502 Bad Gateway'],
		['JSON that is no job', [200, { job_id: JOB }], 'HTTP 200, and the answer describes no job'],
		['JSON that is a list', [200, '[]'], 'HTTP 200, and the answer describes no job'],
		['204', [204], 'HTTP 204: an empty answer'],
	])('%s: is tried for half a minute, and then it is said why', async (_, answer, reason) => {
		answerLookUps(answer);
		const { error, clock } = await lookUp();
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `The job ${JOB} could not be looked up`,
			context: { itemIndex: 0, data: { job_id: JOB } },
		});
		expectSays(error?.description, [
			`gave no usable answer for 30 seconds: ${reason}.`,
			'The job itself may well be fine',
		]);
		expect(clock.pauses.length).toBeGreaterThan(5);
		nock.cleanAll();
	});

	it('and does', async () => {
		answerLookUps([502, PAGE, HTML], 2);
		nock(SERVICE_URL)
			.get(LOOK_UP)
			.replyWithError(Object.assign(new Error('x'), { code: 'ECONNRESET' }));
		answerLookUps([200, { job_id: JOB, status: 'Pending', image_urls: [] }], 1);
		const { items } = await lookUp();
		expect(items[0]?.json).toEqual({ job_id: JOB, status: 'Pending', image_urls: [] });
	});

	it('after the time that the API asks for', async () => {
		answerLookUps([429, '', { 'retry-after': '7' }], 1);
		answerLookUps([503, '', { 'retry-after': '5' }], 1);
		answerLookUps([200, { status: 'Pending' }], 1);
		const clock = new VirtualClock();
		const startedAt = clock.now();
		const { error } = await lookUp({ clock });
		expect(error).toBeUndefined();
		expect(clock.now() - startedAt).toBe(12_000);
	});
});

describe('a server that repeats the key', () => {
	it.each<[string, Answer]>([
		['in a detail', detail(400, `key ${KEY} is bad`)],
		['in a detail of 401', detail(401, `${KEY} is unknown`)],
		['in a validation list', detail(422, [{ loc: ['header', 'authorization'], msg: `${KEY}?` }])],
		['in a page', [500, `<title>${KEY}</title>`, HTML]],
		['in an answer that is no JSON', [200, `your key: ${KEY}`]],
		['in a redirect', [302, KEY, { location: `https://x.example/?key=${KEY}` }]],
	])('%s of a submit is not repeated', async (_, answer) => {
		answerSubmits(1, answer);
		const { error } = await run({});
		expect(error).toBeDefined();
		answerSubmits(1, answer);
		const { items } = await run({ nodeSettings: { onError: 'continueRegularOutput' } });
		expect(items).toHaveLength(1);
	});

	it.each<[string, Answer]>([
		['in a detail', detail(422, `key ${KEY} is bad`)],
		['in a page', [502, `<title>${KEY}</title>`, HTML]],
		['in an answer that is no JSON', [200, `your key: ${KEY}`]],
	])('%s of a look-up is not repeated', async (_, answer) => {
		answerLookUps(answer);
		const { error } = await lookUp();
		expect(`${error?.message} ${error?.description}`).toContain('***');
		nock.cleanAll();
	});

	it('in a connection’s failure is not repeated', async () => {
		const error = Object.assign(new Error(`cannot send ${KEY}`), { code: 'EWEIRD' });
		nock(SERVICE_URL).post(SUBMIT).replyWithError(error);
		const { error: shown } = await run({});
		expect(shown?.description).toContain('cannot send ***');
	});
});

it('names the jobs of other items that were paid for', async () => {
	const jobIds = Array.from({ length: 12 }, (_, n) => `${JOB.slice(0, -2)}${n + 10}`);
	for (const jobId of jobIds) answerSubmits(1, [200, { job_id: jobId }]);
	answerSubmits(1, detail(400, 'Invalid image file'));
	const { error } = await run({
		parameters: { prompt: 'p', waitForCompletion: false, options: { maxConcurrentJobs: 1 } },
		items: Array.from({ length: 15 }, () => ({ json: {} })),
	});
	expect(error?.message).toBe('AetherForge did not accept the request: Invalid image file');
	expect(error?.context.itemIndex).toBe(12);
	expect(error?.context.data).toEqual({ http_status: 400, running_job_ids: jobIds });
	for (const jobId of jobIds.slice(0, 10)) expect(error?.description).toContain(jobId);
	expect(error?.description).toContain('and 2 more');
});
