import type { Account } from '../../api/account';
import type { Api, PendingSubmit, SubmitOutcome } from '../../api/api';
import { backOffMs, retry } from '../../api/retry';
import { abortable, type Clock } from '../../clock';
import { Semaphore } from '../../concurrency';
import { asFailure } from '../../failure';
import { apiFailures, runFailures } from '../../messages';
import type { JobBook } from './jobBook';
import type { JobSlot, SubmitPlan } from './plan';

/** Submits in progress at once, however many jobs may be unfinished. */
const CONCURRENT_SUBMITS = 20;
/** Attempts of a submit whose connection is never established. */
const CONNECT_ATTEMPTS = 5;
/** How long a submit may be tried, and how long a rate limit may last in which nothing is accepted. */
const BUDGET_MS = 90_000;
/** This many jobs accepted one after the other end the probing that a rate limit begins. */
const ACCEPTED_IN_A_ROW = 3;
/** This many unknown outcomes one after the other, and nothing more is sent. */
const MOST_UNKNOWN_IN_A_ROW = 3;
/** What is added to a pause at most, so that many runs do not come back all at once. */
const JITTER = 0.25;

type RateLimited = Extract<SubmitOutcome, { kind: 'rateLimited' }>;

/** Sends a request, unless a rate limit has come in between: then it was not sent. */
type Send = (mayGo: () => boolean) => Promise<SubmitOutcome | undefined>;

/** What ends a submit. */
interface Signals {
	/** Ends waiting between attempts. */
	signal: AbortSignal;
	/** n8n's Stop and workflow timeout. */
	canceled: AbortSignal | undefined;
}

/** Starts the paid jobs of a run, and has the book record each answer the moment it arrives. */
export class Submitter {
	readonly #api: Api;
	readonly #book: JobBook;
	readonly #clock: Clock;
	readonly #turns = new Semaphore(CONCURRENT_SUBMITS);
	readonly #limits = new Map<Account, RateLimit>();
	#runningJobs = 0;
	#unknownInARow = 0;

	constructor(api: Api, book: JobBook, clock: Clock) {
		this.#api = api;
		this.#book = book;
		this.#clock = clock;
	}

	/**
	 * Starts a paid job. It is sent again only when it cannot have been accepted: after 429, and when
	 * no connection was established.
	 *
	 * @returns the job's ID
	 * @throws Failure; with `outcomeUnknown` when a job may exist although no ID came back
	 */
	async submit(plan: SubmitPlan, signals: Signals): Promise<string> {
		try {
			return await this.#turns.run(async () => await this.#submitInTurn(plan, signals));
		} catch (error) {
			const { resubmitIfUnknown: isResubmitted } = plan.settings;
			throw asFailure(error).with(isResubmitted ? { isResubmitted } : {});
		}
	}

	/** Waits for a job of this run: a limit of jobs at once is no reason to give up while some are running. */
	async whileRunning<T>(wait: () => Promise<T>): Promise<T> {
		this.#runningJobs++;
		try {
			return await wait();
		} finally {
			this.#runningJobs--;
			for (const limit of this.#limits.values()) limit.restartBudget();
		}
	}

	async #submitInTurn({ slot, submit: request }: SubmitPlan, signals: Signals): Promise<string> {
		const { signal, canceled } = signals;
		const stopIfOver = () => {
			if (signal.aborted) throw runFailures.canceled();
		};
		stopIfOver();
		const account = await this.#api.accountOf(slot.itemIndex);
		if (account.refusal) throw account.refusal;
		const limit =
			this.#limits.get(account) ?? new RateLimit(this.#clock, () => this.#runningJobs > 0);
		this.#limits.set(account, limit);

		const mayStillSend = () => {
			stopIfOver();
			if (this.#isHopeless) throw apiFailures.withheld(this.#unknownInARow);
		};
		const send = async (mayGo: () => boolean): Promise<SubmitOutcome | undefined> => {
			mayStillSend();
			const jobId = await this.#book.submitting(slot, request.files.length > 0);
			if (jobId !== undefined) return { kind: 'accepted', jobId };
			const isInTime = mayGo();
			if (!isInTime || signal.aborted || this.#isHopeless) this.#book.notStarted(slot);
			mayStillSend();
			if (!isInTime) return undefined;
			const pending = this.#api.postJob(account, request);
			const recorded = pending.outcome.then((outcome) => this.#record(slot, outcome));
			return (await abortable(recorded, canceled)) ?? this.#abandon(slot, pending);
		};
		const startedAtMs = this.#clock.now();
		const limits = { tries: CONNECT_ATTEMPTS, budgetMs: BUDGET_MS };
		const outcome = await retry<SubmitOutcome>(this.#clock, limits, signal, async () => {
			const last = await limit.send(send, signal);
			return last.kind === 'neverConnected' ? { valueIfLast: last } : { value: last };
		});
		const waitedMs = this.#clock.now() - startedAtMs;
		switch (outcome.kind) {
			case 'accepted':
				return outcome.jobId;
			case 'failed':
				throw outcome.failure;
			case 'neverConnected':
				stopIfOver();
				throw apiFailures.unreachable(waitedMs, outcome.reason);
			case 'rateLimited':
				stopIfOver();
				throw apiFailures.rateLimited(waitedMs, outcome.retryAfterMs, outcome.detail);
		}
	}

	get #isHopeless(): boolean {
		return this.#unknownInARow >= MOST_UNKNOWN_IN_A_ROW;
	}

	#record(slot: JobSlot, outcome: SubmitOutcome): SubmitOutcome {
		if (outcome.kind === 'accepted') {
			this.#book.started(slot, outcome.jobId);
			this.#unknownInARow = 0;
		} else if (outcome.kind === 'failed' && outcome.failure.facts.outcomeUnknown) {
			this.#book.unknown(slot, outcome.failure.facts.description);
			this.#unknownInARow++;
		} else this.#book.notStarted(slot);
		return outcome;
	}

