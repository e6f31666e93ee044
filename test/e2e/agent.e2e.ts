import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { INode } from 'n8n-workflow';
import { openLab, servedSha256, type Lab } from './lab';
import type { Execution, WorkflowFile } from './real-n8n/rest-client';
import {
	startScriptedModel,
	type ScriptedModel,
	type ShownTool,
	type Turn,
} from './scripted-model';
import { isOurs, withCredential } from './workflow';

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

/** Says something in the chat to the agent, whose model follows a script. */
async function ask(
	script: readonly ((lastMessage: string) => Turn)[],
	change: (node: INode) => void = () => undefined,
): Promise<{ execution: Execution; model: ScriptedModel }> {
	model = await startScriptedModel(script);
	const { id, name } = await lab.n8n.createCredential('Scripted model', 'openAiApi', {
		apiKey: 'not-needed',
		url: model.url,
	});
	const { nodes, ...rest } = structuredClone(withCredential(file, lab.credential));
	for (const node of nodes) {
		if (node.name === 'Chat model') node.credentials = { openAiApi: { id, name } };
		change(node);
	}
	const chatInput = 'Draw me a fox, please';
	const saved = await lab.n8n.createWorkflow({
		...rest,
		nodes,
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

/** What the model is shown of its tools, sorted by their names. */
async function toolsShown(change?: (node: INode) => void): Promise<ShownTool[]> {
	const { model } = await ask([() => ({ text: 'Hello' })], change);
	const tools = model.requests[0]?.tools ?? [];
	return tools.map((tool) => tool.function).sort((a, b) => a.name.localeCompare(b.name));
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
		'Generates one image from a prompt and returns its image_url, job_id and status. Each call costs credits. If the status is not Succeed, check on the job by its job_id instead of generating again.',
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
