import type { INodeParameters, WorkflowExecuteMode } from 'n8n-workflow';

import type { EngineOptions, EngineResult } from '../support/engine';
import { numbered } from '../support/items';
import { useScene } from '../support/scene';

const scene = useScene({ jobDurationMs: 60_000 });

/** As many as the node sends at once. */
const CONCURRENT_SUBMITS = 20;
const BRANCHES: Partial<EngineOptions> = { nodeSettings: { onError: 'continueErrorOutput' } };

async function generate(
	itemCount: number,
	options: INodeParameters = {},
	engine: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const parameters = { prompt: '={{ "item " + $itemIndex }}', options };
	return await scene.generate(parameters, { items: numbered(itemCount), ...engine });
}

const jobIds = (): string[] => scene.emulator.submits.map(({ jobId }) => jobId);
const jobOf = (prompt: string): string => scene.jobIdOf(scene.paidPrompts().indexOf(prompt));

it('one item’s failure ends the run at once, names the jobs that run, and says where to retry', async () => {
	scene.refuse('item 14');
	const { error, items } = await generate(40, { maxConcurrentJobs: 15 });
	expect(items).toEqual([]);
	expect(scene.postCount()).toBe(15);
	expect(jobIds()).toHaveLength(14);
	expect(error?.message).toBe('AetherForge did not accept the request: Invalid image file');
	expect(error?.context.itemIndex).toBe(14);
	const { running_job_ids: running, ...data } = error?.context.data ?? {};
	expect(data).toEqual({ http_status: 400 });
	expect(new Set(running as string[])).toEqual(new Set(jobIds()));
	const named = jobIds().filter((jobId) => error?.description?.includes(jobId));
	expect(named).toHaveLength(10);
	expect(error?.description).toMatch(
		/^Use Retry in the Executions tab: it collects 14 paid jobs free of charge.* Executing the workflow, or Retry with an edited prompt, pays for all jobs of this node again: to change a row, run it alone\. Row 15 of the input failed: "item 14"\..*and 4 more/,
	);
});

it('with continue-on-error the others come out in order, and the failed ones with their jobs', async () => {
	const NEVER = { durationMs: Infinity };
	const SOON = { durationMs: 3000 };
	scene.wishes.push(SOON, { ...SOON, outcome: { status: 'Failed' } }, SOON, NEVER);
	scene.refuse('item 4');
	const { items, errorItems, error, hints } = await generate(5, { timeout: 10 }, BRANCHES);
	expect(error).toBeUndefined();
	expect(items.map(({ json, pairedItem }) => [json.prompt, pairedItem])).toEqual(
		[0, 2].map((item) => [`item ${item}`, { item }]),
	);
	expect(errorItems.map(({ json }) => json)).toMatchObject([
		{ n: 1, error: { job_id: jobOf('item 1'), status: 'Failed' } },
		{ n: 3, error: { job_id: jobOf('item 3'), status: 'Pending' } },
		{ n: 4, error: { http_status: 400 } },
	]);
	expect(hints.map(({ message }) => message)).toContainEqual(
		expect.stringContaining(jobOf('item 3')),
	);
});

it('credits that run out after three jobs end submitting for all, and the rest fail unsent', async () => {
	scene.wishes.push({ durationMs: 0 }, { durationMs: 0 }, { durationMs: 0 });
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status: 402,
		body: { detail: 'Insufficient credits' },
		times: Infinity,
		match: () => scene.emulator.submits.length >= 3,
	});
	const { items, errorItems } = await generate(20, { maxConcurrentJobs: 1 }, BRANCHES);
	expect(items.map(({ json }) => json.prompt)).toEqual(['item 0', 'item 1', 'item 2']);
	expect(scene.postCount()).toBe(4);
	const unsent = {
		message: 'The AetherForge account has no credits left',
		description: expect.stringMatching(/nothing was charged for it\.$/) as string,
		http_status: 402,
	};
	expect(errorItems.map(({ json }) => json.error)).toEqual(Array(17).fill(unsent));
});

it.each([
	['is wrong keeps back the items that wait in line', 'submit', 60, 60, CONCURRENT_SUBMITS],
	['dies while the first jobs are waited for ends submitting', 'poll', 10, 2, 2],
] as const)('a key that %s', async (_, at, itemCount, maxConcurrentJobs, sent) => {
	const body = { detail: 'Invalid API key' };
	scene.emulator.faults.add({ at, kind: 'respond', status: 401, body, times: Infinity });
	const { errorItems } = await generate(itemCount, { maxConcurrentJobs }, BRANCHES);
	expect(scene.postCount()).toBe(sent);
	expect(errorItems).toHaveLength(itemCount);
});

it.each<[string, WorkflowExecuteMode, INodeParameters, RegExp]>([
	['an image and its file', 'manual', {}, /^3 jobs started\. .* new jobs\. .* and press P\./],
	['an image without its file', 'manual', { downloadImages: false }, /, pin it\.$/],
	['an image in production', 'trigger', {}, /^3 jobs started\.$/],
	['a job without an image', 'manual', { waitForCompletion: false }, /^3 jobs started\.$/],
])('a hint says how many jobs were started, and how to keep %s', async (_, mode, more, hint) => {
	scene.wishes.push({ durationMs: 0 }, { durationMs: 0 }, { durationMs: 0 });
	const { hints } = await generate(3, {}, { mode, parameters: { prompt: 'p', ...more } });
	expect(hints[0]?.message).toMatch(hint);
});
