import type { INode, INodeExecutionData, INodeParameters, INodeType } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import { startBinaryStorage, type EngineOptions, type EngineResult } from '../support/engine';
import { openScene, type Scene } from '../support/scene';

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

let scene: Scene;
/** What becomes of the n-th paid job, from 0. */
let wishes: (JobWish | undefined)[] = [];

beforeEach(async () => {
	wishes = [];
	let count = 0;
	scene = await openScene({ wish: () => wishes[count++] });
});

afterEach(async () => {
	await scene.close();
});

const THREE: INodeExecutionData[] = ['a', 'b', 'c'].map((name) => ({ json: { name } }));
const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };
const FAILED: JobWish = { outcome: { status: 'Failed' } };
const NEVER: JobWish = { durationMs: Infinity };

async function generate(
	parameters: INodeParameters = {},
	options: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: '={{ $json.name }}', ...parameters },
		items: THREE,
		...options,
	});
}

function ledgerOf({ saved }: EngineResult): object {
	const context = saved.executionData?.contextData['node:Node'] as
		{ aetherForgeJobs?: object } | undefined;
	return context?.aetherForgeJobs ?? {};
}

function namesOf({ items }: EngineResult): unknown[] {
	return items.map(({ json }) => json.prompt);
}

describe('Retry On Fail', () => {
	it('pays a fourth time only for the job that failed', async () => {
		wishes = [undefined, FAILED];
		const result = await generate({}, { nodeSettings: RETRIES });
		expect(result.error).toBeUndefined();
		expect(namesOf(result)).toEqual(['a', 'b', 'c']);
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', 'b']);
		expect(result.calls).toBe(2);
	});

	it('does so too when the prompt differs in each try', async () => {
		wishes = [undefined, FAILED];
		const result = await generate(
			{ prompt: '={{ $json.name + " " + $now.toMillis() + " " + Math.random() }}' },
			{ nodeSettings: RETRIES },
		);
		expect(result.error).toBeUndefined();
		expect(result.items).toHaveLength(3);
		expect(scene.emulator.submits).toHaveLength(4);
		expect(new Set(scene.paidPrompts()).size).toBe(4);
	});

	it('says how many jobs it took from the previous try', async () => {
		wishes = [undefined, FAILED];
		const { hints } = await generate({}, { nodeSettings: RETRIES });
		expect(hints.map(({ message }) => message)).toContainEqual(
			expect.stringMatching(/^2 of 3 jobs taken from the previous try/),
		);
	});

	it('gives up after three failed jobs, and remembers none of them', async () => {
		wishes = [FAILED, FAILED, FAILED, FAILED];
		const result = await generate({}, { nodeSettings: RETRIES, items: THREE.slice(0, 1) });
		expect(result.error?.context.data).toMatchObject({ status: 'Failed' });
		expect(scene.emulator.submits).toHaveLength(3);
		expect(ledgerOf(result)).toEqual({});
	});

	it('pays for nothing twice when the first output item is an error item', async () => {
		wishes = [NEVER];
		const result = await generate(
			{ options: { timeout: 5 } },
			{ nodeSettings: { ...RETRIES, onError: 'continueErrorOutput' } },
		);
		expect(result.calls).toBe(3);
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c']);
		expect(namesOf(result)).toEqual(['b', 'c']);
		expect(result.errorItems[0]?.json.error).toMatchObject({
			job_id: scene.emulator.submits[0]?.jobId,
			status: 'Pending',
		});
	});

	it.each(['received', 'accepted'] as const)(
		'does not send again what may have been accepted (%s), unless told',
		async (when) => {
			scene.emulator.faults.add({
				at: 'submit',
				kind: 'reset',
				when,
				match: ({ form }) => form?.fields.prompt === 'b',
			});
			const result = await generate({}, { nodeSettings: RETRIES });
			expect(result.calls).toBe(3);
			expect(scene.postCount()).toBe(3);
			expect(result.error?.description).toMatch(/may exist and be charged/);
			expect(result.error?.context.data?.running_job_ids).toHaveLength(2);

			const stillNot = await generate({}, { retryOf: result });
			expect(scene.postCount()).toBe(3);
			expect(stillNot.error?.description).toMatch(/current workflow/);

			const told = await generate({ options: { resubmitUnclear: true } }, { retryOf: stillNot });
			expect(told.error).toBeUndefined();
			expect(namesOf(told)).toEqual(['a', 'b', 'c']);
			expect(scene.postCount()).toBe(4);
			expect(ledgerOf(told)).toEqual({});
		},
	);

	it('collects the other jobs beside one whose start is unclear', async () => {
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'stall',
			when: 'accepted',
			match: ({ form }) => form?.fields.prompt === 'a',
		});
		const nodeSettings: Partial<INode> = { ...RETRIES, onError: 'continueErrorOutput' };
		const result = await generate({}, { nodeSettings });
		expect(result.calls).toBe(3);
		expect(namesOf(result)).toEqual(['b', 'c']);
		expect(scene.postCount()).toBe(3);
		expect(result.errorItems[0]?.json.error).toMatchObject({
			description: expect.stringMatching(/may exist and be charged/) as string,
		});
	});
});

