import type { Fault, JobWish } from '../emulator/emulator';
import { PROXY_HTML_PAGE } from '../emulator/faults';
import type { EngineResult } from '../support/engine';
import { jsonOf, numbered, onlyJson } from '../support/items';
import { useScene } from '../support/scene';

// What a status check is answered, and what that makes of a job: for the nodes that have started it, and
// for Get Job, which is also tested in getJob.

/** What the test wishes of the jobs. */
let wish: JobWish;
const scene = useScene({ wish: () => wish });
let startedAtMs: number;

beforeEach(() => {
	wish = { durationMs: Infinity };
	startedAtMs = scene.clock.now();
});

type Answer = Pick<Extract<Fault, { kind: 'respond' }>, 'status' | 'body' | 'headers' | 'match'>;

const detail = (status: number, text: unknown): Answer => ({ status, body: { detail: text } });
const BAD_KEY = /^AetherForge does not accept the API key$/;
const REJECTED = /^AetherForge rejected the status check for the job ID: x: Bad$/;
const UNLISTED = detail(404, 'Job not found');

function answerPolls(answer: Answer, times = Infinity): void {
	scene.emulator.faults.add({ at: 'poll', kind: 'respond', times, ...answer });
}

/** Get Job, for a job that is running. */
async function getJob(): Promise<EngineResult & { jobId: string }> {
	const jobId = scene.emulator.jobs.add({ durationMs: Infinity }).id;
	return { jobId, ...(await scene.run({ node: 'getJob', parameters: { jobId } })) };
}

const seconds = (): number => (scene.clock.now() - startedAtMs) / 1000;

describe('a job that is not finished in time', () => {
	it('ends the run, and says which job, how it was, and what to do', async () => {
		const { error } = await scene.generate();
		const jobId = scene.jobIdOf(0);
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `The job ${jobId} is not finished after 300 seconds`,
			context: { itemIndex: 0, data: { job_id: jobId, status: 'Pending' } },
		});
		for (const words of [
			'Use Retry in the Executions tab: it collects 1 paid job free of charge',
			'Its status is "Pending".',
			'The job has been charged.',
			'with the AetherForge Get Job node, free of charge.',
			'raise "Timeout (Seconds)"',
		]) {
			expect(error?.description).toContain(words);
		}
		expect(seconds()).toBe(300);
		expect(scene.polls().length).toBeLessThan(80);
	});

	it('says why no status check worked', async () => {
		answerPolls({ status: 502, body: PROXY_HTML_PAGE });
		const { error } = await scene.generate({ options: { timeout: 20 } });
		expect(error?.message).toMatch(
			/^The status of the job .* could not be read within 20 seconds$/,
		);
		expect(error?.description).toContain(
			'The last status check did not work: HTTP 502: 502 Bad Gateway. The job may be finished by now.',
		);
		expect(error?.context.data).toEqual({ job_id: scene.jobIdOf(0), status: 'Pending' });
	});

	it('advises no Retry in a called workflow, whose caller would call it anew', async () => {
		const { error } = await scene.generate({ options: { timeout: 20 } }, { mode: 'integrated' });
		expect(error?.description).toMatch(/The job has been charged\.$/);
		expect(error?.description).not.toContain('Use Retry');
	});

	it.each([7.5, 1])('is polled once more at the very end, after %d s', async (timeout) => {
		wish = { durationMs: timeout * 1000 };
		expect(onlyJson(await scene.generate({ options: { timeout } })).status).toBe('Succeed');
	});

	it('is given up in time, however long the API asks all polls to wait', async () => {
		answerPolls({ status: 429, headers: { 'retry-after': '60' } });
		const { error } = await scene.generate({ options: { timeout: 10 } });
		expect(error?.context.data).toMatchObject({ status: 'Pending' });
		// The last status check has five seconds to be answered.
		expect(seconds()).toBeLessThanOrEqual(15);
	});

	it('does not count the time in which it waited for other jobs to finish', async () => {
		wish = { durationMs: 8000 };
		const parameters = { options: { timeout: 10, maxConcurrentJobs: 1 }, downloadImages: false };
		expect(jsonOf(await scene.generate(parameters, { items: numbered(3) }))).toHaveLength(3);
	});
});

it('a job that failed ends the run, with its reason', async () => {
	wish = { outcome: { status: 'Failed', extra: { error_message: 'Content policy' } } };
	const { error } = await scene.generate();
	expect(error).toMatchObject({
		name: 'NodeOperationError',
		message: `AetherForge could not finish the job ${scene.jobIdOf(0)}`,
		context: { itemIndex: 0, data: { job_id: scene.jobIdOf(0), status: 'Failed' } },
	});
	expect(error?.description).toContain('AetherForge says: Content policy.');
	expect(error?.description).toContain('set "On Failed Job" under Options');
});

