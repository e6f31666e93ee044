import { ENDPOINT_CASES } from '../support/endpointCases';
import type { EngineOptions, EngineResult } from '../support/engine';
import { jsonOf, onlyJson } from '../support/items';
import { endpointAt } from '../support/nodes';
import { useScene } from '../support/scene';

const scene = useScene();

/** Runs a node under the name that n8n gives it as an AI agent's tool. */
async function use(options: EngineOptions): Promise<EngineResult> {
	return await scene.run({ asTool: true, ...options });
}

const finishedJob = (): string => scene.emulator.jobs.add({ durationMs: 0 }).id;

describe('as an agent’s tool', () => {
	it('Image Generate answers in JSON, and leaves the images where they are', async () => {
		// It needs no field for images that it does not download.
		const parameters = { prompt: 'p #images-2', binaryPropertyOutput: '={{ "" }}' };
		const result = await use({ node: 'imageGenerate', parameters });
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

	it('tells the agent’s model what to do in the message, which is all that it gets', async () => {
		scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 503 });
		const { error } = await use({ node: 'imageGenerate', parameters: { prompt: 'p' } });
		expect(error?.message).toMatch(
			/^It is not known whether AetherForge started the job\. .*A job may exist and be charged/,
		);
	});

	it.each([{}, { outputItems: 'perJob' }])('Get Job answers in JSON: %j', async (options) => {
		const jobId = finishedJob();
		const result = await use({ node: 'getJob', parameters: { jobId, options } });
		expect(onlyJson(result)).toMatchObject({ job_id: jobId, image_url: scene.resultUrl(jobId, 1) });
		expect(result.items[0]).not.toHaveProperty('binary');
		expect(scene.downloads()).toEqual([]);
	});

	it('Sprite gives an item for each image, so that the model passes on one of them', async () => {
		const parameters = { imageUrl: scene.resultUrl(finishedJob(), 1), text: 'Walking' };
		const items = jsonOf(await use({ node: 'sprite', parameters }));
		const jobId = scene.jobIdOf(0);
		expect(items.map((json) => json.image_url)).toEqual([
			scene.resultUrl(jobId, 1),
			scene.resultUrl(jobId, 2, 'gif'),
		]);
	});

	it('starts a job for each call: each has a run index of its own', async () => {
		const call = { node: 'imageGenerate', parameters: { prompt: 'p' } };
		scene.emulator.faults.add({ at: 'poll', kind: 'respond', status: 422, body: { detail: 'x' } });
		const retryOf = await use(call);
		expect(retryOf.error).toBeDefined();
		jsonOf(await use({ ...call, retryOf, earlierRuns: 1 }));
		expect(scene.emulator.submits).toHaveLength(2);
	});

	it.each([
		['is late', { at: 'poll', kind: 'respond', status: 422, body: { detail: 'x' } }],
		['may exist', { at: 'submit', kind: 'reset', when: 'accepted' }],
	] as const)('pays once for a call that n8n retries where its job %s', async (_, fault) => {
		scene.emulator.faults.add(fault);
		const nodeSettings = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };
		const { calls } = await use({
			node: 'imageGenerate',
			parameters: { prompt: 'p' },
			nodeSettings,
		});
		expect(calls).toBeGreaterThan(1);
		expect(scene.emulator.submits).toHaveLength(1);
	});
});

describe.each(['mcpTrigger', 'agents'] as const)(
	'called by %s, without an execution,',
	(calledBy) => {
		it.each(ENDPOINT_CASES)(
			'$path starts a job, and names it',
			async ({ path, node, parameters }) => {
				const imageUrl = scene.resultUrl(finishedJob(), 1);
				const files = endpointAt(path).fields.filter(({ kind }) => kind === 'files');
				const urls = files.flatMap((field) =>
					'urls' in field ? [[field.urls.name, imageUrl]] : [],
				);
				const given = { ...parameters, ...(Object.fromEntries(urls) as Record<string, string>) };
				const [json] = jsonOf(await use({ node, parameters: given, calledBy }));
				expect(scene.emulator.submits).toHaveLength(1);
				expect(json).toMatchObject({ job_id: scene.jobIdOf(0), status: 'Succeed' });
			},
		);

		it('Get Job checks on a job', async () => {
			const jobId = finishedJob();
			const result = await use({ node: 'getJob', parameters: { jobId }, calledBy });
			expect(onlyJson(result)).toMatchObject({ job_id: jobId, status: 'Succeed' });
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