describe('Retry from the list', () => {
	async function timedOut(parameters: INodeParameters = {}): Promise<EngineResult> {
		wishes = [undefined, NEVER];
		const result = await generate({ options: { timeout: 5 }, ...parameters });
		expect(result.error?.context.data).toMatchObject({
			job_id: scene.emulator.submits[1]?.jobId,
			status: 'Pending',
		});
		expect(scene.emulator.submits).toHaveLength(3);
		const late = scene.emulator.submits[1]?.jobId ?? '';
		scene.emulator.jobs.finish(late);
		return result;
	}

	it('pays nothing and brings the image after a timeout', async () => {
		const first = await timedOut();
		const again = await generate(
			{ options: { timeout: 5 } },
			{ retryOf: first, mode: 'retry', executionId: '2' },
		);
		expect(again.error).toBeUndefined();
		expect(namesOf(again)).toEqual(['a', 'b', 'c']);
		expect(again.items.every(({ binary }) => binary?.data?.mimeType === 'image/png')).toBe(true);
		expect(scene.emulator.submits).toHaveLength(3);
		expect(ledgerOf(first)).not.toEqual({});
		expect(ledgerOf(again)).toEqual({});
	});

	it('pays nothing when only the timeout was raised', async () => {
		const again = await generate({ options: { timeout: 600 } }, { retryOf: await timedOut() });
		expect(again.error).toBeUndefined();
		expect(scene.emulator.submits).toHaveLength(3);
	});

	it('pays nothing when the prompt holds the execution and the time', async () => {
		const prompt = '={{ $json.name + " " + $execution.id + " " + $now.toMillis() }}';
		const first = await timedOut({ prompt });
		const again = await generate({ prompt }, { retryOf: first, executionId: '2' });
		expect(again.error).toBeUndefined();
		expect(scene.emulator.submits).toHaveLength(3);
	});

	it('pays anew for an edited prompt, and for an edited item alone', async () => {
		const first = await timedOut();
		await generate({ prompt: '={{ $json.name }}!' }, { retryOf: first });
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', 'a!', 'b!', 'c!']);
		const items = THREE.map((item, index) => (index === 1 ? { json: { name: 'B' } } : item));
		await generate({}, { retryOf: first, items });
		expect(scene.paidPrompts().slice(6)).toEqual(['B']);
	});

	it('pays once for a single edited prompt', async () => {
		wishes = [NEVER];
		const items = THREE.slice(0, 1);
		const first = await generate({ prompt: 'old', options: { timeout: 5 } }, { items });
		await generate({ prompt: 'new', options: { timeout: 5 } }, { items, retryOf: first });
		expect(scene.paidPrompts()).toEqual(['old', 'new']);
	});

	it('takes a remembered job that the API no longer knows for an error', async () => {
		const first = await timedOut();
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			match: ({ jobId }) => jobId === scene.emulator.submits[1]?.jobId,
		});
		const again = await generate({}, { retryOf: first });
		expect(again.error?.message).toMatch(/does not know the job/);
		expect(again.error?.context.data).toMatchObject({
			job_id: scene.emulator.submits[1]?.jobId,
			http_status: 404,
		});
		expect(scene.emulator.submits).toHaveLength(3);
	});

	it('starts a remembered job anew that has failed meanwhile', async () => {
		const first = await timedOut();
		scene.emulator.jobs.finish(scene.emulator.submits[1]?.jobId ?? '', { status: 'Failed' });
		const again = await generate({}, { retryOf: first });
		expect(again.error).toBeUndefined();
		expect(namesOf(again)).toEqual(['a', 'b', 'c']);
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', 'b']);
	});

	it('remembers neither a job that has failed meanwhile nor the one in its place that fails too', async () => {
		const first = await timedOut();
		scene.emulator.jobs.finish(scene.emulator.submits[1]?.jobId ?? '', { status: 'Failed' });
		wishes[3] = { outcome: { status: 'Failed' } };
		const again = await generate({}, { retryOf: first });
		expect(again.error?.context.data).toMatchObject({
			job_id: scene.emulator.submits[3]?.jobId,
			status: 'Failed',
		});
		const third = await generate({}, { retryOf: again });
		expect(third.error).toBeUndefined();
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', 'b', 'b']);
	});

	it('downloads again what could not be downloaded, and pays nothing', async () => {
		const fault = scene.emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 500,
			times: Infinity,
		});
		const first = await generate({}, { items: THREE.slice(0, 1) });
		expect(first.error?.context.data).toMatchObject({ status: 'Succeed' });
		expect(fault.struck).toBe(5);
		fault.remove();
		const again = await generate({}, { items: THREE.slice(0, 1), retryOf: first });
		expect(again.items[0]?.binary).toHaveProperty('data');
		expect(scene.emulator.submits).toHaveLength(1);
	});

	it('finds no prompt, key or file in what is stored', async () => {
		const first = await timedOut({ prompt: '={{ "secret wish of " + $json.name }}' });
		const stored = JSON.stringify(first.saved.executionData?.contextData);
		expect(stored).toContain(scene.emulator.submits[1]?.jobId);
		expect(stored).not.toMatch(/secret|wish|name|"[abc]"/);
		for (const entry of Object.values(ledgerOf(first)) as object[]) {
			expect(Object.keys(entry).sort()).toEqual(['guard', 'jobId']);
		}
	});
});

