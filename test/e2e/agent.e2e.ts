import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { nodeNameToToolName, type INode } from 'n8n-workflow';
import { tinyPicture } from '../emulator/pictures';
import { openLab, servedSha256, sha256, type Lab } from './lab';
import type { Execution, WorkflowFile } from './real-n8n/rest-client';
import {
	startScriptedModel,
	type ScriptedModel,
	type ShownTool,
	type Turn,
} from './scripted-model';
import { runBySending } from './scenarios';
import { checkNode, generateNode, paidEndpoints, paidTools } from './tools';
import { asTool, imageTune, isOurs, withCredential } from './workflow';

const generateTool = 'Generate_image';
const checkTool = 'Check_image_job';

/** The example, whose agent these tests talk to. */
const file = JSON.parse(
	readFileSync(resolve(__dirname, '..', '..', 'examples', 'ai-agent.json'), 'utf8'),
) as WorkflowFile;

let lab: Lab;
let model: ScriptedModel | undefined;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await model?.close();
	await lab.close();
});

interface Arrangement {
	script: readonly ((lastMessage: string) => Turn)[];
	/** Changes the example's nodes. */
	change?: ((node: INode) => void) | undefined;
	/** Further tools of the agent. */
	tools?: INode[];
}

/** The example with a model that follows a script. */
async function arrange({
	script,
	change = () => undefined,
	tools = [],
}: Arrangement): Promise<{ arranged: WorkflowFile; model: ScriptedModel }> {
	model = await startScriptedModel(script);
	const { id, name } = await lab.n8n.createCredential('Scripted model', 'openAiApi', {
		apiKey: 'not-needed',
		url: model.url,
	});
	const { nodes, connections, ...rest } = structuredClone(withCredential(file, lab.credential));
	for (const node of nodes) {
		if (node.name === 'Chat model') node.credentials = { openAiApi: { id, name } };
		change(node);
	}
	for (const tool of tools) {
		nodes.push(tool);
		connections[tool.name] = { ai_tool: [[{ node: 'AI agent', type: 'ai_tool', index: 0 }]] };
	}
	return { arranged: withCredential({ ...rest, nodes, connections }, lab.credential), model };
}

/** Says something in the chat to the agent, whose model follows a script. */
async function ask(
	script: Arrangement['script'],
	change?: Arrangement['change'],
	tools: INode[] = [],
): Promise<{ execution: Execution; model: ScriptedModel }> {
	const { arranged, model } = await arrange({ script, change, tools });
	const chatInput = 'Draw me a fox, please';
	const saved = await lab.n8n.createWorkflow({
		...arranged,
		pinData: { Chat: [{ json: { sessionId: 'one', action: 'sendMessage', chatInput } }] },
	});
	return { execution: await lab.n8n.runManually(saved, 'Chat'), model };
}

interface ToldJob {
	job_id: string;
	status: string;
	image_url?: string;
}

/** What the model was told a tool had answered: the items' JSON, as a list. */
function toolAnswer(lastMessage: string): ToldJob[] {
	return JSON.parse(lastMessage) as ToldJob[];
}

function answerOf(execution: Execution): unknown {
	expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
	return execution.items('AI agent')[0]?.json.output;
}

function shownTo({ requests }: ScriptedModel): ShownTool[] {
	return (requests[0]?.tools ?? []).map((tool) => tool.function);
}

/** What the model is shown of its tools, sorted by their names. */
async function toolsShown(change?: (node: INode) => void): Promise<ShownTool[]> {
	const { model } = await ask([() => ({ text: 'Hello' })], change);
	return shownTo(model).sort((a, b) => a.name.localeCompare(b.name));
}

/** Lets the model give the addresses of images to start from. */
function takesReferences({ name, parameters }: INode): void {
	if (name !== 'Generate image') return;
	parameters.referenceImageUrls =
		"={{ $fromAI('reference_image_urls', 'The image_url of each image to start from', 'string', '') }}";
}

const generate = (prompt: string) => (): Turn => ({ tool: generateTool, arguments: { prompt } });

