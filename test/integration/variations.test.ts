import type { INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import type { EngineOptions, EngineResult } from '../support/engine';
import { errorOf, hintsOf, jsonOf, NO_JOB, pictures } from '../support/items';
import { CONTINUES, useScene } from '../support/scene';

// "Number of Images", elsewhere "Number of Variations": the same request several times, each a paid job.

const scene = useScene({ jobDurationMs: 1000 });

const NEVER: JobWish = { durationMs: Infinity };
/** One job after the other, so that the n-th submit is that of the n-th job. */
const IN_ORDER: INodeParameters = { maxConcurrentJobs: 1 };

/** @param options with the number of images beside them */
async function generate(
	{ jobsPerItem = 1, ...options }: INodeParameters,
	{ parameters, ...more }: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const own = { prompt: '={{ $json.p }}', downloadImages: false, jobsPerItem, options };
	return await scene.generate(
		{ ...own, ...parameters },
		{ items: [{ json: { p: 'a' } }], mode: 'trigger', ...more },
	);
}

const TWO_ITEMS = { items: ['a', 'b'].map((p) => ({ json: { p } })) };

function answerSubmit(number: number, status: number, body: string | { detail: string }): void {
	let count = 0;
	const match = () => ++count === number;
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status, body, match });
}

function jobIds(items: EngineResult['items']): unknown[] {
	return items.map(({ json }) => json.job_id);
}

describe('three variations of two items', () => {
	it('are six jobs, whose items come in the order of the input and are numbered within it', async () => {
		// The last job is finished first.
		for (const seconds of [6, 5, 4, 3, 2, 1]) {
			scene.wishes.push({ durationMs: seconds * 1000, outcome: { images: ['png', 'png'] } });
		}
		const result = await generate({ jobsPerItem: 3 }, TWO_ITEMS);
		expect(scene.paidPrompts().sort()).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
		const numbers = jsonOf(result).map((json, index) => [
			json.prompt,
			[json.job_number, json.job_count],
			json.image_number,
			result.items[index]?.pairedItem,
		]);
		expect(numbers).toEqual(
			['a', 'b'].flatMap((prompt, item) =>
				[1, 2, 3].flatMap((job) => [1, 2].map((image) => [prompt, [job, 3], image, { item }])),
			),
		);
		expect(new Set(jobIds(result.items)).size).toBe(6);
		expect(hintsOf(result)).toEqual(['6 jobs started.']);
	});

	it.each<[INodeParameters, INodeParameters]>([
		[{ outputItems: 'perJob' }, {}],
		[{}, { waitForCompletion: false }],
	])('are numbered with %j and %j', async (options, parameters) => {
		const given = { ...IN_ORDER, jobsPerItem: 3, ...options };
		const items = jsonOf(await generate(given, { ...TWO_ITEMS, parameters }));
		expect(items.map((json) => [json.job_id, json.job_number, json.job_count])).toEqual(
			[0, 1, 2, 3, 4, 5].map((index) => [scene.jobIdOf(index), (index % 3) + 1, 3]),
		);
	});
});

it('a single variation is not numbered, and each item can ask for another number of them', async () => {
	const items = jsonOf(
		await generate({ jobsPerItem: '={{ $json.p === "a" ? 1 : "2" }}' }, TWO_ITEMS),
	);
	expect(items.map((json) => [json.prompt, json.job_number, json.job_count])).toEqual([
		['a', undefined, undefined],
		['b', 1, 2],
		['b', 2, 2],
	]);
	expect(items[0]).not.toHaveProperty('job_number');
});

it.each([0, 21, 1.5, 'x', true, null, '={{ undefined }}', '={{ [3] }}'])(
	'%j is no number of variations, and nothing is sent',
	async (jobsPerItem) => {
		const { error } = await generate({ jobsPerItem });
		expect(error?.message).toBe('"Number of Images" must be a whole number from 1 to 20');
		expect(error?.description).toContain(NO_JOB);
		expect(scene.emulator.requests).toEqual([]);
	},
);

it('up to 20 of them belong to the panel in Image Generate, and to the options elsewhere', async () => {
	await generate({ jobsPerItem: 20 }, { parameters: { options: { jobsPerItem: 3 } } });
	expect(scene.postCount()).toBe(20);
	await scene.run({
		node: 'imageTune',
		parameters: { jobsPerItem: 5, options: { jobsPerItem: 3 } },
		items: [{ json: {}, binary: pictures('data') }],
	});
	expect(scene.postCount()).toBe(20 + 3);
});

