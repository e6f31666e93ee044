import type { INode, INodeExecutionData, INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { startBinaryStorage, type EngineOptions, type EngineResult } from '../support/engine';
import { openScene, type Scene } from '../support/scene';

// "Number of Images", elsewhere "Number of Variations": the same request several times, each a paid job.

let scene: Scene;
/** What becomes of the n-th paid job, from 0. */
let wishes: (JobWish | undefined)[];

beforeAll(startBinaryStorage);

beforeEach(async () => {
	wishes = [];
	let count = 0;
	scene = await openScene({ jobDurationMs: 1000, wish: () => wishes[count++] });
});

afterEach(async () => {
	await scene.close();
});

const NEVER: JobWish = { durationMs: Infinity };
const FAILS: JobWish = { outcome: { status: 'Failed' } };
const TWO_IMAGES: JobWish = { outcome: { images: ['png', 'png'] } };
const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 2, waitBetweenTries: 1 };
const CONTINUES: Partial<INode> = { onError: 'continueRegularOutput' };
/** One job after the other, so that the n-th submit is that of the n-th job. */
const IN_ORDER: INodeParameters = { maxConcurrentJobs: 1 };

const PROMPTS = ['a', 'b'];

async function generate(
	{ jobsPerItem = 1, ...options }: INodeParameters,
	{ parameters, ...more }: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const own = { prompt: '={{ $json.p }}', downloadImages: false, jobsPerItem };
	return await scene.run({
		node: 'imageGenerate',
		parameters: { ...own, options, ...parameters },
		items: PROMPTS.map((p) => ({ json: { p } })),
		mode: 'trigger',
		...more,
	});
}

/** The same for a single item. */
async function generateOne(
	options: INodeParameters,
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await generate(options, { items: [{ json: { p: 'a' } }], ...more });
}

function errorOf({ json }: INodeExecutionData): Record<string, unknown> {
	expect(Object.keys(json)).toEqual(['error']);
	return json.error as Record<string, unknown>;
}

function hintsOf({ hints }: EngineResult): string[] {
	return hints.map(({ message }) => message);
}

function jobIds(items: readonly INodeExecutionData[]): unknown[] {
	return items.map(({ json }) => json.job_id);
}

function answerSubmit(number: number, status: number, body: string | { detail: string }): void {
	let count = 0;
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status,
		body,
		match: () => ++count === number,
	});
}

describe('three variations of two items', () => {
	it('are six jobs, whose items come in the order of the input and are numbered within it', async () => {
		// The last job is finished first.
		wishes = [6, 5, 4, 3, 2, 1].map((seconds) => ({ durationMs: seconds * 1000 }));
		const result = await generate({ jobsPerItem: 3 });
		expect(result.error).toBeUndefined();
		expect(scene.paidPrompts().sort()).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
		expect(
			result.items.map(({ json, pairedItem }) => ({
				prompt: json.prompt,
				number: json.job_number,
				count: json.job_count,
				pairedItem,
			})),
		).toEqual(
			PROMPTS.flatMap((prompt, item) =>
				[1, 2, 3].map((number) => ({ prompt, number, count: 3, pairedItem: { item } })),
			),
		);
		expect(new Set(jobIds(result.items))).toEqual(
			new Set(scene.emulator.submits.map(({ jobId }) => jobId)),
		);
		expect(hintsOf(result)).toEqual(['6 jobs started.']);
	});

	it('give an item for each image of each job', async () => {
		wishes = Array<JobWish>(6).fill(TWO_IMAGES);
		const { items } = await generate({ ...IN_ORDER, jobsPerItem: 3 });
		expect(
			items.map(({ json, pairedItem }) => [
				json.job_id,
				json.job_number,
				json.job_count,
				json.image_number,
				json.image_count,
				pairedItem,
			]),
		).toEqual(
			[0, 1, 2, 3, 4, 5].flatMap((index) =>
				[1, 2].map((image) => [
					scene.jobIdOf(index),
					(index % 3) + 1,
					3,
					image,
					2,
					{ item: Math.floor(index / 3) },
				]),
			),
		);
	});

	it('give an item for each job where the images of a job stay together', async () => {
		wishes = Array<JobWish>(6).fill(TWO_IMAGES);
		const { items } = await generate(
			{ ...IN_ORDER, jobsPerItem: 3, outputItems: 'perJob' },
			{ parameters: { downloadImages: true } },
		);
		expect(items.map(({ json, binary }) => [json, Object.keys(binary ?? {})])).toEqual(
			[0, 1, 2, 3, 4, 5].map((index) => [
				{
					job_id: scene.jobIdOf(index),
					status: 'Succeed',
					image_urls: [1, 2].map((number) => scene.resultUrl(scene.jobIdOf(index), number)),
					images: [1, 2].map((number) => ({
						image_url: scene.resultUrl(scene.jobIdOf(index), number),
						width: 1,
						height: 1,
						mime_type: 'image/png',
					})),
					job_number: (index % 3) + 1,
					job_count: 3,
					prompt: PROMPTS[Math.floor(index / 3)],
					ai_model: 'GPT Image 1.5',
				},
				['data', 'data_1'],
			]),
		);
	});

	it('are numbered when they are not waited for', async () => {
		const { items } = await generate(
			{ ...IN_ORDER, jobsPerItem: 3 },
			{ parameters: { waitForCompletion: false } },
		);
		expect(items.map(({ json }) => [json.job_id, json.status, json.job_number])).toEqual(
			[0, 1, 2, 3, 4, 5].map((index) => [scene.jobIdOf(index), 'Pending', (index % 3) + 1]),
		);
	});
});

