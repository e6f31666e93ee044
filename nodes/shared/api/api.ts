import type { IExecuteFunctions, IHttpRequestOptions } from 'n8n-workflow';

import type { Clock } from '../clock';
import type { JobRequest } from './request';
import { asFailure, Failure } from '../failure';
import { apiFailures, connectionReason, credentialFailures, reasons } from '../messages';
import { detailOf, excerptOf, isRecord, LONGEST_QUOTE, parseJson } from './answer';
import { jobIdFrom, jobStateFrom, type JobState } from './job';
import { checkBaseUrl } from './baseUrl';
import { readConnectionFailure, type ConnectionFailure } from './connection';
import type { StreamedAnswer } from './fetchFile';
import { answerIn, readProxyRefusal, thrownStatuses } from './proxy';
import { retryAfterMs } from './retry';
import { Upload } from './upload';

/** The credential's type name. */
export const CREDENTIAL = 'aetherForgeApi';

/** What a paid POST came to. */
export type SubmitOutcome =
	| { kind: 'accepted'; jobId: string }
	/** 429: the API has refused the request, which may be sent again. */
	| { kind: 'rateLimited'; detail: string; retryAfterMs?: number | undefined }
	/** The server cannot have seen the request, which may be sent again. */
	| { kind: 'neverConnected'; reason: string }
	/** Sending it again is out of the question; with `outcomeUnknown` a job may exist all the same. */
	| { kind: 'failed'; failure: Failure };

/** A paid POST under way. It outlives the execution, since only its answer says what was paid for. */
export interface PendingSubmit {
	/** Never rejects. */
	outcome: Promise<SubmitOutcome>;
	/** Whether the server may have the whole request. */
	isSent(): boolean;
	/** Ends a request that is not sent yet. */
	cancel(): void;
}

/** What one status check brought. What cannot get better is thrown as a {@link Failure}. */
export type PollOutcome =
	| { kind: 'job'; job: JobState }
	/** The API does not know the job (404). */
	| { kind: 'unknown'; detail: string }
	| {
			kind: 'transient';
			reason: string;
			/** Whether the API asks to poll less often (429). */
			isRateLimited: boolean;
			retryAfterMs?: number | undefined;
	  };

/** Time limits of single requests. Uploads get more, by their size. */
const ANSWER_LIMIT_MS = 30_000;
/** A job that is accepted late is charged all the same: n8n's own limit for requests. */
const SUBMIT_ANSWER_LIMIT_MS = 300_000;
const UPLOAD_BYTES_PER_SECOND = 100_000;
/** No answer of this API comes near it; more is a server gone wild, and not worth n8n's memory. */
const ANSWER_LIMIT_BYTES = 1_048_576;

/** An answer that was read. Its texts are for people and never hold the key. */
interface Answer {
	status: number;
	retryAfterMs?: number | undefined;
	/** Undefined when the body is not JSON. */
	body: unknown;
	/** Whether a refusal is the API's own word: a firewall or proxy on the way has its own format. */
	isFromApi: boolean;
	detail: string;
	excerpt: string;
}

/** A usable credential, as it was read for one item. */
export interface Account {
	readonly baseUrl: URL;
	readonly apiKey: string;
	/** Why nothing more is worth starting with it, once that is known. */
	refusal?: Failure;
}

/** A request without a usable answer. */
interface NoAnswer {
	reason: string;
	connection?: ConnectionFailure;
}

/** What has come of an answer so far. */
interface Arrived {
	answer?: StreamedAnswer;
	chunks: Buffer[];
}

/** What concerns the account and so every request alike. */
function accountFailure({ status, detail, isFromApi }: Answer): Failure | undefined {
	if (!isFromApi) return undefined;
	if (status === 401) return apiFailures.badKey(detail);
	if (status === 402) return apiFailures.outOfCredits(detail);
	if (status === 403) return apiFailures.forbidden(detail);
	// The API answers 404 for this too, in more than one wording.
	if (status === 404 && /\buser\b/i.test(detail)) return apiFailures.accountGone(detail);
	return undefined;
}

/** Whether a firewall or proxy has refused the request, so that the API has not seen it. */
function isRefusedOnTheWay({ status, isFromApi }: Answer): boolean {
	return !isFromApi && status >= 400 && status < 500;
}

/**
 * The only door through which the key goes: to the base URL of its own credential, and along no
 * redirect. A credential may be an expression, and is read for each request anew, for its item.
 */
