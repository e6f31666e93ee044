import type { INodeParameters, WorkflowExecuteMode } from 'n8n-workflow';

import type { JobWish, RequestRecord } from '../emulator/emulator';
import { startBinaryStorage, type EngineOptions, type EngineResult } from '../support/engine';
import { openScene, type Scene } from '../support/scene';

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

/** As many as the node sends at once. */
const CONCURRENT_SUBMITS = 20;

let scene: Scene;

afterEach(async () => {
	await scene.close();
});

async function generate(
	itemCount: number,
	options: Record<string, number> = {},
	engine: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: '={{ "item " + $itemIndex }}', options },
		items: Array.from({ length: itemCount }, (_, id) => ({ json: { id } })),
		...engine,
	});
}

function refuse(prompt: string): void {
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status: 400,
		body: { detail: 'Invalid image file' },
		match: ({ form }) => form?.fields.prompt === prompt,
	});
}

const CONTINUES: Partial<EngineOptions> = { nodeSettings: { onError: 'continueErrorOutput' } };

describe('one item’s failure, without continue-on-error', () => {
	it('stops submitting at once and names the jobs that run', async () => {
		scene = await openScene({ jobDurationMs: 60_000 });
		refuse('item 14');
		const { error, items } = await generate(40, { maxConcurrentJobs: 15 });
		expect(items).toEqual([]);
		expect(scene.postCount()).toBe(15);

		const jobIds = scene.emulator.submits.map(({ jobId }) => jobId);
		expect(jobIds).toHaveLength(14);
		const named = jobIds.filter((jobId) => error?.description?.includes(jobId));
		expect(named).toHaveLength(10);
		expect(error?.description).toMatch(/and 4 more/);
		expect(new Set(error?.context.data?.running_job_ids as string[])).toEqual(new Set(jobIds));
		expect(error?.context.itemIndex).toBe(14);
		expect(error?.message).toContain('Invalid image file');
	});

	it('sends none of the requests that waited for their turn', async () => {
		scene = await openScene({ jobDurationMs: 60_000 });
		refuse('item 0');
		await generate(CONCURRENT_SUBMITS + 20);
		expect(scene.postCount()).toBe(CONCURRENT_SUBMITS);
	});

	it('says where to retry, and that executing again pays for new jobs', async () => {
		scene = await openScene({ jobDurationMs: 60_000 });
		refuse('item 1');
		const { error } = await generate(2);
		expect(error?.description).toMatch(
			/^Use Retry in the Executions tab: it collects 1 paid job free of charge.* Row 2 of the input failed: "item 1"\./,
		);
		expect(error?.description).toMatch(/Executing the workflow pays for all jobs again/);
	});

	it('waits for the answers of submits under way, so that their jobs are named', async () => {
		scene = await openScene({ jobDurationMs: 60_000 });
		refuse('item 0');
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status: 429,
			match: ({ form }) => form?.fields.prompt === 'item 2',
		});
		const { error } = await generate(3);
		expect(scene.paidPrompts()).toEqual(['item 1']);
		expect(error?.context.data?.running_job_ids).toEqual([scene.emulator.submits[0]?.jobId]);
	});

	it('does not wait for status checks of other jobs', async () => {
		scene = await openScene({ jobDurationMs: 60_000 });
		const { faults } = scene.emulator;
		const match = (request: RequestRecord) => request.form?.fields.prompt === 'item 1';
		const headers = { 'retry-after': '5' };
		faults.add({ at: 'submit', kind: 'respond', status: 429, headers, match });
		faults.add({ at: 'submit', kind: 'respond', status: 400, match });
		faults.add({ at: 'poll', kind: 'stall' });
		const startedAtMs = scene.clock.now();
		const { error } = await generate(2);
		expect(error?.context.data?.running_job_ids).toHaveLength(1);
		expect(scene.clock.now() - startedAtMs).toBeLessThan(10_000);
	});

	it('names jobs that Get Job can collect', async () => {
		scene = await openScene({ jobDurationMs: 60_000 });
		refuse('item 2');
		const { error } = await generate(3);
		const { items } = await scene.run({
			node: 'getJob',
			parameters: { jobId: '={{ $json.id }}', waitForCompletion: true },
			items: (error?.context.data?.running_job_ids as string[]).map((id) => ({ json: { id } })),
		});
		expect(items.map(({ binary }) => binary?.data?.mimeType)).toEqual(['image/png', 'image/png']);
	});
});

describe('one item’s failure, with continue-on-error', () => {
	it('lets the others out in order, and the failed ones with their jobs', async () => {
		let count = 0;
		scene = await openScene({
			wish: () => [{}, { outcome: { status: 'Failed' } }, {}, { durationMs: Infinity }][count++],
		});
		refuse('item 4');
		const { items, errorItems, error, hints } = await generate(6, { timeout: 10 }, CONTINUES);
		expect(error).toBeUndefined();
		expect(items.map(({ json }) => json.prompt)).toEqual(['item 0', 'item 2', 'item 5']);
		expect(items.map(({ pairedItem }) => pairedItem)).toEqual([0, 2, 5].map((item) => ({ item })));
		const jobOf = (prompt: string) =>
			scene.emulator.submits.find(({ fields }) => fields.prompt === prompt)?.jobId;
		expect(errorItems.map(({ json }) => json)).toMatchObject([
			{ id: 1, error: { job_id: jobOf('item 1'), status: 'Failed' } },
			{ id: 3, error: { job_id: jobOf('item 3'), status: 'Pending' } },
			{ id: 4, error: { http_status: 400 } },
		]);
		expect(hints.map(({ message }) => message)).toContainEqual(
			expect.stringContaining(jobOf('item 3') ?? ''),
		);
	});
});

