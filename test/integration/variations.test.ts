import type { INodeParameters } from 'n8n-workflow';

import type { EngineOptions, EngineResult } from '../support/engine';
import { errorOf, hintsOf, jsonOf, pictures } from '../support/items';
import { CONTINUES, useScene } from '../support/scene';

// "Number of Images", elsewhere "Number of Variations": the same request several times, each a paid job.

const scene = useScene({ jobDurationMs: 1000 });

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
		expect(new Set(jsonOf(result).map((json) => json.job_id)).size).toBe(6);
		expect(hintsOf(result)).toEqual(['6 jobs started.']);
	});

	it.each<[INodeParameters, INodeParameters]>([
		[{ outputItems: 'perJob' }, {}],
		[{}, { waitForCompletion: false }],
	])('are numbered with %j and %j', async (options, parameters) => {
		// One job after the other, so that the n-th submit is that of the n-th job.
		const given = { maxConcurrentJobs: 1, jobsPerItem: 3, ...options };
		const items = jsonOf(await generate(given, { ...TWO_ITEMS, parameters }));
		expect(items.map((json) => [json.job_id, json.job_number, json.job_count])).toEqual(
			[0, 1, 2, 3, 4, 5].map((index) => [scene.jobIdOf(index), (index % 3) + 1, 3]),
		);
	});
});

it('a single variation is not numbered, and each item can ask for another number of them', async () => {
	const jobsPerItem = '={{ $json.p === "a" ? 1 : "2" }}';
	const items = jsonOf(await generate({ jobsPerItem }, TWO_ITEMS));
	expect(items.map((json) => [json.prompt, json.job_number, json.job_count])).toEqual([
		['a', undefined, undefined],
		['b', 1, 2],
		['b', 2, 2],
	]);
	expect(items[0]).not.toHaveProperty('job_number');
});

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

it('a variation that fails leaves the others to come out when the node continues', async () => {
	scene.wishes.push({}, { outcome: { status: 'Failed' } });
	const given = { maxConcurrentJobs: 1, jobsPerItem: 3 };
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

it('an unknown outcome is told of once when it ends the run, and again when a retry is refused', async () => {
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 502 });
	const retryOf = await generate({});
	expect(retryOf.error?.message).toBe('It is not known whether AetherForge started the job');
	expect(retryOf.error?.description).not.toContain('for row 1');
	const { error } = await generate({ jobsPerItem: 0 }, { retryOf });
	expect(error?.message).toContain('"Number of Images" must be');
	expect(error?.description).toContain(
		'It is not known whether a job was started for row 1 of the input.',
	);
});

it('a retry with more variations pays for the new ones, and one with fewer names the others', async () => {
	const NEVER = { durationMs: Infinity };
	scene.wishes.push(NEVER, NEVER, NEVER);
	const retryOf = await generate({ jobsPerItem: 3, timeout: 2 });
	const paid = [0, 1, 2].map(scene.jobIdOf);
	for (const jobId of paid) scene.emulator.jobs.finish(jobId);

	const fewer = await generate({ jobsPerItem: 1 }, { retryOf });
	const [json] = jsonOf(fewer);
	expect(json).not.toHaveProperty('job_number');
	const [started, hint = ''] = hintsOf(fewer);
	expect(started).toBe('0 jobs started (3 in this execution), 1 resumed (not charged again).');
	expect(hint).toContain('so they were not collected: ');
	expect(paid.filter((jobId) => !hint.includes(jobId))).toEqual([json?.job_id]);
	expect(scene.postCount()).toBe(3);

	const more = await generate({ jobsPerItem: 5 }, { retryOf });
	const jobs = jsonOf(more);
	expect(jobs.map(({ job_number }) => job_number)).toEqual([1, 2, 3, 4, 5]);
	const newOnes = [scene.jobIdOf(3), scene.jobIdOf(4)];
	expect(new Set(jobs.slice(3).map(({ job_id }) => job_id))).toEqual(new Set(newOnes));
	expect(hintsOf(more)).toEqual(['2 jobs started, 3 resumed (not charged again).']);
	expect(scene.postCount()).toBe(5);
});

it('a retry that needs a new one collects the paid one although its file is gone', async () => {
	scene.wishes.push({ durationMs: Infinity });
	const parameters = { referenceImages: 'all' };
	const items = [{ json: { p: 'a' }, binary: pictures('file') }];
	const retryOf = await generate({ timeout: 2 }, { parameters, items });
	scene.emulator.jobs.finish(scene.jobIdOf(0));
	const more = { parameters, retryOf, nodeSettings: CONTINUES };
	const { items: collected } = await generate({ jobsPerItem: 2 }, more);
	expect(collected[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), job_number: 1 });
	const message = 'The item has no binary fields to send';
	expect(errorOf(collected[1])).toMatchObject({ message, job_number: 2, job_count: 2 });
	expect(scene.postCount()).toBe(1);
});
