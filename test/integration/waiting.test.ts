import type { INodeExecutionData } from 'n8n-workflow';

import type { JobWish, ReceivedForm } from '../emulator/emulator';
import type { EngineOptions, EngineResult } from '../support/engine';
import { useScene } from '../support/scene';

const scene = useScene({ wish: (form) => wish(form) });
/** What the test wishes of the job of a submit. */
let wish: (form: ReceivedForm) => JobWish;

beforeEach(() => {
	wish = () => ({});
});

async function generate(
	parameters: EngineOptions['parameters'] = {},
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'p', ...parameters },
		...more,
	});
}

const CONTINUES: Partial<EngineOptions> = { nodeSettings: { onError: 'continueRegularOutput' } };

function errorOf(item: INodeExecutionData | undefined): Record<string, unknown> {
	expect(Object.keys(item?.json ?? {})).toEqual(['error']);
	return item?.json.error as Record<string, unknown>;
}

const ECHO = { prompt: 'p', ai_model: 'GPT Image 1.5' };

describe('a job that is not finished in time', () => {
	beforeEach(() => {
		wish = () => ({ durationMs: Infinity });
	});

	it('ends the run, and says which job, how it was, and what to do', async () => {
		const { error } = await generate({ options: { timeout: 20 } });
		const jobId = scene.jobIdOf(0);
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `The job ${jobId} is not finished after 20 seconds`,
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
	});

	it('is an error item with the job when the node continues', async () => {
		const { items, hints } = await generate({ options: { timeout: 20 } }, CONTINUES);
		expect(errorOf(items[0])).toEqual({
			message: `The job ${scene.jobIdOf(0)} is not finished after 20 seconds`,
			description: expect.any(String) as string,
			job_id: scene.jobIdOf(0),
			status: 'Pending',
		});
		expect(hints.map(({ message }) => message)).toContain(
			`The job is still running: ${scene.jobIdOf(0)}. Collect its images with the AetherForge Get Job node (Job ID: {{ $json.job_id }}), free of charge.`,
		);
	});

	it('can be a regular item', async () => {
		const { items } = await generate({
			options: { timeout: 12.4, onTimeout: 'returnPending' },
		});
		expect(items).toEqual([
			{
				json: {
					job_id: scene.jobIdOf(0),
					status: 'Pending',
					image_urls: [],
					timed_out: true,
					waited_seconds: 12,
					...ECHO,
				},
				pairedItem: { item: 0 },
			},
		]);
	});

	it('is polled for five minutes unless told otherwise', async () => {
		const startedAt = scene.clock.now();
		const { error } = await generate();
		expect(error?.message).toContain('not finished after 300 seconds');
		expect(scene.clock.now() - startedAt).toBe(300_000);
		expect(scene.polls().length).toBeLessThan(80);
	});

	it('is polled once more at the very end, and at least once', async () => {
		wish = () => ({ durationMs: 7500 });
		const late = await generate({ options: { timeout: 7.5 } });
		expect(late.items[0]?.json.status).toBe('Succeed');
		wish = () => ({ durationMs: 1000 });
		const short = await generate({ options: { timeout: 1 } });
		expect(short.items[0]?.json.status).toBe('Succeed');
	});

	it('is given up in time, however long the API asks all polls to wait', async () => {
		wish = () => ({ durationMs: Infinity });
		const headers = { 'retry-after': '60' };
		const times = Infinity;
		scene.emulator.faults.add({ at: 'poll', kind: 'respond', status: 429, headers, times });
		const startedAt = scene.clock.now();
		const { error } = await generate({ options: { timeout: 10 } });
		expect(error?.context.data).toMatchObject({ status: 'Pending' });
		// The last status check has five seconds to be answered.
		expect(scene.clock.now() - startedAt).toBeLessThanOrEqual(15_000);
	});

	it('does not count the time in which it waited for other jobs to finish', async () => {
		wish = () => ({ durationMs: 8000 });
		const { error, items } = await generate(
			{ options: { timeout: 10, maxConcurrentJobs: 1 }, downloadImages: false },
			{ items: [{ json: {} }, { json: {} }, { json: {} }] },
		);
		expect(error).toBeUndefined();
		expect(items).toHaveLength(3);
	});

	it('says why the last status check failed', async () => {
		scene.emulator.faults.add({ at: 'poll', kind: 'html', status: 502, times: Infinity });
		const { error } = await generate({ options: { timeout: 20 } });
		expect(error?.description).toContain(
			'The last status check did not work: HTTP 502: 502 Bad Gateway. The job may be finished by now.',
		);
		expect(error?.context.data).toEqual({ job_id: scene.jobIdOf(0), status: 'Pending' });
	});

	it('keeps the status that the API gave it, and the URLs that came with it', async () => {
		const image_urls = ['https://cdn.example/preview.png'];
		wish = () => ({ durationMs: 0, outcome: { status: 'In review', extra: { image_urls } } });
		const { items } = await generate({ options: { timeout: 9, onTimeout: 'returnPending' } });
		expect(items[0]?.json).toMatchObject({ status: 'In review', timed_out: true, image_urls });
		expect(scene.polls().length).toBeGreaterThan(3);

		const { error } = await generate({ options: { timeout: 9 } });
		expect(error?.context.data).toEqual({
			job_id: scene.jobIdOf(1),
			status: 'In review',
			image_urls,
		});
	});
});

