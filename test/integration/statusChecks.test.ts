import type { Fault } from '../emulator/emulator';
import { PROXY_HTML_PAGE } from '../emulator/faults';
import type { EngineResult } from '../support/engine';
import { KEY, useScene } from '../support/scene';

const scene = useScene();
let jobId: string;

beforeEach(() => {
	jobId = scene.emulator.jobs.add({ durationMs: Infinity }).id;
});

type Respond = Extract<Fault, { kind: 'respond' }>;
type Answer = Pick<Respond, 'status' | 'body' | 'headers'>;

function answerPolls(answer: Answer, times = Infinity): void {
	scene.emulator.faults.add({ at: 'poll', kind: 'respond', times, ...answer });
}

async function getJob(): Promise<EngineResult> {
	return await scene.run({ node: 'getJob', parameters: { jobId } });
}

/** What a firewall shows to browsers, with the sentence that its title ends with cut off. */
const FIREWALL_PAGE = '<!DOCTYPE html><title>Just a moment</title><p>Checking your browser</p>';

const detail = (status: number, text: unknown): Answer => ({ status, body: { detail: text } });

interface Told {
	name: string;
	answer: Answer;
	message: (jobId: string) => string;
	/** Where it says something else of a job that this execution has started. */
	messageIfStarted?: (jobId: string) => string;
	says: string[];
	concernsAll?: boolean;
}

const FINAL: Told[] = [
	{
		name: '401, a bad key',
		answer: detail(401, 'Invalid API key'),
		message: () => 'AetherForge does not accept the API key',
		says: ['AetherForge says: Invalid API key.'],
		concernsAll: true,
	},
	{
		name: '402, no credits',
		answer: detail(402, 'Insufficient credits'),
		message: () => 'The AetherForge account has no credits left',
		says: ['AetherForge says: Insufficient credits.'],
		concernsAll: true,
	},
	{
		name: '403',
		answer: detail(403, 'Plan does not include the API'),
		message: () => 'AetherForge refused the request for this account',
		says: ['AetherForge says: Plan does not include the API.'],
		concernsAll: true,
	},
	{
		name: '404, an account that is gone',
		answer: detail(404, 'Not Found User'),
		message: () => 'The account of this API key no longer exists',
		says: ['AetherForge says: Not Found User.'],
		concernsAll: true,
	},
	{
		name: '404, an unknown job',
		answer: detail(404, 'Job not found'),
		message: (id) => `AetherForge has no job ${id}`,
		messageIfStarted: (id) => `AetherForge does not list the job ${id}`,
		says: ['the account that started the job', 'AetherForge says: Job not found.'],
	},
	{
		name: '422, not a UUID',
		answer: detail(422, [
			{ type: 'uuid_parsing', loc: ['path', 'job_id'], msg: 'Input should be a valid UUID' },
		]),
		message: (id) =>
			`AetherForge rejected the status check for the job ${id}: job_id: Input should be a valid UUID`,
		says: ['The job itself may be fine', '(HTTP 422)'],
	},
	{
		name: '405',
		answer: detail(405, 'Method Not Allowed'),
		message: (id) => `AetherForge rejected the status check for the job ${id}: Method Not Allowed`,
		says: ['AetherForge Get Job node, free of charge', '(HTTP 405)'],
	},
];

describe.each(FINAL)(
	'a status check answered with $name',
	({ answer, message, messageIfStarted = message, says, concernsAll = false }) => {
		it('ends Get Job after one request', async () => {
			answerPolls(answer);
			const { error } = await getJob();
			expect(scene.emulator.requests).toHaveLength(1);
			expect(error).toMatchObject({
				name: 'NodeApiError',
				message: message(jobId),
				httpCode: String(answer.status),
			});
			expect(error?.context.data).toEqual({ http_status: answer.status, job_id: jobId });
			expect(error?.context.itemIndex).toBe(concernsAll ? undefined : 0);
			for (const words of says) expect(error?.description).toContain(words);
		});

		it('ends the waiting for a job that was just started, and names it', async () => {
			answerPolls(answer);
			const { error } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'p' } });
			jobId = scene.jobIdOf(0);
			expect(error?.message).toBe(messageIfStarted(jobId));
			expect(error?.context.data).toEqual({ http_status: answer.status, job_id: jobId });
			expect(`${error?.message} ${error?.description}`).toContain(jobId);
			for (const words of says) expect(error?.description).toContain(words);
		});
	},
);

