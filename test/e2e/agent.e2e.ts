import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { nodeNameToToolName, type INode } from 'n8n-workflow';
import { expectSuccess, isNewest, servedSha256, useLab } from './lab';
import type { Execution, WorkflowFile } from './real-n8n/rest-client';
import type { Script, ScriptedModel, Turn } from './scripted-model';
import {
	asTool,
	checkTool,
	fromAi,
	paidEndpoints,
	paidTools,
	useScriptedModel,
	withModel,
	type ToldJob,
} from './tools';
import { imageTune, withCredential } from './workflow';

/** The example, whose agent these tests talk to. */
const example = JSON.parse(
	readFileSync(resolve(__dirname, '..', '..', 'examples', 'ai-agent.json'), 'utf8'),
) as WorkflowFile;

const lab = useLab();
const startModel = useScriptedModel(lab);

/** The example with a model that follows a script, with further tools, and with its nodes changed. */
async function arrange(
	script: Script,
	change: (node: INode) => void = () => undefined,
	tools: INode[] = [],
): Promise<{ file: WorkflowFile; model: ScriptedModel }> {
	const { model, credential } = await startModel(script);
	const { nodes, connections, ...rest } = structuredClone(withModel(example, lab, credential));
	for (const tool of tools) {
		connections[tool.name] = { ai_tool: [[{ node: 'AI agent', type: 'ai_tool', index: 0 }]] };
	}
	nodes.push(...tools);
	nodes.forEach(change);
	return { file: { ...rest, nodes, connections }, model };
}

/** Says something in the chat to the agent. */
async function ask(
	...args: Parameters<typeof arrange>
): Promise<{ execution: Execution; model: ScriptedModel }> {
	const { file, model } = await arrange(...args);
	const json = { sessionId: 'one', action: 'sendMessage', chatInput: 'Draw me a fox, please' };
	const execution = await lab.run({ ...file, pinData: { Chat: [{ json }] } }, 'Chat');
	expectSuccess(execution);
	return { execution, model };
}

const answerOf = (execution: Execution): unknown => execution.items('AI agent')[0]?.json.output;
const toldJob = (result: string): ToldJob | undefined => (JSON.parse(result) as ToldJob[])[0];
const generate = (prompt: string, more = {}) => ({
	tool: 'Generate_image',
	arguments: { prompt, ...more },
});
const done = { text: 'Done' };
/** Changes the parameters of the tool that generates. */
const generateWith = (parameters: INode['parameters']) => (node: INode) => {
	if (node.name === 'Generate image') Object.assign(node.parameters, parameters);
};

it('generates an image with the prompt of the model, and the agent answers with its address', async () => {
	const prompt = 'A red fox in the snow';
	const { execution, model } = await ask([
		generate(prompt),
		(told) => ({ text: `Here is your fox: ${String(toldJob(told)?.image_url)}` }),
	]);
	const [submit, ...more] = lab.emulator.submits;
	expect(more).toEqual([]);
	expect(submit?.fields).toEqual({ prompt, ai_model: 'GPT Image 1.5' });
	const image_url = `${lab.emulator.cdnUrl}/results/${String(submit?.jobId)}/1.png`;
	const counted = { image_url, image_number: 1, image_count: 1 };
	expect(JSON.parse(model.toolResults()[0] ?? '')).toEqual([
		{ job_id: submit?.jobId, status: 'Succeed', ...counted, ...submit?.fields },
	]);
	expect(answerOf(execution)).toBe(`Here is your fox: ${image_url}`);
	expect(await servedSha256(image_url)).toMatch(/^[\da-f]{64}$/);
	const results = execution.runData['Generate image']?.[0]?.data?.ai_tool?.[0] ?? [];
	expect(results.map(({ binary }) => binary)).toEqual([undefined]);
	expect(execution.savedText).not.toContain(lab.apiKey);
});

it('chains images by their addresses: generates one, makes it night, and upscales it', async () => {
	const images: (ToldJob | undefined)[] = [];
	const imageUrlOf = (told: string): string => {
		images.push(toldJob(told));
		return images.at(-1)?.image_url ?? '';
	};
	const { execution } = await ask(
		[
			generate('A red fox', { reference_image_urls: '' }),
			(told) => generate('Make it night', { reference_image_urls: imageUrlOf(told) }),
			(told) => ({ tool: 'Upscale_image', arguments: { image_url: imageUrlOf(told) } }),
			(told) => ({ text: imageUrlOf(told) }),
		],
		// The model may leave it out.
		generateWith({
			referenceImageUrls: "={{ $fromAI('reference_image_urls', 'To start from', 'string', '') }}",
		}),
		[asTool(imageTune({ imageUrl: fromAi('image_url', 'To upscale') }), 'Upscale image')],
	);
	const [fox, night, large] = images;
	expect(answerOf(execution)).toBe(large?.image_url);
	expect(
		lab.emulator.submits.map(({ jobId, endpoint, fields, files }) => [
			...[jobId, endpoint, fields],
			...files.map(({ field, sha256: hash }) => [field, hash]),
		]),
	).toEqual([
		[fox?.job_id, '/public/v1/generate/image', { prompt: 'A red fox', ai_model: 'GPT Image 1.5' }],
		[
			night?.job_id,
			'/public/v1/generate/image',
			{ prompt: 'Make it night', ai_model: 'GPT Image 1.5' },
			['ref_images', await servedSha256(fox?.image_url)],
		],
		[
			large?.job_id,
			'/public/v1/image-tune/upscale',
			{ scale: '2K' },
			['image', await servedSha256(night?.image_url)],
		],
	]);
});

it('starts no more jobs than the limit allows, however often the model calls the tool', async () => {
	const { model } = await ask(
		[{ calls: [generate('one'), generate('two')] }, generate('three'), done],
		generateWith({ options: { maxJobsPerExecution: 1 } }),
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
	describe('n8n’s own Agents', () => {
		/** Has an agent call tools; gives what its model was told of each call. */
		async function told(tools: readonly INode[], ...turns: Turn[]): Promise<string[]> {
			const { model, credential } = await startModel([...turns, done]);
			const file = { name: '', nodes: [...tools], connections: {} };
			const { nodes } = withCredential(file, lab.credential);
			const agents = `${await lab.n8n.personalProject()}/agents/v2`;
			const schema = {
				name: 'Artist',
				model: 'openai/any',
				credential: credential.id,
				instructions: 'Do as the user says.',
				tools: nodes.map(({ name, credentials, ...node }) => ({
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
			return model.toolResults();
		}

		const jobIn = (result = ''): ToldJob | undefined =>
			(JSON.parse(result) as { data: { json: ToldJob }[] }).data[0]?.json;

		it('can call every node; each call of a paid one starts one job, and the model is told of it', async () => {
			const paid = paidTools(lab);
			const earlier = lab.emulator.jobs.add({ durationMs: 0 }).id;
			const results = await told(
				[...paid.map(({ node }) => node), checkTool()],
				...paid.map((each) => ({
					tool: nodeNameToToolName(each.node),
					arguments: each.arguments,
				})),
				{ tool: 'Check_job', arguments: { job_id: earlier } },
			);
			expect(lab.emulator.submits.map(({ endpoint }) => endpoint)).toEqual(paidEndpoints);
			const ids = [...lab.emulator.submits.map(({ jobId }) => jobId), earlier];
			const jobs = results.map(jobIn);
			expect(jobs).toMatchObject(ids.map((id) => ({ job_id: id, status: 'Succeed' })));
			for (const job of jobs) {
				expect(await servedSha256(job?.image_url)).toMatch(/^[\da-f]{64}$/);
			}
		});
	});
}
