import type { INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { bytesOf, type EngineOptions, type EngineResult } from '../support/engine';
import { errorOf, hintsOf, jsonOf, onlyJson } from '../support/items';
import { CONTINUES, KEY, useScene } from '../support/scene';

const scene = useScene();

const UNKNOWN = '123e4567-e89b-12d3-a456-426614174000';
const WAITS: INodeParameters = { waitForCompletion: true };

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
const pending = (): string => finished({ durationMs: Infinity });
const FAILED: JobWish = { outcome: { status: 'Failed' } };

/** When the status checks came in, counted from the first. */
function pollTimes(): number[] {
	const times = scene.polls().map(({ startedAtMs }) => startedAtMs);
	return times.map((time) => time - (times[0] ?? 0));
}

describe('a single status check of a job', () => {
	it('that is finished gives its images, at once', async () => {
		const jobId = finished({ outcome: { images: ['png', 'png'] } });
		const startedAt = scene.clock.now();
		const { items } = await getJobs([jobId]);
		expect(scene.clock.now()).toBe(startedAt);
		expect(items.map(({ json }) => json.image_url)).toEqual(
			[1, 2].map((number) => scene.resultUrl(jobId, number)),
		);
		expect(await bytesOf(items[1]?.binary?.data)).toEqual(tinyPicture(`${jobId}-2.png`, 'png'));
		expect([scene.polls().length, scene.downloads().length]).toEqual([1, 2]);
	});

	it.each<[string, JobWish]>([
		['Pending', { durationMs: Infinity }],
		['In review', { outcome: { status: 'In review' } }],
		['Pending', { outcome: { status: 'Pending', imageUrls: 'absent' } }],
	])('that is %s gives just that', async (status, wish) => {
		const jobId = finished(wish);
		const result = await getJobs([jobId]);
		expect(onlyJson(result)).toEqual({ job_id: jobId, status, image_urls: [] });
		expect(scene.polls()).toHaveLength(1);
		expect(hintsOf(result)).toEqual([
			`The job is still running: ${jobId}. Check again later with Get Job and the job ID, free of charge, or turn on "Wait for Completion".`,
		]);
	});

	it('that failed is an answer, in which a reason does not repeat the key', async () => {
		// The cut to 500 characters would leave half of the second key.
		const error_message = `no ${KEY} here ${'x'.repeat(470)}${KEY}`;
		const jobId = finished({ outcome: { status: 'Failed', extra: { error_message } } });
		expect(onlyJson(await getJobs([jobId]))).toEqual({
			job_id: jobId,
			status: 'Failed',
			image_urls: [],
			error_message: `no *** here ${'x'.repeat(470)}***`,
		});
	});

	it('takes job IDs as people paste them', async () => {
		const items = jsonOf(await getJobs([` ${finished()}\n`, finished().toUpperCase()]));
		expect(items.map(({ status }) => status)).toEqual(['Succeed', 'Succeed']);
	});
});

describe('Get Job, waiting', () => {
	it('polls at once, and again until the job is finished', async () => {
		const startedAt = scene.clock.now();
		const jobId = finished({ durationMs: 5500 });
		expect(onlyJson(await getJobs([jobId], WAITS))).toMatchObject({ status: 'Succeed' });
		expect(scene.polls()[0]?.startedAtMs).toBe(startedAt);
		expect(pollTimes()).toEqual([0, 2000, 4000, 6000]);
	});

	it('gives the job as it is when its time is up, each item by its own options', async () => {
		const options = { timeout: '={{ $itemIndex === 0 ? 5 : 15 }}', onTimeout: 'returnPending' };
		const jobIds = [pending(), pending()];
		const result = await getJobs(jobIds, { ...WAITS, options });
		const late = { status: 'Pending', image_urls: [], timed_out: true };
		expect(jsonOf(result)).toEqual([
			{ job_id: jobIds[0], ...late, waited_seconds: 5 },
			{ job_id: jobIds[1], ...late, waited_seconds: 15 },
		]);
		expect(hintsOf(result)[0]).toContain('2 of 2 jobs are still running: ');
	});

	it('does not tell the status of a job that was never seen, unless that is wanted', async () => {
		const jobId = pending();
		scene.emulator.faults.add({ at: 'poll', kind: 'html', status: 502, times: Infinity });
		const { error } = await getJobs([jobId], { ...WAITS, options: { timeout: 9 } });
		expect(error?.message).toBe(`The status of the job ${jobId} could not be checked`);
		expect(error?.description).toContain('for 9 seconds: HTTP 502: 502 Bad Gateway.');
		const options = { timeout: 9, onTimeout: 'returnPending' };
		const result = await getJobs([jobId], { ...WAITS, options });
		expect(onlyJson(result)).toMatchObject({ job_id: jobId, timed_out: true });
	});
});

describe('many items of Get Job', () => {
	it('have as much time for a poll that fails at first as a single one, however many are before', async () => {
		const jobIds = Array.from({ length: 700 }, pending);
		const match = ({ jobId }: { jobId?: string }) => jobId === jobIds.at(-1);
		scene.emulator.faults.add({ at: 'poll', kind: 'respond', status: 503, match });
		const startedAt = scene.clock.now();
		expect(jsonOf(await getJobs(jobIds))).toHaveLength(700);
		expect(scene.polls()).toHaveLength(701);
		expect(scene.clock.now() - startedAt).toBeGreaterThan(30_000);
		// Seven hundred requests take their real time on a busy machine.
	}, 90_000);

	it('slow down all together when the API asks one of them to', async () => {
		const jobIds = Array.from({ length: 5 }, () => finished({ durationMs: 5000 }));
		const headers = { 'retry-after': '9' };
		scene.emulator.faults.add({ at: 'poll', kind: 'respond', status: 429, headers });
		jsonOf(await getJobs(jobIds, { ...WAITS, downloadImages: false }));
		// Also those that had their turn already when the API asked.
		const [, ...later] = pollTimes();
		expect(later.length).toBeGreaterThan(4);
		expect(Math.min(...later)).toBeGreaterThanOrEqual(9000);
	});

	it('fail one by one when the node continues', async () => {
		const jobIds = [finished(), UNKNOWN, finished(FAILED), 'nonsense', pending()];
		const { items } = await getJobs(jobIds, {}, { nodeSettings: CONTINUES });
		expect(items.map(({ json }) => json.status ?? 'error')).toEqual([
			...['Succeed', 'error', 'Failed', 'error', 'Pending'],
		]);
		expect(items.map(({ pairedItem }) => pairedItem)).toEqual(jobIds.map((_, item) => ({ item })));
		expect(errorOf(items[1])).toEqual({
			message: `AetherForge has no job ${UNKNOWN} [Item 1]`,
			description: expect.any(String) as string,
			job_id: UNKNOWN,
			http_status: 404,
		});
		expect(errorOf(items[3]).message).toBe('"nonsense" is not a job ID [Item 3]');
	});
});