describe('a status check that may do better next time', () => {
	it('of one of 20 jobs, refused by a firewall, costs nobody an image', async () => {
		answerPolls({ status: 403, body: FIREWALL_PAGE }, 1);
		const items = Array.from({ length: 20 }, () => ({ json: {} }));
		const result = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'p' }, items });
		expect(result.error).toBeUndefined();
		expect(result.items).toHaveLength(20);
	});

	it('whose body stalls does not keep its connection open', async () => {
		scene.emulator.faults.add({ at: 'poll', kind: 'stallBody' });
		await getJob();
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(scene.emulator.requests.map(({ endedAtMs }) => endedAtMs)).not.toContain(undefined);
	});

	it.each<[string, Answer, string]>([
		['429', detail(429, 'Slow down'), 'HTTP 429: Slow down'],
		['408', detail(408, 'x'), 'HTTP 408: x'],
		['425', detail(425, 'x'), 'HTTP 425: x'],
		['502', { status: 502, body: PROXY_HTML_PAGE }, 'HTTP 502: 502 Bad Gateway'],
		...[401, 402, 403, 404].map((status): [string, Answer, string] => [
			`${status} of a firewall`,
			{ status, body: FIREWALL_PAGE },
			`HTTP ${status} from a server between n8n and AetherForge: Just a moment`,
		]),
		[
			'200 about another job',
			{
				status: 200,
				body: { job_id: '00000000-0000-4000-8000-000000000001', status: 'Failed', image_urls: [] },
			},
			'the response is about another job',
		],
		[
			'302, which is not followed',
			{ status: 302, headers: { location: '/' } },
			'HTTP 302: an empty response',
		],
		[
			'HTML with 200',
			{ status: 200, body: PROXY_HTML_PAGE },
			'HTTP 200, but the response is not JSON: 502 Bad Gateway',
		],
		[
			'JSON that is no job',
			{ status: 200, body: { job_id: 'x' } },
			'HTTP 200, but the response does not describe a job: {"job_id":"x"}',
		],
		['204', { status: 204 }, 'HTTP 204: an empty response'],
	])(
		'%s: is repeated for half a minute, and then the reason is told',
		async (_, answer, reason) => {
			answerPolls(answer);
			const { error } = await getJob();
			expect(error).toMatchObject({
				name: 'NodeOperationError',
				message: `The status of the job ${jobId} could not be checked`,
				context: { itemIndex: 0, data: { job_id: jobId } },
			});
			expect(error?.description).toContain(`gave no usable response for 30 seconds: ${reason}.`);
			expect(scene.polls().length).toBeGreaterThan(5);
		},
	);

	it('and does', async () => {
		answerPolls({ status: 502, body: PROXY_HTML_PAGE }, 2);
		scene.emulator.faults.add({ at: 'poll', kind: 'reset' });
		const { items } = await getJob();
		expect(items[0]?.json).toEqual({ job_id: jobId, status: 'Pending', image_urls: [] });
		expect(scene.polls()).toHaveLength(4);
	});

	it('is repeated after the time that the API asks for', async () => {
		answerPolls({ status: 429, headers: { 'retry-after': '7' } }, 1);
		answerPolls({ status: 503, headers: { 'retry-after': '5' } }, 1);
		const startedAt = scene.clock.now();
		const { error } = await getJob();
		expect(error).toBeUndefined();
		expect(scene.clock.now() - startedAt).toBe(12_000);
	});
});

describe('a server that repeats the key', () => {
	it.each<[string, Answer]>([
		['in a detail', detail(422, `key ${KEY} is bad`)],
		['in a page', { status: 502, body: `<title>${KEY}</title>` }],
		['in a response that is not JSON', { status: 200, body: `your key: ${KEY}` }],
	])('%s is not repeated', async (_, answer) => {
		answerPolls(answer);
		const { error } = await getJob();
		expect(`${error?.message} ${error?.description}`).toContain('***');
	});
});
