import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { INode } from 'n8n-workflow';
import type { Lab } from './lab';
import { save } from './scenarios';
import { mcpTrigger } from './workflow';

/** What a client gets to see of a call. */
export interface Reply {
	isError: boolean;
	text: string;
}

/** A workflow whose tools an MCP client can call, and a client that is connected to it. */
export interface McpSession {
	client: Client;
	call: (name: string, args: Record<string, string>) => Promise<Reply>;
	close: () => Promise<void>;
}

/** Puts a workflow of an MCP Server Trigger and its tools into production, and connects to it. */
export async function openMcpSession(lab: Lab, tools: readonly INode[]): Promise<McpSession> {
	const path = randomUUID();
	const trigger = mcpTrigger(path);
	const isTool = { ai_tool: [[{ node: trigger.name, type: 'ai_tool' as const, index: 0 }]] };
	const saved = await save(lab, {
		name: 'MCP server',
		nodes: [trigger, ...tools],
		connections: Object.fromEntries(tools.map(({ name }) => [name, isTool])),
		settings: { executionOrder: 'v1' },
	});
	await lab.n8n.activate(saved);
	const client = await connected(new URL(`${lab.n8n.url}/mcp/${path}`));
	return {
		client,
		call: async (name, args) => {
			const result = await client.callTool({ name, arguments: args });
			const { isError = false, content } = CallToolResultSchema.parse(result);
			const texts = content.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`));
			return { isError, text: texts.join('\n') };
		},
		close: async () => {
			await client.close();
			await lab.n8n.deactivate(saved);
		},
	};
}

/** Right after activation n8n answers 404 for a moment. */
async function connected(url: URL): Promise<Client> {
	const deadline = Date.now() + 15_000;
	for (;;) {
		const client = new Client({ name: 'end-to-end-test', version: '1.0.0' });
		try {
			await client.connect(new StreamableHTTPClientTransport(url));
			return client;
		} catch (error) {
			await client.close();
			if (Date.now() > deadline) throw error;
			await sleep(200);
		}
	}
}