it('generates an image with the prompt of the model, and the agent answers with its address', async () => {
	let answer: ToldJob[] = [];
	const { execution } = await ask([
		generate('A red fox in the snow'),
		(lastMessage) => {
			answer = toolAnswer(lastMessage);
			return { text: `Here is your fox: ${answer[0]?.image_url ?? ''}` };
		},
	]);
	const [submit, ...more] = lab.emulator.submits;
	expect(more).toEqual([]);
	expect(submit?.fields).toEqual({ prompt: 'A red fox in the snow', ai_model: 'GPT Image 1.5' });
	const imageUrl = `${lab.emulator.cdnUrl}/results/${String(submit?.jobId)}/1.png`;
	expect(answer).toEqual([
		{
			job_id: submit?.jobId,
			status: 'Succeed',
			image_url: imageUrl,
			image_number: 1,
			image_count: 1,
			prompt: 'A red fox in the snow',
			ai_model: 'GPT Image 1.5',
		},
	]);
	expect(answerOf(execution)).toBe(`Here is your fox: ${imageUrl}`);
	expect(await servedSha256(imageUrl)).toMatch(/^[\da-f]{64}$/);
	expect(execution.toolResults('Generate image').map(({ binary }) => binary)).toEqual([undefined]);
	expect(execution.savedText).not.toContain(lab.apiKey);
});

it('chains images by their addresses: generates one, makes it night, and upscales it', async () => {
	const upscaleTool = asTool(
		imageTune({ imageUrl: "={{ $fromAI('image_url', 'The image_url to upscale', 'string') }}" }),
		'Upscale image',
	);
	const answers: ToldJob[] = [];
	const imageUrlOf = (lastMessage: string): string => {
		answers.push(...toolAnswer(lastMessage));
		return answers.at(-1)?.image_url ?? '';
	};
	const { execution, model } = await ask(
		[
			() => ({
				tool: generateTool,
				arguments: { prompt: 'A red fox in the snow', reference_image_urls: '' },
			}),
			(told) => ({
				tool: generateTool,
				arguments: { prompt: 'Make it night', reference_image_urls: imageUrlOf(told) },
			}),
			(told) => ({ tool: 'Upscale_image', arguments: { image_url: imageUrlOf(told) } }),
			(told) => ({ text: `Here is your fox at night: ${imageUrlOf(told)}` }),
		],
		takesReferences,
		[upscaleTool],
	);
	const [fox, night, large] = answers;
	expect(answerOf(execution)).toBe(`Here is your fox at night: ${String(large?.image_url)}`);
	expect(
		lab.emulator.submits.map(({ jobId, endpoint, fields, files }) => ({
			jobId,
			endpoint,
			fields,
			files: files.map(({ field, sha256 }) => [field, sha256]),
		})),
	).toEqual([
		{
			jobId: fox?.job_id,
			endpoint: '/public/v1/generate/image',
			fields: { prompt: 'A red fox in the snow', ai_model: 'GPT Image 1.5' },
			files: [],
		},
		{
			jobId: night?.job_id,
			endpoint: '/public/v1/generate/image',
			fields: { prompt: 'Make it night', ai_model: 'GPT Image 1.5' },
			files: [['ref_images', await servedSha256(fox?.image_url)]],
		},
		{
			jobId: large?.job_id,
			endpoint: '/public/v1/image-tune/upscale',
			fields: { scale: '2K' },
			files: [['image', await servedSha256(night?.image_url)]],
		},
	]);
	const shown = shownTo(model).map(({ name, parameters }) => [name, parameters.required]);
	expect(Object.fromEntries(shown)).toMatchObject({ Upscale_image: ['image_url'] });
});