it('a single variation is not numbered, and each item can ask for another number of them', async () => {
	const { items } = await generate({ jobsPerItem: '={{ $json.p === "a" ? 1 : "2" }}' });
	expect(items.map(({ json }) => [json.prompt, json.job_number, json.job_count])).toEqual([
		['a', undefined, undefined],
		['b', 1, 2],
		['b', 2, 2],
	]);
	expect(items[0]?.json).not.toHaveProperty('job_number');
});

it('failed and pending variations that are returned as items are numbered', async () => {
	wishes = [FAILS, NEVER];
	const result = await generateOne({
		...IN_ORDER,
		jobsPerItem: 2,
		timeout: 5,
		onFailed: 'returnFailed',
		onTimeout: 'returnPending',
	});
	expect(result.items.map(({ json }) => [json.status, json.job_number, json.job_count])).toEqual([
		['Failed', 1, 2],
		['Pending', 2, 2],
	]);
	expect(hintsOf(result)[1]).toContain(`1 of 2 jobs is still running: ${scene.jobIdOf(1)}.`);
});

it('every variation sends the whole file again', async () => {
	const bytes = tinyPicture('x', 'png');
	const { error } = await generateOne(
		{ jobsPerItem: 3 },
		{
			parameters: { referenceImages: 'all' },
			items: [
				{
					json: { p: 'a' },
					binary: { photo: { data: bytes.toString('base64'), mimeType: 'image/png' } },
				},
			],
		},
	);
	expect(error).toBeUndefined();
	const sent = scene.emulator.submits.map(({ files }) => files.map((file) => file.bytes));
	expect(sent).toEqual([[bytes.length], [bytes.length], [bytes.length]]);
});

it.each([0, 21, -1, 1.5, 'x', true, null, '={{ undefined }}', '={{ [3] }}'])(
	'%j is no number of variations, and nothing is sent',
	async (jobsPerItem) => {
		const { error } = await generate({ jobsPerItem });
		expect(error?.message).toBe('"Number of Images" must be a whole number from 1 to 20');
		expect(error?.description).toContain('No job was started, and nothing was charged.');
		expect(scene.emulator.requests).toEqual([]);
	},
);

it('belongs to the panel in Image Generate, and to the options elsewhere', async () => {
	const options = { jobsPerItem: 3 };
	await generateOne({}, { parameters: { options } });
	expect(scene.postCount()).toBe(1);
	const file = { data: tinyPicture('x', 'png').toString('base64'), mimeType: 'image/png' };
	const items = [{ json: {}, binary: { data: file } }];
	await scene.run({ node: 'imageTune', parameters: { jobsPerItem: 5, options }, items });
	expect(scene.postCount()).toBe(1 + 3);
});

