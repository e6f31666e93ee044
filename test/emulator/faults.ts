import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ReceivedForm } from './form';

/** Where a fault strikes: the paid POST, the look at a job, the fetching of a result. */
export type FaultPlace = 'submit' | 'poll' | 'download';

/** A request as the emulator saw it. */
export interface RequestRecord {
	server: 'api' | 'cdn';
	method: string;
	/** With the query, if any. */
	path: string;
	/** Lower-case names, as Node gives them; the key, if one came, is in `authorization`. */
	headers: IncomingMessage['headers'];
	/** By the emulator's clock. */
	startedAtMs: number;
	/** When the connection had been answered or lost; absent while it is under way. */
	endedAtMs?: number;
	/** The status that was sent; absent when none was, or not yet. */
	status?: number;
	/** What the paid POST carried, once it has been read. */
	form?: ReceivedForm;
	/** The job that the request made or asked for. */
	jobId?: string;
	/** The fault that struck it. */
	fault?: Fault['kind'];
}

/** An answer before it is sent. */
export interface Answer {
	status: number;
	headers: Readonly<Record<string, string>>;
	body: Buffer;
}

type Strike =
	// These take the place of the API's answer.
	/** Any status with any headers and body. An object becomes JSON, a string is sent as HTML or text. */
	| {
			kind: 'respond';
			status: number;
			/** The function gets the emulator's clock, for a `Retry-After` with a date. */
			headers?: Readonly<Record<string, string>> | ((nowMs: number) => Record<string, string>);
			body?: string | Buffer | Readonly<Record<string, unknown>>;
	  }
	/** The connection is reset, without an answer. */
	| { kind: 'reset' }
	/** No answer ever comes. */
	| { kind: 'stall' }
	/** 200 with the right content type and bytes that are neither JSON nor an image. */
	| { kind: 'garbage' }
	/** A proxy's HTML page, with 200 unless told otherwise. */
	| { kind: 'html'; status?: number }
	/** A redirect to a URL, or `itself`: in circles, with `times: Infinity`. */
	| { kind: 'redirect'; to: string; status?: number }
	/** 200 with a body that never ends, sent as fast as the client reads. */
	| { kind: 'endlessBody' }
	// These damage it, so that the API's work is always done first.
	/** Half the body, or the `whole` of it, then the connection ends; `chunked`: with no Content-Length that tells. */
	| { kind: 'truncate'; chunked?: boolean; whole?: boolean }
	/** Headers and half the body, then nothing more. */
	| { kind: 'stallBody' }
	/** The answer as it is, but not before this promise is settled; the function is called as it strikes. */
	| { kind: 'hold'; until: Promise<unknown> | (() => Promise<unknown>) }
	/** The answer, still valid JSON, grown by so many megabytes; a picture gets them behind its end. */
	| { kind: 'hugeBody'; megabytes: number };

interface Aim {
	at: FaultPlace;
	/** How many requests it strikes; 1 unless told otherwise, `Infinity` for all. */
	times?: number;
	/** Which requests it strikes; absent: every one at its place. */
	match?: (request: RequestRecord) => boolean;
	/**
	 * At a submit: `uploading`, with the body still unread (`match` sees no form then); `received` (default),
	 * with the body read and nothing made of it; `accepted`, after the job was made.
	 */
	when?: 'uploading' | 'received' | 'accepted';
}

export type Fault = Aim & Strike;

/** What a proxy says when the server behind it does not answer. */
export const PROXY_HTML_PAGE =
	'<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n' +
	'<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n';

const GARBAGE = Buffer.from('{"job\0\xff\xfe];', 'latin1');
const FILLER = Buffer.alloc(64 * 1024, 'x');
const BYTES_PER_MEGABYTE = 1024 * 1024;
const DAMAGING: readonly Fault['kind'][] = ['truncate', 'stallBody', 'hold', 'hugeBody'];

/** Whether a fault strikes after the API has done its work. */
export function strikesAfterWork(fault: Fault): boolean {
	return fault.at !== 'submit' || momentOf(fault) === 'accepted';
}

function momentOf({ kind, when = 'received' }: Fault): Aim['when'] {
	return DAMAGING.includes(kind) ? 'accepted' : when;
}

/** The faults in store, struck in the order they were added. */
export class Faults {
	private readonly pending: { fault: Fault; left: number; struck: number }[] = [];