it('sends a picture of the chat, which an expression in the tool names', async () => {
	const generateByPicture = (node: INode): void => {
		if (node.name === 'Chat') {
			Object.assign(node.parameters, { public: true, options: { allowFileUploads: true } });
		}
		if (node.name !== 'Generate image') return;
		node.parameters.referenceImages = 'selected';
		node.parameters.binaryPropertyName = "={{ $('Chat').item.binary.data0 }}";
	};
	const { arranged } = await arrange({
		script: [generate('Make it night'), () => ({ text: 'Done' })],
		change: generateByPicture,
	});
	const form = new FormData();
	const said = { action: 'sendMessage', sessionId: randomUUID(), chatInput: 'Make it night' };
	for (const [name, value] of Object.entries(said)) form.append(name, value);
	const bytes = tinyPicture('mine', 'png');
	form.append('files', new File([bytes], 'mine.png', { type: 'image/png' }));
	const chat = arranged.nodes.find(({ name }) => name === 'Chat');
	const path = `webhook/${String(chat?.webhookId)}/chat`;
	const { execution } = await runBySending(lab, arranged, path, form);
	expect(answerOf(execution)).toBe('Done');
	expect(execution.items('Chat')[0]?.binary?.data0?.id).toMatch(/^filesystem-v2:/);
	const [submit, ...more] = lab.emulator.submits;
	expect(more).toEqual([]);
	expect(submit?.files.map(({ fileName, sha256: hash }) => [fileName, hash])).toEqual([
		['mine.png', sha256(bytes)],
	]);
});

it('is offered files by URL, and not those of an item that it does not have', async () => {
	const types = await lab.n8n.nodeTypes();
	const sources = types
		.filter(({ name }) => /aetherforge.*Tool$/.test(name))
		.flatMap(({ properties }) => properties)
		.filter(({ name }) => name === 'referenceImages' || name.endsWith('Source'))
		.filter(({ displayOptions }) => displayOptions?.hide?.['@tool'] === undefined);
	expect(sources).toHaveLength(15);
	expect(new Set(sources.map((source) => source.default))).toEqual(new Set(['url', 'urls']));
	for (const { options } of sources) {
		expect(options?.map((option) => 'value' in option && option.value)).not.toContain('all');
	}
});

it('tells the model once that a tool has no input item to send files of', async () => {
	let told = '';
	await ask(
		[
			generate('A red fox'),
			(lastMessage) => {
				told = lastMessage;
				return { text: 'Sorry' };
			},
		],
		({ name, parameters }) => {
			if (name === 'Generate image') parameters.referenceImages = 'all';
		},
	);
	expect(told.split('"Reference Images\\" must be')).toHaveLength(2);
	expect(lab.emulator.requests).toEqual([]);
});

it('checks on a job that was still running, and pays nothing for it', async () => {
	let pending: ToldJob | undefined;
	let finished: ToldJob | undefined;
	const { execution } = await ask(
		[
			generate('A red fox'),
			(lastMessage) => {
				[pending] = toolAnswer(lastMessage);
				for (const job of lab.emulator.jobs.all()) job.durationMs = 0;
				return { tool: checkTool, arguments: { job_id: pending?.job_id ?? '' } };
			},
			(lastMessage) => {
				[finished] = toolAnswer(lastMessage);
				return { text: finished?.image_url ?? '' };
			},
		],
		(node) => {
			if (node.name === 'Generate image') node.parameters.waitForCompletion = false;
		},
	);
	const [submit, ...more] = lab.emulator.submits;
	expect(more).toEqual([]);
	expect(pending).toEqual({
		job_id: submit?.jobId,
		status: 'Pending',
		prompt: 'A red fox',
		ai_model: 'GPT Image 1.5',
	});
	expect(finished).toMatchObject({ job_id: submit?.jobId, status: 'Succeed', image_number: 1 });
	expect(answerOf(execution)).toBe(finished?.image_url);
	expect(await servedSha256(finished?.image_url)).toMatch(/^[\da-f]{64}$/);
});

