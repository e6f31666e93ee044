import { tinyPicture } from '../emulator/pictures';
import type { EngineOptions, EngineResult } from '../support/engine';
import { useScene } from '../support/scene';

const scene = useScene();

/** Runs a node under the name that n8n gives it as an AI agent's tool. */
async function use(options: EngineOptions): Promise<EngineResult> {
	return await scene.run({ asTool: true, ...options });
}

describe('as an agent’s tool', () => {
	it('Image Generate answers in JSON, and leaves the images where they are', async () => {
		const { items, error } = await use({
			node: 'imageGenerate',
			parameters: { prompt: 'p #images-2' },
		});
		expect(error).toBeUndefined();
		const jobId = scene.emulator.submits[0]?.jobId;
		expect(items.map(({ json, binary }) => ({ json, binary }))).toEqual(
			[1, 2].map((number) => ({
				json: {
					job_id: jobId,
					status: 'Succeed',
					image_url: `${scene.emulator.cdnUrl}/results/${jobId}/${number}.png`,
					image_number: number,
					image_count: 2,
					prompt: 'p #images-2',
					ai_model: 'GPT Image 1.5',
				},
				binary: undefined,
			})),
		);
		expect(scene.downloads()).toEqual([]);
	});

	it('tells the agent’s model what to do in the message, which is all that it gets', async () => {
		scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 503 });
		const { error } = await use({ node: 'imageGenerate', parameters: { prompt: 'p' } });
		expect(error?.message).toMatch(
			/^It is not known whether AetherForge started the job\. .*A job may exist and be charged/,
		);
	});

	it('Image Generate needs no field for the images that it does not download', async () => {
		const { error } = await use({
			node: 'imageGenerate',
			parameters: { prompt: 'p', binaryPropertyOutput: '={{ "" }}' },
		});
		expect(error).toBeUndefined();
	});

	it.each([{}, { outputItems: 'perJob' }])('Get Job answers in JSON: %j', async (options) => {
		const jobId = scene.emulator.jobs.add({ durationMs: 0 }).id;
		const { items, error } = await use({ node: 'getJob', parameters: { jobId, options } });
		expect(error).toBeUndefined();
		expect(items).toHaveLength(1);
		expect(items[0]?.json).toMatchObject({ job_id: jobId, image_url: scene.resultUrl(jobId, 1) });
		expect(items[0]).not.toHaveProperty('binary');
		expect(scene.downloads()).toEqual([]);
	});

	it('Sprite gives an item for each image, so that the model passes on one of them', async () => {
		const earlier = scene.emulator.jobs.add({ durationMs: 0 }).id;
		const parameters = { imageUrl: scene.resultUrl(earlier, 1), text: 'Walking' };
		const { items } = await use({ node: 'sprite', parameters });
		const jobId = scene.jobIdOf(0);
		expect(items.map(({ json }) => json.image_url)).toEqual([
			scene.resultUrl(jobId, 1),
			scene.resultUrl(jobId, 2, 'gif'),
		]);
	});

	it('starts a job for each call: each has a run index of its own', async () => {
		const parameters = { prompt: 'p' };
		scene.emulator.faults.add({ at: 'poll', kind: 'respond', status: 422, body: { detail: 'x' } });
		const first = await use({ node: 'imageGenerate', parameters });
		expect(first.error).toBeDefined();
		const second = await use({
			node: 'imageGenerate',
			parameters,
			retryOf: first,
			earlierRuns: 1,
		});
		expect(second.error).toBeUndefined();
		expect(scene.emulator.submits).toHaveLength(2);
	});

	it.each([
		['is late', { at: 'poll', kind: 'respond', status: 422, body: { detail: 'x' } }],
		['may exist', { at: 'submit', kind: 'reset', when: 'accepted' }],
	] as const)('pays once for a call that n8n retries where its job %s', async (_, fault) => {
		scene.emulator.faults.add(fault);
		const { calls } = await use({
			node: 'imageGenerate',
			parameters: { prompt: 'p' },
			nodeSettings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 },
		});
		expect(calls).toBeGreaterThan(1);
		expect(scene.emulator.submits).toHaveLength(1);
	});

	it('a node of the same parameters that is no tool does download', async () => {
		const { items } = await use({
			node: 'imageGenerate',
			parameters: { prompt: 'p' },
			asTool: false,
		});
		expect(items[0]?.binary?.data?.bytes).toBe(
			tinyPicture(`${scene.emulator.submits[0]?.jobId}-1.png`, 'png').length,
		);
	});
});

describe.each(['mcpTrigger', 'agents'] as const)(
	'called by %s, without an execution,',
	(calledBy) => {
		const nodes = ['imageGenerate', 'imageTune', 'effectGenerate', 'sprite'] as const;

		it.each(nodes)('%s starts a job, and names it', async (node) => {
			const earlier = scene.emulator.jobs.add({ durationMs: 0 }).id;
			const imageUrl = scene.resultUrl(earlier, 1);
			const parameters = { prompt: 'p', description: 'd', text: 't', imageUrl };
			const { items, error } = await use({ node, parameters, calledBy });
			expect(error).toBeUndefined();
			expect(scene.emulator.submits).toHaveLength(1);
			expect(items[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), status: 'Succeed' });
		});

		it('Get Job checks on a job', async () => {
			const jobId = scene.emulator.jobs.add({ durationMs: 0 }).id;
			const { items, error } = await use({ node: 'getJob', parameters: { jobId }, calledBy });
			expect(error).toBeUndefined();
			expect(items[0]?.json).toMatchObject({ job_id: jobId, status: 'Succeed' });
		});

		it('a call has a limit of jobs to itself', async () => {
			const options = { maxJobsPerExecution: 2 };
			const parameters = { prompt: 'p', jobsPerItem: 3, options };
			const { error } = await use({ node: 'imageGenerate', parameters, calledBy });
			expect(error?.message).toMatch(/would start 3 jobs, more than the 2 .* raise/);
			expect(scene.emulator.requests).toEqual([]);
		});
	},
);