	/** @returns how many requests it has struck */
	add(fault: Fault): { readonly struck: number } {
		const entry = { fault, left: fault.times ?? 1, struck: 0 };
		this.pending.push(entry);
		return entry;
	}

	clear(): void {
		this.pending.length = 0;
	}

	/** Takes the fault that strikes this request now, if one does. */
	take(at: FaultPlace, request: RequestRecord, isUploading = false): Fault | undefined {
		const entry = this.pending.find(
			({ fault, left }) =>
				left > 0 &&
				fault.at === at &&
				(momentOf(fault) === 'uploading') === isUploading &&
				(fault.match?.(request) ?? true),
		);
		if (!entry) return undefined;
		entry.left -= 1;
		entry.struck += 1;
		request.fault = entry.fault.kind;
		return entry.fault;
	}
}

/** Sends an answer as it is. */
export function send(response: ServerResponse, { status, headers, body }: Answer): void {
	response.writeHead(status, { ...headers, 'content-length': body.length });
	response.end(body);
}

/** Lets a fault strike. `answer` is what the API would have said. */
export async function strike(
	fault: Fault,
	request: IncomingMessage,
	response: ServerResponse,
	answer: Answer,
	nowMs: number,
): Promise<void> {
	const reply = (
		status: number,
		body: Buffer | string | object,
		headers: Answer['headers'] = {},
	) => {
		const isRaw = Buffer.isBuffer(body) || typeof body === 'string';
		send(response, {
			status,
			headers: {
				// An answer that comes before the upload has been read ends the connection, as proxies do.
				...(!request.complete && { connection: 'close' }),
				'content-type': typeOf(body),
				...headers,
			},
			body: Buffer.from(isRaw ? body : JSON.stringify(body)),
		});
	};
	switch (fault.kind) {
		case 'respond': {
			const { status, headers, body = '' } = fault;
			reply(status, body, typeof headers === 'function' ? headers(nowMs) : headers);
			return;
		}
		case 'html':
			reply(fault.status ?? 200, PROXY_HTML_PAGE);
			return;
		case 'redirect':
			reply(fault.status ?? 307, '', {
				location: fault.to === 'itself' ? (request.url ?? '/') : fault.to,
			});
			return;
		case 'garbage':
			reply(200, GARBAGE, answer.headers);
			return;
		case 'reset':
			request.socket.resetAndDestroy();
			return;
		case 'stall':
			return;
		case 'truncate': {
			const { whole: isWhole = false, chunked: isChunked = isWhole } = fault;
			await sendPart(response, answer, isWhole, isChunked);
			request.socket.end();
			return;
		}
		case 'stallBody':
			await sendPart(response, answer);
			return;
		case 'hold':
			await (fault.until instanceof Promise ? fault.until : fault.until());
			send(response, answer);
			return;
		case 'hugeBody':
			await sendGrown(response, answer, fault.megabytes * BYTES_PER_MEGABYTE);
			return;
		case 'endlessBody':
			await sendGrown(response, answer, Infinity);
			return;
	}
}

function typeOf(body: string | Buffer | object): string {
	if (Buffer.isBuffer(body)) return 'application/octet-stream';
	if (typeof body !== 'string') return 'application/json';
	return body.startsWith('<') ? 'text/html' : 'text/plain';
}

async function sendPart(
	response: ServerResponse,
	{ status, headers, body }: Answer,
	isWhole = false,
	isChunked = false,
): Promise<void> {
	response.writeHead(status, {
		...headers,
		...(isChunked ? {} : { 'content-length': body.length }),
	});
	const part = body.subarray(0, isWhole ? body.length : Math.ceil(body.length / 2));
	await new Promise((resolve) => response.write(part, resolve));
}

/**
 * A JSON answer with one more key, `padding`, of so many bytes; anything else with the bytes behind
 * it. No more is sent once the client has left.
 */
async function sendGrown(response: ServerResponse, answer: Answer, bytes: number): Promise<void> {
	const isJson = answer.headers['content-type'] === 'application/json';
	response.writeHead(200, { ...answer.headers });
	response.write(isJson ? `{"padding":"` : answer.body);
	for (let left = bytes; left > 0; left -= FILLER.length) {
		const hasRoom = response.write(FILLER.subarray(0, Math.min(left, FILLER.length)));
		if (!hasRoom) await once(response, 'drain');
	}
	response.end(isJson ? `",${answer.body.toString().slice(1)}` : undefined);
}
