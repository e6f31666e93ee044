import type { INodeExecutionData, INodeParameters } from 'n8n-workflow';
import { startEmulator, type Emulator, type JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	bytesOf,
	runEngine,
	startBinaryStorage,
	TEST_KEY,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { VirtualClock } from '../support/virtualClock';

let clock: VirtualClock;
let emulator: Emulator;

beforeAll(startBinaryStorage);

beforeEach(async () => {
	clock = new VirtualClock();
	emulator = await startEmulator({ pictures: false, now: () => clock.now() });
});

afterEach(async () => {
	await emulator.close();
});

/** Looks up jobs, an item for each. */
async function lookUp(
	jobIds: string[],
	parameters: INodeParameters = {},
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await runEngine({
		node: 'getJob',
		clock,
		credential: { baseUrl: emulator.apiUrl },
		parameters: { jobId: '={{ $json.job_id }}', ...parameters },
		items: jobIds.map((jobId) => ({ json: { job_id: jobId } })),
		...more,
	});
}

const finished = (wish: JobWish = {}): string => emulator.jobs.add({ durationMs: 0, ...wish }).id;
const pending = (): string => emulator.jobs.add({ durationMs: Infinity }).id;
const failed = (): string => finished({ outcome: { status: 'Failed' } });
const looks = () => emulator.requests.filter(({ path }) => path.includes('/job/'));
const resultUrl = (jobId: string, number: number): string =>
	`${emulator.cdnUrl}/results/${jobId}/${number}.png`;

const CONTINUES: Partial<EngineOptions> = { nodeSettings: { onError: 'continueRegularOutput' } };
const WAITS: INodeParameters = { waitForCompletion: true };

function errorOf(item: INodeExecutionData | undefined): Record<string, unknown> {
	expect(Object.keys(item?.json ?? {})).toEqual(['error']);
	return item?.json.error as Record<string, unknown>;
}

describe('one look at a job', () => {
	it('that is finished gives its images', async () => {
		const jobId = finished({ outcome: { images: ['png', 'png'] } });
		const startedAt = clock.now();
		const { items, error } = await lookUp([jobId]);
		expect(error).toBeUndefined();
		expect(items.map(({ json, pairedItem }) => ({ json, pairedItem }))).toEqual(
			[1, 2].map((number) => ({
				json: {
					job_id: jobId,
					status: 'Succeed',
					image_url: resultUrl(jobId, number),
					image_number: number,
					image_count: 2,
				},
				pairedItem: { item: 0 },
			})),
		);
		for (const [index, { binary }] of items.entries()) {
			expect(await bytesOf(binary?.data)).toEqual(tinyPicture(`${jobId}-${index + 1}.png`, 'png'));
		}
		expect(looks()).toHaveLength(1);
		expect(clock.now()).toBe(startedAt);
	});

	it.each<[string, JobWish]>([
		['Pending', { durationMs: Infinity }],
		['In review', { outcome: { status: 'In review' } }],
		['Pending', { outcome: { status: 'Pending', imageUrls: 'absent' } }],
	])('that is %s gives just that', async (status, wish) => {
		const jobId = finished(wish);
		const { items, hints } = await lookUp([jobId]);
		expect(items).toEqual([
			{ json: { job_id: jobId, status, image_urls: [] }, pairedItem: { item: 0 } },
		]);
		expect(looks()).toHaveLength(1);
		expect(hints).toEqual([]);
	});

	it('that failed is an answer', async () => {
		const jobId = finished({
			outcome: { status: 'Failed', extra: { error_message: 'Content policy' } },
		});
		const { items, error } = await lookUp([jobId]);
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
			outcome: { status: 'Failed', extra: { error_message: `no ${TEST_KEY} here` } },
		});
		const { items } = await lookUp([jobId]);
		expect(items[0]?.json.error_message).toBe('no *** here');
	});

	it('that failed can end the run as well', async () => {
		const jobId = failed();
		const { error } = await lookUp([finished(), jobId], { options: { onFailed: 'error' } });
		expect(error).toMatchObject({
			message: `AetherForge could not finish the job ${jobId}`,
			context: { itemIndex: 1, data: { job_id: jobId, status: 'Failed' } },
		});
	});

	it('that is not known ends the run', async () => {
		const jobId = '123e4567-e89b-12d3-a456-426614174000';
		const { error } = await lookUp([jobId]);
		expect(error).toMatchObject({
			message: `AetherForge does not know the job ${jobId}`,
			httpCode: '404',
			context: { itemIndex: 0, data: { job_id: jobId, http_status: 404 } },
		});
		expect(looks()).toHaveLength(1);
	});

	it.each([(id: string) => ` ${id}\n`, (id: string) => id.toUpperCase()])(
		'takes the job ID as people paste it (%#)',
		async (paste) => {
			const { items, error } = await lookUp([paste(finished())]);
			expect(error).toBeUndefined();
			expect(items[0]?.json.status).toBe('Succeed');
		},
	);

	it('keeps the images of a job together when asked to', async () => {
		const jobId = finished({ outcome: { images: ['png', 'png'] } });
		const { items } = await lookUp([jobId], {
			binaryPropertyOutput: 'picture',
			options: { outputItems: 'perJob' },
		});
		expect(items.map(({ json }) => json)).toEqual([
			{ job_id: jobId, status: 'Succeed', image_urls: [1, 2].map((n) => resultUrl(jobId, n)) },
		]);
		expect(Object.keys(items[0]?.binary ?? {})).toEqual(['picture', 'picture_1']);
	});

	it('can leave the images where they are', async () => {
		const { items } = await lookUp([finished()], { downloadImages: false });
		expect(items[0]).not.toHaveProperty('binary');
		expect(emulator.requests.map(({ server }) => server)).toEqual(['api']);
	});

	it('sends the key to the API only', async () => {
		await lookUp([finished({ outcome: { images: ['png', 'gif'] } })]);
		expect(emulator.requests.map(({ server, headers }) => [server, headers.authorization])).toEqual(
			[
				['api', `Bearer ${TEST_KEY}`],
				['cdn', undefined],
				['cdn', undefined],
			],
		);
	});
});

