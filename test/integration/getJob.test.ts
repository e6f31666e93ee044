import type { INodeExecutionData, INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { bytesOf, type EngineOptions, type EngineResult } from '../support/engine';
import { KEY, useScene } from '../support/scene';

const scene = useScene();

/** Runs Get Job with an item for each of the jobs. */
async function getJobs(
	jobIds: string[],
	parameters: INodeParameters = {},
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'getJob',
		parameters: { jobId: '={{ $json.job_id }}', ...parameters },
		items: jobIds.map((jobId) => ({ json: { job_id: jobId } })),
		...more,
	});
}

const finished = (wish: JobWish = {}): string =>
	scene.emulator.jobs.add({ durationMs: 0, ...wish }).id;
const pending = (): string => scene.emulator.jobs.add({ durationMs: Infinity }).id;
const failed = (): string => finished({ outcome: { status: 'Failed' } });

const CONTINUES: Partial<EngineOptions> = { nodeSettings: { onError: 'continueRegularOutput' } };
const WAITS: INodeParameters = { waitForCompletion: true };

function errorOf(item: INodeExecutionData | undefined): Record<string, unknown> {
	expect(Object.keys(item?.json ?? {})).toEqual(['error']);
	return item?.json.error as Record<string, unknown>;
}

describe('a single status check of a job', () => {
	it('that is finished gives its images', async () => {
		const jobId = finished({ outcome: { images: ['png', 'png'] } });
		const startedAt = scene.clock.now();
		const { items, error } = await getJobs([jobId]);
		expect(error).toBeUndefined();
		expect(items.map(({ json, pairedItem }) => ({ json, pairedItem }))).toEqual(
			[1, 2].map((number) => ({
				json: {
					job_id: jobId,
					status: 'Succeed',
					image_url: scene.resultUrl(jobId, number),
					image_number: number,
					image_count: 2,
					width: 1,
					height: 1,
					mime_type: 'image/png',
				},
				pairedItem: { item: 0 },
			})),
		);
		for (const [index, { binary }] of items.entries()) {
			expect(await bytesOf(binary?.data)).toEqual(tinyPicture(`${jobId}-${index + 1}.png`, 'png'));
		}
		expect(scene.polls()).toHaveLength(1);
		expect(scene.clock.now()).toBe(startedAt);
	});

	it.each<[string, JobWish]>([
		['Pending', { durationMs: Infinity }],
		['In review', { outcome: { status: 'In review' } }],
		['Pending', { outcome: { status: 'Pending', imageUrls: 'absent' } }],
	])('that is %s gives just that', async (status, wish) => {
		const jobId = finished(wish);
		const { items, hints } = await getJobs([jobId]);
		expect(items).toEqual([
			{ json: { job_id: jobId, status, image_urls: [] }, pairedItem: { item: 0 } },
		]);
		expect(scene.polls()).toHaveLength(1);
		expect(hints.map(({ message }) => message)).toEqual([
			`The job is still running: ${jobId}. Execute this step again later, free of charge, or turn on "Wait for Completion".`,
		]);
	});

	it('that failed is an answer', async () => {
		const jobId = finished({
			outcome: { status: 'Failed', extra: { error_message: 'Content policy' } },
		});
		const { items, error } = await getJobs([jobId]);
		expect(error).toBeUndefined();
		expect(items).toEqual([
			{
				json: {
					job_id: jobId,
					status: 'Failed',
					image_urls: [],
					error_message: 'Content policy',
				},
				pairedItem: { item: 0 },
			},
		]);
	});

	it('that failed for a reason that repeats the key does not repeat it', async () => {
		const jobId = finished({
			outcome: {
				status: 'Failed',
				// The cut to 500 characters would leave half of the second key.
				extra: { error_message: `no ${KEY} here ${'x'.repeat(470)}${KEY}` },
			},
		});
		const { items } = await getJobs([jobId]);
		expect(items[0]?.json.error_message).toBe(`no *** here ${'x'.repeat(470)}***`);
	});

	it('that failed can end the run as well', async () => {
		const jobId = failed();
		const { error } = await getJobs([finished(), jobId], { options: { onFailed: 'error' } });
		expect(error).toMatchObject({
			message: `AetherForge could not finish the job ${jobId}`,
			context: { itemIndex: 1, data: { job_id: jobId, status: 'Failed' } },
		});
	});

	it('that is not known ends the run', async () => {
		const jobId = '123e4567-e89b-12d3-a456-426614174000';
		const { error } = await getJobs([jobId]);
		expect(error).toMatchObject({
			message: `AetherForge has no job ${jobId}`,
			httpCode: '404',
			context: { itemIndex: 0, data: { job_id: jobId, http_status: 404 } },
		});
		expect(scene.polls()).toHaveLength(1);
	});

	it.each([(id: string) => ` ${id}\n`, (id: string) => id.toUpperCase()])(
		'takes the job ID as people paste it (%#)',
		async (paste) => {
			const { items, error } = await getJobs([paste(finished())]);
			expect(error).toBeUndefined();
			expect(items[0]?.json.status).toBe('Succeed');
		},
	);

	it('keeps the images of a job together when asked to', async () => {
		const jobId = finished({ outcome: { images: ['png', 'png'] } });
		const { items } = await getJobs([jobId], {
			binaryPropertyOutput: 'picture',
			options: { outputItems: 'perJob' },
		});
		expect(items.map(({ json }) => json)).toEqual([
			{
				job_id: jobId,
				status: 'Succeed',
				image_urls: [1, 2].map((n) => scene.resultUrl(jobId, n)),
				images: [1, 2].map((n) => ({
					image_url: scene.resultUrl(jobId, n),
					width: 1,
					height: 1,
					mime_type: 'image/png',
				})),
			},
		]);
		expect(Object.keys(items[0]?.binary ?? {})).toEqual(['picture', 'picture_1']);
	});

	it('can leave the images where they are', async () => {
		const { items } = await getJobs([finished()], { downloadImages: false });
		expect(items[0]).not.toHaveProperty('binary');
		expect(scene.emulator.requests.map(({ server }) => server)).toEqual(['api']);
	});

	it('sends the key to the API only', async () => {
		await getJobs([finished({ outcome: { images: ['png', 'gif'] } })]);
		expect(
			scene.emulator.requests.map(({ server, headers }) => [server, headers.authorization]),
		).toEqual([
			['api', `Bearer ${KEY}`],
			['cdn', undefined],
			['cdn', undefined],
		]);
	});
});

