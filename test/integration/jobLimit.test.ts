import type { INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import type { EngineOptions, EngineResult } from '../support/engine';
import { numbered } from '../support/items';
import { CONTINUES, RETRIES, useScene } from '../support/scene';

const scene = useScene({ jobDurationMs: 0 });

const NEVER: JobWish = { durationMs: Infinity };
const FAILED: JobWish = { outcome: { status: 'Failed' } };

async function generate(
	count: number,
	options: INodeParameters,
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const parameters = { prompt: '={{ $json.n }}', downloadImages: false, options };
	return await scene.generate(parameters, { items: numbered(count), ...more });
}

function refusal(total: number, limit: number): string {
	return `This execution would start ${total} jobs, more than the ${limit} that "Max Jobs per Execution" allows`;
}

it.each<[number, INodeParameters, limit: number]>([
	[101, {}, 100],
	[4, { maxJobsPerExecution: 3 }, 3],
	[2, { maxJobsPerExecution: '={{ "1" }}' }, 1],
	[3, { maxJobsPerExecution: '={{ [0, 2, 9][$json.n] }}' }, 2],
])('a run of %i items with %j is refused as a whole', async (count, options, limit) => {
	const { error } = await generate(count, options);
	expect(error?.message).toBe(refusal(count, limit));
	expect(error?.description).toBe(
		`It needs ${count} new jobs. If you want to pay for all of them, raise "Max Jobs per Execution" under Options (0 means no limit). No job was started, and nothing was charged.`,
	);
	expect(error?.context.itemIndex).toBeUndefined();
	expect(scene.emulator.requests).toEqual([]);
});

it.each<[number, INodeParameters, started: number]>([
	[100, {}, 100],
	[3, { maxJobsPerExecution: 3 }, 3],
	[101, { maxJobsPerExecution: 0 }, 101],
	[3, { maxJobsPerExecution: 1, dryRun: '={{ $json.n > 0 }}' }, 1],
])('a run of %i items with %j starts %i jobs', async (count, options, started) => {
	const { error } = await generate(count, options);
	expect(error).toBeUndefined();
	expect(scene.emulator.submits).toHaveLength(started);
});

it('a run is refused item by item when the node continues', async () => {
	const { items } = await generate(2, { maxJobsPerExecution: 1 }, { nodeSettings: CONTINUES });
	expect(scene.emulator.requests).toEqual([]);
	expect(items.map(({ json }) => json.error)).toMatchObject([
		{ message: refusal(2, 1) },
		{ message: refusal(2, 1) },
	]);
});

it('the rounds of a loop are counted together, so that one without end is stopped by the limit', async () => {
	const toItself = { main: [[{ node: 'Node', type: 'main' as const, index: 0 }]] };
	const around = { nodes: [], nodeTypes: {}, connections: { Node: toItself }, startAt: 'Node' };
	const parameters = { prompt: 'p', options: { maxJobsPerExecution: 3 } };
	const { error, calls } = await generate(1, {}, { parameters, around });
	expect(calls).toBe(4);
	// Each round has its own job, although its prompt is always the same.
	expect(scene.emulator.submits).toHaveLength(3);
	expect(error?.message).toBe(refusal(4, 3));
	expect(error?.description).toContain(
		'It needs 1 new job, and this node has already started 3 in this execution.',
	);
});

it.each([
	['finished', {}],
	['failed', FAILED],
])(
	"an agent's calls of the tool are counted together, though its jobs have %s",
	async (_, wish) => {
		scene.wishes.push(wish, wish);
		const options = { maxJobsPerExecution: 2 };
		const first = await generate(1, options, { asTool: true });
		const second = await generate(1, options, { asTool: true, retryOf: first, earlierRuns: 1 });
		const third = await generate(1, options, { asTool: true, retryOf: second, earlierRuns: 2 });
		expect(third.error?.message).toContain(refusal(3, 2));
		expect(third.error?.message).toContain('this node has already started 2 in this execution');
		expect(scene.emulator.submits).toHaveLength(2);
	},
);

describe('a retry', () => {
	const options: INodeParameters = { maxJobsPerExecution: 2, timeout: 2 };

	it('does not count requests that the API refused', async () => {
		scene.refuse('0');
		scene.refuse('0');
		const { error, calls } = await generate(
			1,
			{ maxJobsPerExecution: 1 },
			{ nodeSettings: RETRIES },
		);
		expect([error, calls]).toEqual([undefined, 3]);
		expect(scene.emulator.submits).toHaveLength(1);
	});

	it('that starts nothing is never refused, even when the limit was lowered', async () => {
		scene.wishes.push(NEVER, NEVER);
		const first = await generate(2, options);
		for (const { jobId } of scene.emulator.submits) scene.emulator.jobs.finish(jobId);
		const again = await generate(2, { maxJobsPerExecution: 1 }, { retryOf: first });
		expect([again.error, again.items.length]).toEqual([undefined, 2]);
		expect(scene.emulator.submits).toHaveLength(2);
	});
});