it('a job that the API does not list is polled for half a minute, unless it was listed before', async () => {
	answerPolls(UNLISTED);
	const { error } = await scene.generate();
	expect(error?.message).toBe(`AetherForge does not list the job ${scene.jobIdOf(0)}`);
	expect(seconds()).toBeGreaterThanOrEqual(30);
	expect(seconds()).toBeLessThan(60);

	scene.emulator.faults.clear();
	const before = scene.polls().length;
	answerPolls({ ...UNLISTED, match: () => scene.polls().length > before + 2 });
	const gone = await scene.generate();
	expect(gone.error?.message).toContain('does not list the job');
	expect(scene.polls()).toHaveLength(before + 3);
});

it.each<[Answer, ofAny: RegExp, ofStarted: RegExp, itemIndex: number | undefined, says: string]>([
	[detail(401, 'No'), BAD_KEY, BAD_KEY, undefined, 'AetherForge says: No.'],
	[UNLISTED, /^AetherForge has no job ID$/, /does not list the job ID$/, 0, 'says: Job not found.'],
	[detail(422, [{ loc: ['path', 'x'], msg: 'Bad' }]), REJECTED, REJECTED, 0, '(HTTP 422)'],
])(
	'a status check that is answered %j ends Get Job, and the waiting for a new job',
	async (answer, ofAny, ofStarted, itemIndex, says) => {
		const { status } = answer;
		answerPolls(answer);
		const { jobId, ...looked } = await getJob();
		expect(scene.polls()).toHaveLength(1);
		const started = await scene.generate();
		for (const [{ error }, message, id] of [
			[looked, ofAny, jobId],
			[started, ofStarted, scene.jobIdOf(0)],
		] as const) {
			expect(error).toMatchObject({ name: 'NodeApiError', httpCode: String(status) });
			expect(error?.message.replace(id, 'ID')).toMatch(message);
			expect(error?.context.data).toEqual({ http_status: status, job_id: id });
			expect(error?.context.itemIndex).toBe(itemIndex);
			expect(error?.description).toContain(says);
			expect(`${error?.message} ${error?.description}`).toContain(id);
		}
	},
);

describe('a status check that may do better next time', () => {
	/** What a firewall shows to browsers, with the sentence that its title ends with cut off. */
	const FIREWALL = '<!DOCTYPE html><title>Just a moment</title><p>Checking your browser</p>';
	const OTHER = { job_id: '00000000-0000-4000-8000-000000000001', status: 'Failed' };
	const ON_THE_WAY = 'from a server between n8n and AetherForge: Just a moment';
	const NO_JOB = 'HTTP 200, but the response does not describe a job: {"job_id":"x"}';

	it.each<[Answer, reason: string]>([
		[detail(429, 'Slow down'), 'HTTP 429: Slow down'],
		[detail(408, 'x'), 'HTTP 408: x'],
		[detail(425, 'x'), 'HTTP 425: x'],
		[{ status: 502, body: PROXY_HTML_PAGE }, 'HTTP 502: 502 Bad Gateway'],
		[{ status: 401, body: FIREWALL }, `HTTP 401 ${ON_THE_WAY}`],
		[{ status: 404, body: FIREWALL }, `HTTP 404 ${ON_THE_WAY}`],
		[{ status: 302, headers: { location: '/' } }, 'HTTP 302: an empty response'],
		[{ status: 200, body: OTHER }, 'the response is about another job'],
		[{ status: 200, body: FIREWALL }, 'HTTP 200, but the response is not JSON: Just a moment'],
		[{ status: 200, body: { job_id: 'x' } }, NO_JOB],
	])('%j: is repeated for half a minute, and then the reason is told', async (answer, reason) => {
		answerPolls(answer);
		const { jobId, error } = await getJob();
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `The status of the job ${jobId} could not be checked`,
			context: { itemIndex: 0, data: { job_id: jobId } },
		});
		expect(error?.description).toContain(`gave no usable response for 30 seconds: ${reason}.`);
		expect(scene.polls().length).toBeGreaterThan(5);
	});

	it('and does, after the time that the API asks for', async () => {
		answerPolls({ status: 429, headers: { 'retry-after': '7' } }, 1);
		answerPolls({ status: 503, headers: { 'retry-after': '5' } }, 1);
		const { jobId, ...result } = await getJob();
		expect(onlyJson(result)).toEqual({ job_id: jobId, status: 'Pending', image_urls: [] });
		expect(seconds()).toBe(12);
		expect(scene.polls()).toHaveLength(3);
	});
});