export class Api {
	readonly #context: IExecuteFunctions;
	readonly #clock: Clock;
	readonly #accounts = new Map<string, Account>();

	constructor(context: IExecuteFunctions, clock: Clock) {
		this.#context = context;
		this.#clock = clock;
	}

	/**
	 * Reads the node's credential for an item. Nothing is sent.
	 *
	 * @returns the same object each time for the same credential
	 * @throws Failure when there is no key, or it must not be sent to the credential's base URL
	 */
	async accountOf(itemIndex: number): Promise<Account> {
		let checked: Account;
		try {
			checked = await this.#readCredential(itemIndex);
		} catch (error) {
			const known = error instanceof Failure;
			const failure = known ? error : credentialFailures.unreadable(asFailure(error).message);
			throw failure.with({ concernsAllItems: this.#accounts.size === 0 });
		}
		const id = `${checked.baseUrl.href} ${checked.apiKey}`;
		const account = this.#accounts.get(id) ?? checked;
		this.#accounts.set(id, account);
		return account;
	}

	async #readCredential(itemIndex: number): Promise<Account> {
		const { baseUrl, apiKey } = await this.#context.getCredentials<{
			baseUrl?: unknown;
			apiKey?: unknown;
		}>(CREDENTIAL, itemIndex);
		if (typeof apiKey !== 'string') throw credentialFailures.keyIsNoText();
		if (typeof baseUrl !== 'string') throw credentialFailures.baseUrlIsNoText();
		const checked = checkBaseUrl(baseUrl);
		if ('flaw' in checked) throw credentialFailures.baseUrl(baseUrl, checked.flaw);
		const key = apiKey.trim();
		if (key === '') throw credentialFailures.noKey();
		// A header holds visible ASCII only; HTTP libraries differ in how they refuse the rest.
		if (!/^[\x21-\x7e]+$/.test(key)) throw credentialFailures.keyWithOddCharacters();
		return { baseUrl: checked.url, apiKey: key };
	}

