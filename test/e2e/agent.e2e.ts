import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { INode } from 'n8n-workflow';
import { expectSuccess, isNewest, servedSha256, useLab } from './lab';
import type { Execution, WorkflowFile } from './real-n8n/rest-client';
import type { Script, ScriptedModel } from './scripted-model';
import { chatMessage, tools, useScriptedModel, withModel, type ToldJob } from './tools';
import { withCredential } from './workflow';

/** The example, whose agent these tests talk to. */
const example = JSON.parse(
	readFileSync(resolve(__dirname, '..', '..', 'examples', 'ai-agent.json'), 'utf8'),
) as WorkflowFile;

const lab = useLab();
const startModel = useScriptedModel(lab);

/** Says something in the example's chat to its agent, whose model follows a script. */
async function ask(
	script: Script,
	parameters: INode['parameters'],
): Promise<{ execution: Execution; model: ScriptedModel }> {
	const { model, credential } = await startModel(script);
	const file = structuredClone(withModel(example, lab, credential));
	const tool = file.nodes.find(({ name }) => name === 'Generate image');
	Object.assign(tool?.parameters ?? {}, parameters);
	const execution = await lab.run({ ...file, pinData: chatMessage }, 'Chat');
	expectSuccess(execution);
	return { execution, model };
}

const toldJob = (result: string): ToldJob | undefined => (JSON.parse(result) as ToldJob[])[0];
const generate = (prompt: string, more = {}) => ({
	tool: 'Generate_image',
	arguments: { prompt, ...more },
});
const done = { text: 'Done' };

it('makes the image that the model asks for, and another one from its address, which the agent passes on', async () => {
	const imageUrlOf = (told: string): string => toldJob(told)?.image_url ?? '';
	const { execution, model } = await ask(
		[
			generate('A red fox', { reference_image_urls: '' }),
			(told) => generate('Make it night', { reference_image_urls: imageUrlOf(told) }),
			(told) => ({ text: imageUrlOf(told) }),
		],
		// The model may leave it out.
		{ referenceImageUrls: "={{ $fromAI('reference_image_urls', 'To start from', 'string', '') }}" },
	);
	const [fox, night] = lab.emulator.submits.map(({ jobId: job_id, fields }) => ({
		job_id,
		status: 'Succeed',
		image_url: `${lab.emulator.cdnUrl}/results/${job_id}/1.png`,
		image_number: 1,
		image_count: 1,
		...fields,
	}));
	expect(model.toolResults().map(toldJob)).toEqual([fox, night]);
	expect(execution.items('AI agent')[0]?.json.output).toBe(night?.image_url);
	expect(
		lab.emulator.submits.map(({ fields, files }) => [
			fields,
			...files.map(({ field, sha256: hash }) => [field, hash]),
		]),
	).toEqual([
		[{ prompt: 'A red fox', ai_model: 'GPT Image 1.5' }],
		[
			{ prompt: 'Make it night', ai_model: 'GPT Image 1.5' },
			['ref_images', await servedSha256(fox?.image_url)],
		],
	]);
	const results = execution.runData['Generate image']?.[0]?.data?.ai_tool?.[0] ?? [];
	expect(results.map(({ binary }) => binary)).toEqual([undefined]);
	expect(execution.savedText).not.toContain(lab.apiKey);
});

it('starts no more jobs than the limit allows, however often the model calls the tool', async () => {
	const { model } = await ask(
		[{ calls: [generate('one'), generate('two')] }, generate('three'), done],
		{ options: { maxJobsPerExecution: 1 } },
	);
	const [submit, ...more] = lab.emulator.submits;
	expect(more).toEqual([]);
	const told = model.toolResults();
	const saying = (words: unknown) => told.filter((each) => each.includes(String(words)));
	expect(told).toHaveLength(3);
	expect(saying(submit?.jobId)).toHaveLength(1);
	expect(saying('would start 2 jobs, more than the 1')).toHaveLength(2);
});

// They came with n8n 2.41, and call a node without an execution and without a workflow.
if (isNewest) {
	it('n8n’s own Agents call the nodes, each call of a paid one starts one job, and the model is told of it', async () => {
		const jobIn = (result = ''): ToldJob | undefined =>
			(JSON.parse(result) as { data: { json: ToldJob }[] }).data[0]?.json;
		const { model, credential } = await startModel([
			generate('A red fox'),
			(told) => ({
				tool: 'Upscale_image',
				arguments: { image_url: jobIn(told)?.image_url ?? '' },
			}),
			(told) => ({ tool: 'Check_job', arguments: { job_id: jobIn(told)?.job_id ?? '' } }),
			done,
		]);
		const file = withCredential({ name: '', nodes: tools(), connections: {} }, lab.credential);
		const agents = `${await lab.n8n.personalProject()}/agents/v2`;
		const schema = {
			name: 'Artist',
			model: 'openai/any',
			credential: credential.id,
			instructions: 'Do as the user says.',
			tools: file.nodes.map(({ name, credentials, ...node }) => ({
				type: 'node',
				name,
				node: {
					nodeType: node.type,
					nodeTypeVersion: node.typeVersion,
					nodeParameters: node.parameters,
					credentials,
				},
			})),
		};
		const agent = { name: 'Artist', schema };
		const { id } = await lab.n8n.request<{ id: string }>('POST', agents, agent);
		const message = 'Draw me a fox, please';
		const events = await lab.n8n.send('POST', `${agents}/${id}/chat`, { message });
		expect(await events.text()).toContain('"type":"done"');
		const [fox, large, ...more] = lab.emulator.submits.map(({ jobId }) => jobId);
		expect(more).toEqual([]);
		const jobs = model.toolResults().map(jobIn);
		expect(jobs).toMatchObject(
			[fox, large, large].map((job_id) => ({ job_id, status: 'Succeed' })),
		);
		for (const job of jobs) {
			expect(await servedSha256(job?.image_url)).toMatch(/^[\da-f]{64}$/);
		}
	});
}
