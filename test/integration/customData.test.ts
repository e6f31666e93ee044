import type { IExecuteFunctions } from 'n8n-workflow';

import { noteInCustomData } from '../../nodes/shared/engine/jobs/customData';
import type { EngineResult } from '../support/engine';
import { after, numbered, onlyJson } from '../support/items';
import { RETRIES, useScene } from '../support/scene';

// What n8n keeps of an execution for its Executions list, which finds the execution of a job by it.

const EARLIER = '123e4567-e89b-12d3-a456-426614174000';

const scene = useScene({ jobDurationMs: 0 });

function customDataOf({ saved }: EngineResult): Record<string, string> {
	return saved.resultData.metadata ?? {};
}

it('lists each job once, although Retry On Fail and Retry in the executions list resume one', async () => {
	const options = { timeout: 1 };
	scene.wishes.push({ durationMs: Infinity });
	const retryOf = await scene.generate({ options }, { nodeSettings: RETRIES });
	const jobId = scene.jobIdOf(0);
	expect(customDataOf(retryOf)).toEqual({ aetherforge_jobs: jobId });
	scene.emulator.jobs.finish(jobId);
	const result = await scene.generate({ options }, { retryOf, executionId: '2' });
	onlyJson(result);
	expect(customDataOf(result)).toEqual({ aetherforge_jobs: jobId });
	expect(scene.postCount()).toBe(1);
});

it('lists eighteen jobs at most, in three entries that n8n takes without complaint', async () => {
	const result = await scene.generate({ jobsPerItem: 16 }, { items: numbered(2) });
	const started = scene.emulator.submits.map(({ jobId }) => jobId);
	expect(started).toHaveLength(32);
	const entries = Object.entries(customDataOf(result));
	expect(entries.map(([key, value]) => [key, value.split(',').length])).toEqual(
		['', '_2', '_3'].map((suffix) => [`aetherforge_jobs${suffix}`, 6]),
	);
	const listed = entries.flatMap(([, value]) => value.split(','));
	expect(new Set(listed).size).toBe(18);
	expect(started).toEqual(expect.arrayContaining(listed));
	expect(result.log.filter((line) => line.startsWith('error'))).toEqual([]);
});

const FULL = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`key_${index}`, 'x']));
const OWN = { customer: '7', aetherforge_jobs: 'mine', aetherforge_jobs_2: 'a,b' };

it.each<[string, Record<string, string>, (jobId: string) => Record<string, string>]>([
	[
		'adds to those of other nodes of the workflow',
		{ aetherforge_jobs: EARLIER },
		(jobId) => ({ aetherforge_jobs: `${EARLIER},${jobId}` }),
	],
	[
		'leaves what the workflow itself has stored as it is',
		OWN,
		(jobId) => ({ ...OWN, aetherforge_jobs_3: jobId }),
	],
	['does without where the workflow has used up all that n8n keeps', FULL, () => FULL],
])('%s', async (_, before, expected) => {
	const own = after({
		name: 'Own',
		async execute(this: IExecuteFunctions) {
			this.customData.setAll(before);
			return await Promise.resolve([this.getInputData()]);
		},
	});
	const result = await scene.generate({}, own);
	expect(onlyJson(result).job_id).toBe(scene.jobIdOf(0));
	expect(customDataOf(result)).toEqual(expected(scene.jobIdOf(0)));
});

it('loses no job where n8n has no custom data, as before 2.16, or throws when asked for them', () => {
	const throwing = {
		get customData() {
			throw new Error('no custom data today');
		},
	};
	for (const execution of [{}, throwing]) {
		expect(() => {
			noteInCustomData(execution, EARLIER);
		}).not.toThrow();
	}
});