it('shows the model named and described tools that take texts', async () => {
	const tools = await toolsShown();
	const parameters = (name: string, description: string): object =>
		expect.objectContaining({
			type: 'object',
			properties: { [name]: { type: 'string', description } },
			required: [name],
		}) as object;
	const described = (name: string): unknown =>
		file.nodes.find((node) => node.name === name)?.parameters.toolDescription;
	expect(tools).toEqual([
		expect.objectContaining({
			name: checkTool,
			description: described('Check image job'),
			parameters: parameters('job_id', `The job_id that ${generateTool} returned`),
		}),
		expect.objectContaining({
			name: generateTool,
			description: described('Generate image'),
			parameters: parameters(
				'prompt',
				'What the image should show: subject, setting, style and light, in one or two sentences',
			),
		}),
	]);
});

it('describes a tool that was added without a description of its own', async () => {
	const tools = await toolsShown((node) => {
		if (isOurs(node)) delete node.parameters.toolDescription;
	});
	expect(tools.map(({ description }) => description)).toEqual([
		'Checks the status of a job by its job_id and returns it, with the image_url once the status is Succeed. Free of charge.',
		'Generates one image from a prompt and returns its image_url, job_id and status. Each call costs credits. If the status is Pending, check it later by its job_id. If it is Failed, do not repeat the call unless the user asks.',
	]);
});

it('takes the choice of the model from the agent where an expression leaves it to it', async () => {
	const choices = 'One of: GPT Image 2, Nano Banana Pro';
	const { model } = await ask(
		[
			() => ({ tool: generateTool, arguments: { prompt: 'A fox', ai_model: 'Nano Banana Pro' } }),
			() => ({ text: 'Here it is' }),
		],
		(node) => {
			if (node.name !== 'Generate image') return;
			node.parameters.aiModel = `={{ $fromAI('ai_model', '${choices}', 'string', 'GPT Image 2') }}`;
		},
	);
	const shown = model.requests[0]?.tools?.find((tool) => tool.function.name === generateTool);
	expect(shown?.function.parameters.properties).toMatchObject({
		ai_model: { type: 'string', description: choices },
	});
	expect(lab.emulator.submits.map(({ fields }) => fields.ai_model)).toEqual(['Nano Banana Pro']);
});

it('starts no more jobs than the limit allows, however often the model calls the tool', async () => {
	const told: string[] = [];
	const { execution } = await ask(
		[
			generate('one'),
			generate('two'),
			generate('three'),
			(lastMessage) => {
				told.push(lastMessage);
				return { text: 'That has to do' };
			},
		],
		(node) => {
			if (node.name === 'Generate image') node.parameters.options = { maxJobsPerExecution: 2 };
		},
	);
	expect(answerOf(execution)).toBe('That has to do');
	expect(lab.emulator.submits.map(({ fields }) => fields.prompt)).toEqual(['one', 'two']);
	expect(told[0]).toContain('would start 3 jobs, more than the 2 that');
});

it('starts no more jobs than the limit allows when the model calls the tool twice at once', async () => {
	const { execution, model } = await ask(
		[
			() => ({
				calls: ['one', 'two'].map((prompt) => ({ tool: generateTool, arguments: { prompt } })),
			}),
			() => ({ text: 'That has to do' }),
		],
		(node) => {
			if (node.name === 'Generate image') node.parameters.options = { maxJobsPerExecution: 1 };
		},
	);
	expect(answerOf(execution)).toBe('That has to do');
	const [submit, ...more] = lab.emulator.submits;
	expect(more).toEqual([]);
	const told = (model.requests[1]?.messages ?? [])
		.filter(({ role }) => role === 'tool')
		.map(({ content }) => content ?? '');
	expect(told).toHaveLength(2);
	expect(told.filter((each) => each.includes(String(submit?.jobId)))).toHaveLength(1);
	expect(told.filter((each) => each.includes('would start 2 jobs, more than the 1'))).toHaveLength(
		1,
	);
});