describe.each([
	{ name: 'a wrong key', status: 401, detail: 'Invalid API key' },
	{ name: 'no credits', status: 402, detail: 'Insufficient credits' },
	{ name: 'no permission', status: 403, detail: 'Forbidden' },
	{ name: 'no account', status: 404, detail: 'Not Found User' },
])('$name', ({ status, detail }) => {
	beforeEach(async () => {
		scene = await openScene({ jobDurationMs: 0 });
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status,
			body: { detail },
			times: Infinity,
			match: () => scene.emulator.submits.length >= 3,
		});
	});

	it('ends submitting for all, and the rest fail unsent', async () => {
		const { items, errorItems, error } = await generate(20, { maxConcurrentJobs: 1 }, CONTINUES);
		expect(error).toBeUndefined();
		expect(items.map(({ json }) => json.prompt)).toEqual(['item 0', 'item 1', 'item 2']);
		expect(scene.postCount()).toBe(4);
		expect(errorItems).toHaveLength(17);
		const messages = errorItems.map(({ json }) => (json.error as { message: string }).message);
		expect(new Set(messages).size).toBe(1);
		for (const { json } of errorItems) {
			expect(json.error).toMatchObject({ http_status: status });
			expect(json.error).not.toHaveProperty('job_id');
		}
	});

	it('ends the run otherwise, with the paid jobs named', async () => {
		const { error } = await generate(20, { maxConcurrentJobs: 1 });
		expect(scene.postCount()).toBe(4);
		expect(error?.context.data).toMatchObject({
			http_status: status,
			running_job_ids: scene.emulator.submits.map(({ jobId }) => jobId),
		});
	});
});

it.each<Partial<EngineOptions>>([{}, CONTINUES])(
	'a wrong key keeps back the items that wait in line to be sent, however many may run: %j',
	async (settings) => {
		scene = await openScene({ jobDurationMs: 60_000, apiKeys: ['another key'] });
		const { errorItems, error } = await generate(60, { maxConcurrentJobs: 60 }, settings);
		expect(scene.postCount()).toBe(20);
		expect([errorItems.length, error === undefined]).toEqual(
			settings === CONTINUES ? [60, true] : [0, false],
		);
	},
);

it('a key that dies while the first jobs are waited for ends submitting', async () => {
	scene = await openScene({ jobDurationMs: 10_000 });
	scene.emulator.faults.add({
		at: 'poll',
		kind: 'respond',
		status: 401,
		body: { detail: 'Invalid API key' },
		times: Infinity,
	});
	const { errorItems } = await generate(10, { maxConcurrentJobs: 2 }, CONTINUES);
	expect(scene.postCount()).toBe(2);
	expect(errorItems).toHaveLength(10);
});

describe('the hint after a run', () => {
	const FAILS = { outcome: { status: 'Failed' } };
	it.each<[string, WorkflowExecuteMode, INodeParameters, JobWish, RegExp]>([
		['an image and its file', 'manual', {}, {}, /pays for new jobs\. .* and press P\./],
		['an image without its file', 'manual', { downloadImages: false }, {}, /, pin it\.$/],
		['an image in production', 'trigger', {}, {}, /^3 jobs started\.$/],
		['a job without an image', 'manual', { waitForCompletion: false }, {}, /^3 jobs started\.$/],
		[
			'a failed job',
			'manual',
			{ options: { onFailed: 'returnFailed' } },
			FAILS,
			/^3 jobs started\.$/,
		],
	])('says how many jobs were started, and how to keep %s', async (_, mode, more, wish, hint) => {
		scene = await openScene({ jobDurationMs: 0, wish: () => wish });
		const { hints } = await generate(3, {}, { mode, parameters: { prompt: 'p', ...more } });
		expect(hints[0]?.message).toMatch(/^3 jobs started\./);
		expect(hints[0]?.message).toMatch(hint);
	});

	it('suggests no pinning when all jobs are resumed', async () => {
		scene = await openScene({ jobDurationMs: 10_000 });
		const first = await generate(2, { timeout: 2 }, { mode: 'manual' });
		const { hints } = await generate(2, {}, { mode: 'manual', retryOf: first });
		const [message] = hints.map((hint) => hint.message);
		expect(message).toBe('0 jobs started, 2 resumed (not charged again).');
	});

	it('tells a job whose outcome is unknown from those that were started', async () => {
		scene = await openScene({ jobDurationMs: 0 });
		scene.emulator.faults.add({ at: 'submit', kind: 'reset', when: 'accepted' });
		const { hints } = await generate(2, {}, CONTINUES);
		expect(hints.map(({ message }) => message)).toContainEqual(
			expect.stringMatching(
				/^1 job started\. Of 1 request it is not known whether a job was started\./,
			),
		);
	});
});
