import type { Account, Api, PendingSubmit, SubmitOutcome } from '../../api/api';
import { backOffMs, retry } from '../../api/retry';
import { abortable, type Clock } from '../../clock';
import { Semaphore } from '../../concurrency';
import type { JobRequest } from '../../api/request';
import { apiFailures, runFailures } from '../../messages';

/** Tries of a submit whose connection is never established. */
const CONNECT_TRIES = 5;
/** How long a submit may be tried, and how long a rate limit may last in which nothing is accepted. */
const BUDGET_MS = 90_000;
/** So many jobs accepted one after the other end the probing that a rate limit begins. */
const ACCEPTED_IN_A_ROW = 3;
/** What is added to a pause at most, so that many runs do not come back all at once. */
const JITTER = 0.25;

type RateLimited = Extract<SubmitOutcome, { kind: 'rateLimited' }>;

/** What a submit does when n8n's Stop comes while it is under way. */
export interface SubmitOptions {
	/** Ends waiting between tries. */
	signal: AbortSignal;
	/** n8n's Stop and workflow timeout. */
	canceled: AbortSignal | undefined;
	/** Called with the outcome of a request that was under way when the execution was stopped. */
	onLateOutcome: (outcome: SubmitOutcome) => void;
}

/**
 * Sends the paid requests of one account. A rate limit concerns all of them: they share one pause, and
 * after it a single one at a time probes whether the API accepts jobs again.
 */
export class Submitter {
	readonly #api: Api;
	readonly #account: Account;
	readonly #clock: Clock;
	readonly #probe = new Semaphore(1);
	/** The rate limit that is in force. */
	#limit: { sinceMs: number; heldUntilMs: number; outcome: RateLimited } | undefined;
	#pauses = 0;
	#pausesInARow = 0;
	#acceptedInARow = 0;

	constructor(api: Api, account: Account, clock: Clock) {
		this.#api = api;
		this.#account = account;
		this.#clock = clock;
	}

	/**
	 * Starts a paid job. It is sent again only when it cannot have been accepted: after 429, and when
	 * no connection was established.
	 *
	 * @returns the job's ID
	 * @throws Failure; with `outcomeUnknown` when a job may exist although no ID came back
	 */
	async submit(request: JobRequest, options: SubmitOptions): Promise<string> {
		const startedAtMs = this.#clock.now();
		const limits = { tries: CONNECT_TRIES, budgetMs: BUDGET_MS };
		const outcome = await retry<SubmitOutcome>(this.#clock, limits, options.signal, async () => {
			const last = await this.#sendUnlessLimited(request, options);
			return last.kind === 'neverConnected' ? { valueIfLast: last } : { value: last };
		});
		const waitedMs = this.#clock.now() - startedAtMs;
		switch (outcome.kind) {
			case 'accepted':
				return outcome.jobId;
			case 'failed':
				throw outcome.failure;
			case 'neverConnected':
				if (options.signal.aborted) throw runFailures.canceled();
				throw apiFailures.unreachable(waitedMs, outcome.reason);
			case 'rateLimited':
				if (options.signal.aborted) throw runFailures.canceled();
				throw apiFailures.rateLimited(waitedMs, outcome.detail);
		}
	}

	/** Sends a request, in its turn while the API limits the rate, until something else comes of it. */
	async #sendUnlessLimited(request: JobRequest, options: SubmitOptions): Promise<SubmitOutcome> {
		for (;;) {
			const outcome = this.#limit
				? await this.#probe.run(async () => await this.#sendAfterPause(request, options))
				: await this.#send(request, options);
			if (outcome.kind !== 'rateLimited') return outcome;
			if (this.#isHopeless() || options.signal.aborted) return outcome;
		}
	}

	async #sendAfterPause(request: JobRequest, options: SubmitOptions): Promise<SubmitOutcome> {
		for (;;) {
			const limit = this.#limit;
			const pauseMs = (limit?.heldUntilMs ?? 0) - this.#clock.now();
			if (limit && this.#isHopeless()) return limit.outcome;
			if (pauseMs <= 0 || options.signal.aborted) return await this.#send(request, options);
			await this.#clock.sleep(pauseMs, options.signal);
		}
	}

	async #send(request: JobRequest, options: SubmitOptions): Promise<SubmitOutcome> {
		if (options.signal.aborted) throw runFailures.canceled();
		const pausesBefore = this.#pauses;
		const pending = this.#api.postJob(this.#account, request);
		const outcome = await abortable(pending.outcome, options.canceled);
		if (outcome === undefined) throw abandoned(pending, options);
		if (outcome.kind === 'accepted') this.#noteAccepted();
		if (outcome.kind === 'rateLimited') this.#noteLimited(outcome, pausesBefore);
		return outcome;
	}

	#noteAccepted(): void {
		this.#acceptedInARow++;
		this.#pausesInARow = 0;
		if (!this.#limit) return;
		if (this.#acceptedInARow >= ACCEPTED_IN_A_ROW) this.#limit = undefined;
		// The API does accept jobs, so that whoever waits in line has all the time again.
		else this.#limit.sinceMs = this.#clock.now();
	}

	/** Many that were sent side by side are limited at once, which is one reason for one pause. */
	#noteLimited(outcome: RateLimited, pausesBefore: number): void {
		const now = this.#clock.now();
		const isNews = pausesBefore === this.#pauses;
		this.#acceptedInARow = 0;
		if (isNews) {
			this.#pauses++;
			this.#pausesInARow++;
		}
		const growing = isNews ? backOffMs(this.#pausesInARow - 1, () => 1) : 0;
		this.#limit ??= { sinceMs: now, heldUntilMs: now, outcome };
		const askedMs = Math.max(growing, outcome.retryAfterMs ?? 0);
		// What is added must not make a pause too long that is not.
		const leftMs = Math.max(0, this.#limit.sinceMs + BUDGET_MS - now - askedMs);
		const pauseMs = askedMs + Math.min(leftMs, askedMs * Math.random() * JITTER);
		this.#limit.outcome = outcome;
		this.#limit.heldUntilMs = Math.max(this.#limit.heldUntilMs, now + pauseMs);
	}

	/** Whether the pause that the API asks for ends after all time is used up. */
	#isHopeless(): boolean {
		if (!this.#limit) return false;
		const { sinceMs, heldUntilMs } = this.#limit;
		return heldUntilMs > this.#clock.now() && heldUntilMs - sinceMs > BUDGET_MS;
	}
}

/**
 * What is told of a request that was under way when the execution was stopped. The run ends at once;
 * n8n saves nothing that comes after it, so that only its log can take the late answer.
 */
function abandoned(pending: PendingSubmit, { onLateOutcome }: SubmitOptions): Error {
	if (!pending.isSent()) {
		pending.cancel();
		return runFailures.canceled();
	}
	// n8n reports a rejection that nobody handles, and nobody is left who could.
	pending.outcome.then(onLateOutcome).catch(() => undefined);
	return runFailures.canceledWhileSubmitting();
}
