import type { INode, INodeExecutionData, INodeParameters, INodeType } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import { startBinaryStorage, type EngineOptions, type EngineResult } from '../support/engine';
import { openScene, type Scene } from '../support/scene';

let scene: Scene;
/** What becomes of the n-th paid job, from 0. */
let wishes: (JobWish | undefined)[];

beforeAll(startBinaryStorage);

beforeEach(async () => {
	wishes = [];
	let count = 0;
	scene = await openScene({ jobDurationMs: 0, wish: () => wishes[count++] });
});

afterEach(async () => {
	await scene.close();
});

const NEVER: JobWish = { durationMs: Infinity };

function numbered(count: number): INodeExecutionData[] {
	return Array.from({ length: count }, (_, n) => ({ json: { n } }));
}

async function generate(
	count: number,
	options: INodeParameters,
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: '={{ $json.n }}', downloadImages: false, options },
		items: numbered(count),
		...more,
	});
}

function refusal(total: number, limit: number): string {
	return `This execution would start ${total} jobs, more than the ${limit} that "Max Jobs per Execution" allows`;
}

describe('one run', () => {
	it.each<[number, INodeParameters, number]>([
		[101, {}, 100],
		[4, { maxJobsPerExecution: 3 }, 3],
		[2, { maxJobsPerExecution: '={{ "1" }}' }, 1],
	])('of %i items with %j is refused as a whole', async (count, options, limit) => {
		const { error } = await generate(count, options);
		expect(error?.message).toBe(refusal(count, limit));
		expect(error?.description).toBe(
			`It needs ${count} new jobs. If you want to pay for all of them, raise "Max Jobs per Execution" under Options (0 means no limit). No job was started, and nothing was charged.`,
		);
		expect(error?.context.itemIndex).toBeUndefined();
		expect(scene.emulator.requests).toEqual([]);
	});

	it.each<[number, INodeParameters]>([
		[100, {}],
		[3, { maxJobsPerExecution: 3 }],
		[101, { maxJobsPerExecution: 0 }],
	])('of %i items with %j starts them all', async (count, options) => {
		const { error } = await generate(count, options, {
			parameters: { prompt: 'p', waitForCompletion: false, options },
		});
		expect(error).toBeUndefined();
		expect(scene.emulator.submits).toHaveLength(count);
	});

	it('is refused in the same words with more jobs than a call can have arguments', async () => {
		const parameters = { description: 'p', options: { jobsPerItem: 20 } };
		const { error } = await generate(6500, {}, { node: 'effectGenerate', parameters });
		expect(error?.message).toBe(refusal(130_000, 100));
		expect(scene.emulator.requests).toEqual([]);
	});

	it('obeys the smallest limit that one of its items has', async () => {
		const { error } = await generate(3, { maxJobsPerExecution: '={{ [0, 2, 9][$json.n] }}' });
		expect(error?.message).toBe(refusal(3, 2));
		expect(scene.emulator.requests).toEqual([]);
	});

	it('does not count dry runs', async () => {
		const { error } = await generate(3, { maxJobsPerExecution: 1, dryRun: '={{ $json.n > 0 }}' });
		expect(error).toBeUndefined();
		expect(scene.emulator.submits).toHaveLength(1);
	});

	it('is refused item by item when the node continues', async () => {
		const { items } = await generate(
			4,
			{ maxJobsPerExecution: 3 },
			{ nodeSettings: { onError: 'continueRegularOutput' } },
		);
		expect(scene.emulator.requests).toEqual([]);
		expect(items).toEqual(
			[0, 1, 2, 3].map((item) => ({
				json: {
					error: { message: refusal(4, 3), description: expect.any(String) as string },
				},
				pairedItem: { item },
			})),
		);
	});
});

describe('the rounds of a loop', () => {
	const again: INodeType = {
		description: {
			displayName: 'Again',
			name: 'again',
			group: ['transform'],
			version: 1,
			description: '',
			defaults: {},
			inputs: ['main'],
			outputs: ['main'],
			properties: [],
		},
		async execute() {
			return await Promise.resolve([numbered(1)]);
		},
	};
	const around: EngineOptions['around'] = {
		nodes: [
			{
				id: 'again',
				name: 'Again',
				type: 'again',
				typeVersion: 1,
				position: [0, 0],
				parameters: {},
			},
		],
		nodeTypes: { again },
		connections: {
			Node: { main: [[{ node: 'Again', type: 'main', index: 0 }]] },
			Again: { main: [[{ node: 'Node', type: 'main', index: 0 }]] },
		},
		startAt: 'Node',
	};

	it('are counted together, so that a loop without end is stopped by the limit', async () => {
		const { error, calls } = await generate(1, { maxJobsPerExecution: 3 }, { around });
		expect(calls).toBe(4);
		expect(scene.emulator.submits).toHaveLength(3);
		expect(error?.message).toBe(refusal(4, 3));
		expect(error?.description).toContain(
			'It needs 1 new job, and this node has already started 3 in this execution.',
		);
	});
});