	/** Remembers what concerns every request of an account alike. */
	#noted(account: Account, failure: Failure): Failure {
		if (!failure.facts.concernsAllItems) return failure;
		// With one account for all items, naming one of them says nothing.
		const concernsAllItems = this.#accounts.size === 1;
		// What is not sent has no unknown outcome.
		account.refusal ??= failure.with({ concernsAllItems, outcomeUnknown: false });
		return failure.with({ concernsAllItems });
	}

	/**
	 * Sends a paid POST once. n8n's Stop does not reach it: a request that the server has is charged,
	 * and cutting it off would only lose the job ID.
	 */
	postJob(account: Account, request: JobRequest): PendingSubmit {
		const upload = new Upload(request);
		const limitMs = SUBMIT_ANSWER_LIMIT_MS + (upload.bytes / UPLOAD_BYTES_PER_SECOND) * 1000;
		const end = new AbortController();
		return {
			outcome: this.#send(
				account,
				{ method: 'POST', url: request.path, body: upload.form },
				limitMs,
				end,
			)
				.then(
					(answer) => submitOutcome(answer, upload.isRead),
					(error: unknown): SubmitOutcome => ({
						kind: 'failed',
						failure: apiFailures.outcomeUnknown(scrub(account, String(error)), undefined),
					}),
				)
				.then((outcome) => {
					upload.close();
					return outcome.kind === 'failed'
						? { ...outcome, failure: this.#noted(account, outcome.failure) }
						: outcome;
				}),
			isSent: () => upload.isRead,
			cancel: () => {
				end.abort();
			},
		};
	}

	/**
	 * Checks a job's status once.
	 *
	 * @param itemIndex whose credential is used
	 * @param limitMs how long to wait for the answer, at most
	 * @throws Failure when asking again cannot help: the credential, the account, the request itself
	 */
	async getJob(itemIndex: number, jobId: string, limitMs: number): Promise<PollOutcome> {
		const account = await this.accountOf(itemIndex);
		const answer = await this.#send(
			account,
			{ method: 'GET', url: `/public/v1/job/${jobId}` },
			Math.min(limitMs, ANSWER_LIMIT_MS),
			new AbortController(),
			this.#context.getExecutionCancelSignal(),
		);
		if ('reason' in answer) {
			const blocked = answer.connection?.blocked;
			if (blocked !== undefined) throw this.#noted(account, apiFailures.blocked(blocked));
			return { kind: 'transient', reason: answer.reason, isRateLimited: false };
		}
		const { status, body, isFromApi, detail, excerpt } = answer;
		if (status === 200) {
			const job = jobStateFrom(body, jobId);
			if (job?.errorMessage !== undefined) {
				// Once cut to its length, a text might hold a part of the key.
				job.errorMessage = scrub(account, job.errorMessage).slice(0, LONGEST_QUOTE);
			}
			if (job && !isAbout(body, jobId)) {
				return { kind: 'transient', isRateLimited: false, reason: reasons.otherJob() };
			}
			if (job) return { kind: 'job', job };
			const reason =
				body === undefined ? reasons.notJson(status, excerpt) : reasons.noJob(status, excerpt);
			return { kind: 'transient', isRateLimited: false, reason };
		}
		const refusal = accountFailure(answer);
		if (refusal) throw this.#noted(account, refusal);
		if (status === 404 && isFromApi) return { kind: 'unknown', detail };
		if (!isFromApi || status >= 500 || status < 400 || [408, 425, 429].includes(status)) {
			return {
				kind: 'transient',
				reason: isRefusedOnTheWay(answer)
					? reasons.refusedOnTheWay(status, excerpt)
					: reasons.status(status, detail),
				isRateLimited: status === 429,
				retryAfterMs: answer.retryAfterMs,
			};
		}
		throw apiFailures.statusCheckRejected(jobId, status, detail);
	}

	/**
	 * One request with the key, within its own time limit.
	 *
	 * @param end ends the request, and is aborted when it has ended: a body that stalls would keep its
	 *   connection open for as long as the server likes
	 * @param stop ends the request as well
	 */
	async #send(
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
		const waitMs = retryAfterMs(headers['retry-after'], this.#clock.now());
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

/** Whether an answer is about a job: a proxy may mix answers up. One that names no job is. */
function isAbout(body: unknown, jobId: string): boolean {
	const named = isRecord(body) ? body.job_id : undefined;
	return typeof named !== 'string' || named.toLowerCase() === jobId.toLowerCase();
}

/** Servers may repeat what they were sent, and what they say ends up in texts that people share. */
function scrub({ apiKey }: Account, text: string): string {
	return text.replaceAll(apiKey, '***');
}

/** @param isSent whether the server may have the whole request */
function submitOutcome(answer: Answer | NoAnswer, isSent: boolean): SubmitOutcome {
	if ('reason' in answer && !isSent && !answer.connection?.wasNeverConnected) {
		return { kind: 'failed', failure: apiFailures.uploadCutOff(answer.reason) };
	}
	if ('reason' in answer) {
		const { reason, connection } = answer;
		if (connection?.blocked !== undefined) {
			return { kind: 'failed', failure: apiFailures.blocked(connection.blocked) };
		}
		return connection?.wasNeverConnected
			? { kind: 'neverConnected', reason }
			: { kind: 'failed', failure: apiFailures.outcomeUnknown(reason, undefined) };
	}
	// Whatever else it says: an answer that names a job is the only one that will.
	const jobId = jobIdFrom(answer.body);
	if (jobId !== undefined) return { kind: 'accepted', jobId };
	if (answer.status !== 429) return { kind: 'failed', failure: submitFailure(answer) };
	const { detail, retryAfterMs } = answer;
	return { kind: 'rateLimited', detail, retryAfterMs };
}

/** Why an answer to a submit brought no job. */
function submitFailure(answer: Answer): Failure {
	const { status, body, detail, excerpt } = answer;
	const refusal = accountFailure(answer);
	if (refusal) return refusal;
	if (status === 408 || status >= 500) {
		return apiFailures.outcomeUnknown(reasons.status(status, detail), status);
	}
	if (status === 404 || status === 405) return apiFailures.noApi(status, detail);
	if (status === 413) return apiFailures.tooLarge(detail);
	if (isRefusedOnTheWay(answer)) return apiFailures.refusedOnTheWay(status, excerpt);
	if (status >= 400) return apiFailures.rejected(status, detail);
	// 307 and 308 ask for the same request at another address; the others may come after a job was made.
	if (status >= 300) return apiFailures.redirected(status, status < 304);
	return apiFailures.outcomeUnknown(
		body === undefined ? reasons.notJson(status, excerpt) : reasons.noJobId(status, excerpt),
		status,
	);
}
