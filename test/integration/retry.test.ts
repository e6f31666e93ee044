import type { INodeExecutionData, INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import type { EngineOptions, EngineResult } from '../support/engine';
import { RETRIES, useScene } from '../support/scene';

// A job that was paid for is never lost, and never paid for twice. What the simulator draws at random is
// here as people meet it, with the exact number of jobs.

const FAILED: JobWish = { outcome: { status: 'Failed' } };
const NEVER: JobWish = { durationMs: Infinity };

const scene = useScene();

const THREE: INodeExecutionData[] = ['a', 'b', 'c'].map((name) => ({ json: { name } }));
const SHORT = { options: { timeout: 5 } };

async function generate(
	parameters: INodeParameters = {},
	options: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const prompt = '={{ $json.name }}';
	return await scene.generate({ prompt, ...parameters }, { items: THREE, ...options });
}

const jobIds = (): string[] => scene.emulator.submits.map(({ jobId }) => jobId);
const namesOf = ({ items }: EngineResult): unknown[] => items.map(({ json }) => json.prompt);

it('a chain on its defaults charges one job for a character in each node', async () => {
	let items: INodeExecutionData[] = [{ json: {} }];
	const steps = [
		['imageGenerate', { prompt: 'A knight' }],
		['imageTune', {}],
		['sprite', { text: 'Walking' }],
		['sprite', { operation: 'reskin', description: 'In golden armor' }],
	] as const;
	for (const [node, parameters] of steps) {
		({ items } = await scene.run({ node, parameters, items }));
		expect(items).toHaveLength(1);
	}
	expect(scene.emulator.submits).toHaveLength(4);
});

describe('Retry On Fail', () => {
	it('pays a fourth time only for the job that failed', async () => {
		scene.wishes.push({}, FAILED);
		const result = await generate({}, { nodeSettings: RETRIES });
		expect([result.error, result.calls]).toEqual([undefined, 2]);
		expect(namesOf(result)).toEqual(['a', 'b', 'c']);
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c', 'b']);
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
			expect([result.calls, scene.postCount()]).toEqual([3, 3]);
			expect(result.error?.description).toMatch(/may exist and be charged/);
			expect(result.error?.context.data?.running_job_ids).toHaveLength(2);

			const stillNot = await generate({}, { retryOf: result });
			expect(scene.postCount()).toBe(3);
			expect(stillNot.error?.description).toMatch(/currently saved workflow/);

			const told = await generate({ options: { resubmitIfUnknown: true } }, { retryOf: stillNot });
			expect(namesOf(told)).toEqual(['a', 'b', 'c']);
			expect(scene.postCount()).toBe(4);
		},
	);
});

describe('Retry from the list', () => {
	/** Three jobs, of which the second is finished only after the run. */
	async function timedOut(parameters: INodeParameters = {}): Promise<EngineResult> {
		scene.wishes.push({}, NEVER);
		const result = await generate({ ...SHORT, ...parameters });
		const late = scene.jobIdOf(1);
		expect(result.error?.context.data).toMatchObject({ job_id: late, status: 'Pending' });
		expect(scene.emulator.submits).toHaveLength(3);
		scene.emulator.jobs.finish(late);
		return result;
	}

	it('pays nothing and brings the image after a timeout', async () => {
		const retryOf = await timedOut();
		// Another node's memory is another one.
		const { 'node:Node': memory } = retryOf.saved.executionData?.contextData ?? {};
		expect(JSON.stringify(memory)).toContain(scene.jobIdOf(1));
		const again = await generate(SHORT, { retryOf, mode: 'retry', executionId: '2' });
		expect(again.error).toBeUndefined();
		expect(namesOf(again)).toEqual(['a', 'b', 'c']);
		expect(again.items.map(({ binary }) => binary?.data?.mimeType)).toEqual(
			Array(3).fill('image/png'),
		);
		expect(scene.emulator.submits).toHaveLength(3);
	});

	it('pays anew for an edited prompt, whose old jobs it names, and for an edited item alone', async () => {
		const retryOf = await timedOut();
		const jobs = jobIds();
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

	it('fails an item whose remembered job the API no longer has, and starts no new one', async () => {
		const retryOf = await timedOut();
		const late = scene.jobIdOf(1);
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: Infinity,
			match: ({ jobId }) => jobId === late,
		});
		await scene.clock.wait(21 * 86_400_000);
		const { error } = await generate({}, { retryOf });
		expect(error?.message).toBe(`AetherForge no longer has the job ${late}`);
		expect(error?.description).toContain('The job has been charged.');
		expect(error?.context.data).toMatchObject({ job_id: late, http_status: 404 });
		expect(scene.emulator.submits).toHaveLength(3);
	});

	const ONCE = '$execution.id === "1" ? $json.name';

	it.each([
		['nothing', `={{ ${ONCE} : "" }}`, [undefined, undefined, undefined]],
		['an error', `={{ ${ONCE} : $("X").item.json.x }}`, [undefined, undefined, undefined]],
		['another text', `={{ ${ONCE} : $json.name + "!" }}`, ['a!', 'b!', 'c!']],
	])('collects the paid jobs although the prompt gives %s now', async (_, prompt, names) => {
		const retryOf = await timedOut({ prompt });
		const again = await generate({ prompt }, { retryOf, executionId: '2' });
		expect(again.error).toBeUndefined();
		expect(again.items.map(({ json }) => json.job_id)).toEqual(jobIds());
		expect(namesOf(again)).toEqual(names);
		expect(scene.postCount()).toBe(3);
	});
});
