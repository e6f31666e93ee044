import type {
	IBinaryData,
	IExecuteFunctions,
	INode,
	INodeExecutionData,
	INodeParameters,
	INodeType,
} from 'n8n-workflow';

import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import { ContextPage } from '../../nodes/shared/engine/jobs/contextPage';
import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	startBinaryStorage,
	storeBinary,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { openScene, type Scene } from '../support/scene';

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

let scene: Scene;
/** What becomes of the n-th paid job, from 0. */
let wishes: (JobWish | undefined)[] = [];
/** What becomes of the job of a prompt: requests with files may come in in any order. */
let wishOf: Partial<Record<string, JobWish>> = {};

beforeEach(async () => {
	wishes = [];
	wishOf = {};
	let count = 0;
	scene = await openScene({ wish: ({ fields }) => wishes[count++] ?? wishOf[fields.prompt ?? ''] });
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

function storedJobsOf({ saved }: EngineResult): object {
	const context = saved.executionData?.contextData['node:Node'] as
		{ aetherForgeJobs?: object } | undefined;
	return context?.aetherForgeJobs ?? {};
}

/** The ID of the job that was started first for a prompt. */
function jobOf(prompt: string): string {
	return scene.jobIdOf(scene.paidPrompts().indexOf(prompt));
}

function namesOf({ items }: EngineResult): unknown[] {
	return items.map(({ json }) => json.prompt);
}

/** The same binary data, but not in n8n's storage any more. */
function goneFrom(binary: IBinaryData): IBinaryData {
	return { ...binary, id: `${binary.id ?? ''}-gone` };
}

/** The node, which tells for each call what expressions it has evaluated. */
function readingInto(tries: string[][]): INodeType {
	const inner = new ImageGenerate();
	return {
		description: inner.description,
		async execute(this: IExecuteFunctions) {
			const reads: string[] = [];
			tries.push(reads);
			const spy = jest.spyOn(this, 'getNodeParameter');
			const output = await inner.execute.call(this).finally(() => {
				reads.push(...spy.mock.calls.map(([name, item]) => `${name} of item ${item}`));
			});
			return output;
		},
	};
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

	it('reads each expression once per item in each try, and recalls once', async () => {
		wishes = [undefined, FAILED];
		const recall = jest.spyOn(ContextPage.prototype, 'read');
		const tries: string[][] = [];
		const result = await generate(
			{
				prompt: '={{ $json.name }}',
				aiModel: '={{ "GPT Image 2" }}',
				referenceImages: '={{ "none" }}',
				waitForCompletion: '={{ true }}',
				downloadImages: '={{ true }}',
				binaryPropertyOutput: '={{ "data" }}',
				options: { timeout: '={{ 60 }}' },
			},
			{ nodeSettings: RETRIES, node: readingInto(tries) },
		);
		expect(result.error).toBeUndefined();
		expect(tries).toHaveLength(2);
		expect(recall).toHaveBeenCalledTimes(tries.length);
		recall.mockRestore();
		for (const reads of tries) {
			expect(new Set(reads).size).toBe(reads.length);
			for (const index of [0, 1, 2]) expect(reads).toContain(`prompt of item ${index}`);
		}
	});

	it('starts a job anew that has failed only while the retry was waiting for it', async () => {
		wishes = [{ durationMs: 30_000, outcome: { status: 'Failed' } }];
		const items = THREE.slice(0, 1);
		const result = await generate({ options: { timeout: 20 } }, { nodeSettings: RETRIES, items });
		expect(result.error).toBeUndefined();
		expect(result.calls).toBe(3);
		expect(scene.paidPrompts()).toEqual(['a', 'a']);
		const again = await generate({ options: { timeout: 20 } }, { items, retryOf: result });
		expect(namesOf(again)).toEqual(['a']);
	});

	it('gives up after three failed jobs, and remembers that the last one has failed', async () => {
		wishes = [FAILED, FAILED, FAILED, FAILED];
		const result = await generate({}, { nodeSettings: RETRIES, items: THREE.slice(0, 1) });
		expect(result.error?.context.data).toMatchObject({ status: 'Failed' });
		expect(scene.emulator.submits).toHaveLength(3);
		expect(Object.values(storedJobsOf(result))).toMatchObject([
			{ jobId: scene.jobIdOf(2), hasFailed: true },
		]);
		await generate({}, { retryOf: result, items: THREE.slice(0, 1) });
		expect(scene.emulator.submits).toHaveLength(4);
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
			expect(stillNot.error?.description).toMatch(/currently saved workflow/);

			const told = await generate({ options: { resubmitIfUnknown: true } }, { retryOf: stillNot });
			expect(told.error).toBeUndefined();
			expect(namesOf(told)).toEqual(['a', 'b', 'c']);
			expect(scene.postCount()).toBe(4);
			expect(storedJobsOf(told)).toEqual({});
		},
	);

	it('collects the other jobs beside one whose outcome is unknown', async () => {
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
		expect(storedJobsOf(first)).not.toEqual({});
		expect(storedJobsOf(again)).toEqual({});
	});

	it('pays anew for an edited prompt, and for an edited item alone', async () => {
		const first = await timedOut();
		await generate({ prompt: '={{ $json.name }}!' }, { retryOf: first });
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', 'a!', 'b!', 'c!']);
		const items = THREE.map((item, index) => (index === 1 ? { json: { name: 'B' } } : item));
		await generate({}, { retryOf: first, items });
		expect(scene.paidPrompts().slice(6)).toEqual(['B']);
	});

	it('fails an item whose remembered job the API no longer knows, and starts no new one', async () => {
		const first = await timedOut();
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: Infinity,
			match: ({ jobId }) => jobId === scene.emulator.submits[1]?.jobId,
		});
		await scene.clock.wait(21 * 86_400_000);
		const again = await generate({}, { retryOf: first });
		expect(again.error?.message).toMatch(/no longer has the job/);
		expect(again.error?.description).toContain('The job has been charged.');
		expect(again.error?.description).not.toContain('job ID is complete');
		expect(again.error?.context.data).toMatchObject({
			job_id: scene.emulator.submits[1]?.jobId,
			http_status: 404,
		});
		expect(scene.emulator.submits).toHaveLength(3);
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

	describe('with a prompt that gives something else than before', () => {
		const ONCE = '$execution.id === "1" ? $json.name';

		it.each([
			['nothing', `={{ ${ONCE} : "" }}`, undefined],
			['an error', `={{ ${ONCE} : $("No such node").item.json.x }}`, undefined],
			['another text', `={{ ${ONCE} : $json.name + "!" }}`, ['a!', 'b!', 'c!']],
		])('collects the paid jobs, and repeats what it gives now: %s', async (_, prompt, now) => {
			const first = await timedOut({ prompt });
			const again = await generate({ prompt }, { retryOf: first, executionId: '2' });
			expect(again.error).toBeUndefined();
			expect(again.items.map(({ json }) => json.job_id)).toEqual(
				[0, 1, 2].map((index) => scene.jobIdOf(index)),
			);
			expect(namesOf(again)).toEqual(now ?? [undefined, undefined, undefined]);
			expect(scene.postCount()).toBe(3);
		});
	});

	describe('of a run whose third item was refused', () => {
		const PROMPT = '={{ $execution.id !== "1" && $json.name === "c" ? "" : $json.name }}';
		const IMAGES = { referenceImages: 'all' };

		async function refusedThird(parameters: INodeParameters, items: INodeExecutionData[]) {
			wishOf = { a: NEVER, b: NEVER };
			scene.emulator.faults.add({
				at: 'submit',
				kind: 'respond',
				status: 400,
				match: ({ form }) => form?.fields.prompt === 'c',
			});
			const first = await generate(parameters, { items });
			expect(scene.emulator.submits).toHaveLength(2);
			return first;
		}

		function expectPaidJobsNamed({ error }: EngineResult): void {
			const jobIds = ['a', 'b'].map(jobOf);
			for (const jobId of jobIds) expect(error?.description).toContain(jobId);
			expect(error?.context.data).toMatchObject({ running_job_ids: jobIds });
			expect(error?.description).toContain('No new job was started.');
			expect(error?.description).not.toMatch(/nothing was charged/i);
			expect(scene.emulator.submits).toHaveLength(2);
		}

		it('names the paid jobs when its prompt is empty now', async () => {
			const first = await refusedThird({ prompt: PROMPT }, THREE);
			const again = await generate({ prompt: PROMPT }, { retryOf: first, executionId: '2' });
			expect(again.error?.message).toBe('The "Prompt" parameter is empty');
			expectPaidJobsNamed(again);
		});

		it('names the paid jobs when its file is gone', async () => {
			const picture = await storeBinary(tinyPicture('p', 'png'), 'p.png', 'image/png');
			const withFile = THREE.map((item) => ({ ...item, binary: { data: picture } }));
			const first = await refusedThird(IMAGES, withFile);
			const gone = THREE.map((item) => ({ ...item, binary: { data: goneFrom(picture) } }));
			const again = await generate(IMAGES, { items: gone, retryOf: first });
			expect(again.error?.message).toMatch(/cannot be read/);
			expectPaidJobsNamed(again);
		});
	});

	it('checks a job that replaces a failed one like any other, its files too', async () => {
		const picture = await storeBinary(tinyPicture('p', 'png'), 'p.png', 'image/png');
		const parameters = { referenceImages: 'all', options: { timeout: 5 } };
		wishOf = { b: NEVER };
		const items = THREE.map((item) => ({ ...item, binary: { data: picture } }));
		const first = await generate(parameters, { items });
		const [a, b, c] = [jobOf('a'), jobOf('b'), jobOf('c')];
		scene.emulator.jobs.finish(b, { status: 'Failed' });
		wishOf = {};
		const gone = THREE.map((item) => ({ ...item, binary: { data: goneFrom(picture) } }));
		const refused = await generate(parameters, { items: gone, retryOf: first });
		expect(refused.error?.message).toMatch(/cannot be read/);
		expect(refused.error?.context).toMatchObject({
			itemIndex: 1,
			data: { running_job_ids: [a, c] },
		});
		expect(refused.error?.description).toContain('No new job was started.');
		expect(refused.error?.description).not.toContain(b);
		expect(scene.postCount()).toBe(3);
		const again = await generate(parameters, { items, retryOf: refused });
		expect(namesOf(again)).toEqual(['a', 'b', 'c']);
		expect(scene.emulator.submits).toHaveLength(4);
		expect(scene.paidPrompts().at(-1)).toBe('b');
	});

	it('resumes a job whose item names a file that n8n has moved since', async () => {
		wishes = [NEVER];
		const itemsWith = (place: string): INodeExecutionData[] => {
			const id = `filesystem-v2:workflows/w/executions/${place}/binary_data/a1b2`;
			return [{ json: { name: 'a', form: { photo: { mimeType: 'image/png', id } } } }];
		};
		const first = await generate({ options: { timeout: 5 } }, { items: itemsWith('temp') });
		scene.emulator.jobs.finish(scene.jobIdOf(0));
		const again = await generate({}, { items: itemsWith('7'), retryOf: first });
		expect(namesOf(again)).toEqual(['a']);
		expect(scene.postCount()).toBe(1);
	});

	it.each([
		['resumes a job whose rows are as they were, and repeats them', 'stands', 1],
		['pays anew for a row that was edited', 'sits', 2],
	])('%s', async (_, description, jobCount) => {
		const data = await storeBinary(tinyPicture('p', 'png'), 'p.png', 'image/png');
		const runWith = async (row: string, options: Partial<EngineOptions> = {}) =>
			await scene.run({
				node: 'sprite',
				parameters: {
					operation: 'characterOverlay',
					characterImagesFields: 'data',
					rows: { row: [{ title: 'Idle', description: row }] },
					options: { timeout: 5 },
				},
				items: [{ json: {}, binary: { data } }],
				...options,
			});
		wishes = [NEVER];
		const first = await runWith('stands');
		scene.emulator.jobs.finish(scene.jobIdOf(0));
		const { items } = await runWith(description, { retryOf: first });
		expect(scene.emulator.submits).toHaveLength(jobCount);
		expect(items.map(({ json }) => [json.job_id, json.rows])).toEqual([
			[scene.jobIdOf(jobCount - 1), [{ row: 1, title: 'Idle', description }]],
		]);
	});

	it('names the paid jobs that an edited workflow no longer asks for', async () => {
		const first = await timedOut();
		const jobIds = [0, 1, 2].map((index) => scene.jobIdOf(index));
		wishes = [];
		const again = await generate({ prompt: 'Something else' }, { retryOf: first });
		expect(again.error).toBeUndefined();
		for (const jobId of jobIds) {
			expect(again.hints.map(({ message }) => message).join()).toContain(jobId);
			expect(again.log.join()).toContain(jobId);
		}
	});

	it('names the paid jobs when the key is gone', async () => {
		const first = await timedOut();
		const { error } = await generate({}, { retryOf: first, credential: { apiKey: '' } });
		const jobIds = [0, 1, 2].map((index) => scene.jobIdOf(index));
		for (const jobId of jobIds) expect(error?.description).toContain(jobId);
		expect(scene.postCount()).toBe(3);
	});

	it('finds no prompt, key, or file in what is stored', async () => {
		const first = await timedOut({ prompt: '={{ "secret wish of " + $json.name }}' });
		const stored = JSON.stringify(first.saved.executionData?.contextData);
		expect(stored).toContain(scene.emulator.submits[1]?.jobId);
		expect(stored).not.toMatch(/secret|wish|name|"[abc]"/);
		for (const entry of Object.values(storedJobsOf(first)) as object[]) {
			expect(Object.keys(entry).sort()).toEqual(['executionId', 'guard', 'jobId', 'submittedAtMs']);
		}
	});
});

describe('no job of another', () => {
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

	it('is resumed by the rounds of a loop with one and the same prompt', async () => {
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

	it('is resumed by a parallel branch or by another node', async () => {
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

	it('is resumed by an agent’s tool in another call', async () => {
		wishes = [FAILED, NEVER];
		const options: Partial<EngineOptions> = {
			asTool: true,
			items: THREE.slice(0, 1),
			nodeSettings: { ...RETRIES, maxTries: 2 },
		};
		const first = await generate({ options: { timeout: 5 } }, options);
		expect(first.error).toBeDefined();
		const count = scene.emulator.submits.length;
		await generate({ options: { timeout: 5 } }, { ...options, retryOf: first, earlierRuns: 1 });
		expect(scene.emulator.submits).toHaveLength(count + 1);
	});
});

it('an error of a retry names all remembered jobs, also those that it has not resumed yet', async () => {
	wishOf = Object.fromEntries(
		Array.from({ length: 12 }, (_, id) => [`item ${id}`, { durationMs: 0 }]),
	);
	const items = Array.from({ length: 12 }, (_, id) => ({ json: { id } }));
	const parameters = {
		prompt: '={{ "item " + $json.id }}',
		options: { maxConcurrentJobs: 2 },
	};
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status: 400,
		match: ({ form }) => form?.fields.prompt === 'item 11',
	});
	const first = await scene.run({ node: 'imageGenerate', parameters, items });
	expect(first.error?.context.data?.running_job_ids).toHaveLength(11);
	const firstId = scene.emulator.submits[0]?.jobId;
	scene.emulator.faults.add({
		at: 'download',
		kind: 'respond',
		status: 410,
		match: ({ jobId }) => jobId === firstId,
	});
	const again = await scene.run({ node: 'imageGenerate', parameters, items, retryOf: first });
	expect(again.error?.context.data?.running_job_ids).toHaveLength(10);
});
