import type { Api, PollOutcome } from '../../api/api';
import { isFinished, type JobState } from '../../api/job';
import { backOffMs } from '../../api/retry';
import { abortable, type Clock } from '../../clock';
import { Semaphore } from '../../concurrency';
import { apiFailures, reasons, runFailures } from '../../messages';

/** The API advises to poll 1 s after creation, and then every 2 to 5 s (docs/api.md). */
const FIRST_POLL_MS = 1000;
const SHORTEST_INTERVAL_MS = 2000;
const LONG_JOB_INTERVAL_MS = 5000;
/** From here on a job counts as long, and the interval grows: a tenth of the time waited so far. */
const INTERVAL_GROWTH = 0.1;
/** Polls of one node, whatever the number of its jobs: 20 a second. */
const POLL_SPACING_MS = 50;
/** Longest time that one answer can hold up all polls. */
const LONGEST_SLOW_DOWN_MS = 60_000;
const SLOW_DOWN_MS = 1000;
/** How long after its submit a job may be unknown to the API before that counts. */
const VISIBILITY_MS = 30_000;
/** A job that is not listed from then on has been deleted; nothing is documented (docs/api.md). */
const OLD_JOB_MS = 86_400_000;
/** How long a finished job may be without its results before that counts. */
const LATE_RESULTS_MS = 10_000;
/** A poll at the deadline still gets a fair time for its answer. */
const LAST_POLL_MS = 5000;
/** Polls in progress at once, however slow the responses: as many as may start within a last poll's time. */
export const CONCURRENT_POLLS = LAST_POLL_MS / POLL_SPACING_MS;
/** All tries of a single status check. */
export const STATUS_CHECK_BUDGET_MS = 30_000;

/** Spreads the polls of all jobs of a node evenly, and slows them all when the API asks for it. */
export class PollScheduler {
	readonly #clock: Clock;
	readonly #turns = new Semaphore(1);
	readonly #inFlight = new Semaphore(CONCURRENT_POLLS);
	#nextAtMs = 0;
	#heldUntilMs = 0;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/**
	 * Waits for the next slot, which is taken when it is used: those whose time has passed while n8n was
	 * busy still go one after the other.
	 *
	 * @param deadlineMs milliseconds since the epoch; the API's wish to be left alone ends there, since
	 *   a job is polled once more before it counts as late
	 */
	async waitForSlot(deadlineMs: number, signal: AbortSignal): Promise<void> {
		let hasSlot = false;
		while (!hasSlot && !signal.aborted) {
			const heldMs = Math.min(this.#heldUntilMs, deadlineMs) - this.#clock.now();
			if (heldMs > 0) {
				await this.#clock.sleep(heldMs, signal);
				continue;
			}
			hasSlot = await this.#turns.run(async () => {
				const pauseMs = this.#nextAtMs - this.#clock.now();
				if (pauseMs > 0) await this.#clock.sleep(pauseMs, signal);
				const now = this.#clock.now();
				// Meanwhile another poll may have met a 429.
				if (signal.aborted || Math.min(this.#heldUntilMs, deadlineMs) > now) return false;
				this.#nextAtMs = now + POLL_SPACING_MS;
				return true;
			});
		}
	}

	/**
	 * Does a poll whose slot has come, once not too many others wait for their answers.
	 * @returns undefined as soon as the signal aborts
	 */
	async poll<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
		return await this.#inFlight.run(async () =>
			signal.aborted ? undefined : await abortable(request(), signal),
		);
	}

	/** Holds all polls up. */
	slowDown(durationMs: number): void {
		const until = this.#clock.now() + Math.min(durationMs, LONGEST_SLOW_DOWN_MS);
		this.#heldUntilMs = Math.max(this.#heldUntilMs, until);
	}
}

/** How the waiting for a job ended. */
export type WaitResult =
	/** `Succeed` or `Failed`. */
	| { kind: 'finished'; job: JobState }
	/** It is running, and only its status was wanted. */
	| { kind: 'seen'; job: JobState }
	| {
			kind: 'timedOut';
			/** As last seen; a job that was never seen is taken for pending. */
			job: JobState;
			wasSeen: boolean;
			waitedMs: number;
			/** Why the last poll brought nothing. */
			lastReason: string | undefined;
	  };

export interface WaitOptions {
	/** Whose credential is used. */
	itemIndex: number;
	/**
	 * When this job was submitted, in milliseconds since the epoch, if that is known: the API may not
	 * list it at once, and its ID is right.
	 */
	submittedAtMs?: number;
	/** Whether the job was submitted just now: then its first poll has time. */
	isNew?: boolean;
	/** Wait until the job is finished, or only until its status is known. */
	until: 'finished' | 'seen';
	timeoutMs: number;
	signal: AbortSignal;
}

