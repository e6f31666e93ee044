import type { INodeExecutionData, INodeParameters } from 'n8n-workflow';

import type { Fault, JobWish } from '../emulator/emulator';
import type { EngineOptions, EngineResult } from '../support/engine';
import { jsonOf } from '../support/items';
import { RETRIES, useScene } from '../support/scene';

// A job that was paid for is never lost, and never paid for twice. What the simulator draws at random is
// here as people meet it, with the exact number of jobs.

const scene = useScene();

const THREE: INodeExecutionData[] = ['a', 'b', 'c'].map((name) => ({ json: { name } }));

async function generate(
	parameters: INodeParameters = {},
	options: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const prompt = '={{ $json.name }}';
	return await scene.generate({ prompt, ...parameters }, { items: THREE, ...options });
}

const namesOf = (result: EngineResult): unknown[] => jsonOf(result).map((json) => json.prompt);

describe('Retry On Fail', () => {
	it('pays a fourth time only for the job that failed', async () => {
		scene.wishes.push({}, { outcome: { status: 'Failed' } });
		const result = await generate({}, { nodeSettings: RETRIES });
		expect(namesOf(result)).toEqual(['a', 'b', 'c']);
		expect(result.calls).toBe(2);
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', 'b']);
	});

	it('does not send again what may have been accepted, unless told', async () => {
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'reset',
			when: 'accepted',
			match: ({ form }) => form?.fields.prompt === 'b',
		});
		const result = await generate({}, { nodeSettings: RETRIES });
		expect([result.calls, scene.postCount()]).toEqual([3, 3]);
		expect(result.error?.description).toMatch(/may exist and be charged/);
		expect(result.error?.context.data?.running_job_ids).toHaveLength(2);

		const stillNot = await generate({}, { retryOf: result });
		expect(scene.postCount()).toBe(3);
		expect(stillNot.error?.description).toMatch(/currently saved workflow/);

		const told = await generate({ options: { resubmitIfUnknown: true } }, { retryOf: stillNot });
		expect(namesOf(told)).toEqual(['a', 'b', 'c']);
		expect(scene.postCount()).toBe(4);
	});
});

describe('Retry from the list', () => {
	/** Three jobs, of which the second is finished only after the run. */
	async function timedOut(outcome?: JobWish['outcome'], given = {}): Promise<EngineResult> {
		scene.wishes.push({}, { durationMs: Infinity });
		const result = await generate({ options: { timeout: 5 }, ...given });
		const late = scene.jobIdOf(1);
		expect(result.error?.context.data).toMatchObject({ job_id: late, status: 'Pending' });
		expect(scene.emulator.submits).toHaveLength(3);
		scene.emulator.jobs.finish(late, outcome);
		return result;
	}

	it('pays anew for an edited prompt, whose old jobs it names, and for an edited item alone', async () => {
		const retryOf = await timedOut();
		const jobs = [0, 1, 2].map(scene.jobIdOf);
		const { hints, log } = await generate({ prompt: '={{ $json.name }}!' }, { retryOf });
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', 'a!', 'b!', 'c!']);
		for (const jobId of jobs) {
			expect(hints.map(({ message }) => message).join()).toContain(jobId);
			expect(log.join()).toContain(jobId);
		}
		const items = THREE.map((item, index) => (index === 1 ? { json: { name: 'B' } } : item));
		await generate({}, { retryOf, items });
		expect(scene.paidPrompts().slice(6)).toEqual(['B']);
	});

	const GONE = '={{ $execution.id === "1" ? $json.name : "" }}';

	it.each([
		['brings the image for nothing after a timeout', 'Succeed', {}, []],
		['brings it also where the prompt gives nothing now', 'Succeed', { prompt: GONE }, []],
		['pays anew for a job that has failed in the meantime', 'Failed', {}, ['b']],
	])('%s', async (_, status, given, paid) => {
		const retryOf = await timedOut({ status }, given);
		const again = await generate(given, { retryOf, mode: 'retry', executionId: '2' });
		expect(jsonOf(again)).toHaveLength(3);
		expect(again.items[1]?.binary?.data?.mimeType).toBe('image/png');
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', ...paid]);
	});

	it('fails an item whose remembered job the API no longer has, and starts no new one', async () => {
		const retryOf = await timedOut();
		const late = scene.jobIdOf(1);
		const unlisted = { kind: 'respond', status: 404, body: { detail: 'Job not found' } } as const;
		const match: Fault['match'] = ({ jobId }) => jobId === late;
		scene.emulator.faults.add({ at: 'poll', ...unlisted, times: Infinity, match });
		await scene.clock.wait(21 * 86_400_000);
		const { error } = await generate({}, { retryOf });
		expect(error?.message).toBe(`AetherForge no longer has the job ${late}`);
		expect(error?.description).toContain('The job has been charged.');
		expect(error?.context.data).toMatchObject({ job_id: late, http_status: 404 });
		expect(scene.emulator.submits).toHaveLength(3);
	});
});
