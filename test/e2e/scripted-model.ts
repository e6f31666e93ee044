import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import type { IDataObject } from 'n8n-workflow';

/** A message of the conversation, as OpenAI's chat completions API has it. */
export interface ChatMessage {
	role: 'system' | 'user' | 'assistant' | 'tool';
	content: string | null;
}

/** All that a model knows of a tool. */
export interface ShownTool {
	name: string;
	description: string;
	/** A JSON schema. */
	parameters: IDataObject;
}

/** What the agent sends: the conversation so far, and the tools the model may call. */
export interface ChatRequest {
	messages: ChatMessage[];
	tools?: { type: 'function'; function: ShownTool }[];
	stream?: boolean;
}

export interface ToolCall {
	tool: string;
	arguments: IDataObject;
}

/** A model's turn: it calls a tool, or several side by side, or says its last word. */
export type Turn = ToolCall | { calls: ToolCall[] } | { text: string };

/** A chat model on loopback that does as it is told, behind the API that n8n's OpenAI node speaks. */
export interface ScriptedModel {
	/** Base URL for n8n's OpenAI credential. */
	url: string;
	/** Every request so far. */
	requests: readonly ChatRequest[];
	close(): Promise<void>;
}

/**
 * Starts a model.
 *
 * @param script its turns, in order; each may depend on the last message, which after a tool call is
 *   the tool's answer. A request beyond the last turn is refused with 400, which no client repeats.
 */
export async function startScriptedModel(
	script: readonly ((lastMessage: string) => Turn)[],
): Promise<ScriptedModel> {
	const requests: ChatRequest[] = [];
	const server = createServer((request, response) => {
		void json(request).then((body) => {
			if (request.url !== '/v1/chat/completions') {
				// n8n's own Agents ask for another API first.
				response.writeHead(404, { 'content-type': 'application/json' });
				response.end(JSON.stringify({ error: { message: 'There is no such API here.' } }));
				return;
			}
			const chat = body as ChatRequest;
			const turn = script[requests.length];
			requests.push(chat);
			if (turn === undefined) {
				response.writeHead(400, { 'content-type': 'application/json' });
				const message = `The script has no answer to request ${requests.length}.`;
				response.end(JSON.stringify({ error: { message } }));
				return;
			}
			const whole = completion(requests.length, turn(chat.messages.at(-1)?.content ?? ''));
			const type = chat.stream === true ? 'text/event-stream' : 'application/json';
			response.writeHead(200, { 'content-type': type });
			response.end(chat.stream === true ? streamed(whole) : JSON.stringify(whole));
		});
	});
	await once(server.listen(0, '127.0.0.1'), 'listening');
	const address = server.address();
	if (address === null || typeof address === 'string') throw new Error('No port could be had.');
	return {
		url: `http://127.0.0.1:${address.port}/v1`,
		requests,
		close: async () => {
			server.closeAllConnections();
			server.close();
			await once(server, 'close');
		},
	};
}

type Completion = IDataObject & { choices: (IDataObject & { message: object })[] };

/** @see https://platform.openai.com/docs/api-reference/chat/object */
function completion(number: number, turn: Turn): Completion {
	const message =
		'text' in turn
			? { role: 'assistant', content: turn.text }
			: {
					role: 'assistant',
					content: null,
					tool_calls: ('calls' in turn ? turn.calls : [turn]).map((call, index) => ({
						index,
						id: `call_${number}_${index}`,
						type: 'function',
						function: { name: call.tool, arguments: JSON.stringify(call.arguments) },
					})),
				};
	return {
		id: `chatcmpl-${number}`,
		object: 'chat.completion',
		created: Math.floor(Date.now() / 1000),
		model: 'scripted',
		choices: [{ index: 0, message, finish_reason: 'text' in turn ? 'stop' : 'tool_calls' }],
		usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
	};
}

/**
 * The same as a stream of one part.
 * @see https://platform.openai.com/docs/api-reference/chat-streaming
 */
function streamed(whole: Completion): string {
	const choices = whole.choices.map(({ message, ...rest }) => ({ ...rest, delta: message }));
	const part = { ...whole, object: 'chat.completion.chunk', choices };
	return `data: ${JSON.stringify(part)}\n\ndata: [DONE]\n\n`;
}