/** The pause before the next poll of a job that is still pending. */
export function nextPauseMs(waitedMs: number): number {
	return Math.min(LONG_JOB_INTERVAL_MS, Math.max(SHORTEST_INTERVAL_MS, waitedMs * INTERVAL_GROWTH));
}

/** Polls the jobs of a run. */
export class Poller {
	readonly #api: Api;
	readonly #clock: Clock;
	readonly #scheduler: PollScheduler;

	constructor(api: Api, clock: Clock) {
		this.#api = api;
		this.#clock = clock;
		this.#scheduler = new PollScheduler(clock);
	}

	/** A job's state as the API gives it now, if it does. */
	async glance(
		itemIndex: number,
		jobId: string,
		signal: AbortSignal,
	): Promise<JobState | undefined> {
		await this.#scheduler.waitForSlot(this.#clock.now(), signal);
		try {
			const outcome = await this.#poll(itemIndex, jobId, LAST_POLL_MS, signal);
			return outcome?.kind === 'job' ? outcome.job : undefined;
		} catch {
			// Waiting for the job meets the same, and reports it.
			return undefined;
		}
	}

	/**
	 * Polls a job until it is finished or the time is up: what a timeout means is the caller's to decide.
	 * Whatever is transient is tried again with growing pauses. The job is always polled once, and once
	 * more at the deadline, before it counts as late.
	 *
	 * @throws Failure when polling again cannot help, or the signal aborts
	 */
	async waitFor(jobId: string, options: WaitOptions): Promise<WaitResult> {
		const { itemIndex, until, timeoutMs, signal } = options;
		const clock = this.#clock;
		const startedAtMs = clock.now();
		const deadlineMs = startedAtMs + timeoutMs;
		let job: JobState = { jobId, status: 'Pending', imageUrls: [] };
		let wasSeen = false;
		let resultsDueMs: number | undefined;
		let transientCount = 0;
		let pauseMs = options.isNew ? Math.min(FIRST_POLL_MS, timeoutMs) : 0;

		for (;;) {
			if (pauseMs > 0) await clock.sleep(pauseMs, signal);
			await this.#scheduler.waitForSlot(deadlineMs, signal);
			const limitMs = Math.max(LAST_POLL_MS, deadlineMs - clock.now());
			const outcome = await this.#poll(itemIndex, jobId, limitMs, signal);
			if (outcome === undefined) throw runFailures.canceled();

			const now = clock.now();
			const waitedMs = now - startedAtMs;
			let lastReason: string | undefined;
			if (outcome.kind === 'job') {
				({ job } = outcome);
				wasSeen = true;
				transientCount = 0;
				const lacksResults = job.status === 'Succeed' && job.imageUrls.length === 0;
				if (lacksResults) resultsDueMs ??= now + LATE_RESULTS_MS;
				if (isFinished(job.status) && !lacksResults) return { kind: 'finished', job };
				if (until === 'seen' && !lacksResults) return { kind: 'seen', job };
				pauseMs = nextPauseMs(waitedMs);
			} else {
				lastReason = reasonOf(outcome, jobId, now, wasSeen, options.submittedAtMs);
				const askedMs = outcome.kind === 'transient' ? outcome.retryAfterMs : undefined;
				if (outcome.kind === 'transient' && outcome.isRateLimited) {
					this.#scheduler.slowDown(askedMs ?? SLOW_DOWN_MS);
				}
				pauseMs = Math.max(backOffMs(transientCount++), askedMs ?? 0);
			}
			const endsAtMs = resultsDueMs ?? deadlineMs;
			if (now >= endsAtMs) {
				return isFinished(job.status)
					? { kind: 'finished', job }
					: { kind: 'timedOut', job, wasSeen, waitedMs, lastReason };
			}
			pauseMs = Math.min(pauseMs, endsAtMs - now);
		}
	}

	async #poll(
		itemIndex: number,
		jobId: string,
		limitMs: number,
		signal: AbortSignal,
	): Promise<PollOutcome | undefined> {
		const poll = async () => await this.#api.getJob(itemIndex, jobId, limitMs);
		return await this.#scheduler.poll(poll, signal);
	}
}

function reasonOf(
	outcome: Exclude<PollOutcome, { kind: 'job' }>,
	jobId: string,
	now: number,
	wasSeen: boolean,
	submittedAtMs: number | undefined,
): string {
	if (outcome.kind === 'transient') return outcome.reason;
	if (submittedAtMs === undefined) throw apiFailures.unknownJob(jobId, outcome.detail);
	const ageMs = now - submittedAtMs;
	if (!wasSeen && ageMs < VISIBILITY_MS) return reasons.notListedYet();
	throw ageMs < OLD_JOB_MS
		? apiFailures.startedJobUnlisted(jobId, ageMs, outcome.detail)
		: apiFailures.startedJobGone(jobId, outcome.detail);
}
