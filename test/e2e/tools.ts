import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { INode, INodeParameters } from 'n8n-workflow';
import type { Lab } from './lab';
import type { SavedCredential, WorkflowFile } from './real-n8n/rest-client';
import { until } from './real-n8n/until';
import { startScriptedModel, type Script, type ScriptedModel } from './scripted-model';
import { getJob, imageGenerate, imageTune, mcpTrigger, withCredential } from './workflow';

// Nodes as tools of a model, in n8n's three places for them: AI agents, MCP servers, n8n's own Agents.

/** What a model is told of a job. */
export interface ToldJob {
	job_id: string;
	status: string;
	image_url?: string;
	prompt?: string;
}

/** What a model leaves to be filled in, and is told of it. */
function fromAi(key: string, description: string): string {
	return `={{ $fromAI('${key}', '${description}', 'string') }}`;
}

function asTool(node: INode, name: string): INode {
	return { ...node, name, type: `${node.type}Tool` };
}

export const generateTool = (parameters: INodeParameters = {}): INode =>
	asTool(
		imageGenerate({ prompt: fromAi('prompt', 'What the image should show'), ...parameters }),
		'Generate image',
	);

/** Two paid ones and a free one. */
export const tools = (): INode[] => [
	generateTool(),
	asTool(imageTune({ imageUrl: fromAi('image_url', 'The image to upscale') }), 'Upscale image'),
	asTool(getJob({ jobId: fromAi('job_id', 'The job_id that another tool returned') }), 'Check job'),
];

/** What somebody says in the chat of an example with an agent. */
export const chatMessage = {
	Chat: [{ json: { sessionId: 'one', action: 'sendMessage', chatInput: 'Draw a fox, please' } }],
};

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

/** Puts workflows of an MCP Server Trigger and its tools into production, and connects to them. */
export function useMcp(lab: Lab) {
	let close = async (): Promise<void> => {
		await Promise.resolve();
	};
	afterEach(async () => {
		await close();
	});
	return async (...offered: readonly INode[]) => {
		const path = randomUUID();
		const trigger = mcpTrigger(path);
		const isTool = { ai_tool: [[{ node: trigger.name, type: 'ai_tool' as const, index: 0 }]] };
		const saved = await lab.save({
			name: 'MCP server',
			nodes: [trigger, ...offered],
			connections: Object.fromEntries(offered.map(({ name }) => [name, isTool])),
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
			call: async (name: string, args: Record<string, string>) => {
				const result = await client.callTool({ name, arguments: args });
				const { isError = false, content } = CallToolResultSchema.parse(result);
				const texts = content.map((part) => (part.type === 'text' ? part.text : part.type));
				return { isError, text: texts.join('\n') };
			},
		};
	};
}
