import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

import { connectionReason, reasons } from '../messages';
import { readConnectionFailure } from './connection';
import { retryAfterMs } from './retry';

/** A stream as n8n's helpers take and give it; `stream` itself may not be imported on n8n Cloud. */
export type ByteStream = Awaited<ReturnType<IExecuteFunctions['helpers']['getBinaryStream']>>;

/** What n8n's helpers answer to `encoding: 'stream'` with `returnFullResponse`. */
export interface StreamedAnswer {
	statusCode: number;
	headers: IDataObject;
	body: ByteStream;
}

/** The outcome of an attempt to fetch a file. */
export type FetchOutcome =
	| { kind: 'stream'; stream: ByteStream; contentType: string; bytes: number | undefined }
	| { kind: 'failed'; reason: string; isRetryable: boolean; retryAfterMs?: number | undefined };

const REDIRECTS = 5;

/** Whether a URL is one that files can be fetched from. */
export function isHttpUrl(url: string): boolean {
	return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}

/**
 * Opens a file by its URL, without the API key and through n8n's own HTTP helper, whose SSRF
 * protection covers redirects too. The caller reads the stream, or destroys it.
 *
 * @param answerWithinMs how long the host may take to begin its answer
 * @param signal ends the transfer as well, at any time
 */
export async function fetchFile(
	context: IExecuteFunctions,
	url: string,
	answerWithinMs: number,
	signal: AbortSignal,
): Promise<FetchOutcome> {
	if (!isHttpUrl(url)) return { kind: 'failed', reason: reasons.unusableUrl(), isRetryable: false };
	try {
		const answer = (await context.helpers.httpRequest({
			method: 'GET',
			url,
			// Hosts that negotiate would answer n8n's own wish with JSON.
			headers: { Accept: 'image/*,*/*;q=0.8' },
			encoding: 'stream',
			returnFullResponse: true,
			ignoreHttpStatusErrors: true,
			maxRedirects: REDIRECTS,
			timeout: answerWithinMs,
			abortSignal: signal,
		})) as StreamedAnswer;
		const { statusCode: status, headers, body } = answer;
		if (status === 200) {
			const bytes = Number(headers['content-length'] ?? Number.NaN);
			return {
				kind: 'stream',
				stream: body,
				contentType: textOf(headers['content-type']),
				bytes: Number.isNaN(bytes) ? undefined : bytes,
			};
		}
		body.destroy();
		const again = retryAfterMs(headers['retry-after'], Date.now());
		return {
			kind: 'failed',
			reason: reasons.fileStatus(status),
			isRetryable: [403, 404, 408, 429].includes(status) || status >= 500,
			retryAfterMs: again,
		};
	} catch (error) {
		const connection = readConnectionFailure(error);
		return {
			kind: 'failed',
			reason: connectionReason(connection),
			isRetryable:
				connection.code !== 'ERR_FR_TOO_MANY_REDIRECTS' && connection.blocked === undefined,
		};
	}
}

function textOf(header: unknown): string {
	return typeof header === 'string' ? header : '';
}