describe('a variation that fails', () => {
	it('leaves the others to come out when the node continues', async () => {
		scene.wishes.push({}, { outcome: { status: 'Failed' } });
		const given = { ...IN_ORDER, jobsPerItem: 3 };
		const { items } = await generate(given, { ...TWO_ITEMS, nodeSettings: CONTINUES });
		expect(items.map(({ json }) => json.job_number ?? 'error')).toEqual([1, 'error', 3, 1, 2, 3]);
		expect(errorOf(items[1])).toMatchObject({
			message: `AetherForge could not finish the job ${scene.jobIdOf(1)} [Item 0]`,
			job_number: 2,
			job_count: 3,
			job_id: scene.jobIdOf(1),
			status: 'Failed',
		});
		expect(items[1]?.pairedItem).toEqual({ item: 0 });
	});

	it('is numbered in the data of the error that ends the run, and the others are named', async () => {
		answerSubmit(2, 400, { detail: 'Invalid image file' });
		const { error } = await generate({ ...IN_ORDER, jobsPerItem: 3 });
		expect(error?.context.data).toEqual({
			job_number: 2,
			job_count: 3,
			http_status: 400,
			running_job_ids: [scene.jobIdOf(0)],
		});
		expect(error?.description).toContain(scene.jobIdOf(0));
	});
});

it('an unknown outcome is told of once when it ends the run, and again when a retry is refused', async () => {
	answerSubmit(1, 502, '<html></html>');
	const retryOf = await generate({});
	expect(retryOf.error?.message).toBe('It is not known whether AetherForge started the job');
	expect(retryOf.error?.description).not.toContain('for item 0');
	const { error } = await generate({ jobsPerItem: 0 }, { retryOf });
	expect(error?.message).toContain('"Number of Images" must be');
	expect(error?.description).toContain('It is not known whether a job was started for item 0.');
});

describe('a retry of three variations, all of them paid', () => {
	async function threePaid(): Promise<EngineResult> {
		scene.wishes.push(NEVER, NEVER, NEVER);
		const first = await generate({ jobsPerItem: 3, timeout: 2 });
		expect(first.error?.message).toContain('is not finished');
		for (const { jobId } of scene.emulator.submits) scene.emulator.jobs.finish(jobId);
		return first;
	}

	it('with fewer variations costs nothing and names the jobs that are no longer asked for', async () => {
		const again = await generate({ jobsPerItem: 1 }, { retryOf: await threePaid() });
		const [json, ...others] = jsonOf(again);
		expect(others).toEqual([]);
		expect(json).not.toHaveProperty('job_number');
		expect(scene.postCount()).toBe(3);
		const [started, hint = ''] = hintsOf(again);
		expect(started).toBe('0 jobs started (3 in this execution), 1 resumed (not charged again).');
		expect(hint).toContain(
			'Earlier attempts of this execution paid for jobs that this one does not ask for, so they were not collected: ',
		);
		const named = scene.emulator.submits
			.map(({ jobId }) => jobId)
			.filter((id) => hint.includes(id));
		expect(named).toHaveLength(2);
		expect(named).not.toContain(json?.job_id);
	});

	it('with more variations pays for the new ones only', async () => {
		const again = await generate({ jobsPerItem: 5 }, { retryOf: await threePaid() });
		const numbers = jsonOf(again).map((json) => [json.job_number, json.job_count]);
		expect(numbers).toEqual([1, 2, 3, 4, 5].map((number) => [number, 5]));
		expect(scene.postCount()).toBe(5);
		const newOnes = [scene.jobIdOf(3), scene.jobIdOf(4)];
		expect(new Set(jobIds(again.items.slice(3)))).toEqual(new Set(newOnes));
		expect(hintsOf(again)).toEqual(['2 jobs started, 3 resumed (not charged again).']);
	});
});

it('a retry that needs a new one collects the paid one although its file is gone', async () => {
	scene.wishes.push(NEVER);
	const parameters = { referenceImages: 'all' };
	const items = [{ json: { p: 'a' }, binary: pictures('file') }];
	const retryOf = await generate({ timeout: 2 }, { parameters, items });
	scene.emulator.jobs.finish(scene.jobIdOf(0));
	const stopped = await generate({ jobsPerItem: 2 }, { parameters, retryOf });
	expect(stopped.error?.message).toBe('The item has no binary fields to send');
	expect(stopped.error?.description).toContain(scene.jobIdOf(0));
	const more = { parameters, retryOf, nodeSettings: CONTINUES };
	const { items: collected } = await generate({ jobsPerItem: 2 }, more);
	expect(collected[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), job_number: 1 });
	expect(errorOf(collected[1])).toEqual({
		message: 'The item has no binary fields to send',
		description: expect.any(String) as string,
		job_number: 2,
		job_count: 2,
	});
	expect(scene.postCount()).toBe(1);
});