describe('Get Job, waiting', () => {
	it('polls at once, and again until the job is finished', async () => {
		const startedAt = scene.clock.now();
		const jobId = scene.emulator.jobs.add({ durationMs: 5500 }).id;
		const { items } = await getJobs([jobId], WAITS);
		expect(items[0]?.json).toMatchObject({ job_id: jobId, status: 'Succeed' });
		expect(scene.polls().map(({ startedAtMs }) => startedAtMs - startedAt)).toEqual([
			0, 2000, 4000, 6000,
		]);
	});

	it('ends in time', async () => {
		const jobId = pending();
		const { error } = await getJobs([jobId], { ...WAITS, options: { timeout: 9 } });
		expect(error).toMatchObject({
			message: `The job ${jobId} is not finished after 9 seconds`,
			context: { itemIndex: 0, data: { job_id: jobId, status: 'Pending' } },
		});
	});

	it('can give the job as it is when the time is up', async () => {
		const jobId = pending();
		const { items, hints } = await getJobs([jobId], {
			...WAITS,
			options: { timeout: 9, onTimeout: 'returnPending' },
		});
		expect(items.map(({ json }) => json)).toEqual([
			{ job_id: jobId, status: 'Pending', image_urls: [], timed_out: true, waited_seconds: 9 },
		]);
		expect(hints.map(({ message }) => message)).toEqual([
			expect.stringContaining(`The job is still running: ${jobId}`),
		]);
	});

	it('does not tell the status of a job that was never seen', async () => {
		const jobId = pending();
		scene.emulator.faults.add({ at: 'poll', kind: 'html', status: 502, times: Infinity });
		const { error } = await getJobs([jobId], {
			...WAITS,
			options: { timeout: 9 },
		});
		expect(error?.message).toBe(`The status of the job ${jobId} could not be checked`);
		expect(error?.description).toContain('for 9 seconds: HTTP 502: 502 Bad Gateway.');
	});

	it('is pending when the time is up before it was seen, where that is wanted', async () => {
		const jobId = pending();
		scene.emulator.faults.add({ at: 'poll', kind: 'html', status: 502, times: Infinity });
		const { items } = await getJobs([jobId], {
			...WAITS,
			options: { timeout: 9, onTimeout: 'returnPending' },
		});
		expect(items[0]?.json).toMatchObject({ job_id: jobId, timed_out: true });
	});

	it('polls each job as long as its own item says', async () => {
		const jobIds = [pending(), pending()];
		const { items } = await getJobs(jobIds, {
			...WAITS,
			options: {
				timeout: '={{ $itemIndex === 0 ? 5 : 15 }}',
				onTimeout: 'returnPending',
			},
		});
		expect(items.map(({ json }) => json.waited_seconds)).toEqual([5, 15]);
	});
});

