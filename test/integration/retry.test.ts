import type { IDataObject, INodeExecutionData, INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { runEngine, storeBinary, type EngineOptions, type EngineResult } from '../support/engine';
import { KEY, RETRIES, useScene } from '../support/scene';

// A job that was paid for is never lost, and never paid for twice. What the simulator draws at random is
// here as people meet it, with the exact number of jobs.

const FAILED: JobWish = { outcome: { status: 'Failed' } };
const NEVER: JobWish = { durationMs: Infinity };

const scene = useScene();

const THREE: INodeExecutionData[] = ['a', 'b', 'c'].map((name) => ({ json: { name } }));
const ONE = THREE.slice(0, 1);
const SHORT = { options: { timeout: 5 } };

async function generate(
	parameters: INodeParameters = {},
	options: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const prompt = '={{ $json.name }}';
	return await scene.generate({ prompt, ...parameters }, { items: THREE, ...options });
}

const jobIds = (): string[] => scene.emulator.submits.map(({ jobId }) => jobId);
/** The job that was started first for a prompt. */
const jobOf = (prompt: string): string => scene.jobIdOf(scene.paidPrompts().indexOf(prompt));
const namesOf = ({ items }: EngineResult): unknown[] => items.map(({ json }) => json.prompt);

function withFile(file: NonNullable<INodeExecutionData['binary']>[string]): INodeExecutionData[] {
	return THREE.map((item) => ({ ...item, binary: { data: file } }));
}

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

	it('starts a job anew that has failed only while the retry was waiting for it', async () => {
		scene.wishes.push({ durationMs: 30_000, ...FAILED });
		const parameters = { options: { timeout: 20 } };
		const result = await generate(parameters, { nodeSettings: RETRIES, items: ONE });
		expect([result.error, result.calls]).toEqual([undefined, 3]);
		expect(scene.paidPrompts()).toEqual(['a', 'a']);
		expect(namesOf(await generate(parameters, { items: ONE, retryOf: result }))).toEqual(['a']);
	});

	it('gives up after three failed jobs, and a retry from the list pays for one more', async () => {
		scene.wishes.push(FAILED, FAILED, FAILED, FAILED);
		const result = await generate({}, { nodeSettings: RETRIES, items: ONE });
		expect(result.error?.context.data).toMatchObject({ status: 'Failed' });
		expect(scene.emulator.submits).toHaveLength(3);
		await generate({}, { retryOf: result, items: ONE });
		expect(scene.emulator.submits).toHaveLength(4);
	});

	it('pays for nothing twice when the first output item is an error item', async () => {
		scene.wishes.push(NEVER);
		const nodeSettings = { ...RETRIES, onError: 'continueErrorOutput' } as const;
		const result = await generate(SHORT, { nodeSettings });
		expect(result.calls).toBe(3);
		expect(scene.paidPrompts()).toEqual(['a', 'b', 'c']);
		expect(namesOf(result)).toEqual(['b', 'c']);
		const error = { job_id: scene.jobIdOf(0), status: 'Pending' };
		expect(result.errorItems[0]?.json).toMatchObject({ error });
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

	it.each<[string, (json: IDataObject) => unknown]>([
		['that refers to itself', (json) => json],
		['with a BigInt', () => 5n],
		[
			'with a toJSON that throws',
			() => ({
				toJSON: () => {
					throw new Error('no JSON for you');
				},
			}),
		],
	])('pays once for an item %s, and names its job', async (_, makeOdd) => {
		scene.wishes.push(NEVER);
		const json: IDataObject = { name: 'a' };
		json.odd = makeOdd(json) as IDataObject;
		// Not by the scene, which checks what n8n would save: n8n itself cannot save all of these.
		const { calls, error, log } = await runEngine({
			clock: scene.clock,
			credential: { apiKey: KEY, baseUrl: scene.emulator.apiUrl },
			node: 'imageGenerate',
			parameters: { prompt: 'x', ...SHORT },
			items: [{ json }],
			nodeSettings: RETRIES,
		});
		expect([calls, scene.postCount()]).toEqual([3, 1]);
		expect(error?.message).toContain(scene.jobIdOf(0));
		expect(log).toContain(`info AetherForge started the job ${scene.jobIdOf(0)} for item 0`);
	});
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

	it('downloads again what could not be downloaded, and pays nothing', async () => {
		const times = Infinity;
		const broken = { at: 'download', kind: 'respond', status: 500, times } as const;
		const fault = scene.emulator.faults.add(broken);
		const first = await generate({}, { items: ONE });
		expect(first.error?.context.data).toMatchObject({ status: 'Succeed' });
		fault.remove();
		const again = await generate({}, { items: ONE, retryOf: first });
		expect(again.items[0]?.binary).toHaveProperty('data');
		expect(scene.emulator.submits).toHaveLength(1);
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

	it('of a run whose third item was refused names the paid jobs when its prompt is empty now', async () => {
		const prompt = '={{ $execution.id !== "1" && $json.name === "c" ? "" : $json.name }}';
		scene.wishes.push(NEVER, NEVER);
		scene.refuse('c');
		const retryOf = await generate({ prompt });
		const { error } = await generate({ prompt }, { retryOf, executionId: '2' });
		expect(error?.message).toBe('The "Prompt" parameter is empty');
		expect(error?.context.itemIndex).toBe(2);
		expect(error?.context.data).toEqual({ running_job_ids: ['a', 'b'].map(jobOf) });
		for (const jobId of jobIds()) expect(error?.description).toContain(jobId);
		expect(error?.description).toContain('No new job was started.');
		expect(error?.description).not.toMatch(/nothing was charged/i);
		expect(scene.emulator.submits).toHaveLength(2);
	});

	it('checks a job that replaces a failed one like any other, its files too', async () => {
		const picture = await storeBinary(tinyPicture('p', 'png'), 'p.png', 'image/png');
		const parameters = { referenceImages: 'all', ...SHORT };
		scene.wishes.push(NEVER, NEVER, NEVER);
		const first = await generate(parameters, { items: withFile(picture) });
		const [a, b, c] = ['a', 'b', 'c'].map(jobOf);
		scene.emulator.jobs.finish(b ?? '', { status: 'Failed' });
		for (const jobId of [a, c]) scene.emulator.jobs.finish(jobId ?? '');
		const gone = withFile({ ...picture, id: `${picture.id}-gone` });
		const { error, ...refused } = await generate(parameters, { items: gone, retryOf: first });
		expect(error?.message).toMatch(/cannot be read/);
		expect(error?.context).toMatchObject({ itemIndex: 1, data: { running_job_ids: [a, c] } });
		expect(error?.description).toContain('No new job was started.');
		expect(error?.description).not.toContain(b);
		expect(scene.postCount()).toBe(3);
		const retryOf = { ...refused, error };
		const again = await generate(parameters, { items: withFile(picture), retryOf });
		expect(namesOf(again)).toEqual(['a', 'b', 'c']);
		expect(scene.paidPrompts().slice(3)).toEqual(['b']);
	});
});