describe('a job with a status that nobody has documented', () => {
	it('is waited for as a job that is still running', async () => {
		wish = () => ({ durationMs: 0, outcome: { status: 'Rendering' } });
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'hugeBody',
			megabytes: 0,
			match: () => {
				const isFourth = scene.polls().length === 4;
				if (isFourth) scene.emulator.jobs.finish(scene.jobIdOf(0), { status: 'Succeed' });
				return false;
			},
		});
		const { items } = await generate();
		expect(scene.polls()).toHaveLength(4);
		expect(items[0]?.json.status).toBe('Succeed');
	});
});

describe('a job that failed', () => {
	it('ends the run, with its reason', async () => {
		wish = () => ({
			outcome: { status: 'Failed', extra: { error_message: 'Content policy' } },
		});
		const { error } = await generate();
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `AetherForge could not finish the job ${scene.jobIdOf(0)}`,
			context: { itemIndex: 0, data: { job_id: scene.jobIdOf(0), status: 'Failed' } },
		});
		expect(error?.description).toContain('AetherForge says: Content policy.');
		expect(error?.description).toContain('set "On Failed Job" under Options');
	});

	it('ends the run also without a reason', async () => {
		wish = () => ({ outcome: { status: 'Failed', extra: { error_message: '' } } });
		const { error } = await generate();
		expect(error?.description).toContain('AetherForge gave no reason.');
	});

	it('is an error item between the others when the node continues', async () => {
		wish = ({ fields }) => ({ outcome: fields.prompt === '1' ? { status: 'Failed' } : {} });
		const { items } = await generate(
			{ prompt: '={{ $json.n }}' },
			{ items: [0, 1, 2].map((n) => ({ json: { n } })), ...CONTINUES },
		);
		const failed = scene.emulator.submits.find(({ fields }) => fields.prompt === '1');
		expect(errorOf(items[1])).toEqual({
			message: `AetherForge could not finish the job ${failed?.jobId} [Item 1]`,
			description: expect.any(String) as string,
			job_id: failed?.jobId,
			status: 'Failed',
		});
		expect(items.map(({ json }) => json.prompt)).toEqual(['0', undefined, '2']);
	});

	it.each<[Record<string, unknown>, Record<string, unknown>]>([
		[{}, {}],
		[{ error_message: 'Content policy' }, { error_message: 'Content policy' }],
		[{ error_message: 5 }, { error_message: '5' }],
		[{ error_message: { code: 'X', message: 'No children' } }, { error_message: 'No children' }],
		[{ error_message: { code: 'X' } }, { error_message: '{"code":"X"}' }],
		[{ error_message: null }, {}],
		[{ error: 'x' }, {}],
	])('can be a regular item: %j', async (extra, told) => {
		wish = () => ({ outcome: { status: 'Failed', extra } });
		const { items, error } = await generate({ options: { onFailed: 'returnFailed' } });
		expect(error).toBeUndefined();
		expect(items).toEqual([
			{
				json: { job_id: scene.jobIdOf(0), status: 'Failed', image_urls: [], ...told, ...ECHO },
				pairedItem: { item: 0 },
			},
		]);
	});
});

describe('a job that the API does not list yet', () => {
	it('is polled again, for half a minute', async () => {
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: 3,
		});
		const { items, error } = await generate();
		expect(error).toBeUndefined();
		expect(items[0]?.json.status).toBe('Succeed');
	});

	it('is unknown after that', async () => {
		const startedAt = scene.clock.now();
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: Infinity,
		});
		const { error } = await generate();
		expect(error?.message).toBe(`AetherForge does not list the job ${scene.jobIdOf(0)}`);
		const seconds = (scene.clock.now() - startedAt) / 1000;
		expect(seconds).toBeGreaterThanOrEqual(30);
		expect(seconds).toBeLessThan(60);
	});

	it('still has this half minute in the next try', async () => {
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status: 400,
			body: { detail: 'hiccup' },
			match: ({ form }) => form?.fields.prompt === '1',
		});
		const startedAt = scene.clock.now();
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: Infinity,
			match: () => scene.clock.now() - startedAt < 25_000,
		});
		const { items, calls } = await generate(
			{ prompt: '={{ $itemIndex }}' },
			{
				items: [{ json: {} }, { json: {} }],
				nodeSettings: { retryOnFail: true, maxTries: 2, waitBetweenTries: 1 },
			},
		);
		expect(calls).toBe(2);
		expect(items.map(({ json }) => json.status)).toEqual(['Succeed', 'Succeed']);
		expect(scene.emulator.submits).toHaveLength(2);
	});

	it('says so when the time is up before', async () => {
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: Infinity,
		});
		const { error } = await generate({ options: { timeout: 5 } });
		expect(error?.description).toContain('AetherForge does not list the job yet (HTTP 404)');
	});

	it('is unknown at once when it was listed before', async () => {
		wish = () => ({ durationMs: 20_000 });
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			match: () => scene.polls().length > 2,
		});
		const { error } = await generate();
		expect(error?.message).toContain('does not list the job');
		expect(scene.polls()).toHaveLength(3);
	});
});
