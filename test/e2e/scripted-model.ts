import { json } from 'node:stream/consumers';
import type { IDataObject } from 'n8n-workflow';
import { serve } from '../support/server';

/** What an agent sends: the conversation so far. */
interface ChatRequest {
	messages: { role: 'system' | 'user' | 'assistant' | 'tool'; content: string | null }[];
	stream?: boolean;
}

interface ToolCall {
	tool: string;
	arguments: IDataObject;
}

/** A model's turn: it calls tools side by side, or says its last word. */
export type Turn = ToolCall | { calls: ToolCall[] } | { text: string };

/** Turns, in order; each may depend on the last message, which after a tool call is the tool's answer. */
export type Script = readonly (Turn | ((lastMessage: string) => Turn))[];

/** A chat model on loopback that does as it is told, behind the API that n8n's OpenAI node speaks. */
export interface ScriptedModel {
	/** Base URL for n8n's OpenAI credential. */
	url: string;
	/** What it was told last of each tool call so far. */
	toolResults(): string[];
	close(): void;
}

/** A request beyond the last turn is refused with 400, which no client repeats. */
export async function startScriptedModel(script: Script): Promise<ScriptedModel> {
	const requests: ChatRequest[] = [];
	const { url, close } = await serve((request, response) => {
		const answer = (status: number, type: string, body: string): void => {
			response.writeHead(status, { 'content-type': type }).end(body);
		};
		const refuse = (status: number, message: string): void => {
			answer(status, 'application/json', JSON.stringify({ error: { message } }));
		};
		void json(request).then((body) => {
			// n8n's own Agents ask for another API first.
			if (request.url !== '/v1/chat/completions') {
				refuse(404, 'There is no such API here.');
				return;
			}
			const chat = body as ChatRequest;
			const scripted = script[requests.length];
			requests.push(chat);
			if (scripted === undefined) {
				refuse(400, `The script has no answer to request ${requests.length}.`);
				return;
			}
			const last = chat.messages.at(-1)?.content ?? '';
			const turn = typeof scripted === 'function' ? scripted(last) : scripted;
			const whole = completion(requests.length, turn);
			if (chat.stream === true) answer(200, 'text/event-stream', streamed(whole));
			else answer(200, 'application/json', JSON.stringify(whole));
		});
	});
	return {
		url: `${url}/v1`,
		toolResults: () => {
			const results = requests.at(-1)?.messages.filter(({ role }) => role === 'tool') ?? [];
			return results.map(({ content }) => content ?? '');
		},
		close,
	};
}

type Completion = IDataObject & { choices: (IDataObject & { message: object })[] };

/** @see https://platform.openai.com/docs/api-reference/chat/object */
function completion(number: number, turn: Turn): Completion {
	const isLast = 'text' in turn;
	const calls = isLast ? [] : 'calls' in turn ? turn.calls : [turn];
	const tool_calls = calls.map((call, index) => ({
		index,
		id: `call_${number}_${index}`,
		type: 'function',
		function: { name: call.tool, arguments: JSON.stringify(call.arguments) },
	}));
	const message = isLast ? { content: turn.text } : { content: null, tool_calls };
	return {
		id: `chatcmpl-${number}`,
		object: 'chat.completion',
		created: Math.floor(Date.now() / 1000),
		model: 'scripted',
		choices: [
			{
				index: 0,
				message: { role: 'assistant', ...message },
				finish_reason: isLast ? 'stop' : 'tool_calls',
			},
		],
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
