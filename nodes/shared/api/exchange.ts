import type { IExecuteFunctions, IHttpRequestOptions } from 'n8n-workflow';

import type { Clock } from '../clock';
import { connectionReason, reasons } from '../messages';
import { CREDENTIAL, scrub, type Account } from './account';
import { detailOf, excerptOf, isRecord, parseJson } from './answer';
import { readConnectionFailure, type ConnectionFailure } from './connection';
import type { StreamedAnswer } from './fetchFile';
import { answerIn, readProxyRefusal, thrownStatuses } from './proxy';
import { retryAfterMs } from './retry';

/** Real responses are far smaller; a larger one is a faulty server, and not worth n8n's memory. */
const ANSWER_LIMIT_BYTES = 1_048_576;

/** An answer that was read. Its texts are for people and never hold the key. */
export interface Answer {
	status: number;
	retryAfterMs?: number | undefined;
	/** Undefined when the body is not JSON. */
	body: unknown;
	/** Whether a refusal is the API's own word: a firewall or proxy on the way has its own format. */
	isFromApi: boolean;
	detail: string;
	excerpt: string;
}

/** A request without a usable answer. */
export interface NoAnswer {
	reason: string;
	connection?: ConnectionFailure;
}

/** What has come of an answer so far. */
interface Arrived {
	answer?: StreamedAnswer;
	chunks: Buffer[];
}

/**
 * The only place that sends the key: to its credential's base URL, and to no redirect target.
 */
export class Exchange {
	readonly #context: IExecuteFunctions;
	readonly #clock: Clock;

	constructor(context: IExecuteFunctions, clock: Clock) {
		this.#context = context;
		this.#clock = clock;
	}

	/**
	 * One request with the key, within its own time limit.
	 *
	 * @param end ends the request, and is aborted when it has ended: a body that stalls would keep its
	 *   connection open for as long as the server likes
	 * @param stop ends the request as well
	 */
	async send(
		account: Account,
		request: Pick<IHttpRequestOptions, 'method' | 'url' | 'body'>,
		limitMs: number,
		end: AbortController,
		stop?: AbortSignal,
	): Promise<Answer | NoAnswer> {
		const { baseUrl, apiKey } = account;
		// n8n's helper would read the credential once more, and for the first item.
		const credential = { baseUrl: baseUrl.href, apiKey };
		const signal = stop ? AbortSignal.any([stop, end.signal]) : end.signal;
		const context = Object.create(this.#context, {
			getCredentials: { value: async () => await Promise.resolve(credential) },
			getExecutionCancelSignal: { value: () => signal },
		}) as IExecuteFunctions;
		const arrived: Arrived = { chunks: [] };
		const late = this.#clock
			.sleep(limitMs, end.signal)
			.then(() => ({ reason: reasons.noAnswer(limitMs) }));
		const url = new URL(request.url.slice(1), baseUrl).href;
		try {
			const flaw = await Promise.race([
				this.#receive({ ...request, url }, limitMs, context, arrived, end.signal),
				late,
			]);
			return this.#readAnswer(account, arrived, flaw);
		} finally {
			// Without a reason it would make an error with a stack trace, each time.
			end.abort('done');
			arrived.answer?.body.destroy();
		}
	}

	/** @returns why the answer is not whole, if it is not */
	async #receive(
		request: Pick<IHttpRequestOptions, 'method' | 'url' | 'body'>,
		limitMs: number,
		context: IExecuteFunctions,
		arrived: Arrived,
		done: AbortSignal,
	): Promise<NoAnswer | undefined> {
		let answer: StreamedAnswer;
		try {
			answer = (await context.helpers.httpRequestWithAuthentication.call(context, CREDENTIAL, {
				...request,
				headers: { Accept: 'application/json' },
				encoding: 'stream',
				// With these two n8n does not throw on a 401, and so never sends a request again by itself.
				returnFullResponse: true,
				ignoreHttpStatusErrors: thrownStatuses(context.getNode()),
				// The key stays with its origin, and n8n's HTTP layer holds no copy of the upload.
				disableFollowRedirect: true,
				timeout: limitMs,
			})) as StreamedAnswer;
		} catch (error) {
			const thrown = answerIn(error);
			if (!thrown) {
				const connection = readConnectionFailure(error);
				return { reason: connectionReason(connection), connection };
			}
			answer = thrown;
		}
		const refusal = readProxyRefusal(answer, request.url);
		if (done.aborted || refusal) {
			answer.body.destroy();
			return refusal && { reason: connectionReason(refusal), connection: refusal };
		}
		arrived.answer = answer;
		let bytes = 0;
		try {
			for await (const chunk of answer.body as AsyncIterable<Buffer>) {
				bytes += chunk.length;
				if (bytes > ANSWER_LIMIT_BYTES)
					return { reason: reasons.answerTooLarge(ANSWER_LIMIT_BYTES) };
				arrived.chunks.push(chunk);
			}
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			return { reason: reasons.answerCutOff(reason) };
		}
		return undefined;
	}

	/**
	 * What has arrived counts even if the connection broke after it: a status that says no, and JSON
	 * that is complete, a job ID above all.
	 */
	#readAnswer(
		account: Account,
		{ answer, chunks }: Arrived,
		noAnswer: NoAnswer | undefined,
	): Answer | NoAnswer {
		const flaw = noAnswer && { ...noAnswer, reason: scrub(account, noAnswer.reason) };
		if (!answer) return flaw ?? { reason: reasons.answerCutOff('') };
		const text = Buffer.concat(chunks).toString('utf8');
		const { statusCode: status, headers } = answer;
		const body = parseJson(text);
		if (flaw && status < 300 && body === undefined) return flaw;
		const waitMs = retryAfterMs(headers['retry-after'], Date.now());
		// Once cut to its length, a text might hold a part of the key.
		const harmless = scrub(account, text);
		return {
			status,
			body,
			// Also where the connection broke off after its beginning.
			isFromApi: /^\s*\{\s*"detail"\s*:/.test(text) || isApiError(body),
			detail: scrub(account, detailOf(harmless)),
			excerpt: excerptOf(harmless),
			retryAfterMs: waitMs,
		};
	}
}

/** Whether a body is one of the API's own (docs/api.md), not of a gateway (RFC 9457 has `detail`, too). */
function isApiError(body: unknown): boolean {
	return isRecord(body) && 'detail' in body && !('title' in body) && !('type' in body);
}