describe('waiting', () => {
	it('looks at once, and again until the job is finished', async () => {
		const startedAt = clock.now();
		const jobId = emulator.jobs.add({ durationMs: 5500 }).id;
		const { items } = await lookUp([jobId], WAITS);
		expect(items[0]?.json).toMatchObject({ job_id: jobId, status: 'Succeed' });
		expect(looks().map(({ startedAtMs }) => startedAtMs - startedAt)).toEqual([
			0, 2000, 4000, 6000,
		]);
	});

	it('ends in time', async () => {
		const jobId = pending();
		const { error } = await lookUp([jobId], { ...WAITS, options: { timeout: 9 } });
		expect(error).toMatchObject({
			message: `The job ${jobId} is not finished after 9 seconds`,
			context: { itemIndex: 0, data: { job_id: jobId, status: 'Pending' } },
		});
	});

	it('can give the job as it is when the time is up', async () => {
		const jobId = pending();
		const { items, hints } = await lookUp([jobId], {
			...WAITS,
			options: { timeout: 9, onTimeout: 'returnPending' },
		});
		expect(items.map(({ json }) => json)).toEqual([
			{ job_id: jobId, status: 'Pending', image_urls: [], timed_out: true, waited_seconds: 9 },
		]);
		expect(hints.map(({ message }) => message)).toEqual([
			expect.stringContaining(`1 of 1 job still running: ${jobId}`),
		]);
	});

	it('does not say how a job is that was never seen', async () => {
		const jobId = pending();
		emulator.faults.add({ at: 'poll', kind: 'html', status: 502, times: Infinity });
		const { error } = await lookUp([jobId], {
			...WAITS,
			options: { timeout: 9 },
		});
		expect(error?.message).toBe(`The job ${jobId} could not be looked up`);
		expect(error?.description).toContain('for 9 seconds: HTTP 502: 502 Bad Gateway.');
	});

	it('is pending when the time is up before it was seen, where that is wanted', async () => {
		const jobId = pending();
		emulator.faults.add({ at: 'poll', kind: 'html', status: 502, times: Infinity });
		const { items } = await lookUp([jobId], {
			...WAITS,
			options: { timeout: 9, onTimeout: 'returnPending' },
		});
		expect(items[0]?.json).toMatchObject({ job_id: jobId, timed_out: true });
	});

	it('looks at each job as long as its own item says', async () => {
		const jobIds = [pending(), pending()];
		const { items } = await lookUp(jobIds, {
			...WAITS,
			options: {
				timeout: '={{ $itemIndex === 0 ? 5 : 15 }}',
				pollInterval: '={{ $itemIndex + 1 }}',
				onTimeout: 'returnPending',
			},
		});
		expect(items.map(({ json }) => json.waited_seconds)).toEqual([5, 15]);
	});
});