	/**
	 * Leaves a request that is open when the execution is stopped. The run ends at once, and n8n saves
	 * nothing that comes after it, but the book still records the late answer.
	 */
	#abandon(slot: JobSlot, pending: PendingSubmit): never {
		if (!pending.isSent()) {
			pending.cancel();
			throw runFailures.canceled();
		}
		const failure = runFailures.canceledWhileSubmitting();
		this.#book.stopped(slot, failure.facts.description);
		throw failure;
	}
}

/**
 * The rate limit of one account. It concerns all of its submits: they share one pause, and after it a
 * single one at a time probes whether the API accepts jobs again.
 */
class RateLimit {
	readonly #clock: Clock;
	readonly #hasRunningJobs: () => boolean;
	readonly #probe = new Semaphore(1);
	/** The limit that is in force. */
	#limit: { sinceMs: number; heldUntilMs: number; outcome: RateLimited } | undefined;
	#pauses = 0;
	#pausesInARow = 0;
	#acceptedInARow = 0;

	constructor(clock: Clock, hasRunningJobs: () => boolean) {
		this.#clock = clock;
		this.#hasRunningJobs = hasRunningJobs;
	}

	/** The API may accept jobs again: everyone who waits has the whole 90 s. */
	restartBudget(): void {
		if (this.#limit) this.#limit.sinceMs = this.#clock.now();
	}

	/** Sends a request, in its turn while the API limits the rate, until it has another outcome. */
	async send(send: Send, signal: AbortSignal): Promise<SubmitOutcome> {
		for (;;) {
			const outcome = this.#limit
				? await this.#probe.run(async () => await this.#sendAfterPause(send, signal))
				: await this.#sendNow(async () => await send(() => !this.#limit));
			if (!outcome) continue;
			if (outcome.kind !== 'rateLimited') return outcome;
			if (this.#isHopeless() || signal.aborted) return outcome;
		}
	}

	async #sendAfterPause(send: Send, signal: AbortSignal): Promise<SubmitOutcome | undefined> {
		const pauseMs = () => (this.#limit?.heldUntilMs ?? 0) - this.#clock.now();
		for (;;) {
			if (this.#limit && this.#isHopeless()) return this.#limit.outcome;
			if (pauseMs() <= 0 || signal.aborted) {
				return await this.#sendNow(async () => await send(() => pauseMs() <= 0));
			}
			await this.#clock.sleep(pauseMs(), signal);
		}
	}

	async #sendNow(
		send: () => Promise<SubmitOutcome | undefined>,
	): Promise<SubmitOutcome | undefined> {
		const pausesBefore = this.#pauses;
		const outcome = await send();
		// What was sent before the limit began says nothing about its end.
		const isNews = pausesBefore === this.#pauses;
		if (outcome?.kind === 'accepted' && isNews) this.#noteAccepted();
		if (outcome?.kind === 'rateLimited') this.#noteLimited(outcome, isNews);
		return outcome;
	}

	#noteAccepted(): void {
		this.#acceptedInARow++;
		this.#pausesInARow = 0;
		if (!this.#limit) return;
		if (this.#acceptedInARow >= ACCEPTED_IN_A_ROW) this.#limit = undefined;
		else this.restartBudget();
	}

	/** Many that were sent side by side are limited at once, which is one reason for one pause. */
	#noteLimited(outcome: RateLimited, isNews: boolean): void {
		const now = this.#clock.now();
		this.#acceptedInARow = 0;
		if (isNews) {
			this.#pauses++;
			this.#pausesInARow++;
		}
		const growing = isNews ? backOffMs(this.#pausesInARow - 1, () => 1) : 0;
		this.#limit ??= { sinceMs: now, heldUntilMs: now, outcome };
		const askedMs = Math.max(growing, outcome.retryAfterMs ?? 0);
		// Jitter must not push an affordable pause over the budget.
		const leftMs = Math.max(0, this.#limit.sinceMs + BUDGET_MS - now - askedMs);
		const pauseMs = askedMs + Math.min(leftMs, askedMs * Math.random() * JITTER);
		this.#limit.outcome = outcome;
		this.#limit.heldUntilMs = Math.max(this.#limit.heldUntilMs, now + pauseMs);
	}

	/** Whether the pause that the API asks for ends after all time is used up. */
	#isHopeless(): boolean {
		if (!this.#limit) return false;
		const { sinceMs, heldUntilMs } = this.#limit;
		const pauseMs = heldUntilMs - this.#clock.now();
		if (pauseMs <= 0) return false;
		return pauseMs > BUDGET_MS || (heldUntilMs - sinceMs > BUDGET_MS && !this.#hasRunningJobs());
	}
}