describe('no foreign job', () => {
	const place = { typeVersion: 1, position: [0, 0] as [number, number], parameters: {} };

	function nodeType(name: string, outputs: number, execute: INodeType['execute']): INodeType {
		return {
			description: {
				displayName: name,
				name,
				group: ['transform'],
				version: 1,
				description: '',
				defaults: {},
				inputs: ['main'],
				outputs: Array<'main'>(outputs).fill('main'),
				properties: [],
			},
			...(execute ? { execute } : {}),
		};
	}

	it('is taken up by the rounds of a loop with one and the same prompt', async () => {
		const again = nodeType('again', 1, async function () {
			const round = this.getWorkflowDataProxy(0).$runIndex as number;
			return await Promise.resolve([round < 4 ? [{ json: {} }] : []]);
		});
		const result = await generate(
			{ prompt: 'always the same' },
			{
				items: [{ json: {} }],
				around: {
					nodes: [{ id: 'again', name: 'Again', type: 'again', ...place }],
					nodeTypes: { again },
					connections: {
						Node: { main: [[{ node: 'Again', type: 'main', index: 0 }]] },
						Again: { main: [[{ node: 'Node', type: 'main', index: 0 }]] },
					},
					startAt: 'Node',
				},
			},
		);
		expect(result.error).toBeUndefined();
		expect(result.calls).toBe(5);
		expect(scene.emulator.submits).toHaveLength(5);
		const jobIds = result.saved.resultData.runData.Node?.map(
			({ data }) => data?.main?.[0]?.[0]?.json.job_id,
		);
		expect(jobIds).toEqual(scene.emulator.submits.map(({ jobId }) => jobId));
	});

	it('is taken up by a parallel branch or by another node', async () => {
		const fork = nodeType('fork', 2, async function () {
			return await Promise.resolve([this.getInputData(), this.getInputData()]);
		});
		const type = 'n8n-nodes-aetherforge.imageGenerate';
		const twin: INode = {
			...place,
			id: 'twin',
			name: 'Twin',
			type,
			parameters: { prompt: 'same' },
			credentials: { aetherForgeApi: { id: '1', name: 'AetherForge' } },
		};
		const toBoth = ['Node', 'Twin'].map((node) => ({ node, type: 'main' as const, index: 0 }));
		const result = await generate(
			{ prompt: 'same' },
			{
				items: [{ json: {} }],
				around: {
					nodes: [{ id: 'fork', name: 'Fork', type: 'fork', ...place }, twin],
					nodeTypes: { fork },
					connections: { Fork: { main: [toBoth, toBoth] } },
					startAt: 'Fork',
				},
			},
		);
		const { runData } = result.saved.resultData;
		expect(result.error).toBeUndefined();
		expect([runData.Node, runData.Twin].map((runs) => runs?.length)).toEqual([2, 2]);
		expect(scene.emulator.submits).toHaveLength(4);
	});

	it('is taken up by an agent’s tool, where nothing is remembered', async () => {
		wishes = [FAILED, NEVER];
		const options: Partial<EngineOptions> = {
			asTool: true,
			items: THREE.slice(0, 1),
			nodeSettings: { ...RETRIES, maxTries: 2 },
		};
		const first = await generate({ options: { timeout: 5 } }, options);
		expect(first.error).toBeDefined();
		expect(first.saved.executionData?.contextData['node:Node'] ?? {}).toEqual({});
		const count = scene.emulator.submits.length;
		await generate({ options: { timeout: 5 } }, { ...options, retryOf: first });
		expect(scene.emulator.submits).toHaveLength(count + 1);
	});

	it('is left behind by a run without error items', async () => {
		const result = await generate({ waitForCompletion: false });
		expect(ledgerOf(result)).toEqual({});
		await generate({ waitForCompletion: false }, { retryOf: result });
		expect(scene.emulator.submits).toHaveLength(6);
	});
});