describe("an agent's calls of the node as a tool", () => {
	const options: INodeParameters = { maxJobsPerExecution: 2 };

	it('are counted together: the third one at a limit of two starts nothing', async () => {
		const first = await generate(1, options, { asTool: true });
		const second = await generate(1, options, { asTool: true, retryOf: first, earlierRuns: 1 });
		expect([first.error, second.error]).toEqual([undefined, undefined]);
		const third = await generate(1, options, { asTool: true, retryOf: second, earlierRuns: 2 });
		expect(third.error?.message).toContain(refusal(3, 2));
		expect(third.error?.message).toContain('this node has already started 2 in this execution');
		expect(scene.emulator.submits).toHaveLength(2);
	});
});

describe('a retry', () => {
	const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };
	const options: INodeParameters = { maxJobsPerExecution: 2, timeout: 2 };

	it('does not count the jobs again that it resumes', async () => {
		wishes = [undefined, NEVER];
		const { error, calls } = await generate(2, options, { nodeSettings: RETRIES });
		expect(calls).toBe(3);
		expect(error?.message).toContain('is not finished after 2 seconds');
		expect(scene.emulator.submits).toHaveLength(2);
	});

	it('does not count the job again that takes the place of one that failed', async () => {
		wishes = [undefined, { outcome: { status: 'Failed' } }, { outcome: { status: 'Failed' } }];
		const { error, items } = await generate(2, options, { nodeSettings: RETRIES });
		expect(error).toBeUndefined();
		expect(items).toHaveLength(2);
		expect(scene.emulator.submits).toHaveLength(4);
	});

	it('of 100 items on defaults, one of which fails, starts what is missing', async () => {
		wishes = [...Array.from({ length: 3 }, () => undefined), { outcome: { status: 'Failed' } }];
		const { error, items } = await generate(100, {}, { nodeSettings: RETRIES });
		expect(error).toBeUndefined();
		expect(items).toHaveLength(100);
		expect(scene.emulator.submits).toHaveLength(101);
	});

	it('counts a job that only failed when the agent calls again', async () => {
		wishes = [{ outcome: { status: 'Failed' } }, { outcome: { status: 'Failed' } }];
		const first = await generate(1, options, { asTool: true });
		const second = await generate(1, options, { asTool: true, retryOf: first, earlierRuns: 1 });
		const third = await generate(1, options, { asTool: true, retryOf: second, earlierRuns: 2 });
		expect(third.error?.message).toContain(refusal(3, 2));
		expect(scene.emulator.submits).toHaveLength(2);
	});

	it('that starts nothing is never refused, even when the limit was lowered', async () => {
		wishes = [NEVER, NEVER];
		const first = await generate(2, options);
		for (const { jobId } of scene.emulator.submits) scene.emulator.jobs.finish(jobId);
		const again = await generate(2, { maxJobsPerExecution: 1 }, { retryOf: first });
		expect(again.error).toBeUndefined();
		expect(again.items).toHaveLength(2);
		expect(scene.emulator.submits).toHaveLength(2);
	});

	it('from the executions list counts anew, as another execution', async () => {
		wishes = [{ outcome: { status: 'Failed' } }, { outcome: { status: 'Failed' } }];
		const first = await generate(2, options);
		expect(first.error).toBeDefined();
		const again = await generate(2, options, { retryOf: first, executionId: '2' });
		expect(again.error).toBeUndefined();
		expect(again.items).toHaveLength(2);
	});

	it('does not count requests that the API refused', async () => {
		const refused = { at: 'submit', kind: 'respond', status: 400, body: { detail: 'No' } } as const;
		scene.emulator.faults.add({ ...refused, times: 2 });
		const { error, calls } = await generate(
			1,
			{ maxJobsPerExecution: 1 },
			{ nodeSettings: RETRIES },
		);
		expect(error).toBeUndefined();
		expect(calls).toBe(3);
		expect(scene.emulator.submits).toHaveLength(1);
	});
});
