import type { INodeParameters } from 'n8n-workflow';

import { jsonOf } from '../support/items';
import { useScene } from '../support/scene';

// A node under the name that n8n gives it as an AI agent's tool. What a model gets to see, and calls without
// an execution: e2e/agent and e2e/mcp.

const scene = useScene();

const use = async (parameters: INodeParameters = {}, node = 'imageGenerate') =>
	await scene.run({ node, asTool: true, parameters: { prompt: 'p', ...parameters } });

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
	const jobId = scene.emulator.jobs.add({ durationMs: 0 }).id;
	const [json] = jsonOf(await use({ jobId, options }, 'getJob'));
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
