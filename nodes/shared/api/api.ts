import type { IExecuteFunctions } from 'n8n-workflow';

import type { Clock } from '../clock';
import type { Failure } from '../failure';
import { apiFailures, reasons } from '../messages';
import { Accounts, scrub, type Account } from './account';
import { isRecord, LONGEST_QUOTE } from './answer';
import { Exchange, type Answer, type NoAnswer } from './exchange';
import { jobIdFrom, jobStateFrom, type JobState } from './job';
import type { JobRequest } from './request';
import { Upload } from './upload';

/** The outcome of a paid POST. */
export type SubmitOutcome =
	| { kind: 'accepted'; jobId: string }
	/** 429: the API has refused the request, which may be sent again. */
	| { kind: 'rateLimited'; detail: string; retryAfterMs?: number | undefined }
	/** The server cannot have seen the request, which may be sent again. */
	| { kind: 'neverConnected'; reason: string }
	/** Sending it again is out of the question; with `outcomeUnknown` a job may still exist. */
	| { kind: 'failed'; failure: Failure };

/** A paid POST that is open. It outlives the execution, since only its answer says what was paid for. */
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
/** A job that is accepted late is charged, too: n8n's own limit for requests. */
const SUBMIT_ANSWER_LIMIT_MS = 300_000;
const UPLOAD_BYTES_PER_SECOND = 100_000;
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

/** The endpoints of the API: a paid POST, and the status of a job. */
export class Api {
	readonly #context: IExecuteFunctions;
	readonly #accounts: Accounts;
	readonly #exchange: Exchange;

	constructor(context: IExecuteFunctions, clock: Clock) {
		this.#context = context;
		this.#accounts = new Accounts(context);
		this.#exchange = new Exchange(context, clock);
	}

	/**
	 * The account of an item's credential. Nothing is sent.
	 * @throws Failure when there is no key, or it must not be sent to the credential's base URL
	 */
	async accountOf(itemIndex: number): Promise<Account> {
		return await this.#accounts.of(itemIndex);
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
			outcome: this.#exchange
				.send(account, { method: 'POST', url: request.path, body: upload.form }, limitMs, end)
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
						? { ...outcome, failure: this.#accounts.noted(account, outcome.failure) }
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
		const account = await this.#accounts.of(itemIndex);
		const answer = await this.#exchange.send(
			account,
			{ method: 'GET', url: `/public/v1/job/${jobId}` },
			Math.min(limitMs, ANSWER_LIMIT_MS),
			new AbortController(),
			this.#context.getExecutionCancelSignal(),
		);
		if ('reason' in answer) {
			const blocked = answer.connection?.blocked;
			if (blocked !== undefined) throw this.#accounts.noted(account, apiFailures.blocked(blocked));
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
		if (refusal) throw this.#accounts.noted(account, refusal);
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
}

/** Whether an answer is about a job: a proxy may mix answers up. One that names no job is. */
function isAbout(body: unknown, jobId: string): boolean {
	const named = isRecord(body) ? body.job_id : undefined;
	return typeof named !== 'string' || named.toLowerCase() === jobId.toLowerCase();
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
