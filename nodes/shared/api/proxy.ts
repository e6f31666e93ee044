import {
	NodeApiError,
	type IDataObject,
	type IHttpRequestOptions,
	type INode,
	type JsonObject,
} from 'n8n-workflow';

import { reasons } from '../messages';
import { isRecord } from './answer';
import type { ConnectionFailure } from './connection';
import type { ByteStream, StreamedAnswer } from './fetchFile';

/** An answer, with the socket that it came through where n8n's error leads to it. */
interface ThrownAnswer extends StreamedAnswer {
	socket: unknown;
}

/** The statuses after which the server may still have accepted the request. */
const UNCERTAIN = Array.from({ length: 300 }, (_, index) => 300 + index).filter(
	(status) => status < 400 || status === 408 || status >= 500,
);

/**
 * Which statuses n8n throws: those for which the socket matters, if its errors keep what they are made
 * of (n8n 2.34 and later). Earlier ones would lose the answer; up to n8n 2.17 its body leads to the
 * socket. n8n sends a request again by itself after a 401 alone.
 */
export function thrownStatuses(
	node: INode,
): NonNullable<IHttpRequestOptions['ignoreHttpStatusErrors']> {
	const { cause } = new NodeApiError(node, new Error('probe') as Error & JsonObject);
	return cause === undefined ? true : { ignore: true, except: UNCERTAIN };
}

/** The answer in an error that n8n has thrown for its status. */
export function answerIn(error: unknown): ThrownAnswer | undefined {
	const cause = error instanceof Error ? error.cause : undefined;
	if (!isRecord(cause) || !isRecord(cause.response)) return undefined;
	const { status, headers, data } = cause.response;
	return {
		statusCode: status as number,
		headers: headers as IDataObject,
		body: data as ByteStream,
		socket: isRecord(cause.request) ? cause.request.socket : undefined,
	};
}

/**
 * Reads an answer that comes from a proxy which would not connect n8n to the server: Node's proxy agent
 * hands it on as the server's. What goes over https goes through a TLS socket, and only proxies ask for
 * a password with 407. In doubt an answer is the server's, since sending again might cost twice.
 */
export function readProxyRefusal(
	answer: StreamedAnswer | ThrownAnswer,
	url: string,
): ConnectionFailure | undefined {
	const { socket } = 'socket' in answer ? answer : (answer.body as { socket?: unknown });
	const isUnused = isRecord(socket) && socket.encrypted !== true && socket.bytesWritten === 0;
	if (answer.statusCode !== 407 && !(isUnused && url.startsWith('https:'))) return undefined;
	return {
		code: `HTTP ${answer.statusCode}`,
		message: reasons.proxyRefused(),
		wasNeverConnected: true,
	};
}
