import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { INode, INodeParameters } from 'n8n-workflow';
import type { Lab } from './lab';
import type { SavedCredential, WorkflowFile } from './real-n8n/rest-client';
import { until } from './real-n8n/until';
import { startScriptedModel, type Script, type ScriptedModel } from './scripted-model';
import {
	effectGenerate,
	getJob,
	imageGenerate,
	imageTune,
	mcpTrigger,
	sprite,
	withCredential,
} from './workflow';

// Nodes as tools of a model, in n8n's three places for them: AI agents, MCP servers, n8n's own Agents.

/** What a model is told of a job. */
export interface ToldJob {
	job_id: string;
	status: string;
	image_url?: string;
	prompt?: string;
}

/** A node as a tool, with what a model that calls it says. */
export interface CallableTool {
	node: INode;
	arguments: Record<string, string>;
}

/** What a model leaves to be filled in, and is told of it. */
export function fromAi(key: string, description: string): string {
	return `={{ $fromAI('${key}', '${description}', 'string') }}`;
}

export function asTool(node: INode, name: string): INode {
	return { ...node, name, type: `${node.type}Tool` };
}

export const generateTool = (parameters: INodeParameters = {}): INode =>
	asTool(
		imageGenerate({ prompt: fromAi('prompt', 'What the image should show'), ...parameters }),
		'Generate image',
	);

export const checkTool = (): INode =>
	asTool(getJob({ jobId: fromAi('job_id', 'The job_id that another tool returned') }), 'Check job');

/** A tool of each paid node. */
export function paidTools({ emulator }: Lab): CallableTool[] {
	const earlier = emulator.jobs.add({ durationMs: 0 });
	const image = { image_url: `${emulator.cdnUrl}/results/${earlier.id}/1.png` };
	const imageUrl = fromAi('image_url', 'The image_url to start from');
	const description = fromAi('description', 'What the effect should look like');
	const text = fromAi('text', 'The motion');
	return [
		{ node: generateTool(), arguments: { prompt: 'A red fox' } },
		{ node: asTool(imageTune({ imageUrl }), 'Upscale image'), arguments: image },
		{
			node: asTool(effectGenerate({ description }), 'Make effect'),
			arguments: { description: 'Fire' },
		},
		{
			node: asTool(sprite({ imageUrl, text }), 'Make sprite'),
			arguments: { ...image, text: 'Running' },
		},
	];
}

/** What each of {@link paidTools} starts a job at. */
export const paidEndpoints = [
	'/public/v1/generate/image',
	'/public/v1/image-tune/upscale',
	'/public/v1/generate/effect/v2',
	'/public/v1/sprite/make-sprite/v1',
];

/** A model for each test, which follows a script, with n8n's credential for it. */
export function useScriptedModel(lab: Lab) {
	let model: ScriptedModel | undefined;
	afterEach(() => {
		model?.close();
		model = undefined;
	});
	return async (script: Script): Promise<{ model: ScriptedModel; credential: SavedCredential }> => {
		model = await startScriptedModel(script);
		const data = { apiKey: 'not-needed', url: model.url };
		const credential = await lab.n8n.createCredential('Scripted model', 'openAiApi', data);
		return { model, credential };
	};
}

/** An example of an agent, with the credentials of its model and of its tools. */
export function withModel(
	file: WorkflowFile,
	lab: Lab,
	{ id, name }: SavedCredential,
): WorkflowFile {
	const nodes = file.nodes.map((node) =>
		node.name === 'Chat model' ? { ...node, credentials: { openAiApi: { id, name } } } : node,
	);
	return withCredential({ ...file, nodes }, lab.credential);
}

/** What an MCP client can do with a workflow. */
export interface McpSession {
	client: Client;
	call: (name: string, args: Record<string, string>) => Promise<{ isError: boolean; text: string }>;
}

/** Puts workflows of an MCP Server Trigger and its tools into production, and connects to them. */
export function useMcp(lab: Lab): (...tools: readonly INode[]) => Promise<McpSession> {
	let close = async (): Promise<void> => {
		await Promise.resolve();
	};
	afterEach(async () => {
		await close();
	});
	return async (...tools) => {
		const path = randomUUID();
		const trigger = mcpTrigger(path);
		const isTool = { ai_tool: [[{ node: trigger.name, type: 'ai_tool' as const, index: 0 }]] };
		const saved = await lab.save({
			name: 'MCP server',
			nodes: [trigger, ...tools],
			connections: Object.fromEntries(tools.map(({ name }) => [name, isTool])),
			settings: { executionOrder: 'v1' },
		});
		await lab.n8n.activate(saved);
		// Right after activation n8n answers 404 for a moment.
		const client = await until(async () => {
			const connecting = new Client({ name: 'end-to-end-test', version: '1.0.0' });
			const url = new URL(`${lab.n8n.url}/mcp/${path}`);
			try {
				await connecting.connect(new StreamableHTTPClientTransport(url));
				return connecting;
			} catch {
				await connecting.close();
				return undefined;
			}
		});
		close = async () => {
			await client.close();
			await lab.n8n.deactivate(saved);
		};
		return {
			client,
			call: async (name, args) => {
				const result = await client.callTool({ name, arguments: args });
				const { isError = false, content } = CallToolResultSchema.parse(result);
				const texts = content.map((part) => (part.type === 'text' ? part.text : part.type));
				return { isError, text: texts.join('\n') };
			},
		};
	};
}