it('20 variations are started, one of which may be all that runs at a time', async () => {
	const { items } = await generateOne({ ...IN_ORDER, jobsPerItem: 20 });
	expect(items.map(({ json }) => json.job_number)).toEqual(
		Array.from({ length: 20 }, (_, n) => n + 1),
	);
	const starts = scene.emulator.submits.map(({ acceptedAtMs }) => acceptedAtMs);
	for (const [index, startedAt] of starts.entries()) {
		if (index > 0) expect(startedAt - (starts[index - 1] ?? 0)).toBeGreaterThanOrEqual(1000);
	}
});

describe('a variation that fails', () => {
	it('is the only one that Retry On Fail pays for again', async () => {
		wishes = [undefined, FAILS, undefined];
		const { items, error, calls, hints } = await generateOne(
			{ jobsPerItem: 3 },
			{ nodeSettings: RETRIES },
		);
		expect(error).toBeUndefined();
		expect(calls).toBe(2);
		expect(scene.emulator.submits).toHaveLength(4);
		expect(items.map(({ json }) => json.job_number)).toEqual([1, 2, 3]);
		expect(new Set(jobIds(items))).toEqual(new Set([0, 2, 3].map((n) => scene.jobIdOf(n))));
		expect(hints[0]?.message).toBe(
			'1 job started (4 in this execution), 2 resumed (not charged again).',
		);
	});

	it('leaves the others to come out when the node continues', async () => {
		wishes = [undefined, FAILS];
		const { items } = await generate({ ...IN_ORDER, jobsPerItem: 3 }, { nodeSettings: CONTINUES });
		expect(items.map(({ json }) => json.job_number ?? 'error')).toEqual([1, 'error', 3, 1, 2, 3]);
		const [, failed] = items;
		expect(failed && errorOf(failed)).toMatchObject({
			message: `AetherForge could not finish the job ${scene.jobIdOf(1)} [Item 0]`,
			job_number: 2,
			job_count: 3,
			job_id: scene.jobIdOf(1),
			status: 'Failed',
		});
		expect(failed?.pairedItem).toEqual({ item: 0 });
	});

	it('is numbered in the data of the error that ends the run, and the others are named', async () => {
		wishes = [undefined, FAILS, NEVER];
		const { error } = await generateOne({ jobsPerItem: 3 });
		expect(error?.context.data).toMatchObject({ job_count: 3, job_id: scene.jobIdOf(1) });
		expect(error?.description).toContain(scene.jobIdOf(2));
	});

	it('is numbered in the data also when the API did not accept it', async () => {
		answerSubmit(2, 400, { detail: 'Invalid image file' });
		const { error } = await generateOne({ ...IN_ORDER, jobsPerItem: 3 });
		expect(error?.context.data).toEqual({
			job_number: 2,
			job_count: 3,
			http_status: 400,
			running_job_ids: [scene.jobIdOf(0)],
		});
	});

	it.each(['perImage', 'perJob'])(
		'to download is numbered, with its URLs, when output is %s',
		async (outputItems) => {
			scene.emulator.faults.add({
				at: 'download',
				kind: 'respond',
				status: 403,
				times: Infinity,
				match: ({ path }) => path.includes(scene.jobIdOf(1)),
			});
			const { items } = await generateOne(
				{ ...IN_ORDER, jobsPerItem: 2, outputItems },
				{ nodeSettings: CONTINUES, parameters: { downloadImages: true } },
			);
			expect(items).toHaveLength(2);
			expect(items[1] && errorOf(items[1])).toMatchObject({
				job_number: 2,
				job_count: 2,
				job_id: scene.jobIdOf(1),
				image_urls: [scene.resultUrl(scene.jobIdOf(1), 1)],
			});
		},
	);

	it('for lack of credits spares the rest, each with its number', async () => {
		answerSubmit(2, 402, { detail: 'Not enough credits' });
		const { items } = await generateOne(
			{ ...IN_ORDER, jobsPerItem: 4 },
			{ nodeSettings: CONTINUES },
		);
		expect(scene.postCount()).toBe(2);
		expect(items[0]?.json).toMatchObject({ job_number: 1, status: 'Succeed' });
		expect(items.slice(1).map((item) => errorOf(item))).toEqual(
			[2, 3, 4].map(
				(job_number) =>
					expect.objectContaining({ job_number, job_count: 4, http_status: 402 }) as object,
			),
		);
	});
});

