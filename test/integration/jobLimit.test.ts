import type { INodeParameters } from 'n8n-workflow';

import type { EngineOptions, EngineResult } from '../support/engine';
import { jsonOf, numbered } from '../support/items';
import { CONTINUES, useScene } from '../support/scene';

// The rounds of a loop, an agent's calls, and requests that are refused and sent again: the simulator's
// limitsAreKept, and e2e/agent.

const scene = useScene({ jobDurationMs: 0 });

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
	[2, { maxJobsPerExecution: '={{ "1" }}' }, 1],
	[3, { maxJobsPerExecution: '={{ [0, 2, 9][$json.n] }}' }, 2],
])('a run of %i items with %j is refused as a whole', async (count, options, limit) => {
	const { error } = await generate(count, options);
	expect(error?.message).toBe(refusal(count, limit));
	expect(error?.description).toBe(
		`It needs ${count} new jobs. If you want to pay for all of them, raise "Max Jobs per Execution" under Options (0 means no limit). No job was started, and nothing was charged.`,
	);
	expect(error?.context.itemIndex).toBeUndefined();
	const { items } = await generate(count, options, { nodeSettings: CONTINUES });
	const message = refusal(count, limit);
	expect(items.map(({ json }) => json.error)).toMatchObject(Array(count).fill({ message }));
	expect(scene.emulator.requests).toEqual([]);
});

it.each<[number, INodeParameters, started: number]>([
	[100, {}, 100],
	[101, { maxJobsPerExecution: 0 }, 101],
	[3, { maxJobsPerExecution: 1, dryRun: '={{ $json.n > 0 }}' }, 1],
])('a run of %i items with %j starts %i jobs', async (count, options, started) => {
	jsonOf(await generate(count, options));
	expect(scene.emulator.submits).toHaveLength(started);
});

it('a retry that starts nothing is never refused, even when the limit was lowered', async () => {
	scene.wishes.push({ durationMs: Infinity }, { durationMs: Infinity });
	const retryOf = await generate(2, { timeout: 2 });
	for (const { jobId } of scene.emulator.submits) scene.emulator.jobs.finish(jobId);
	expect(jsonOf(await generate(2, { maxJobsPerExecution: 1 }, { retryOf }))).toHaveLength(2);
	expect(scene.emulator.submits).toHaveLength(2);
});