describe('many items of Get Job', () => {
	it('are polled side by side: 50 take as long as one, and 50 ms more for each poll', async () => {
		const startedAt = scene.clock.now();
		const jobIds = Array.from(
			{ length: 50 },
			() => scene.emulator.jobs.add({ durationMs: 5000 }).id,
		);
		const { items } = await getJobs(jobIds, { ...WAITS, downloadImages: false });
		expect(items.map(({ json, pairedItem }) => [json.job_id, pairedItem])).toEqual(
			jobIds.map((jobId, item) => [jobId, { item }]),
		);
		const tookMs = scene.clock.now() - startedAt;
		expect(tookMs).toBeGreaterThanOrEqual(6000);
		expect(tookMs).toBeLessThanOrEqual(6000 + 50 * 50);
		const times = scene.polls().map(({ startedAtMs }) => startedAtMs);
		for (const [index, time] of times.slice(1).entries()) {
			expect(time - (times[index] ?? 0)).toBeGreaterThanOrEqual(50);
		}
	});

	it('have as much time for a poll that fails at first as a single one, however many are before', async () => {
		const jobIds = Array.from({ length: 700 }, () => pending());
		const last = jobIds.at(-1);
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 503,
			match: ({ jobId }) => jobId === last,
		});
		const startedAt = scene.clock.now();
		const { items, error } = await getJobs(jobIds);
		expect(error).toBeUndefined();
		expect(items).toHaveLength(700);
		expect(scene.polls()).toHaveLength(701);
		expect(scene.clock.now() - startedAt).toBeGreaterThan(30_000);
		// Seven hundred requests take their real time on a busy machine.
	}, 90_000);

	it('slow down all together when the API asks one of them to', async () => {
		const startedAt = scene.clock.now();
		const jobIds = Array.from(
			{ length: 5 },
			() => scene.emulator.jobs.add({ durationMs: 5000 }).id,
		);
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 429,
			headers: { 'retry-after': '9' },
		});
		const { error } = await getJobs(jobIds, { ...WAITS, downloadImages: false });
		expect(error).toBeUndefined();
		const times = scene.polls().map(({ startedAtMs }) => startedAtMs - startedAt);
		// Also those that had their turn already when the API asked.
		expect(times[0]).toBe(0);
		expect(times.length).toBeGreaterThan(5);
		for (const time of times.slice(1)) expect(time).toBeGreaterThanOrEqual(9000);
	});

	it('fail one by one when the node continues', async () => {
		const unknown = '123e4567-e89b-12d3-a456-426614174000';
		const jobIds = [finished(), unknown, failed(), 'nonsense', pending()];
		const { items } = await getJobs(jobIds, {}, CONTINUES);
		expect(items.map(({ json, pairedItem }) => [json.status, pairedItem])).toEqual([
			['Succeed', { item: 0 }],
			[undefined, { item: 1 }],
			['Failed', { item: 2 }],
			[undefined, { item: 3 }],
			['Pending', { item: 4 }],
		]);
		expect(errorOf(items[1])).toEqual({
			message: `AetherForge has no job ${unknown} [Item 1]`,
			description: expect.any(String) as string,
			job_id: unknown,
			http_status: 404,
		});
		expect(errorOf(items[3]).message).toBe('"nonsense" is not a job ID [Item 3]');
	});

	it('fail in the error branch, with what they came with', async () => {
		const { items, errorItems } = await getJobs(
			[finished(), 'nonsense'],
			{},
			{ nodeSettings: { onError: 'continueErrorOutput' } },
		);
		expect(items).toHaveLength(1);
		expect(errorItems.map(({ json }) => json)).toEqual([
			{
				job_id: 'nonsense',
				error: {
					message: '"nonsense" is not a job ID [Item 1]',
					description: expect.any(String) as string,
				},
			},
		]);
	});

	it('name at most ten of those that are still running', async () => {
		const jobIds = Array.from({ length: 12 }, pending);
		const { hints, items } = await getJobs(
			jobIds,
			{ ...WAITS, options: { timeout: 5 } },
			CONTINUES,
		);
		expect(items.every((item) => errorOf(item).status === 'Pending')).toBe(true);
		expect(hints).toHaveLength(1);
		expect(hints[0]?.message).toMatch(
			/^12 of 12 jobs are still running: .*, and 2 more\. Execute this step again later/,
		);
		for (const [index, jobId] of jobIds.entries()) {
			expect(hints[0]?.message.includes(jobId)).toBe(index < 10);
		}
	});

	it('are each told of a bad key', async () => {
		scene.emulator.apiKeys.clear();
		const jobIds = Array.from({ length: 5 }, () => finished());
		const { items } = await getJobs(jobIds, {}, CONTINUES);
		expect(items).toHaveLength(5);
		for (const item of items) {
			expect(errorOf(item).message).toBe('AetherForge does not accept the API key');
			expect(errorOf(item).http_status).toBe(401);
		}
	});
});

it('Get Job refuses a Base URL that the key must not be sent to', async () => {
	const more = { credential: { baseUrl: 'http://api.aetherforgeai.com' } };
	const { error } = await getJobs([finished(), finished()], {}, more);
	expect(error?.message).toBe(
		'The Base URL in the AetherForge credential must start with https:// (http:// is only allowed for this machine)',
	);
	const { items } = await getJobs([finished(), finished()], {}, { ...more, ...CONTINUES });
	expect(items.map(({ json }) => Object.keys(json))).toEqual([['error'], ['error']]);
	expect(scene.emulator.requests).toEqual([]);
});