describe('a variation whose outcome is unknown', () => {
	it('is not sent again by a retry, which collects the others all the same', async () => {
		answerSubmit(1, 502, '<html></html>');
		const { items, calls } = await generateOne(
			{ ...IN_ORDER, jobsPerItem: 3 },
			{ nodeSettings: { ...RETRIES, ...CONTINUES } },
		);
		// n8n runs the node again because its first output item is an error item.
		expect(calls).toBe(2);
		expect(scene.postCount()).toBe(3);
		expect(items[0] && errorOf(items[0])).toEqual({
			message: 'It is not known whether an earlier attempt started the job',
			description: expect.stringContaining('It was not sent again.') as string,
			job_number: 1,
			job_count: 3,
		});
		expect(jobIds(items.slice(1))).toEqual([scene.jobIdOf(0), scene.jobIdOf(1)]);
	});

	it('is told of when another variation of the same item ends the run', async () => {
		answerSubmit(1, 400, { detail: 'Invalid image file' });
		// The other one is accepted, but its response never ends.
		scene.emulator.faults.add({ at: 'submit', kind: 'stallBody' });
		const { error } = await generateOne({ jobsPerItem: 2 });
		expect(error?.message).toContain('Invalid image file');
		expect(scene.emulator.submits).toHaveLength(1);
		expect(error?.description).toContain('It is not known whether a job was started for item 0.');
	});

	it('is told of once when it ends the run itself, and again when a retry is refused', async () => {
		answerSubmit(1, 502, '<html></html>');
		const first = await generateOne({});
		expect(first.error?.message).toBe('It is not known whether AetherForge started the job');
		expect(first.error?.description).not.toContain('for item 0');
		const again = await generateOne({ jobsPerItem: 0 }, { retryOf: first });
		expect(again.error?.message).toContain('"Number of Images" must be');
		expect(again.error?.description).toContain(
			'It is not known whether a job was started for item 0.',
		);
	});
});

describe('"Max Jobs per Execution"', () => {
	it('counts variations, and refuses them all or none', async () => {
		const { error } = await generate({ jobsPerItem: 3, maxJobsPerExecution: 5 });
		expect(error?.message).toBe(
			'This execution would start 6 jobs, more than the 5 that "Max Jobs per Execution" allows',
		);
		expect(scene.emulator.requests).toEqual([]);
		const { items } = await generate({ jobsPerItem: 3, maxJobsPerExecution: 6 });
		expect(items).toHaveLength(6);
	});

	it('refuses each variation as an error item of its own when the node continues', async () => {
		const { items } = await generate(
			{ jobsPerItem: 2, maxJobsPerExecution: 3 },
			{ nodeSettings: CONTINUES },
		);
		expect(items.map((item) => [errorOf(item).job_number, item.pairedItem])).toEqual([
			[1, { item: 0 }],
			[2, { item: 0 }],
			[1, { item: 1 }],
			[2, { item: 1 }],
		]);
		expect(scene.emulator.requests).toEqual([]);
	});

	it('lets the paid variation come out beside those that it refuses', async () => {
		wishes = [NEVER];
		const first = await generateOne({ jobsPerItem: 1, timeout: 2 });
		scene.emulator.jobs.finish(scene.jobIdOf(0));
		const again = await generateOne(
			{ jobsPerItem: 3, maxJobsPerExecution: 2 },
			{ retryOf: first, nodeSettings: CONTINUES },
		);
		expect(scene.postCount()).toBe(1);
		expect(again.items[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), job_number: 1 });
		for (const item of again.items.slice(1)) {
			// Their own job was never started: they do not carry the ID of the paid one.
			expect(errorOf(item)).not.toHaveProperty('job_id');
			expect(errorOf(item).message).toContain('more than the 2');
		}
		expect(again.items).toHaveLength(3);
	});
});