it('tells the model why a job failed, and the run continues', async () => {
	let told = '';
	const { execution } = await ask([
		generate('A red fox #fail-message'),
		(lastMessage) => {
			told = lastMessage;
			return { text: 'Sorry, that did not work.' };
		},
	]);
	expect(answerOf(execution)).toBe('Sorry, that did not work.');
	const [submit] = lab.emulator.submits;
	expect(toolAnswer(told)).toEqual([
		expect.objectContaining({
			job_id: submit?.jobId,
			status: 'Failed',
			error_message: 'The prompt asked for this failure.',
		}),
	]);
});

it('tells the model what is wrong with a call and what to do', async () => {
	let told = '';
	const { execution } = await ask([
		() => ({ tool: checkTool, arguments: { job_id: 'the fox' } }),
		(lastMessage) => {
			told = lastMessage;
			return { text: 'Which fox?' };
		},
	]);
	expect(answerOf(execution)).toBe('Which fox?');
	const error = {
		message: '"the fox" is not a job ID',
		description: expect.stringContaining('A job ID looks like') as string,
	};
	expect(JSON.parse(told)).toEqual([{ error: expect.objectContaining(error) as object }]);
});

// They came with n8n 2.41, and call a node without an execution and without a workflow.
if (process.env.E2E_N8N_RELEASE === 'n8n-2.41') {
	describe('n8n’s own Agents', () => {
		/** Has an agent call tools, one turn after the other; gives what its model was told of each call. */
		async function told(tools: readonly INode[], turns: readonly Turn[]): Promise<string[]> {
			model = await startScriptedModel([...turns, { text: 'Done' }].map((turn) => () => turn));
			const credential = await lab.n8n.createCredential('Scripted model', 'openAiApi', {
				apiKey: 'not-needed',
				url: model.url,
			});
			const { nodes } = withCredential(
				{ name: '', nodes: [...tools], connections: {} },
				lab.credential,
			);
			const agent = await lab.n8n.createAgent('Artist', credential, nodes);
			expect(await lab.n8n.chat(agent, 'Draw me a fox, please')).toContain('"type":"done"');
			const { messages = [] } = model.requests.at(-1) ?? {};
			return messages.filter(({ role }) => role === 'tool').map(({ content }) => content ?? '');
		}

		const jobsIn = (content: string): ToldJob[] => {
			const { data } = JSON.parse(content) as { data: { json: ToldJob }[] };
			return data.map(({ json }) => json);
		};

		it('can call every node; each call of a paid one starts one job, and the model is told of it', async () => {
			const paid = paidTools(lab);
			const earlier = lab.emulator.jobs.add({ durationMs: 0 }).id;
			const contents = await told(
				[...paid.map(({ node }) => node), checkNode()],
				[
					...paid.map(({ node, arguments: args }) => ({
						tool: nodeNameToToolName(node),
						arguments: args,
					})),
					{ tool: 'Check_job', arguments: { job_id: earlier } },
				],
			);
			expect(lab.emulator.submits.map(({ endpoint }) => endpoint)).toEqual(paidEndpoints);
			const ids = [...lab.emulator.submits.map(({ jobId }) => jobId), earlier];
			expect(contents.map((content) => jobsIn(content)[0])).toEqual(
				ids.map((id) => expect.objectContaining({ job_id: id, status: 'Succeed' }) as object),
			);
			for (const content of contents) {
				expect(await servedSha256(jobsIn(content)[0]?.image_url)).toMatch(/^[\da-f]{64}$/);
			}
		});

		it('give each call a limit of jobs to itself, and tell the model why one is refused', async () => {
			const calls = ['A red fox', ' ', 'A blue fox'].map((prompt) => ({
				tool: generateTool,
				arguments: { prompt },
			}));
			const contents = await told(
				[generateNode({ options: { maxJobsPerExecution: 1 } })],
				[{ calls }],
			);
			const [red, refused, blue] = contents;
			expect(refused).toContain('The \\"Prompt\\" parameter is empty. Enter some text');
			expect([red, blue].map((content) => jobsIn(content ?? '')[0]?.job_id).sort()).toEqual(
				lab.emulator.submits.map(({ jobId }) => jobId).sort(),
			);
			expect(lab.emulator.submits).toHaveLength(2);
		});
	});
}
