import type { EngineResult } from '../support/engine';
import { jsonOf } from '../support/items';
import { RETRIES, useScene } from '../support/scene';

// A node under the name that n8n gives it as an AI agent's tool. What a model gets to see, and calls without
// an execution: e2e/agent and e2e/mcp.

const scene = useScene();

const use = async (
	parameters: object = {},
	more: Partial<Parameters<typeof scene.run>[0]> = {},
): Promise<EngineResult> =>
	await scene.run({
		node: 'imageGenerate',
		asTool: true,
		...more,
		parameters: { prompt: 'p', ...parameters },
	});

const finishedJob = (): string => scene.emulator.jobs.add({ durationMs: 0 }).id;

it('answers in JSON, an item for each image, and leaves the images where they are', async () => {
	// It needs no field for images that it does not download.
	const result = await use({ prompt: 'p #images-2', binaryPropertyOutput: '={{ "" }}' });
	expect(jsonOf(result)).toEqual(
		[1, 2].map((number) => ({
			job_id: scene.jobIdOf(0),
			status: 'Succeed',
			image_url: scene.resultUrl(scene.jobIdOf(0), number),
			image_number: number,
			image_count: 2,
			prompt: 'p #images-2',
			ai_model: 'GPT Image 1.5',
		})),
	);
	expect(result.items[0]).not.toHaveProperty('binary');
	expect(scene.downloads()).toEqual([]);
});

it.each([{}, { outputItems: 'perJob' }])('Get Job answers in JSON: %j', async (options) => {
	const jobId = finishedJob();
	const [json] = jsonOf(await use({ jobId, options }, { node: 'getJob' }));
	expect(json).toMatchObject({ job_id: jobId, image_url: scene.resultUrl(jobId, 1) });
	expect(scene.downloads()).toEqual([]);
});

it('tells the agent’s model what to do in the message, which is all that it gets', async () => {
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 503 });
	const { error } = await use();
	expect(error?.message).toMatch(
		/^It is not known whether AetherForge started the job\. .*A job may exist and be charged/,
	);
});

it.each([
	['is late', { at: 'poll', kind: 'respond', status: 422, body: { detail: 'x' } }],
	['may exist', { at: 'submit', kind: 'reset', when: 'accepted' }],
] as const)('pays once for a call that n8n retries where its job %s', async (_, fault) => {
	scene.emulator.faults.add(fault);
	const { calls } = await use({}, { nodeSettings: RETRIES });
	expect(calls).toBeGreaterThan(1);
	expect(scene.emulator.submits).toHaveLength(1);
});