describe('a retry of three variations, all of them paid', () => {
	async function threePaid(): Promise<EngineResult> {
		wishes = [NEVER, NEVER, NEVER];
		const first = await generateOne({ jobsPerItem: 3, timeout: 2 });
		expect(first.error?.message).toContain('is not finished');
		expect(scene.postCount()).toBe(3);
		for (const { jobId } of scene.emulator.submits) scene.emulator.jobs.finish(jobId);
		return first;
	}

	it('with fewer variations costs nothing and names the jobs that are no longer asked for', async () => {
		const first = await threePaid();
		const again = await generateOne({ jobsPerItem: 1 }, { retryOf: first });
		expect(again.error).toBeUndefined();
		expect(scene.postCount()).toBe(3);
		expect(again.items).toHaveLength(1);
		expect(again.items[0]?.json).not.toHaveProperty('job_number');
		const [, hint = ''] = hintsOf(again);
		expect(hint).toContain(
			'Earlier attempts of this execution paid for jobs that this one does not ask for, so they were not collected: ',
		);
		const collected = again.items[0]?.json.job_id;
		const left = scene.emulator.submits.map(({ jobId }) => jobId).filter((id) => id !== collected);
		expect(left).toHaveLength(2);
		for (const jobId of left) expect(hint).toContain(jobId);
		expect(hint).not.toContain(collected);
		expect(hintsOf(again)[0]).toBe(
			'0 jobs started (3 in this execution), 1 resumed (not charged again).',
		);
	});

	it('with one variation less names just that job', async () => {
		const first = await threePaid();
		const again = await generateOne({ jobsPerItem: 2 }, { retryOf: first });
		const collected = jobIds(again.items);
		const left = scene.emulator.submits.find(({ jobId }) => !collected.includes(jobId))?.jobId;
		expect(hintsOf(again)[1]).toBe(
			`Earlier attempts of this execution paid for a job that this one does not ask for, so it was not collected: ${left}. Collect it with the AetherForge Get Job node, free of charge.`,
		);
	});

	it('with more variations pays for the new ones only', async () => {
		const first = await threePaid();
		const again = await generateOne({ jobsPerItem: 5 }, { retryOf: first });
		expect(again.error).toBeUndefined();
		expect(scene.postCount()).toBe(5);
		expect(again.items.map(({ json }) => [json.job_number, json.job_count])).toEqual(
			[1, 2, 3, 4, 5].map((number) => [number, 5]),
		);
		expect(new Set(jobIds(again.items.slice(3)))).toEqual(
			new Set([scene.jobIdOf(3), scene.jobIdOf(4)]),
		);
		expect(hintsOf(again)).toEqual(['2 jobs started, 3 resumed (not charged again).']);
	});

	it('says in a dry run how many would be resumed, sends nothing, and forgets nothing', async () => {
		const first = await threePaid();
		const sent = scene.emulator.requests.length;
		const dry = await generateOne({ jobsPerItem: 5, dryRun: true }, { retryOf: first });
		expect(scene.emulator.requests).toHaveLength(sent);
		expect(hintsOf(dry)).toEqual([
			'Dry run: 2 jobs would be started (2 × GPT Image 1.5) and 3 would be resumed, which is free. Nothing was sent and nothing was charged. Turn off "Dry Run" under Options to start the jobs.',
		]);
		const real = await generateOne({ jobsPerItem: 5 }, { retryOf: dry });
		expect(hintsOf(real)).toEqual(['2 jobs started, 3 resumed (not charged again).']);
	});

	it('from the executions list does not let a dry run use it up', async () => {
		const first = await threePaid();
		const options = { retryOf: first, mode: 'retry' as const, executionId: '2' };
		const dry = await generateOne({ jobsPerItem: 3, dryRun: true }, options);
		expect(dry.error?.message).toMatch(/would use up the Retry/);
		expect(dry.error?.description).toContain(scene.jobIdOf(0));
		const real = await generateOne({ jobsPerItem: 3 }, { ...options, retryOf: dry });
		expect(real.items).toHaveLength(3);
		expect(scene.emulator.submits).toHaveLength(3);
	});

	it('that needs a new one collects the paid ones although its file is gone', async () => {
		const file = { data: tinyPicture('x', 'png').toString('base64'), mimeType: 'image/png' };
		wishes = [NEVER];
		const parameters = { referenceImages: 'all' };
		const first = await generateOne(
			{ timeout: 2 },
			{ parameters, items: [{ json: { p: 'a' }, binary: { file } }] },
		);
		scene.emulator.jobs.finish(scene.jobIdOf(0));
		const retry = { parameters, retryOf: first };
		const stopped = await generateOne({ jobsPerItem: 2 }, retry);
		expect(stopped.error?.message).toBe('The item has no binary fields to send');
		expect(stopped.error?.description).toContain(scene.jobIdOf(0));
		const { items } = await generateOne({ jobsPerItem: 2 }, { ...retry, nodeSettings: CONTINUES });
		expect(items[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), job_number: 1 });
		expect(items[1] && errorOf(items[1])).toMatchObject({
			message: 'The item has no binary fields to send',
			job_number: 2,
			job_count: 2,
		});
		expect(items[1] && errorOf(items[1])).not.toHaveProperty('job_id');
		expect(scene.postCount()).toBe(1);
	});
});