describe('many items', () => {
	it('are looked up side by side: 50 take as long as one, and 50 ms more for each look', async () => {
		const startedAt = clock.now();
		const jobIds = Array.from({ length: 50 }, () => emulator.jobs.add({ durationMs: 5000 }).id);
		const { items } = await lookUp(jobIds, { ...WAITS, downloadImages: false });
		expect(items.map(({ json, pairedItem }) => [json.job_id, pairedItem])).toEqual(
			jobIds.map((jobId, item) => [jobId, { item }]),
		);
		const tookMs = clock.now() - startedAt;
		expect(tookMs).toBeGreaterThanOrEqual(6000);
		expect(tookMs).toBeLessThanOrEqual(6000 + 50 * 50);
		const times = looks().map(({ startedAtMs }) => startedAtMs);
		for (const [index, time] of times.slice(1).entries()) {
			expect(time - (times[index] ?? 0)).toBeGreaterThanOrEqual(50);
		}
	});

	it('have as long as one has for a look that does not work at first, however many are before', async () => {
		const jobIds = Array.from({ length: 700 }, () => pending());
		const last = jobIds.at(-1);
		emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 503,
			match: ({ jobId }) => jobId === last,
		});
		const startedAt = clock.now();
		const { items, error } = await lookUp(jobIds);
		expect(error).toBeUndefined();
		expect(items).toHaveLength(700);
		expect(looks()).toHaveLength(701);
		expect(clock.now() - startedAt).toBeGreaterThan(30_000);
	});

	it('slow down all together when the API asks one of them to', async () => {
		const startedAt = clock.now();
		const jobIds = Array.from({ length: 5 }, () => emulator.jobs.add({ durationMs: 5000 }).id);
		emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 429,
			headers: { 'retry-after': '9' },
		});
		const { error } = await lookUp(jobIds, { ...WAITS, downloadImages: false });
		expect(error).toBeUndefined();
		const times = looks().map(({ startedAtMs }) => startedAtMs - startedAt);
		// Also those that had their turn already when the API asked.
		expect(times[0]).toBe(0);
		expect(times.length).toBeGreaterThan(5);
		for (const time of times.slice(1)) expect(time).toBeGreaterThanOrEqual(9000);
	});

	it('fail one by one when the node continues', async () => {
		const unknown = '123e4567-e89b-12d3-a456-426614174000';
		const jobIds = [finished(), unknown, failed(), 'nonsense', pending()];
		const { items } = await lookUp(jobIds, {}, CONTINUES);
		expect(items.map(({ json, pairedItem }) => [json.status, pairedItem])).toEqual([
			['Succeed', { item: 0 }],
			[undefined, { item: 1 }],
			['Failed', { item: 2 }],
			[undefined, { item: 3 }],
			['Pending', { item: 4 }],
		]);
		expect(errorOf(items[1])).toEqual({
			message: `AetherForge does not know the job ${unknown} [Item 1]`,
			description: expect.any(String) as string,
			job_id: unknown,
			http_status: 404,
		});
		expect(errorOf(items[3]).message).toBe('"nonsense" is not a job ID [Item 3]');
	});

	it('fail in the error branch, with what they came with', async () => {
		const { items, errorItems } = await lookUp(
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
		const { hints, items } = await lookUp(jobIds, { ...WAITS, options: { timeout: 5 } }, CONTINUES);
		expect(items.every((item) => errorOf(item).status === 'Pending')).toBe(true);
		expect(hints).toHaveLength(1);
		expect(hints[0]?.message).toMatch(/^12 of 12 jobs still running: .*, …\. Look them up/);
		for (const [index, jobId] of jobIds.entries()) {
			expect(hints[0]?.message.includes(jobId)).toBe(index < 10);
		}
	});

	it('are each told of a bad key', async () => {
		emulator.apiKeys.clear();
		const jobIds = Array.from({ length: 5 }, () => finished());
		const { items } = await lookUp(jobIds, {}, CONTINUES);
		expect(items).toHaveLength(5);
		for (const item of items) {
			expect(errorOf(item).message).toBe('AetherForge does not accept the API key');
			expect(errorOf(item).http_status).toBe(401);
		}
	});
});

it('refuses a base URL that the key must not be sent to', async () => {
	const more = { credential: { baseUrl: 'http://api.aetherforgeai.com' } };
	const { error } = await lookUp([finished(), finished()], {}, more);
	expect(error?.message).toBe(
		'The Base URL of the AetherForge credential must start with https:// (http:// is allowed for this machine only)',
	);
	const { items } = await lookUp([finished(), finished()], {}, { ...more, ...CONTINUES });
	expect(items.map(({ json }) => Object.keys(json))).toEqual([['error'], ['error']]);
	expect(emulator.requests).toEqual([]);
});