it('the first item is paid and the file of the second is gone on the retry: its job is named', async () => {
	const file = { data: tinyPicture('x', 'png').toString('base64'), mimeType: 'image/png' };
	const items = PROMPTS.map((p) => ({ json: { p }, binary: { file } }));
	answerSubmit(2, 400, { detail: 'Invalid image file' });
	const parameters = { referenceImages: 'all' };
	const first = await generate(IN_ORDER, { parameters, items });
	expect(scene.emulator.submits).toHaveLength(1);
	const gone = [items[0] ?? { json: {} }, { json: { p: 'b' } }];
	const again = await generate(IN_ORDER, { parameters, items: gone, retryOf: first });
	expect(again.error?.message).toBe('The item has no binary fields to send');
	expect(again.error?.context.itemIndex).toBe(1);
	expect(again.error?.description).toContain('No new job was started.');
	expect(again.error?.description).toContain(scene.jobIdOf(0));
	expect(again.error?.context.data).toEqual({ running_job_ids: [scene.jobIdOf(0)] });
	expect(scene.postCount()).toBe(2);
});

describe('a dry run', () => {
	it('counts every variation, by model, and numbers them', async () => {
		const result = await generate(
			{ jobsPerItem: '={{ $json.p === "a" ? 2 : 1 }}', dryRun: true },
			{ parameters: { aiModel: '={{ $json.p === "a" ? "GPT Image 1.5" : "Nano Banana" }}' } },
		);
		expect(result.error).toBeUndefined();
		expect(scene.emulator.requests).toEqual([]);
		expect(hintsOf(result)).toEqual([
			'Dry run: 3 jobs would be started (2 × GPT Image 1.5, 1 × Nano Banana). Nothing was sent and nothing was charged. Turn off "Dry Run" under Options to start the jobs.',
		]);
		expect(result.items.map(({ json }) => [json.dry_run, json.job_number, json.job_count])).toEqual(
			[
				[true, 1, 2],
				[true, 2, 2],
				[true, undefined, undefined],
			],
		);
	});

	it('counts by operation where the model does not decide the price', async () => {
		const file = { data: tinyPicture('x', 'png').toString('base64'), mimeType: 'image/png' };
		const result = await scene.run({
			node: 'imageTune',
			parameters: { operation: 'upscale', options: { dryRun: true } },
			items: [{ json: {}, binary: { data: file } }],
		});
		expect(hintsOf(result)[0]).toMatch(/^Dry run: 1 job would be started \(1 × Upscale Image\)\./);
	});

	it('does not count items that were refused, nor those that are really sent', async () => {
		const result = await generate(
			{ jobsPerItem: 2, dryRun: '={{ $json.p !== "b" }}' },
			{
				items: ['a', 'b', ''].map((p) => ({ json: { p } })),
				nodeSettings: CONTINUES,
			},
		);
		expect(hintsOf(result)).toEqual([
			expect.stringMatching(/^Dry run: 2 jobs would be started \(2 × GPT Image 1.5\)\./),
			'2 jobs started.',
		]);
		expect(scene.paidPrompts()).toEqual(['b', 'b']);
	});

	it('does not count a request that a retry would not send again', async () => {
		answerSubmit(1, 502, '<html></html>');
		const first = await generateOne({});
		const dry = await generateOne({ dryRun: true, jobsPerItem: 2 }, { retryOf: first });
		expect(hintsOf(dry)[0]).toMatch(
			/^Dry run: 1 job would be started \(1 × GPT Image 1.5\)\. 1 request would not be sent again, because it is not known/,
		);
		const accepted = await generateOne(
			{ dryRun: true, jobsPerItem: 2, resubmitIfUnknown: true },
			{ retryOf: first },
		);
		expect(hintsOf(accepted)[0]).toMatch(/^Dry run: 2 jobs would be started/);
	});
});
